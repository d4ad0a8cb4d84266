// Which values share memory. In: a graph and the order of its nodes. Out: one storage per group of values that
// live in the same bytes, with where it is and how long: views with their operand, new states with the state's
// buffer, element-wise results with an operand that dies there.

import Basics
import GraphIR

/// Where a group of values lives, before offsets are known.
enum StorageHome: Hashable {
  case arena
  case state(String)
  case input(Int)
  case constant
}

struct Storage {
  var home: StorageHome
  var bytes: Int
  /// When it is first written (−1: before the step) and last read; positions in the order.
  var start: Int
  var end: Int
  /// Positions at which it is read.
  var reads: [Int] = []
}

struct StoragePlan {
  let graph: Graph
  let order: [NodeID]
  /// The time of the copies at the end of the step; `finish + 1` is after it.
  let finish: Int
  private(set) var storages: [Storage] = []
  /// The storage of each value; −1 for values that are never computed.
  private(set) var ofValue: Table<ValueTag, Int>
  private(set) var inPlace: [[Int?]]
  private(set) var stateCopies: [StateCopy] = []
  /// Outputs that are old values of states that change.
  private(set) var savedOutputs: [Int] = []
  private var position: Table<NodeTag, Int>
  /// Storages that another one has taken over.
  private var redirect: [Int] = []

  init(_ graph: Graph, _ order: [NodeID]) {
    self.graph = graph
    self.order = order
    finish = order.count
    ofValue = Table(repeating: -1, count: graph.values.count)
    inPlace = order.map { Array(repeating: nil, count: graph.nodes[$0].results.count) }
    position = Table(repeating: -1, count: graph.nodes.count)
    for (index, id) in order.enumerated() { position[id] = index }
    makeStorages()
    recordReads()
    placeStates()
    keepOutputs()
    takeOver()
  }

  /// The storage of a value, or nil where it is never computed.
  func storage(of value: ValueID) -> Int? {
    var index = ofValue[value]
    if index < 0 { return nil }
    while redirect[index] != index { index = redirect[index] }
    return index
  }

  func home(of value: ValueID) -> StorageHome? { storage(of: value).map { storages[$0].home } }

  private mutating func makeStorages() {
    for (index, input) in graph.inputs.enumerated() {
      var home = StorageHome.input(index)
      if case .state(let name) = input.role { home = .state(name) }
      add(input.value, home, start: -1)
    }
    let live = graph.liveNodes()
    for id in graph.nodes.ids where live.contains(id) {
      let node = graph.nodes[id]
      if node.operation.isConstant {
        add(node.results[0], .constant, start: -1)
      } else if node.operation.isReshape {
        ofValue[node.results[0]] = ofValue[node.operands[0]]
      } else {
        for result in node.results { add(result, .arena, start: position[id]) }
      }
    }
  }

  private mutating func add(_ value: ValueID, _ home: StorageHome, start: Int) {
    ofValue[value] = storages.count
    redirect.append(storages.count)
    storages.append(
      Storage(home: home, bytes: graph.type(of: value).byteCount, start: start, end: start))
  }

  private mutating func recordReads() {
    for (index, id) in order.enumerated() {
      for operand in graph.nodes[id].operands {
        let storage = ofValue[operand]
        if storages[storage].reads.last != index { storages[storage].reads.append(index) }
        storages[storage].end = max(storages[storage].end, index)
      }
    }
  }

  // MARK: States

  /// Writes each new state over the old one where nothing needs the old one any more, else plans a copy.
  private mutating func placeStates() {
    // Old states that something reads at the very end.
    var keptAtEnd = BitSet()
    for output in graph.outputs {
      let storage = ofValue[output.value]
      guard case .state(let holder) = storages[storage].home else { continue }
      if case .state(let name) = output.role, name == holder { continue }
      keptAtEnd.insert(storage)
    }
    let oldValues = Dictionary(
      graph.inputs.map { ($0.role, $0.value) }, uniquingKeysWith: { first, _ in first })
    for output in graph.outputs {
      guard case .state(let name) = output.role else { continue }
      let new = ofValue[output.value]
      let old = oldValues[.state(name)].map { ofValue[$0] }
      if new == old { continue }
      if let reason = obstacle(new: new, old: old, output, keptAtEnd) {
        stateCopies.append(StateCopy(value: output.value, state: name, reason: reason))
        storages[new].end = max(storages[new].end, finish)
      } else {
        storages[new].home = .state(name)
      }
    }
  }

