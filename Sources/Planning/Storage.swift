// Which values share memory. In: a graph and the order of its nodes. Out: one storage per group of values that
// live in the same bytes, with where it is and how long: views with their operand, new states with the state's
// buffer, element-wise results with an operand that dies there.

import Basics
import GraphIR
import Operators

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
  /// Of the nodes that are regions of several parts. For lookup only.
  private var parts: [NodeID: PartTable] = [:]

  init(_ graph: Graph, _ order: [NodeID]) {
    self.graph = graph
    self.order = order
    finish = order.count
    ofValue = Table(repeating: -1, count: graph.values.count)
    inPlace = order.map { Array(repeating: nil, count: graph.nodes[$0].results.count) }
    position = Table(repeating: -1, count: graph.nodes.count)
    for (index, id) in order.enumerated() {
      position[id] = index
      parts[id] = PartTable(graph.nodes[id])
    }
    makeStorages()
    recordReads()
    placeStates()
    keepOutputs()
    placeEarlierUpdates()
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
    let oldValues = graph.stateInputs()
    for output in graph.outputs {
      guard case .state(let name) = output.role else { continue }
      let new = ofValue[output.value]
      let old = oldValues[name].map { ofValue[$0] }
      if new == old { continue }
      if let reason = obstacle(new: new, old: old, output, keptAtEnd) {
        stateCopies.append(StateCopy(value: output.value, state: name, reason: reason))
        storages[new].end = max(storages[new].end, finish)
      } else {
        storages[new].home = .state(name)
      }
    }
  }

  /// A state that is updated several times a step is updated in its own buffer each time: where a new state overwrites the
  /// state, so do the values that it takes the place of, as far back as the buffer is free.
  private mutating func placeEarlierUpdates() {
    let oldValues = graph.stateInputs()
    for output in graph.outputs {
      guard case .state(let name) = output.role, let oldValue = oldValues[name] else { continue }
      let old = ofValue[oldValue]
      guard ofValue[output.value] != old, home(of: output.value) == .state(name) else { continue }
      var value = graph.viewed(output.value)
      while let earlier = graph.earlierUpdate(of: value), isFree(old, from: earlier, to: value) {
        storages[ofValue[earlier]].home = .state(name)
        value = earlier
      }
    }
  }

  /// Whether a value can live in a state's buffer between its old value and a later one.
  private func isFree(_ old: Int, from earlier: ValueID, to new: ValueID) -> Bool {
    let (own, end) = (storages[ofValue[earlier]], storages[ofValue[new]].start)
    guard own.home == .arena, own.end == end, own.start < end else { return false }
    return mayOverwrite(ofValue[earlier], by: resultIndex(new), at: end)
      && storages[old].reads.allSatisfy { read in
        read < own.start
          || read == own.start && mayOverwrite(old, by: resultIndex(earlier), at: read)
      }
  }

  /// Which result of its node a value is.
  private func resultIndex(_ value: ValueID) -> Int {
    graph.values[value].producer.flatMap { graph.nodes[$0].results.firstIndex(of: value) } ?? 0
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
    let result = graph.nodes[order[written]].results.firstIndex { ofValue[$0] == new }
    if storages[old].reads.last == written, !mayOverwrite(old, by: result ?? 0, at: written) {
      return "\(graph.nodes[order[written]].operation.mnemonic) reads the old value while it writes"
    }
    return nil
  }

  /// Whether the node at a position may write a result over an operand's storage. Of a region with several parts, only the
  /// one that makes the result may read it.
  private func mayOverwrite(_ storage: Int, by result: Int, at position: Int) -> Bool {
    let id = order[position]
    let node = graph.nodes[id]
    guard let first = node.operation.firstBlockwiseOperand else { return false }
    let table = parts[id]
    let type = graph.type(of: node.results[result])
    for other in table?.results(with: result) ?? Array(node.results.indices) {
      let other = graph.type(of: node.results[other])
      if other.shape != type.shape || other.element.byteCount != type.element.byteCount {
        return false
      }
    }
    for (index, operand) in node.operands.enumerated()
    where self.storage(of: operand) == storage {
      let read = graph.type(of: operand)
      // Every block of the result may read any element of it.
      if node.operation.readsWhole(operand: index) { return false }
      if index < first || table?.isRead(index, besides: result) ?? false { return false }
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
            && mayOverwrite(candidate, by: result, at: index)
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

/// Which part of a region makes each result, and which reads each operand.
private struct PartTable {
  private var results: [[Int]]
  private var partOfResult: [Int]
  /// −1 where several parts read it.
  private var partOfOperand: [Int?]

  /// Nil for what is no region, or a region of one part.
  init?(_ node: Node) {
    guard let fused = node.operation as? Fused, fused.root == nil else { return nil }
    let parts = fused.region.parts()
    guard parts.count > 1 else { return nil }
    results = parts.map(\.results)
    partOfResult = Array(repeating: 0, count: node.results.count)
    partOfOperand = Array(repeating: nil, count: node.operands.count)
    for (index, part) in parts.enumerated() {
      for result in part.results { partOfResult[result] = index }
      for operand in part.inputs {
        partOfOperand[operand] = partOfOperand[operand] == nil ? index : -1
      }
    }
  }

  /// The results of the part that makes a result.
  func results(with result: Int) -> [Int] { results[partOfResult[result]] }

  /// Whether another part than a result's reads an operand.
  func isRead(_ operand: Int, besides result: Int) -> Bool {
    partOfOperand[operand].map { $0 != partOfResult[result] } ?? false
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
