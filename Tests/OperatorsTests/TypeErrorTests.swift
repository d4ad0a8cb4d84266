// Wrong operands: the codes and the shapes that a diagnostic shows, and what the builder's short names do with
// requests at the edge.

import Basics
import GraphIR
import Operators
import Testing

@Suite struct TypeErrorTests {
  struct Case: Sendable, CustomStringConvertible {
    let operation: any Operation
    let operands: [TensorType]
    let code: String
    /// What the message must show.
    let shows: [String]
    init(_ operation: any Operation, _ operands: [TensorType], _ code: String, _ shows: String...) {
      self.operation = operation
      self.operands = operands
      self.code = code
      self.shows = shows
    }
    var description: String { "\(operation.mnemonic) \(operands)" }
  }

  static let cases: [Case] = [
    Case(Add(), [.f32(2, 3), .f32(4)], "shape.mismatch", "add", "[2, 3]", "[4]"),
    Case(Add(), [.f32(2), .i32(2)], "type.element", "f32[2]", "i32[2]"),
    Case(Add(), [.f32(2)], "ir.operands", "2 operands", "given 1"),
    Case(Exp(), [.i32(2)], "type.element", "f32 or f64", "i32[2]"),
    Case(Power(), [.i32(2), .i32(2)], "type.element", "i32[2]"),
    Case(Select(), [.f32(2), .f32(2), .f32(2)], "type.element", "bool", "f32[2]"),
    Case(Compare(.lt), [.f32(2), .f32(3)], "shape.mismatch", "[2]", "[3]"),
    Case(LeakyRelu(slope: .infinity), [.f32(2)], "attribute.range", "slope"),
    Case(Elu(alpha: .nan), [.f32(2)], "attribute.range", "alpha"),
    Case(Constant(.f32(3), [1, 2]), [], "shape.mismatch", "f32[3]", "found 2"),
    Case(Constant(.i32(1), [1.5]), [], "type.element", "1.5", "i32"),
    Case(Constant(.f32(1 << 40), [0]), [], "shape.size"),
    Case(Iota(.i32()), [], "shape.rank", "i32[]"),
    Case(Reshape([4]), [.f32(2, 3)], "shape.mismatch", "f32[2, 3]", "[4]"),
    Case(Reshape([-6]), [.f32(2, 3)], "shape.size"),
    Case(Transpose([0, 0]), [.f32(2, 3)], "shape.axis", "[0, 0]", "f32[2, 3]"),
    Case(Transpose([0]), [.f32(2, 3)], "shape.rank", "f32[2, 3]"),
    Case(Broadcast([3]), [.f32(2)], "shape.mismatch", "f32[2]", "[3]"),
    Case(Broadcast([3]), [.f32(2, 3)], "shape.mismatch", "f32[2, 3]", "[3]"),
    Case(Concat(axis: 0), [], "ir.operands", "concat"),
    Case(Concat(axis: 2), [.f32(2, 3)], "shape.axis", "axis 2", "f32[2, 3]"),
    Case(Concat(axis: 0), [.f32(2, 3), .f32(2, 4)], "shape.mismatch", "f32[2, 3]", "f32[2, 4]"),
    Case(Slice(starts: [1], ends: [5]), [.f32(4)], "shape.range", "1..<5", "f32[4]"),
    Case(Slice(starts: [2], ends: [2]), [.f32(4)], "shape.range"),
    Case(Pad(before: [4], after: [0], mode: .reflect), [.f32(4)], "shape.range", "size 4"),
    Case(Pad(before: [-1], after: [0], mode: .zero), [.f32(4)], "shape.range"),
    Case(Sum(axes: [2]), [.f32(2, 3)], "shape.axis", "axis 2", "f32[2, 3]"),
    Case(Sum(axes: [1, 0]), [.f32(2, 3)], "shape.axis", "ascending"),
    Case(Moments(axes: [0]), [.i32(2)], "type.element"),
    Case(ArgMax(axis: 0), [.f32()], "shape.axis", "f32[]"),
    Case(Softmax(), [.f32()], "shape.rank"),
    Case(MatMul(), [.f32(2, 3), .f32(4, 5)], "shape.mismatch", "f32[2, 3]", "f32[4, 5]"),
    Case(MatMul(), [.f32(3), .f32(3, 5)], "shape.rank", "f32[3]"),
    Case(MatMul(), [.f32(2, 2, 3), .f32(3, 5)], "shape.mismatch", "f32[2, 2, 3]"),
    Case(RandomUniform(shape: [2], stream: 0), [.i32(1), .i32()], "type.element", "i32[1]"),
    Case(RandomNormal(shape: [0], stream: 0), [.i32(2), .i32()], "shape.size"),
    Case(Gradient(), [.f32(3), .f32(3)], "gradient.loss", "f32[3]"),
    Case(
      Fused(root: Fused(), region: Region(inputCount: 1, steps: [], results: [.input(0)])),
      [.f32(1)], "ir.region"),
    Case(
      Fused(
        region: Region(inputCount: 1, steps: [.init(Exp(), [.step(0)])], results: [.step(0)])),
      [.f32(1)], "ir.region"),
  ]

