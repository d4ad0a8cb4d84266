// From a graph to the nodes of an ONNX graph. Values of ours are NHWC, ONNX's convolutions NCHW: each
// value of four axes is kept in the layout in which it was made, element-wise work is done in the
// layout of its operands, and a value is transposed once where the other layout is asked for. So
// between two convolutions nothing is transposed. What comes in is a graph with the extents of its
// values; what goes out are nodes and initialisers.

import Basics
import Formats
import GraphIR
import Operators

/// The order in which a value of four axes lies in the model.
enum Layout: Hashable {
  /// As in the graph: NHWC.
  case native
  /// NCHW.
  case channelsFirst

  /// Where an axis of the graph is in this layout, for values of four axes.
  func place(of axis: Int, rank: Int) -> Int {
    self == .channelsFirst && rank == 4 ? AxisOrder.toPlanar.firstIndex(of: axis)! : axis
  }

  /// A list with one item an axis, in this layout's order.
  func ordered<T>(_ items: [T]) -> [T] {
    self == .channelsFirst && items.count == 4 ? AxisOrder.toPlanar.map { items[$0] } : items
  }
}

struct Lowering {
  /// A value of the graph in the model.
  struct Form {
    /// The names in each layout, as far as they exist.
    var native: String?
    var channelsFirst: String?
    /// The layout in which it was made; nil for what is known.
    var home: Layout?
    var known: KnownTensor?
  }

  let source: ExtentGraph
  var graph: Graph { source.graph }
  let useCounts: Table<ValueTag, Int>
  var builder = ExportBuilder()
  private var forms: Table<ValueTag, Form>
  /// The batch as a 1-D tensor, where it was asked for.
  private var batchList: String?
  /// Batch normalisations by the node that gives their result, and the nodes that they stand for.
  let normalizations: [NodeID: Normalization]
  let absorbed: Set<NodeID>

  init(_ source: ExtentGraph) {
    self.source = source
    useCounts = source.graph.useCounts()
    forms = Table(repeating: Form(), count: source.graph.values.count)
    normalizations = findNormalizations(source.graph, useCounts)
    absorbed = Set(normalizations.values.flatMap(\.inner))
  }

  // MARK: Values

  func type(_ value: ValueID) -> TensorType { graph.type(of: value) }
  func extents(_ value: ValueID) -> [Extent] { source.extents[value] }
  func known(_ value: ValueID) -> KnownTensor? { forms[value].known }

  /// Says what a value is in the model.
  mutating func define(_ value: ValueID, _ name: String, _ layout: Layout = .native) {
    forms[value].home = layout
    if layout == .native { forms[value].native = name } else { forms[value].channelsFirst = name }
  }

  mutating func define(_ value: ValueID, known tensor: KnownTensor) { forms[value].known = tensor }

  /// A value that is another one.
  mutating func define(_ value: ValueID, as other: ValueID) { forms[value] = forms[other] }

  /// The layout in which a value lies already; nil for what is known and fits any.
  func home(_ value: ValueID) -> Layout? { forms[value].home }

  /// The name of a value as it is in the graph.
  mutating func native(_ value: ValueID) -> String { name(value, .native) }

  /// The name of a value in a layout. Values of another number of axes than four have one only.
  mutating func name(_ value: ValueID, _ layout: Layout) -> String {
    let isImage = type(value).rank == 4
    if layout == .native || !isImage {
      if let name = forms[value].native { return name }
    } else if let name = forms[value].channelsFirst {
      return name
    }
    let name: String
    if let tensor = forms[value].known {
      let isTurned = isImage && layout == .channelsFirst
      name = builder.initializer(isTurned ? tensor.transposed(AxisOrder.toPlanar) : tensor)
    } else {
      let other = layout == .native ? forms[value].channelsFirst : forms[value].native
      let permutation = layout == .native ? AxisOrder.toChannelsLast : AxisOrder.toPlanar
      name = transposed(other ?? "", permutation)
    }
    if layout == .native || !isImage {
      forms[value].native = name
    } else {
      forms[value].channelsFirst = name
    }
    return name
  }

  mutating func transposed(_ name: String, _ permutation: [Int]) -> String {
    builder.one("Transpose", name, attributes: [("perm", .ints(permutation))])
  }

  /// A known tensor or value with its axes in another order, for what ONNX wants otherwise: kernels.
  mutating func permuted(_ value: ValueID, _ permutation: [Int]) -> String {
    if let tensor = forms[value].known {
      return builder.initializer(tensor.transposed(permutation))
    }
    return transposed(native(value), permutation)
  }

  /// The name of an operand of element-wise work on `rank` axes in a layout. Operands with fewer axes
  /// than four are turned too: a factor per channel [c] becomes [c, 1, 1].
  mutating func operand(_ value: ValueID, _ layout: Layout, rank: Int) -> String {
    let shape = type(value).shape
    guard layout == .channelsFirst, rank == 4, shape.count < 4, shape.contains(where: { $0 > 1 })
    else { return name(value, layout) }
    let full = [Int](repeating: 1, count: 4 - shape.count) + shape
    if let tensor = forms[value].known {
      let turned = tensor.reshaped(full).transposed(AxisOrder.toPlanar)
      return builder.initializer(
        turned.reshaped(Array(turned.type.shape.drop(while: { $0 == 1 }))))
    }
    let axes = builder.list(Array(0..<4 - shape.count))
    let wide = builder.one("Unsqueeze", native(value), axes)
    return transposed(wide, AxisOrder.toPlanar)
  }

  /// The layout for element-wise work: that of the operands of four axes, NCHW where there are both.
  func layout(of operands: [ValueID], rank: Int) -> Layout {
    rank == 4 && operands.contains { type($0).rank == 4 && home($0) == .channelsFirst }
      ? .channelsFirst : .native
  }

  // MARK: Sizes

  /// The batch as a 1-D tensor of one element.
  mutating func batch() -> String {
    if let name = batchList { return name }
    guard let (value, axis) = source.batchSource else { return builder.list([1]) }
    let path = builder.path
    builder.path = ""
    let name = builder.one(
      "Shape", native(value), attributes: [("start", .int(axis)), ("end", .int(axis + 1))])
    builder.path = path
    batchList = name
    return name
  }

  /// Sizes as a 1-D tensor.
  mutating func list(_ extents: [Extent]) -> String {
    if !extents.contains(where: \.isBatch) { return builder.list(extents.map(\.fixedSize)) }
    var parts: [String] = []
    var fixed: [Int] = []
    for extent in extents {
      switch extent {
      case .fixed(let size): fixed.append(size)
      case .batch(let factor):
        if !fixed.isEmpty { parts.append(builder.list(fixed)) }
        fixed = []
        let batch = batch()
        parts.append(factor == 1 ? batch : builder.one("Mul", batch, builder.list([factor])))
      }
    }
    if !fixed.isEmpty { parts.append(builder.list(fixed)) }
    return parts.count == 1 ? parts[0] : builder.add("Concat", parts, [("axis", .int(0))])[0]
  }

  /// A name in another shape. One size that is the batch is left to be worked out.
  mutating func reshaped(_ name: String, _ extents: [Extent]) -> String {
    let shape: String
    if extents.count(where: \.isBatch) <= 1 {
      shape = builder.list(extents.map { $0.isBatch ? -1 : $0.fixedSize })
    } else {
      shape = list(extents)
    }
    return builder.one("Reshape", name, shape)
  }
}

extension Extent {
  /// The size of one that is fixed.
  var fixedSize: Int { if case .fixed(let size) = self { size } else { 1 } }
}
