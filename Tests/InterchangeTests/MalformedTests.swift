// Models that contradict themselves or the standard: clear errors, never a trap or much memory.

import Basics
import Formats
import GraphIR
import Interchange
import TestSupport
import Testing

@Suite struct MalformedTests {
  static func int(_ name: String, _ value: Int64) -> ONNXAttribute {
    ONNXAttribute(name, .int(value))
  }
  static func ints(_ name: String, _ values: [Int64]) -> ONNXAttribute {
    ONNXAttribute(name, .ints(values))
  }
  static func whole(_ name: String, _ values: [Int64]) -> ONNXTensor {
    ONNXTensor(name: name, shape: [values.count], integers: values)
  }

  @Test func refusesBrokenGraphs() {
    func refuse(
      _ words: String, _ broken: ONNXModel, sourceLocation: SourceLocation = #_sourceLocation
    ) {
      expectFailure("a file", words, sourceLocation: sourceLocation) { _ = try imported(broken) }
    }
    let relu = ONNXNode("Relu", name: "r", inputs: ["x"], outputs: ["y"])
    refuse(
      "'r' (Relu) reads 'q', which nothing before it makes",
      model([ONNXNode("Relu", name: "r", inputs: ["q"], outputs: ["y"])]))
    // A cycle has no order, so one of its nodes reads what comes later.
    refuse(
      "reads 'b', which nothing before it makes",
      model([
        ONNXNode("Add", inputs: ["x", "b"], outputs: ["a"]),
        ONNXNode("Neg", inputs: ["a"], outputs: ["b"]),
      ]))
    refuse("'y' is defined twice", model([relu, relu]))
    refuse("nothing makes the output 'z'", model([relu], outputs: ["z"]))
    refuse("has no outputs", model([relu], outputs: []))
    refuse("(opset) 6", model([relu], opset: 6))
    refuse("(opset) 99", model([relu], opset: 99))
    var none = model([relu])
    none.opsets = [ONNXOpset(domain: "mine", version: 1)]
    refuse("names no version", none)
    refuse("has no input 0", model([ONNXNode("Relu", inputs: [], outputs: ["y"])]))
    refuse("has no input 1", model([ONNXNode("Add", inputs: ["x", ""], outputs: ["y"])]))
    refuse("dimension of -1", model([relu], inputs: [("x", [.value(-1)])]))
    refuse("too large", model([relu], inputs: [("x", [.value(1 << 40)])]))
    refuse("too large", model([relu], inputs: [("x", [.value(.max), .value(.max)])]))
    refuse(
      "'x' has 9 dimensions",
      model([relu], inputs: [("x", [ONNXDimension](repeating: .value(1), count: 9))]))
    var odd = model([relu])
    odd.graph.inputs = [ONNXValueInfo("x", .other("sequence"))]
    refuse("'x' is not a tensor", odd)
    odd.graph.inputs = [ONNXValueInfo("x", .string, [.value(1)])]
    refuse("elements of string", odd)
    odd.graph.inputs = [ONNXValueInfo("x", .tensor(.float, shape: nil))]
    refuse("'x' has no shape", odd)
  }