  @Test(arguments: cases)
  func diagnosticShowsWhatWasFound(_ example: Case) {
    do {
      let types = try example.operation.inferTypes(example.operands)
      Issue.record("\(example) was accepted as \(types)")
    } catch {
      #expect(error.code == example.code, "\(error.message)")
      for part in example.shows { #expect(error.message.contains(part), "\(error.message)") }
      #expect(error.range == nil)
    }
  }
}

@Suite struct BuildingTests {
  @Test func requestsThatChangeNothing() throws {
    let builder = GraphBuilder(name: "same")
    let x = try builder.input(.argument("x"), .f32(2, 3))
    #expect(try builder.reshape(x, [2, 3]) == x)
    #expect(try builder.transpose(x, [0, 1]) == x)
    #expect(try builder.broadcast(x, to: [2, 3]) == x)
    #expect(try builder.slice(x, starts: [0, 0], ends: [2, 3]) == x)
    #expect(try builder.pad(x, before: [0, 0], after: [0, 0]) == x)
    #expect(try builder.convert(x, to: .f32) == x)
    #expect(try builder.scaled(x, by: 1) == x)
    #expect(try builder.sumTo(x, [2, 3]) == x)
    #expect(try builder.sum(x, axes: []) == x)
    #expect(builder.graph.nodes.count == 0)
  }

  @Test func axes() throws {
    let builder = GraphBuilder(name: "axes")
    let x = try builder.input(.argument("x"), .f32(2, 3, 4))
    #expect(builder.shape(of: try builder.sum(x)) == [])
    #expect(builder.shape(of: try builder.mean(x, axes: [-1, 0])) == [3])
    #expect(builder.shape(of: try builder.max(x, axes: [1], keepDims: true)) == [2, 1, 4])
    #expect(builder.shape(of: try builder.argMax(x, axis: -2)) == [2, 4])
    for axes in [[3], [-4], [0, 0], [0, -3]] {
      #expect(throws: Diagnostic.self) { try builder.sum(x, axes: axes) }
    }
    #expect(throws: Diagnostic.self) { try builder.slice(x, axis: 3, from: 0, to: 1) }
  }

  @Test func sumToUndoesBroadcasting() throws {
    let cases: [([Int], [Int])] = [
      ([], [2, 3]), ([3], [2, 3]), ([2, 1], [2, 3]), ([1, 1], [2, 3]), ([2, 1, 3], [4, 2, 5, 3]),
    ]
    for (small, large) in cases {
      let builder = GraphBuilder(name: "sum")
      let x = try builder.input(.argument("x"), .f32(small))
      let repeated = try builder.broadcast(x, to: large)
      builder.output(.result("y"), try builder.sumTo(repeated, small))
      let input = randomTensor(.f32(small), stream: 5)
      let output = Evaluator().evaluate(builder.finish(), inputs: [input])[0]
      let times = Double(large.reduce(1, *) / small.reduce(1, *))
      #expect(isClose(output.values, input.values.map { $0 * times }))
      #expect(throws: Diagnostic.self) { try builder.sumTo(repeated, [7]) }
    }
  }
}
