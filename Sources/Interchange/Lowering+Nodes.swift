// The operations one by one: which nodes of ONNX mean the same. Each function takes a node of the
// graph and defines its results.

import Basics
import Formats
import GraphIR
import Operators

/// Why a graph cannot be exported.
package struct ExportRefusal: Error, Sendable, CustomStringConvertible {
  package var description: String
}

extension Lowering {
  /// Writes the nodes of one operation.
  mutating func lower(_ id: NodeID, _ node: Node) throws(ExportRefusal) {
    builder.path = node.origin.path
    if absorbed.contains(id) { return }
    if let normalization = normalizations[id] { return lower(normalization) }
    switch node.operation {
    case is Add, is Subtract, is Multiply, is Divide, is Modulo, is Minimum, is Maximum, is Power,
      is BceWithLogits, is BceClamped:
      lowerBinary(node)
    case let operation as Compare: lowerCompare(operation, node)
    case is Select: lowerSelect(node)
    case let operation as Convert: lowerConvert(operation, node)
    case is StopGradient: define(node.results[0], as: node.operands[0])
    case is Constant, is Iota: lowerConstant(id, node)
    case is Reshape, is Transpose, is Broadcast, is Concat, is Slice, is Pad:
      lowerMovement(id, node)
    case is Sum, is Max, is ArgMax, is Moments, is Softmax, is LogSoftmax: lowerReduction(node)
    case let operation as MatMul: lowerMatMul(operation, node)
    case is Conv2D, is Conv2DInputGradient, is Conv2DFilterGradient: try lowerConvolution(node)
    case is UpsampleNearest, is UpsampleBilinear, is BlockSum, is MaxPool, is AvgPool,
      is MaxPoolGradient, is MaxPoolGather:
      lowerImage(node)
    case is PadGradient, is UpsampleBilinearGradient, is AvgPoolGradient: try lowerAdjoint(node)
    case is GatherRows, is ScatterAddRows, is OneHot: lowerRows(node)
    case is RandomUniform, is RandomNormal:
      throw refusal(node, "draws random numbers, and those of other programs are not ours")
    default:
      guard node.operation.isElementwise, node.operands.count == 1 else {
        throw refusal(node, "has no counterpart in ONNX")
      }
      try lowerUnary(node)
    }
  }

  func refusal(_ node: Node, _ why: String) -> ExportRefusal {
    let place = node.origin.provenance()
    return ExportRefusal(
      description: node.operation.mnemonic + (place.isEmpty ? "" : " at \(place)") + " " + why)
  }

  // MARK: Element by element

  private mutating func elementwise(
    _ node: Node, _ make: (inout ExportBuilder, [String]) -> String
  ) {
    let rank = type(node.results[0]).rank
    let layout = layout(of: node.operands, rank: rank)
    let names = node.operands.map { operand($0, layout, rank: rank) }
    define(node.results[0], make(&builder, names), layout)
  }

  private mutating func lowerUnary(_ node: Node) throws(ExportRefusal) {
    let isDouble = type(node.results[0]).element == .f64
    let simple = [
      "negate": "Neg", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "abs": "Abs", "sign": "Sign",
      "erf": "Erf", "tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus", "relu": "Relu",
    ]
    if let name = simple[node.operation.mnemonic] {
      return elementwise(node) { builder, names in
        isDouble && ["Erf", "Softplus"].contains(name)
          ? Self.narrowed(&builder, names[0]) { $0.one(name, $1) }
          : builder.add(name, names)[0]
      }
    }
    switch node.operation {
    case is Square: elementwise(node) { $0.one("Mul", $1[0], $1[0]) }
    case let operation as LeakyRelu:
      elementwise(node) {
        $0.one("LeakyRelu", $1[0], attributes: [("alpha", .float(operation.slope.value))])
      }
    case let operation as Elu:
      func elu(_ builder: inout ExportBuilder, _ name: String) -> String {
        builder.one("Elu", name, attributes: [("alpha", .float(operation.alpha.value))])
      }
      elementwise(node) {
        isDouble ? Self.narrowed(&$0, $1[0], elu) : elu(&$0, $1[0])
      }
    default: throw refusal(node, "has no counterpart in ONNX")
    }
  }

