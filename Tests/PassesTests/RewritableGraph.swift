// Seeded random graphs full of what passes look for: neutral elements, constants of all types, chains of shape
// operations, copies, products with something element-wise after them, two ways back that differ by a factor a row,
// outputs that share a value or name an input.

import Basics
import GraphIR
import Operators

struct RewritableGraph {
  private var random: PhiloxSequence
  private let builder: GraphBuilder
  private var values: [ValueID] = []
  /// Small sizes, so that shapes meet.
  private let rows = 4
  private let columns = 6

  /// The graph of a seed. With `gradients` it holds gradient nodes, some within each other, with respect to inputs
  /// and computed values.
  static func make(seed: UInt64, size: Int = 30, gradients: Bool = false) throws -> Graph {
    var maker = RewritableGraph(seed: seed)
    try maker.addInputs()
    for _ in 0..<size { try maker.addOperation() }
    if gradients {
      for _ in 0..<2 {
        try maker.addGradient()
        for _ in 0..<5 { try maker.addOperation() }
      }
    }
    try maker.addOutputs()
    return maker.builder.finish()
  }

  private init(seed: UInt64) {
    random = PhiloxSequence(seed: seed, stream: 12)
    builder = GraphBuilder(name: "rewritable \(seed)")
  }

  private mutating func pick<T>(_ items: [T]) -> T { items[random.nextInt(below: items.count)] }
  private mutating func chance(_ part: Int) -> Bool { random.nextInt(below: part) == 0 }

  private mutating func addInputs() throws {
    values.append(try builder.input(.data(source: "x", round: 0), .f32(rows, columns)))
    values.append(try builder.input(.state("net/w"), .f32(columns, columns)))
    values.append(try builder.input(.state("net/bias"), .f32(columns)))
    values.append(try builder.input(.argument("scalar"), .f32()))
    values.append(try builder.input(.argument("image"), .f32(1, 2, 2, columns)))
    values.append(try builder.input(.argument("filter"), .f32(1, 1, columns, columns)))
  }

  /// A value that was made not long ago, more often than others.
  private mutating func some() -> ValueID {
    chance(2) ? pick(Array(values.suffix(5))) : pick(values)
  }

  private mutating func addOperation() throws {
    let x = some()
    let made: ValueID
    switch random.nextInt(below: 9) {
    case 0: made = try unary(x)
    case 1, 2: made = try binary(x)
    case 3: made = try neutral(x)
    case 4: made = try shaped(x)
    case 5: made = try cut(x)
    case 6: made = try product(x)
    case 7: made = try twoWaysBack()
    default: made = try reduced(x)
    }
    if builder.type(of: made).count <= 200 { values.append(made) }
  }

  private mutating func unary(_ x: ValueID) throws -> ValueID {
    switch random.nextInt(below: 8) {
    case 0: return try builder.negate(x)
    case 1: return try builder.negate(try builder.negate(x))
    case 2: return try builder.leakyRelu(x, slope: 0.25)
    case 3: return try builder.sigmoid(x)
    case 4: return try builder.stopGradient(x)
    case 5: return try builder.add(Convert(to: .f32), x)
    case 6: return try builder.convert(try builder.convert(x, to: .f64), to: .f32)
    default: return try builder.tanh(x)
    }
  }

  private mutating func binary(_ x: ValueID) throws -> ValueID {
    let shape = builder.shape(of: x)
    let y = pick(values.filter { broadcastShapes(shape, builder.shape(of: $0)) != nil })
    switch random.nextInt(below: 6) {
    case 0: return try builder.add(x, y)
    case 1: return try builder.subtract(x, y)
    case 2: return try builder.tanh(try builder.multiply(x, y))
    case 3: return try builder.add(x, try builder.negate(y))
    case 4: return try builder.maximum(x, y)
    default: return try builder.select(try builder.compare(pick([.lt, .ge, .eq]), x, y), x, y)
    }
  }

  /// Arithmetic with constants: scalars, of x's shape, or of a shape that makes the result larger.
  private mutating func neutral(_ x: ValueID) throws -> ValueID {
    let shape = pick([[], builder.shape(of: x), [1, 1, 1], [2, 1, 1, 1]])
    guard broadcastShapes(shape, builder.shape(of: x)) != nil else { return x }
    func constant(_ value: Double) throws -> ValueID { try builder.constant(.f32(shape), [value]) }
    let value = pick([0, 1, -1, 2, -0.5])
    switch random.nextInt(below: 9) {
    case 0: return try builder.add(x, try constant(value))
    case 1: return try builder.add(try constant(value), x)
    case 2: return try builder.subtract(x, try constant(value))
    case 3: return try builder.subtract(try constant(value), x)
    case 4: return try builder.multiply(try constant(value), x)
    case 5: return try builder.divide(x, try constant(value == 0 ? 4 : value))
    case 6: return try builder.power(try builder.sigmoid(x), try constant(pick([1, 2, 3])))
    case 7:
      let step = try builder.convert(try builder.scalar(value.rounded(.down), .i32), to: .f32)
      return try builder.multiply(x, step)
    default:
      let condition = try builder.constant(TensorType(.bool, shape), [pick([0, 1])])
      return try builder.select(condition, x, try builder.scalar(0.5))
    }
  }

  private mutating func shaped(_ x: ValueID) throws -> ValueID {
    let shape = builder.shape(of: x)
    let count = builder.type(of: x).count
    switch random.nextInt(below: 6) {
    case 0: return try builder.reshape(x, [count])
    case 1: return try builder.reshape(x, [1] + shape)
    case 2: return count % 4 == 0 ? try builder.reshape(x, [2, 2, count / 4]) : x
    case 3: return try builder.broadcast(x, to: shape.count < 3 ? [2] + shape : shape)
    case 4: return shape.count < 5 ? try builder.broadcast(x, to: [1] + shape) : x
    default:
      var order = Array(shape.indices)
      if order.count > 1 { order.swapAt(0, random.nextInt(below: order.count)) }
      return try builder.add(Transpose(order), x)
    }
  }

