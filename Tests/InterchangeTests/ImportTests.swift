// What an import makes: operations, weights, places, folded shapes, sizes of free dimensions.

import Basics
import Formats
import GraphIR
import Interchange
import Operators
import TestSupport
import Testing

@Suite struct ImportTests {
  static func names(_ model: ImportedModel) -> [String] {
    model.graph.nodes.elements.map(\.operation.mnemonic)
  }

  @Test func importsNodesWithTheirNames() throws {
    let found = try imported(
      model([
        ONNXNode("Relu", name: "/layer/Relu", inputs: ["x"], outputs: ["h"]),
        ONNXNode("Neg", inputs: ["h"], outputs: ["y"]),
      ]))
    #expect(Self.names(found) == ["relu", "negate"])
    // Nodes without a name are called by operator and number.
    #expect(found.graph.nodes.elements.map(\.origin.path) == ["/layer/Relu", "Neg_1"])
    #expect(try found.evaluate(["x": [1, -2, 3, 0, 5, -6]])[0].values == [-1, 0, -3, 0, -5, 0])
    // The graph's text reads back.
    let text = GraphPrinter.text(found.graph)
    let back = try GraphParser.parseOne(
      SourceText(name: "ir", bytes: Array(text.utf8)), operations: OperatorSet.standard)
    #expect(back == found.graph)
  }

  /// Small tensors stand in the graph, one value for all elements too; others are states.
  @Test func makesWeightsOfLargeTensors() throws {
    let large = ONNXTensor(name: "w", shape: [3, 20], floats: (0..<60).map { Float($0) })
    let found = try imported(
      model(
        [
          ONNXNode("MatMul", inputs: ["x", "w"], outputs: ["a"]),
          ONNXNode("Add", inputs: ["a", "ones"], outputs: ["b"]),
          ONNXNode("Mul", inputs: ["b", "two"], outputs: ["y"]),
        ],
        initializers: [
          large, ONNXTensor(name: "two", shape: [], floats: [2]),
          ONNXTensor(name: "ones", shape: [20], floats: [Float](repeating: 1, count: 20)),
        ]))
    #expect(found.weights.map(\.name) == ["w"])
    #expect(found.weights[0].values == (0..<60).map { Double($0) })
    #expect(found.graph.inputs.map(\.role) == [.argument("x"), .state("w")])
    #expect(GraphPrinter.text(found.graph).utf8.count < 2000)
    let y = try found.evaluate(["x": [1, 0, 0, 0, 0, 1]])[0]
    #expect(y.shape == [2, 20] && y.values[1] == 4 && y.values[20] == 82)
  }

  /// Nothing keeps names in a model apart: neither nodes of one name nor an initialiser that is
  /// called as a table of a node share weights.
  @Test func keepsWeightsOfEqualNamesApart() throws {
    func channels(_ name: String, _ value: (Int) -> Float) -> ONNXTensor {
      ONNXTensor(name: name, shape: [20], floats: (0..<20).map(value))
    }
    let epsilon = ONNXAttribute("epsilon", .float(0))
    let found = try imported(
      model(
        [
          ONNXNode(
            "BatchNormalization", name: "bn", inputs: ["x", "a", "zero", "zero", "one"],
            outputs: ["h"], attributes: [epsilon]),
          ONNXNode(
            "BatchNormalization", name: "bn", inputs: ["h", "b", "zero", "zero", "one"],
            outputs: ["k"], attributes: [epsilon]),
          ONNXNode("Add", inputs: ["k", "bn.scale"], outputs: ["y"]),
        ], inputs: [("x", [.value(1), .value(20)])],
        initializers: [
          channels("a") { Float($0 + 1) }, channels("b") { Float(50 - $0) },
          channels("zero") { _ in 0 }, channels("one") { _ in 1 },
          channels("bn.scale") { Float(3 * $0) },
        ]))
    #expect(found.weights.map(\.name) == ["bn.scale", "bn_1.scale", "bn.scale_2"])
    let y = try found.evaluate(["x": [Double](repeating: 1, count: 20)])[0]
    let expected: [Double] = (0..<20).map { (i: Int) -> Double in Double((i + 1) * (50 - i) + 3 * i)
    }
    #expect(y.values == expected)
  }