  /// A function of doubles that onnxruntime has for single precision only. Doubles stand in schedules
  /// of rates; a network hardly has any.
  private static func narrowed(
    _ b: inout ExportBuilder, _ name: String, _ make: (inout ExportBuilder, String) -> String
  ) -> String {
    let single = b.one("Cast", name, attributes: [("to", .int(onnxType(.f32)))])
    let result = make(&b, single)
    return b.one("Cast", result, attributes: [("to", .int(onnxType(.f64)))])
  }

  private mutating func lowerBinary(_ node: Node) {
    let element = type(node.results[0]).element
    switch node.operation {
    case is Add:
      if !foldBias(node) { elementwise(node) { $0.add("Add", $1)[0] } }
    case is Subtract: elementwise(node) { $0.add("Sub", $1)[0] }
    case is Multiply: elementwise(node) { $0.add("Mul", $1)[0] }
    case is Minimum: elementwise(node) { $0.add("Min", $1)[0] }
    case is Maximum: elementwise(node) { $0.add("Max", $1)[0] }
    case is Power: elementwise(node) { $0.add("Pow", $1)[0] }
    case is Divide where element.isFloat: elementwise(node) { $0.add("Div", $1)[0] }
    case is Divide: elementwise(node) { Self.wholeDivision(&$0, $1) }
    case is Modulo where element.isFloat:
      elementwise(node) { Self.remainder(&$0, $1, element) }
    case is Modulo: elementwise(node) { Self.wholeRemainder(&$0, $1) }
    case is BceWithLogits:
      elementwise(node) { builder, names in
        let soft =
          element == .f64
          ? Self.narrowed(&builder, names[0]) { $0.one("Softplus", $1) }
          : builder.one("Softplus", names[0])
        return builder.one("Sub", soft, builder.one("Mul", names[0], names[1]))
      }
    default: elementwise(node) { Self.clampedEntropy(&$0, $1, element) }
    }
  }

  /// −(t · max(log p, −100) + (1 − t) · max(log(1 − p), −100))
  private static func clampedEntropy(
    _ b: inout ExportBuilder, _ names: [String], _ element: ElementType
  ) -> String {
    let (p, t) = (names[0], names[1])
    let (one, floor) = (b.scalar(1, element), b.scalar(-100, element))
    let present = b.one("Max", b.one("Log", p), floor)
    let absent = b.one("Max", b.one("Log", b.one("Sub", one, p)), floor)
    let sum = b.one(
      "Add", b.one("Mul", t, present), b.one("Mul", b.one("Sub", one, t), absent))
    return b.one("Neg", sum)
  }

  /// r = fmod(a, b), then r + b where r has not the sign of b.
  private static func remainder(
    _ b: inout ExportBuilder, _ names: [String], _ element: ElementType
  ) -> String {
    let zero = b.scalar(0, element)
    let rest = b.one("Mod", names[0], names[1], attributes: [("fmod", .int(1))])
    let isNegative = b.one("Less", rest, zero)
    let differs = b.one("Xor", isNegative, b.one("Less", names[1], zero))
    let isOther = b.one("And", differs, b.one("Not", b.one("Equal", rest, zero)))
    return b.one("Where", isOther, b.one("Add", rest, names[1]), rest)
  }

  /// Operands in 64 bits, where nothing overflows, with 1 for a divisor of 0; and where it is 0.
  private static func wide(
    _ b: inout ExportBuilder, _ names: [String]
  ) -> (a: String, divisor: String, isZero: String) {
    let sizes = names.map { b.one("Cast", $0, attributes: [("to", .int(int64))]) }
    let isZero = b.one("Equal", sizes[1], b.integer(0))
    return (sizes[0], b.one("Where", isZero, b.integer(1), sizes[1]), isZero)
  }

  /// The quotient rounded down, 0 where the divisor is 0: (a − (a mod b)) / b is exact.
  private static func wholeDivision(_ b: inout ExportBuilder, _ names: [String]) -> String {
    let (a, divisor, isZero) = wide(&b, names)
    let exact = b.one("Sub", a, b.one("Mod", a, divisor))
    let quotient = b.one("Div", exact, divisor)
    let safe = b.one("Where", isZero, b.integer(0), quotient)
    return b.one("Cast", safe, attributes: [("to", .int(int32))])
  }

  private static func wholeRemainder(_ b: inout ExportBuilder, _ names: [String]) -> String {
    let (a, divisor, isZero) = wide(&b, names)
    let safe = b.one("Where", isZero, b.integer(0), b.one("Mod", a, divisor))
    return b.one("Cast", safe, attributes: [("to", .int(int32))])
  }

