// The difference of two programs: what they keep and read, how long they train, and each of their graphs.

import Basics
import Elaboration
import GraphIR
import Passes
import Training

/// A value; nothing here prints.
struct ProgramDiff {
  /// A state, a data source or a setting of the training; nil where one side does not have it.
  struct Entry: Hashable {
    var kind: GraphDiff.Kind
    var name: String
    /// Of what was renamed, its name afterwards.
    var newName: String?
    var before: String?
    var after: String?
  }
  struct GraphEntry {
    var name: String
    /// Nil where only one program has the graph.
    var diff: GraphDiff?
    var isAfter: Bool
  }

  var states: [Entry]
  var data: [Entry]
  var facts: [Entry]
  /// The graphs that differ, in the order of the program. What the entries of states and data say already is left
  /// out: that a graph no longer reads a state that is gone, and the like. What graphs do otherwise with states and
  /// data that both programs have is said here.
  var graphs: [GraphEntry]

  var isEmpty: Bool { states.isEmpty && data.isEmpty && facts.isEmpty && graphs.isEmpty }

  init(_ before: Program, _ after: Program) throws {
    let old = ProgramGraphs(before)
    let new = ProgramGraphs(after)
    graphs = []
    var renamed: [Renaming] = []
    for entry in old.all {
      let diff = try new.counterpart(of: entry).map { try GraphDiff(entry.graph, $0.graph) }
      renamed += (diff?.changes ?? []).compactMap { Renaming($0) }
      graphs.append(GraphEntry(name: entry.title, diff: diff, isAfter: false))
    }
    for entry in new.all where old.counterpart(of: entry) == nil {
      graphs.append(GraphEntry(name: entry.title, diff: nil, isAfter: true))
    }
    states = Self.entries(
      before.states.map(Declared.init), after.states.map(Declared.init),
      renamed.filter { $0.kind == .state })
    data = Self.entries(
      before.data.map(Declared.init), after.data.map(Declared.init),
      renamed.filter { $0.kind == .data })
    facts = Self.entries(Declared.facts(before), Declared.facts(after), [])
    let told = ToldChanges(states: states, data: data)
    for index in graphs.indices { graphs[index].diff?.changes.removeAll(where: told.includes) }
    graphs.removeAll { $0.diff?.isEmpty == true }
  }

  private static func entries(
    _ before: [Declared], _ after: [Declared], _ renamed: [Renaming]
  ) -> [Entry] {
    let old = index(before)
    let new = index(after)
    let newNames = Dictionary(
      renamed.map { ($0.old, $0.new) }, uniquingKeysWith: { first, _ in first })
    var taken: Set<String> = []
    var found: [Entry] = []
    for declared in before {
      let name = declared.name
      if let other = new[name] {
        guard other.text != declared.text else { continue }
        let texts = Declared.shown(declared, other)
        found.append(
          Entry(kind: .changed, name: name, before: texts.before, after: texts.after))
      } else if let newName = newNames[name], old[newName] == nil, let other = new[newName],
        taken.insert(newName).inserted
      {
        let texts = Declared.shown(declared, other)
        found.append(
          Entry(
            kind: .renamed, name: name, newName: newName, before: texts.before,
            after: texts.after))
      } else {
        found.append(Entry(kind: .removed, name: name, before: declared.shortText))
      }
    }
    for declared in after where old[declared.name] == nil && !taken.contains(declared.name) {
      found.append(Entry(kind: .added, name: declared.name, after: declared.shortText))
    }
    return found
  }

  /// By name; for look-ups only.
  private static func index(_ all: [Declared]) -> [String: Declared] {
    Dictionary(all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }
}

// MARK: - What graphs say of states and data

extension GraphDiff.Item {
  /// The state or data source that this input or output of the graph is of.
  fileprivate var owner: Owner? {
    switch binding {
    case .input(.state(let name)), .output(.state(let name)): Owner(kind: .state, name: name)
    case .input(.data(let source, _)): Owner(kind: .data, name: source)
    default: nil
    }
  }
}

private struct Owner: Hashable {
  enum Kind { case state, data }
  var kind: Kind
  var name: String
}

/// A pair of inputs or outputs that a graph's difference found to be one, of states or of data.
private struct Renaming: Hashable {
  var kind: Owner.Kind
  var old: String
  var new: String

  /// Nil for every other change.
  init?(_ change: GraphDiff.Change) {
    guard change.kind == .renamed, let before = change.before.first?.owner,
      let after = change.after.first?.owner, before.kind == after.kind
    else { return nil }
    self.init(kind: before.kind, old: before.name, new: after.name)
  }

  init(kind: Owner.Kind, old: String, new: String) {
    self.kind = kind
    self.old = old
    self.new = new
  }
}

/// What the entries of states and data say. Hash tables are for look-ups only.
private struct ToldChanges {
  private var removed: Set<Owner> = []
  private var added: Set<Owner> = []
  private var changed: Set<Owner> = []
  private var renamed: Set<Renaming> = []

  init(states: [ProgramDiff.Entry], data: [ProgramDiff.Entry]) {
    for entry in states { add(entry, .state) }
    for entry in data { add(entry, .data) }
  }

  private mutating func add(_ entry: ProgramDiff.Entry, _ kind: Owner.Kind) {
    let owner = Owner(kind: kind, name: entry.name)
    switch entry.kind {
    case .removed: removed.insert(owner)
    case .added: added.insert(owner)
    case .renamed:
      let new = entry.newName ?? entry.name
      removed.insert(owner)
      added.insert(Owner(kind: kind, name: new))
      renamed.insert(Renaming(kind: kind, old: entry.name, new: new))
    default: changed.insert(owner)
    }
  }

  /// Whether a graph's change follows from an entry: the input or output of a state that is gone is gone too. One of a
  /// state that both programs have does not, and is a difference of the graph.
  func includes(_ change: GraphDiff.Change) -> Bool {
    switch change.kind {
    case .removed: change.before[0].owner.map(removed.contains) ?? false
    case .added: change.after[0].owner.map(added.contains) ?? false
    case .retyped: change.after[0].owner.map(changed.contains) ?? false
    case .renamed: Renaming(change).map(renamed.contains) ?? false
    default: false
    }
  }
}