  /// Where a plain formula overflows, cancels or rounds twice.
  @Test(
    arguments: [
      (
        "Sinh", [1e-4, 0.5, 10, 20, 40, -20],
        [9.9999998e-05, 0.52109531, 11013.233, 2.425826e+08, 1.1769263e+17, -2.425826e+08]
      ),
      (
        "Asinh", [1e-6, -1e-4, 0.25, -0.75, 20, -1000],
        [1e-06, -9.9999997e-05, 0.24746646, -0.69314718, 3.6895039, -7.6009027]
      ),
      (
        "Atanh", [1e-6, -1e-4, 0.25, -0.75, 0.5, 0.875],
        [1e-06, -9.9999998e-05, 0.25541281, -0.97295507, 0.54930614, 1.3540251]
      ),
      (
        "Round", [0.49999997, -0.49999997, 0.5, 1.5, -2.5, 8_388_607], [0, 0, 0, 2, -2, 8_388_607]
      ),
    ] as [(String, [Double], [Double])])
  func keepsDigits(_ op: String, _ inputs: [Double], _ expected: [Double]) throws {
    let found = try imported(model([ONNXNode(op, inputs: ["x"], outputs: ["y"])]))
    // Inputs are the numbers that f32 has.
    let y = try found.evaluate(["x": inputs.map { Double(Float($0)) }])[0].values
    for (value, wanted) in zip(y, expected) {
      #expect(abs(value - wanted) <= 1e-6 * abs(wanted), "\(op): \(value), not \(wanted)")
    }
  }

  @Test func raisesToPowers() throws {
    let whole = try imported(
      model(
        [ONNXNode("Pow", inputs: ["base", "exponent"], outputs: ["y"])], inputs: [],
        initializers: [
          ONNXTensor(name: "base", shape: [5], integers: [2, -1, 3, -3, 7]),
          ONNXTensor(name: "exponent", shape: [5], integers: [-1, -1, 2, 3, 0]),
        ]))
    #expect(try whole.evaluate([:])[0].values == [0, -1, 9, -27, 1])
    // An exponent of more axes than the base gives them to the result.
    let square = try imported(
      model(
        [ONNXNode("Pow", inputs: ["x", "two"], outputs: ["y"])],
        initializers: [ONNXTensor(name: "two", shape: [1, 1, 1], floats: [2])]))
    let y = try square.evaluate(["x": [1, 2, 3, 4, 5, 6]])[0]
    #expect(y.shape == [1, 2, 3] && y.values == [1, 4, 9, 16, 25, 36])
  }

  /// The README names each operator once, in order.
  @Test func listsTheOperators() throws {
    let bytes = try Places.bytes("Sources/Interchange/README.md")
    let text = String(decoding: bytes, as: UTF8.self)
    let start = try #require(text.firstRange(of: "## Operators\n")).upperBound
    let end = try #require(text[start...].firstRange(of: "\n## ")).lowerBound
    let section = text[start..<end]
    let names = section.split(separator: "`", omittingEmptySubsequences: false).enumerated()
      .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    #expect(names.filter { $0 != "OperatorTable" } == OperatorTable.names)
    #expect(section.contains("The \(OperatorTable.names.count) operators"))
  }

  /// The chain that exporters write to flatten: nothing of it is left.
  @Test func foldsChainsOfShapes() throws {
    let found = try imported(
      model(
        [
          ONNXNode("Shape", inputs: ["x"], outputs: ["s"]),
          ONNXNode(
            "Gather", inputs: ["s", "zero"], outputs: ["n"],
            attributes: [ONNXAttribute("axis", .int(0))]),
          ONNXNode("Unsqueeze", inputs: ["n", "axes"], outputs: ["n1"]),
          ONNXNode(
            "Concat", inputs: ["n1", "rest"], outputs: ["shape"],
            attributes: [ONNXAttribute("axis", .int(0))]),
          ONNXNode("Reshape", inputs: ["x", "shape"], outputs: ["y"]),
        ], inputs: [("x", [.parameter("N"), .value(3), .value(2)])],
        initializers: [
          ONNXTensor(name: "zero", shape: [], integers: [0]),
          ONNXTensor(name: "axes", shape: [1], integers: [0]),
          ONNXTensor(name: "rest", shape: [1], integers: [-1]),
        ]), settings: ["N": 4])
    #expect(Self.names(found) == ["reshape"])
    #expect(found.results[0].type == .f32(4, 6))
    #expect(found.sizes == [ImportedModel.Size(name: "N", size: 4, reason: .setting)])
  }