  private mutating func lowerCompare(_ operation: Compare, _ node: Node) {
    let name =
      switch operation.predicate {
      case .eq, .ne: "Equal"
      case .lt: "Less"
      case .le: "LessOrEqual"
      case .gt: "Greater"
      case .ge: "GreaterOrEqual"
      }
    elementwise(node) {
      let result = $0.add(name, $1)[0]
      return operation.predicate == .ne ? $0.one("Not", result) : result
    }
  }

  private mutating func lowerSelect(_ node: Node) {
    guard type(node.results[0]).element == .bool else {
      return elementwise(node) { $0.add("Where", $1)[0] }
    }
    // (c ∧ a) ∨ (¬c ∧ b)
    elementwise(node) {
      let first = $0.one("And", $1[0], $1[1])
      return $0.one("Or", first, $0.one("And", $0.one("Not", $1[0]), $1[2]))
    }
  }

  private mutating func lowerConvert(_ operation: Convert, _ node: Node) {
    if type(node.operands[0]).element == operation.to {
      return define(node.results[0], as: node.operands[0])
    }
    elementwise(node) {
      $0.one("Cast", $1[0], attributes: [("to", .int(onnxType(operation.to)))])
    }
  }

  // MARK: From nothing

  private mutating func lowerConstant(_ id: NodeID, _ node: Node) {
    let result = node.results[0]
    let type = type(result)
    let extents = extents(result)
    let isGrowing = extents.contains(where: \.isBatch)
    if let operation = node.operation as? Constant {
      if let factor = source.factors[id] {
        let scalar = scaledByBatch(factor, type.element)
        return define(result, type.rank == 0 ? scalar : expanded(scalar, extents))
      }
      let values = operation.values.map(\.value)
      if isGrowing {
        return define(result, expanded(builder.scalar(values[0], type.element), extents))
      }
      let all = values.count == 1 ? [Double](repeating: values[0], count: type.count) : values
      return define(
        result, known: KnownTensor(type: type, bytes: elementBytes(all, type.element)))
    }
    guard extents.last?.isBatch == true else {
      let row = (0..<(type.shape.last ?? 1)).map(Double.init)
      if !isGrowing {
        let all = (0..<type.count).map { Double($0 % row.count) }
        return define(
          result, known: KnownTensor(type: type, bytes: elementBytes(all, type.element)))
      }
      let first = builder.constant(row, TensorType(type.element, [row.count]))
      return define(result, expanded(first, extents))
    }
    let zero = builder.constant([0], TensorType(.i32, []))
    let one = builder.constant([1], TensorType(.i32, []))
    let count = builder.one("Squeeze", list([extents[extents.count - 1]]))
    let end = builder.one("Cast", count, attributes: [("to", .int(int32))])
    var range = builder.one("Range", zero, end, one)
    if type.element != .i32 {
      range = builder.one("Cast", range, attributes: [("to", .int(onnxType(type.element)))])
    }
    define(result, type.rank == 1 ? range : expanded(range, extents))
  }

  /// A scalar that is the batch times or under a number.
  private mutating func scaledByBatch(_ factor: BatchFactor, _ element: ElementType) -> String {
    let count = builder.one("Squeeze", batch())
    let batch = builder.one("Cast", count, attributes: [("to", .int(onnxType(element)))])
    switch factor {
    case .times(let number): return builder.one("Mul", builder.scalar(number, element), batch)
    case .over(let number): return builder.one("Div", builder.scalar(number, element), batch)
    }
  }

  mutating func expanded(_ name: String, _ extents: [Extent]) -> String {
    builder.one("Expand", name, list(extents))
  }

  // MARK: Products

  private mutating func lowerMatMul(_ operation: MatMul, _ node: Node) {
    let rank = type(node.operands[0]).rank
    var swap = Array(0..<rank)
    swap.swapAt(rank - 1, rank - 2)
    let flags = [operation.transposeA, operation.transposeB]
    let names = zip(node.operands, flags).map { value, isTransposed in
      isTransposed ? permuted(value, swap) : native(value)
    }
    define(node.results[0], builder.add("MatMul", names)[0])
  }
}

// Numbers of ONNX's element types, for Cast.
let int32 = onnxType(.i32)
let int64 = Int(ONNXElement.int64.rawValue)

func onnxType(_ element: ElementType) -> Int { Int(ONNXElement(element).rawValue) }
