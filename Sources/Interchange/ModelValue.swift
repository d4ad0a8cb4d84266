// A value of an ONNX graph while the graph is imported: known at import (initialisers, and what
// depends on shapes alone), or computed by nodes of ours. Images are kept as the operation that made
// them left them, [n, c, h, w] or [n, h, w, c], and turned only where somebody needs the other
// order: so the turns between two image operations never come into being.

import Basics
import Formats
import GraphIR
import Operators

/// Lives as long as one import; never shared.
final class ModelValue {
  /// The name in the model.
  let name: String
  let element: ONNXElement
  /// As ONNX has it: images are [n, c, h, w].
  let shape: [Int]
  /// The elements where they are known, in the form that they came in.
  private let source: Source
  /// The value in the graph in ONNX's order of axes, where it stands there.
  var planar: ValueID?
  /// The value as [n, h, w, c].
  var channelsLast: ValueID?
  /// The names of the weights that it became, by the permutation of its axes.
  var states: [[Int]: String] = [:]

  /// The elements that an input of the model has this time, for what must be known at import.
  var given: ONNXTensor?

  private enum Source {
    case computed
    case tensor(ONNXTensor)
    case values([Double])
  }

  /// The elements where they are known, as doubles; computed once.
  private(set) lazy var values: [Double]? = {
    switch source {
    case .computed: nil
    case .tensor(let tensor): tensor.doubles
    case .values(let values): values
    }
  }()

  var isKnown: Bool {
    if case .computed = source { false } else { true }
  }
  var rank: Int { shape.count }
  /// Whether it stands in the graph as [n, h, w, c] alone.
  var isTurned: Bool { rank == 4 && channelsLast != nil && planar == nil }
  var count: Int { Self.count(of: shape) ?? 0 }

  /// The number of elements of a shape; nil where a size is negative, or where the product of those
  /// that are not 0 is more than a tensor may have, so that products of parts of it never overflow.
  static func count(of shape: [Int]) -> Int? {
    var product = 1
    for size in shape where size != 0 {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard size > 0, !overflow, next <= TensorType.maximumCount else { return nil }
      product = next
    }
    return shape.contains(0) ? 0 : product
  }

  /// A tensor of the model.
  init(_ tensor: ONNXTensor, name: String) {
    self.name = name
    element = tensor.element
    shape = tensor.shape
    source = .tensor(tensor)
  }

  /// Elements that were worked out at import.
  init(name: String, _ element: ONNXElement, _ shape: [Int], values: [Double]) {
    precondition(values.count == Self.count(of: shape), "as many values as the shape says")
    self.name = name
    self.element = element
    self.shape = shape
    source = .values(values)
  }

  /// An input without elements.
  convenience init(_ port: ImportedModel.Port) {
    self.init(name: port.name, port.element, port.type.shape, values: [])
  }

  /// A value of the graph.
  init(name: String, _ element: ONNXElement, _ shape: [Int], planar: ValueID) {
    self.name = name
    self.element = element
    self.shape = shape
    self.planar = planar
    source = .computed
  }

  /// An image of the graph, [n, h, w, c] there; `shape` is [n, c, h, w].
  init(name: String, _ element: ONNXElement, _ shape: [Int], channelsLast: ValueID) {
    self.name = name
    self.element = element
    self.shape = shape
    self.channelsLast = channelsLast
    source = .computed
  }

  /// The same value by another name.
  func renamed(_ name: String) -> ModelValue {
    let copy: ModelValue
    switch source {
    case .computed:
      if let planar {
        copy = ModelValue(name: name, element, shape, planar: planar)
        copy.channelsLast = channelsLast
      } else {
        copy = ModelValue(name: name, element, shape, channelsLast: channelsLast!)
      }
    // A weight keeps its name, so that it stays one state.
    case .tensor: return self
    case .values(let values): copy = ModelValue(name: name, element, shape, values: values)
    }
    return copy
  }

  /// The elements with their axes in another order; nil for a value that is not known.
  func permuted(_ permutation: [Int]) -> [Double]? {
    guard let values else { return nil }
    if permutation == Array(shape.indices) { return values }
    return permutationOffsets(of: shape, permutation).map { values[$0] }
  }
}

extension ONNXElement {
  /// The element type that stands for this one here: all real numbers are f32, all whole numbers
  /// i32; nil where there is none.
  package var computed: ElementType? {
    switch self {
    case .float, .double, .float16, .bfloat16: .f32
    case .int8, .int16, .int32, .int64, .uint8, .uint16, .uint32, .uint64: .i32
    case .bool: .bool
    default: nil
    }
  }

  var isReal: Bool { computed == .f32 }
  var isWhole: Bool { computed == .i32 }
}

/// Orders of the four axes of an image: axis i of the result is this axis of the operand.
enum AxisOrder {
  static let toChannelsLast = [0, 2, 3, 1]
  static let toPlanar = [0, 3, 1, 2]
}