  private mutating func cut(_ x: ValueID) throws -> ValueID {
    let shape = builder.shape(of: x)
    guard let axis = shape.indices.last(where: { shape[$0] > 1 }) else { return x }
    let middle = 1 + random.nextInt(below: shape[axis] - 1)
    let first = try builder.slice(x, axis: axis, from: 0, to: middle)
    let second = try builder.slice(x, axis: axis, from: middle, to: shape[axis])
    var none = [Int](repeating: 0, count: shape.count)
    switch random.nextInt(below: 5) {
    case 0: return try builder.concat([first, second], axis: axis)
    case 1:
      return try builder.concat(
        [second, try builder.concat([first, first], axis: axis)], axis: axis)
    case 2:
      let joined = try builder.concat([x, x], axis: axis)
      return try builder.slice(joined, axis: axis, from: shape[axis], to: shape[axis] + middle)
    case 3:
      let zeros = none
      none[axis] = shape[axis] - middle
      let before = try builder.pad(first, before: zeros, after: none)
      none[axis] = middle
      let after = try builder.pad(second, before: none, after: zeros)
      return try builder.add(before, after)
    default: return try builder.slice(second, axis: axis, from: 0, to: 1)
    }
  }

  private mutating func product(_ x: ValueID) throws -> ValueID {
    let shape = builder.shape(of: x)
    let (w, filter, bias) = (values[1], values[5], values[2])
    let made: ValueID
    if shape.count == 4, shape[3] == columns {
      made =
        chance(2)
        ? try builder.conv2D(x, filter, stride: [1, 1], padding: [0, 0, 0, 0])
        : try builder.add(
          Conv2DInputGradient(
            stride: [1, 1], padding: [0, 0, 0, 0], inputSize: [shape[1], shape[2]]), x, filter)
    } else if builder.type(of: x).count % columns == 0 {
      let flat = try builder.reshape(x, [builder.type(of: x).count / columns, columns])
      made = try builder.matmul(flat, w, transposeB: chance(2))
    } else {
      return try unary(x)
    }
    var y = try builder.scaled(made, by: 0.25)
    if chance(2) { y = try builder.add(y, bias) }
    if chance(2) {
      let count = builder.type(of: y).count / columns
      y = try builder.reshape(y, count % 2 == 0 ? [2, count / 2, columns] : [1, count, columns])
      if chance(2) { y = try builder.multiply(y, bias) }
    }
    return chance(2) ? try builder.leakyRelu(y, slope: 0.25) : try builder.tanh(y)
  }

  /// What the adjoints of two losses become on their way back through one network: of the first one a value is
  /// kept, the second is returned.
  private mutating func twoWaysBack() throws -> ValueID {
    let tables = values.filter { builder.shape(of: $0) == [rows, columns] }
    let (other, masked, w) = (pick(tables), pick(tables), values[1])
    let column = try builder.slice(w, axis: 1, from: 0, to: 1)
    let mask = try builder.compare(.gt, masked, try builder.scalar(0))
    // Where the second way differs from the first, if it does.
    let fork = random.nextInt(below: 6)
    var ends: [ValueID] = []
    for way in 0..<2 {
      let factor = try builder.mean(pick(tables), axes: [1], keepDims: true)
      var x = try builder.matmul(factor, column, transposeB: true)
      if way == 1, fork == 0 { x = try builder.tanh(x) }
      x = try builder.select(mask, x, try builder.scaled(x, by: 0.25))
      if chance(4) { values.append(x) }
      x = try builder.matmul(x, w, transposeB: true)
      if way == 1, fork == 1 { x = try builder.add(x, values[2]) }
      x = try builder.reshape(try builder.multiply(x, other), [rows, 2, columns / 2])
      if chance(4) { values.append(x) }
      x = try builder.matmul(try builder.reshape(x, [rows, columns]), w)
      ends.append(x)
    }
    values.append(ends[0])
    return ends[1]
  }

  private mutating func reduced(_ x: ValueID) throws -> ValueID {
    let rank = builder.shape(of: x).count
    let axes = (0..<rank).filter { _ in chance(2) }
    if rank > 0, chance(3) {
      let moments = try builder.moments(x, axes: [0], keepDims: true)
      return try builder.multiply(try builder.subtract(x, moments.mean), moments.variance)
    }
    return try builder.mean(x, axes: axes, keepDims: chance(2))
  }

  /// A loss over late values, its gradients, and something computed from them.
  private mutating func addGradient() throws {
    var loss = try builder.scalar(0)
    for _ in 0..<3 { loss = try builder.add(loss, try builder.mean(builder.square(some()))) }
    let variables = [values[1], values[2], some(), some()]
    let found = try builder.gradient(loss, wrt: variables)
    for (variable, gradient) in zip(variables, found) {
      values.append(gradient)
      values.append(try builder.subtract(variable, try builder.scaled(gradient, by: 0.5)))
    }
  }

  private mutating func addOutputs() throws {
    for (index, value) in values.suffix(4).enumerated() {
      builder.output(.result("r\(index)"), value)
    }
    builder.output(.result("again"), values[values.count - 1])
    builder.output(.report("old"), values[3])
    builder.output(.state("net/w"), chance(2) ? values[1] : try builder.add(values[1], values[2]))
    builder.output(.state("net/bias"), values[2])
  }
}
