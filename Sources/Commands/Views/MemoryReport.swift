// `gan-compile FILE --emit memory`: the planned arena, when it is full and who fills it. In: a plan. Out: a value that
// MemoryReport+Text.swift, MemoryReport+JSON.swift and MemoryChart.swift print. Nothing else here reads the plan's buffers.

import Basics
import Formats
import GraphIR
import Planning

struct MemoryReport {
  /// A value of the graph that lies in a buffer.
  struct Tensor {
    var value: ValueID
    var type: TensorType
    /// The node that computes it; nil for an input of the graph.
    var producer: Node?
    var phase: NodePhase?
  }

  /// A stretch of the arena, held for a while.
  struct Buffer {
    /// In bytes.
    var offset: Int
    var bytes: Int
    /// The positions in the order at which it is held; the position behind the last node is the end of the step.
    var positions: Range<Int>
    var content: Content
    var isHeldAtPeak: Bool

    /// The values in it, one after the other or as views.
    var tensors: [Tensor] { if case .tensors(let tensors) = content { tensors } else { [] } }

    /// What it costs: bytes times the positions at which they are held.
    var bytePositions: Int { bytes * positions.count }
    /// Where what lies in it comes from.
    var origin: Origin? {
      if case .workspace(let node, _) = content { return node?.origin }
      return tensors.first?.producer?.origin
    }
    var phase: NodePhase? {
      switch content {
      case .tensors(let tensors): tensors.first?.phase
      case .saved: nil
      case .workspace(_, let phase): phase
      }
    }
  }

  enum Content {
    case tensors([Tensor])
    /// An output or a state's new value that waits for the end of the step.
    case saved(String)
    /// What kernels need beside their values: temporaries and packed operands; with the node that asks for it first.
    case workspace(Node?, NodePhase?)
  }

  let plan: Plan
  let buffers: [Buffer]
  /// The nodes that run, in order.
  let nodes: [Node]
  let phases: [NodePhase]
  /// Bytes held at each position, the end of the step included.
  let held: [Int]
  let peak: (position: Int, bytes: Int)

  init(_ plan: Plan) {
    self.plan = plan
    let graph = plan.graph
    let graphPhases = graph.phases()
    nodes = plan.order.map { graph.nodes[$0] }
    phases = plan.order.map { graphPhases[$0] }
    let peak = plan.peak
    self.peak = peak
    let end = plan.order.count + 1
    func tensor(_ value: ValueID) -> Tensor {
      let producer = graph.values[value].producer
      return Tensor(
        value: value, type: graph.type(of: value), producer: producer.map { graph.nodes[$0] },
        phase: producer.map { graphPhases[$0] })
    }
    let (order, nodes, phases) = (plan.order, self.nodes, self.phases)
    func content(_ buffer: PlannedBuffer) -> Content {
      switch buffer.use {
      case .values(let values): return .tensors(values.map(tensor))
      case .outputCopy(let index): return .saved("\(plan.outputCopies[index].value)")
      case .staging(let index): return .saved("state \(plan.stateCopies[index].state)")
      case .workspace:
        // What is held all the time belongs to no node.
        guard buffer.start < order.count, buffer.end < order.count else {
          return .workspace(nil, nil)
        }
        return .workspace(nodes[buffer.start], phases[buffer.start])
      }
    }
    buffers = plan.buffers.map { buffer in
      let start = min(max(0, buffer.start), end - 1)
      return Buffer(
        offset: buffer.offset, bytes: buffer.bytes,
        positions: start..<min(end, max(start, buffer.end) + 1),
        content: content(buffer),
        isHeldAtPeak: buffer.start <= peak.position && peak.position <= buffer.end)
    }
    held = Array(plan.heldBytes.prefix(end))
  }

  /// A number as a share of another, 1 where both are nothing.
  func ratio(_ a: Int, to b: Int) -> Double { b == 0 ? 1 : Double(a) / Double(b) }

  /// `1.02x`
  func ratioText(_ a: Int, to b: Int) -> String {
    "\(fixed(ratio(a, to: b), decimals: 2))x"
  }

  /// What holds most first.
  var holders: [Buffer] {
    buffers.filter(\.isHeldAtPeak).sorted {
      ($1.bytes, $0.offset) < ($0.bytes, $1.offset)
    }
  }

  /// The dearest first: bytes times how long.
  var byCost: [Buffer] {
    buffers.sorted {
      ($1.bytePositions, $0.positions.lowerBound, $0.offset)
        < ($0.bytePositions, $1.positions.lowerBound, $1.offset)
    }
  }

  /// The bytes that the networks hold at the peak, most first; what belongs to none is `step`.
  var holdersByNetwork: [(name: String, bytes: Int)] {
    var found: [(name: String, bytes: Int)] = []
    for buffer in holders {
      let path = buffer.origin?.path ?? ""
      let network = path.isEmpty ? "step" : String(path.prefix { $0 != "/" })
      let name = [network, buffer.phase?.rawValue].compactMap(\.self).joined(separator: " ")
      if let index = found.firstIndex(where: { $0.name == name }) {
        found[index].bytes += buffer.bytes
      } else {
        found.append((name, buffer.bytes))
      }
    }
    return found.enumerated().sorted {
      ($1.element.bytes, $0.offset) < ($0.element.bytes, $1.offset)
    }.map(\.element)
  }
}
