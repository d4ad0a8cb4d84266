// Operators whose results are known when the model is read: sizes, constants and ranges; and conversions
// between element types.

import Basics
import Formats
import GraphIR

enum ConstantOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "Shape": .init(["start", "end"]) { node in
      let x = try node.input(0)
      func place(_ place: Int) -> Int { min(max(place < 0 ? place + x.rank : place, 0), x.rank) }
      let (start, end) = (place(try node.int("start", 0)), place(try node.int("end", x.rank)))
      let sizes = start < end ? x.shape[start..<end].map { Double($0) } : []
      return [try node.known(.int64, [sizes.count], sizes)]
    },
    "Size": .init { node in [try node.known(.int64, [], [Double(node.input(0).count)])] },
    "Cast": .init(["to", "saturate", "round_mode"]) { node in
      let number = try node.int("to", 0)
      guard let element = ONNXElement(rawValue: Int64(number)) else {
        throw Malformed(what: "converts to the unknown element type \(number)")
      }
      return [try cast(node, to: element)]
    },
    "CastLike": .init(["saturate", "round_mode"]) { node in
      [try cast(node, to: node.input(1).element)]
    },
    "Constant": .init(
      ["value", "value_float", "value_floats", "value_int", "value_ints"], constant),
    "ConstantOfShape": .init(["value"], constantOfShape),
    "Range": .init([], range),
    "EyeLike": .init(["dtype", "k"], eyeLike),
  ]

  /// Whole types narrower than 32 bits are refused: a conversion to them wraps around or saturates.
  private static func cast(_ node: NodeImport, to element: ONNXElement) throws -> ModelValue {
    let x = try node.input(0)
    if x.element == element { return x.renamed(node.outputName(0)) }
    let isExact = [.float, .double, .int32, .int64, .bool].contains(element)
    let widens =
      x.element.isWhole && element.isWhole && (x.element.bits ?? 64) < (element.bits ?? 0)
    guard isExact || widens, let target = element.computed, x.element.computed != nil else {
      throw Unsupported(what: "Cast from \(x.element.text) to \(element.text)")
    }
    // Known whole numbers may be beyond 32 bits, and known values have no elements perhaps.
    if x.isKnown, x.count <= GraphImport.largestFolded, let values = x.values {
      let converted = values.map { value -> Double in
        switch target {
        case .bool: value != 0 ? 1 : 0
        case .i32: x.element.isReal ? HostTensor.round(value, to: .i32) : value
        default: Double(Float(value))
        }
      }
      return try node.known(element, x.shape, converted)
    }
    return try node.elementwise([x], to: element) { try node.builder.convert($0[0], to: target) }
  }

  @Sendable private static func constant(_ node: NodeImport) throws -> [ModelValue?] {
    guard node.node.attributes.count == 1, let value = node.node.attributes.first?.value else {
      throw Malformed(what: "needs exactly one value")
    }
    switch value {
    case .tensor(let tensor): return [ModelValue(tensor, name: node.outputName(0))]
    case .float(let number): return [try node.known(.float, [], [Double(number)])]
    case .floats(let list):
      return [try node.known(.float, [list.count], list.map { Double($0) })]
    case .int(let number): return [try node.known(.int64, [], [Double(number)])]
    case .ints(let list):
      return [try node.known(.int64, [list.count], list.map { Double($0) })]
    default: throw Malformed(what: "has a value of another kind than its name says")
    }
  }

  @Sendable private static func constantOfShape(_ node: NodeImport) throws -> [ModelValue?] {
    let shape = try node.knownIntegers(0, "shape")
    try node.checkSize(shape)
    var (element, value) = (ONNXElement.float, 0.0)
    if case .tensor(let tensor)? = node.node.attribute("value") {
      guard let values = tensor.doubles, values.count == 1 else {
        throw Unsupported(
          what: "ConstantOfShape of \(tensor.element.text) \(shapeText(tensor.shape))")
      }
      (element, value) = (tensor.element, values[0])
    }
    if shape.contains(0) { return [try node.known(element, shape, [])] }
    if shape.reduce(1, *) <= GraphImport.largestConstant {
      return [
        try node.known(element, shape, [Double](repeating: value, count: shape.reduce(1, *)))
      ]
    }
    guard let computed = element.computed else {
      throw Unsupported(what: "tensors of \(element.text)")
    }
    return [node.result(try node.builder.constant(TensorType(computed, shape), [value]), element)]
  }

  @Sendable private static func range(_ node: NodeImport) throws -> [ModelValue?] {
    let element = try node.input(0).element
    let start = try node.knownScalar(0, "start")
    let limit = try node.knownScalar(1, "limit")
    let step = try node.knownScalar(2, "delta")
    let count = ((limit - start) / step).rounded(.up)
    guard count.isFinite, count <= Double(GraphImport.largestFolded) else {
      throw Unsupported(what: "Range of more than \(GraphImport.largestFolded) numbers")
    }
    let values = (0..<max(0, Int(clamping: count))).map { start + Double($0) * step }
    return [try node.known(element, [values.count], values)]
  }

  @Sendable private static func eyeLike(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    guard x.rank == 2, x.count <= GraphImport.largestFolded else {
      throw Unsupported(what: "EyeLike of \(shapeText(x.shape))")
    }
    let element = try node.int("dtype").map { ONNXElement(rawValue: Int64($0)) } ?? x.element
    guard let element, element.computed != nil else {
      throw Unsupported(what: "EyeLike of a type that we do not have")
    }
    let diagonal = try node.int("k", 0)
    var values: [Double] = []
    for row in 0..<x.shape[0] {
      for column in 0..<x.shape[1] { values.append(column - row == diagonal ? 1 : 0) }
    }
    return [try node.known(element, x.shape, values)]
  }
}
