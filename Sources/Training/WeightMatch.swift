// How the tensors of a weights file or checkpoint fit a program, tensor by tensor, in words too.

import Basics
import Elaboration
import Formats
import GraphIR

package struct WeightMatch: Sendable {
  /// Of the name and the type of a state of the program, in its order.
  package var taken: [NamedTensor] = []
  /// What the program has and the file lacks. Averages are not among them: they begin as copies.
  package var missing: [String] = []
  /// Of a state's name but of another type: in words, with both types.
  package var reshaped: [String] = []
  /// What the program does not know.
  package var unused: [String] = []

  package var isWhole: Bool { missing.isEmpty && reshaped.isEmpty }

  /// Of the states of the given kinds; tensors of other states of the program are not looked at.
  init(_ tensors: [NamedTensor], _ states: [StateDeclaration], kinds: [StateKind]) {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for state in states where kinds.contains(state.kind) {
      guard let tensor = byName[state.name] else {
        if state.kind != .average { missing.append(state.name) }
        continue
      }
      if tensor.fits(state) {
        taken.append(tensor)
      } else {
        reshaped.append(
          "\(state.name) (\(tensor.typeText) in the file, \(state.type) in the program)")
      }
    }
    let known = Set(states.map(\.name))
    unused = tensors.map(\.name).filter { !known.contains($0) }
  }

  /// Leaves out of what is not used the names of a given list: the moments of a checkpoint's
  /// optimisers belong to no network.
  package mutating func ignore(_ names: Set<String>) { unused.removeAll { names.contains($0) } }

  /// A line for each way in which the tensors do not fit, and one for those that do.
  package var text: String {
    let lines = [
      Self.line("taken", taken.map(\.name)), Self.line("missing in the file", missing),
      Self.line("of another shape", reshaped), Self.line("of no use to the program", unused),
    ]
    return lines.compactMap { $0 }.joined(separator: "\n")
  }

  private static func line(_ what: String, _ names: [String]) -> String? {
    names.isEmpty ? nil : "  \(names.count) \(what): \(shortList(names))"
  }

  /// What is wrong, where not all that the program has was found.
  package func failure(path: String) -> EnvironmentFailure? {
    guard !isWhole || taken.isEmpty else { return nil }
    return EnvironmentFailure(
      "\(path): its tensors are not those of the program\n\(text)",
      help: taken.isEmpty
        ? nil : "--partial begins with those that fit, and all others as in a new run")
  }
}

/// The first eight of some names, and how many there are besides.
func shortList(_ names: [String]) -> String {
  let rest = names.count > 8 ? " and \(names.count - 8) more" : ""
  return names.prefix(8).joined(separator: ", ") + rest
}

extension NamedTensor {
  /// Whether the bytes are a value of the state.
  func fits(_ state: StateDeclaration) -> Bool {
    let element: Element = state.type.element == .f32 ? .f32 : .i32
    return shape == state.type.shape && dtype == element && data.count == state.type.byteCount
  }

  var typeText: String { "\(dtype.rawValue)\(shapeText(shape))" }
}