  @Test func bindsFreeDimensions() throws {
    let two = model(
      [ONNXNode("Add", inputs: ["x", "z"], outputs: ["y"])],
      inputs: [("x", [.parameter("N"), .unknown]), ("z", [.parameter("N"), .value(3)])])
    #expect(try imported(two).arguments.map(\.type) == [.f32(1, 1), .f32(1, 3)])
    func given(_ name: String, _ shape: [Int]) -> ONNXTensor {
      ONNXTensor(
        name: name, shape: shape, floats: [Float](repeating: 0, count: shape.reduce(1, *)))
    }
    let bound = try imported(two, given: [given("x", [5, 3]), given("z", [5, 3])])
    #expect(bound.arguments.map(\.type) == [.f32(5, 3), .f32(5, 3)])
    #expect(bound.sizes == [ImportedModel.Size(name: "N", size: 5, reason: .input)])
    expectFailure("a file", "'N' is 5 in one input and 4 in 'z'") {
      _ = try imported(two, given: [given("x", [5, 3]), given("z", [4, 3])])
    }
    expectFailure("the input 'z' takes [5, 3], was given [5, 2]") {
      _ = try imported(two, given: [given("x", [5, 3]), given("z", [5, 2])])
    }
  }

  /// Between images nothing is turned: one turn in, one out; weights are turned at import.
  @Test func turnsImagesOnceAtEachEnd() throws {
    let kernel = ONNXTensor(
      name: "w", shape: [3, 3, 3, 3], floats: (0..<81).map { Float($0 % 7) - 3 })
    let scale = ONNXTensor(name: "s", shape: [3], floats: [1, 2, 3])
    let positive = ONNXTensor(name: "v", shape: [3], floats: [0.5, 1, 2])
    let pads = ONNXAttribute("pads", .ints([1, 1, 1, 1]))
    let found = try imported(
      model(
        [
          ONNXNode("Conv", inputs: ["x", "w"], outputs: ["a"], attributes: [pads]),
          ONNXNode("BatchNormalization", inputs: ["a", "s", "s", "s", "v"], outputs: ["b"]),
          ONNXNode("LeakyRelu", inputs: ["b"], outputs: ["c"]),
          ONNXNode("Conv", inputs: ["c", "w"], outputs: ["d"], attributes: [pads]),
          ONNXNode("Add", inputs: ["d", "c"], outputs: ["y"]),
        ], inputs: [("x", [.value(2), .value(3), .value(4), .value(5)])],
        initializers: [kernel, scale, positive]))
    #expect(Self.names(found).filter { $0 == "transpose" }.count == 2)
    #expect(found.weights.map(\.name) == ["w:2310"])
    #expect(found.results[0].type == .f32(2, 3, 4, 5))
    // Tap [o, i, ky, kx] of the model is tap [ky, kx, i, o] of ours.
    let values = found.weights[0].values
    for (o, i, y, x) in [(0, 0, 0, 0), (2, 1, 0, 2), (1, 2, 2, 0)] {
      #expect(
        values[((y * 3 + x) * 3 + i) * 3 + o] == Double((((o * 3 + i) * 3 + y) * 3 + x) % 7) - 3)
    }
  }

  @Test func namesEverythingUnsupportedInOneError() {
    let nodes = [
      ONNXNode("Einsum", name: "first", inputs: ["x"], outputs: ["a"]),
      ONNXNode("Einsum", name: "second", inputs: ["x"], outputs: ["b"]),
      ONNXNode("Thing", domain: "mine", inputs: ["a"], outputs: ["c"]),
      ONNXNode(
        "Relu", name: "r", inputs: ["b"], outputs: ["d"],
        attributes: [ONNXAttribute("odd", .int(1))]),
      ONNXNode("Add", inputs: ["c", "d"], outputs: ["y"]),
      ONNXNode("Gather", inputs: ["whole", "i"], outputs: ["g"]),
    ]
    var odd = model(nodes, inputs: [("x", [.value(2)]), ("u", [.value(2)])])
    odd.graph.inputs.append(ONNXValueInfo("whole", .int64, [.value(3)]))
    odd.graph.inputs.append(ONNXValueInfo("i", .int64, [.value(3)]))
    expectFailure(
      "a file: the model needs what is not supported", "Einsum: 2 nodes ('first', 'second')",
      "mine.Thing: one node ('Thing_2')", "Relu with the attribute 'odd': one node ('r')",
      "Gather of int64 with computed indices: one node ('Gather_5')"
    ) { _ = try imported(odd) }
  }

  /// An input whose elements a node must know is taken from what is given for it.
  @Test func knowsGivenInputs() throws {
    var reshaping = model([ONNXNode("Reshape", inputs: ["x", "shape"], outputs: ["y"])])
    reshaping.graph.inputs.append(ONNXValueInfo("shape", .int64, [.value(2)]))
    expectFailure("Reshape with a computed 'shape'") { _ = try imported(reshaping) }
    let shape = ONNXTensor(name: "shape", shape: [2], integers: [3, -1])
    #expect(try imported(reshaping, given: [shape]).results[0].type == .f32(3, 2))
  }
}