  /// Why a new state cannot be written straight into the state's buffer; nil where it can.
  private func obstacle(new: Int, old: Int?, _ output: OutputBinding, _ keptAtEnd: BitSet)
    -> String?
  {
    switch storages[new].home {
    case .state(let other):
      return storages[new].start < 0
        ? "it is the old value of \(other)" : "it is also the new value of \(other)"
    case .input(let index): return "it is an input (\(inputText(graph.inputs[index].role)))"
    case .constant: return "it is a constant"
    case .arena: break
    }
    guard let old else { return nil }
    if keptAtEnd.contains(old) { return "the old value is wanted at the end of the step" }
    if storages[new].bytes != storages[old].bytes { return "the sizes differ" }
    let written = storages[new].start
    for read in storages[old].reads where read > written {
      return "the old value is read after the new one is computed (at \(read), after \(written))"
    }
    if storages[old].reads.last == written, !mayOverwrite(old, at: written) {
      return "\(graph.nodes[order[written]].operation.mnemonic) reads the old value while it writes"
    }
    return nil
  }

  /// Whether the node at a position may write a result over an operand's storage.
  private func mayOverwrite(_ storage: Int, at position: Int) -> Bool {
    let node = graph.nodes[order[position]]
    guard let first = node.operation.firstBlockwiseOperand else { return false }
    let type = graph.type(of: node.results[0])
    for result in node.results {
      let other = graph.type(of: result)
      if other.shape != type.shape || other.element.byteCount != type.element.byteCount {
        return false
      }
    }
    for (index, operand) in node.operands.enumerated()
    where self.storage(of: operand) == storage {
      let read = graph.type(of: operand)
      if index < first { return false }
      if read.shape != type.shape || read.element.byteCount != type.element.byteCount {
        return false
      }
    }
    return true
  }

  // MARK: Outputs

  private mutating func keepOutputs() {
    // Old values of states that change.
    var changing = Set<StorageHome>()
    for output in graph.outputs {
      guard case .state(let name) = output.role else { continue }
      let storage = storages[ofValue[output.value]]
      if storage.home != .state(name) || storage.start >= 0 { changing.insert(.state(name)) }
    }
    for (index, output) in graph.outputs.enumerated() {
      if case .state = output.role { continue }
      let storage = ofValue[output.value]
      storages[storage].end = finish + 1
      if storages[storage].start < 0, changing.contains(storages[storage].home) {
        savedOutputs.append(index)
      }
    }
  }

  // MARK: In place

  /// Lets results take over an operand's arena buffer where it dies at the node. Not for epilogues: a product is made
  /// in the memory of a result, and would need a buffer of its own if an operand were there.
  private mutating func takeOver() {
    for (index, id) in order.enumerated() {
      let node = graph.nodes[id]
      guard node.operation.isBlockwise, node.operands.count * node.results.count < 100_000 else {
        continue
      }
      for (result, value) in node.results.enumerated() {
        let own = storage(of: value)!
        guard storages[own].home == .arena, storages[own].start == index else { continue }
        let operand = node.operands.indices.first { i in
          let candidate = storage(of: node.operands[i])!
          return candidate != own && storages[candidate].home == .arena
            && storages[candidate].end == index && storages[candidate].start < index
            && storages[candidate].bytes == storages[own].bytes
            && mayOverwrite(candidate, at: index)
        }
        guard let operand else { continue }
        let taken = storage(of: node.operands[operand])!
        storages[taken].end = storages[own].end
        storages[taken].reads += storages[own].reads
        redirect[own] = taken
        inPlace[index][result] = operand
        // A later result of this node must not take the same buffer: its end has moved past the node, unless the
        // value is never read.
        storages[taken].end = max(storages[taken].end, index)
        if storages[taken].end == index { break }
      }
    }
  }
}

/// `state NAME`, `data NAME`, …: an input's role in messages.
func inputText(_ role: InputRole) -> String {
  switch role {
  case .data(let source, let round): round == 0 ? "data \(source)" : "data \(source) #\(round)"
  case .state(let name): "state \(name)"
  case .step: "step"
  case .epoch: "epoch"
  case .seed: "seed"
  case .argument(let name): "argument \(name)"
  }
}