  @Test(
    arguments: [
      ("Add", ["x", "w4"], [], "shapes [2, 3] and [4]"),
      ("Add", ["x", "i2"], [], "operands of float32 and int64"),
      ("MatMul", ["x", "w4"], [], "cannot multiply"),
      ("Gemm", ["x", "w23"], [], "cannot multiply"),
      ("Reshape", ["x", "i57"], [], "makes [5, 7] of [2, 3]"),
      ("Reshape", ["x", "huge"], [], "makes"),
      ("Reshape", ["x", "w4"], [], "needs whole numbers for 'shape'"),
      ("Concat", ["x", "w4"], [int("axis", 1)], "joins tensors of rank 2 and 1"),
      ("Flatten", ["x"], [int("axis", -3)], "axis -3 of a tensor of rank 2"),
      ("Reshape", ["none", "vast"], [int("allowzero", 1)], "too large"),
      ("Gather", ["x", "wideNone"], [], "too large"),
      (
        "GroupNormalization", ["noImages", "w4", "w4"], [int("num_groups", 1)],
        "the shape [0, 4, 1, 1] has a dimension of 0"
      ),
      (
        "Resize", ["noImages", "", "", "longSizes"], [],
        "the shape [0, 4, 1, 1] has a dimension of 0"
      ),
      (
        "Resize", ["image", "", "", "hugeSizes"],
        [ONNXAttribute("keep_aspect_ratio_policy", .string("not_smaller"))], "too large"
      ),
      (
        "Resize", ["image", "", "", "longSizes"],
        [int("antialias", 1), ONNXAttribute("mode", .string("linear"))],
        "Resize of an axis from 5 to 1048576"
      ),
      ("Concat", ["x", "w23"], [int("axis", 9)], "axis 9 of a tensor of rank 2"),
      ("Transpose", ["x"], [ints("perm", [0, 5])], "transpose"),
      ("Split", ["x"], [int("axis", 1), int("num_outputs", 2)], "makes 2 parts of 3"),
      ("Slice", ["x", "i0", "i2", "i57"], [], "different lengths"),
      ("Pad", ["x", "i2"], [], "has 1 pads for 2 axes"),
      ("Pad", ["x", "hugePads"], [], "has the pads"),
      ("Tile", ["x", "huge"], [], "repeats [2, 3]"),
      ("Expand", ["x", "i57"], [], "expands [2, 3] to [5, 7]"),
      ("Expand", ["w11", "huge"], [], "too large"),
      ("ConstantOfShape", ["huge"], [], "too large"),
      ("Squeeze", ["x", "i0"], [], "squeezes the axis 0"),
      ("Softmax", ["x"], [int("axis", 2)], "axis 2 of a tensor of rank 2"),
      (
        "Softmax", ["x"], [ONNXAttribute("axis", .float(1))],
        "a whole number for the attribute 'axis'"
      ),
      ("Gather", ["x", "i57"], [], "gathers 5 from an axis of 2"),
      ("Conv", ["image", "kernel"], [ints("strides", [0, 1])], "'strides' of [0, 1]"),
      ("Conv", ["image", "kernel"], [ints("pads", [1])], "pads [1] for 2 axes"),
      ("Conv", ["image", "kernel"], [int("group", 2)], "into 2 groups"),
      ("Conv", ["image", "w23"], [], "and a kernel [2, 3]"),
      ("Conv", ["image", "kernel"], [ints("kernel_shape", [9, 9])], "its kernel_shape is [9, 9]"),
      ("Conv", ["image", "kernel"], [ints("dilations", [100, 1])], "does not fit"),
      ("Conv", ["image", "kernel"], [ints("dilations", [1 << 40, 1])], "dilations"),
      ("Conv", ["image", "kernel"], [ONNXAttribute("auto_pad", .string("odd"))], "auto_pad 'odd'"),
      ("MaxPool", ["image"], [], "has no kernel_shape"),
      ("MaxPool", ["image"], [ints("kernel_shape", [1 << 50, 1])], "kernel_shape"),
      ("ConvTranspose", ["image", "kernel"], [ints("strides", [1 << 20, 1 << 20])], "too large"),
      ("Resize", ["image", "", "w4"], [], "scales an axis"),
      ("BatchNormalization", ["image", "w4", "w4", "w4", "w4"], [], "needs [1] for 'w4'"),
      ("Cast", ["x"], [int("to", 99)], "unknown element type 99"),
      ("Constant", [], [], "exactly one value"),
    ] as [(String, [String], [ONNXAttribute], String)])
  func refusesBrokenNodes(
    _ op: String, _ inputs: [String], _ attributes: [ONNXAttribute], _ words: String
  ) {
    var broken = model(
      [ONNXNode(op, name: "bad", inputs: inputs, outputs: ["y"], attributes: attributes)],
      inputs: [
        ("x", [.value(2), .value(3)]), ("image", [.value(1), .value(1), .value(5), .value(5)]),
      ],
      initializers: [
        ONNXTensor(name: "w4", shape: [4], floats: [-1, 2, 3, 4]),
        ONNXTensor(name: "w11", shape: [1, 1], floats: [1]),
        ONNXTensor(name: "w23", shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]),
        ONNXTensor(name: "kernel", shape: [1, 1, 2, 2], floats: [1, 2, 3, 4]),
        Self.whole("i0", [0]), Self.whole("i2", [2]), Self.whole("i57", [5, 7]),
        Self.whole("huge", [1 << 31, 1 << 31]),
        Self.whole("hugePads", [.max, .min, .max, .min]),
        Self.whole("vast", [1 << 62, 0]), Self.whole("hugeSizes", [1, 1, .max, .max]),
        Self.whole("longSizes", [1, 1, 1 << 20, 5]),
        ONNXTensor(name: "none", shape: [1, 0], floats: []),
        ONNXTensor(name: "noImages", shape: [0, 4, 1, 1], floats: []),
        ONNXTensor(name: "wideNone", shape: [Int(Int32.max), 0], integers: []),
      ], opset: 18)
    if op == "Split" { broken.graph.nodes[0].outputs = ["y", "z", "u"] }
    expectFailure("a file", "'bad'", words) { _ = try imported(broken) }
  }

  /// A range whose number of elements is far below 0 has none.
  @Test func countsNothingInAnEmptyRange() throws {
    let found = try imported(
      model(
        [
          ONNXNode("Range", inputs: ["start", "limit", "step"], outputs: ["r"]),
          ONNXNode("Size", inputs: ["r"], outputs: ["n"]),
          ONNXNode("Add", inputs: ["n", "one"], outputs: ["y"]),
        ], inputs: [],
        initializers: [
          ONNXTensor(name: "start", shape: [], floats: [1e30]),
          ONNXTensor(name: "limit", shape: [], floats: [-1e30]),
          ONNXTensor(name: "step", shape: [], floats: [1]),
          ONNXTensor(name: "one", shape: [], integers: [1]),
        ]))
    #expect(try found.evaluate([:])[0].values == [1])
  }

  /// A real model cut and changed anywhere is read and imported, or refused with its name.
  @Test func survivesCutsAndNoise() throws {
    let test = try #require(NodeTestCase.all.first { $0.name == "test_basic_conv_with_padding" })
    var random = PhiloxSequence(seed: 4, stream: 1)
    for test in [test] + NodeTestCase.all.filter({ $0.name.hasSuffix("_expanded") }).prefix(20) {
      let bytes = try test.model.encode()
      for _ in 0..<60 {
        var mutant = bytes
        for _ in 0...random.nextInt(below: 3) {
          let at = random.nextInt(below: mutant.count)
          mutant[at] = random.nextInt(below: 2) == 0 ? UInt8(random.nextInt(below: 256)) : 0xFF
        }
        if random.nextInt(below: 4) == 0 {
          mutant.removeLast(random.nextInt(below: mutant.count))
        }
        do {
          let model = try ONNXModel.decode(mutant, name: "a file")
          _ = try ImportedModel.importing(model, name: "a file", given: test.inputs)
        } catch {
          #expect(error.message.contains("a file"))
        }
      }
    }
  }
}
