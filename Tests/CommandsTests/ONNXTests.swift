// ONNX models through the commands: what PyTorch exported computes what onnxruntime computed; the
// views of a model; errors with exit codes.

import CommandSupport
import Formats
import TestSupport
import Testing

@Suite struct ONNXTests {
  static let folder = "Tests/InterchangeTests/Fixtures"
  static func path(_ name: String) -> String { "\(Places.root)/\(folder)/\(name)" }

  @Test(arguments: ["generator", "discriminator", "upsampling", "upsampling-dynamo"])
  func agreesWithOnnxruntime(_ name: String) throws {
    let folder = try TemporaryFolder()
    let output = folder.file("y.npy")
    let result = exec(
      "eval", Self.path("\(name).onnx"), "--input", "x=" + Self.path("\(name).x.npy"), "--output",
      output)
    #expect(result.code == 0, "\(result.messages)")
    let found = try NPYArray.decode(FileIO.read(output), name: output)
    let expected = try NPYArray.decode(
      Places.bytes("\(Self.folder)/\(name).y.npy"), name: "expected")
    #expect(found.shape == expected.shape && found.element == .f32)
    let errors = zip(found.floats, expected.floats).map { abs($0 - $1) }
    #expect(errors.allSatisfy { $0 <= 1e-5 }, "\(errors.max() ?? 0)")
  }

  @Test func showsAModel() throws {
    let model = Self.path("generator.onnx")
    let summary = compile(model, "--set", "N=4")
    #expect(summary.code == 0, "\(summary.messages)")
    #expect(summary.output.contains("f32[4, 16, 1, 1]") && summary.output.contains("float32"))
    #expect(summary.messages.isEmpty)
    let one = compile(model)
    #expect(one.output.contains("f32[1, 16, 1, 1]"))
    #expect(one.messages.contains("free dimensions taken as 1: N; --set NAME=N sets one"))
    let ir = compile(model, "--emit", "ir")
    #expect(ir.code == 0 && ir.output.contains("/0/ConvTranspose"))
    // Weights are states: the text of a model of 25 kB stays small.
    #expect(ir.output.utf8.count < 5000)
    for form in ["plan", "dot", "json", "html", "cost", "memory"] {
      let shown = compile(model, "--emit", form)
      #expect(shown.code == 0 && !shown.output.isEmpty, "\(form): \(shown.messages)")
      if form == "cost" { #expect(shown.output.contains("/5/Relu")) }
    }
  }

  @Test func saysWhatIsWrong() throws {
    let folder = try TemporaryFolder()
    let model = Self.path("generator.onnx")
    func expect(
      _ result: CommandResult, _ code: Int32, _ words: String,
      sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(
        result.code == code && result.messages.contains(words), "\(result.messages)",
        sourceLocation: sourceLocation)
    }
    expect(compile(model, "--set", "M=4"), 2, "no free dimension 'M'; it has N")
    expect(compile(model, "--set", "N=0"), 2, "a whole number of 1 or more")
    expect(compile(model, "--emit", "syntax"), 2, "a graph has no syntax")
    expect(compile(model, "--graph", "train"), 2, "one graph only")
    let y = folder.file("y.npy")
    expect(exec("eval", model, "--output", y), 2, "the input 'x' needs --input x=FILE.npy")
    let x = Self.path("generator.x.npy")
    expect(
      exec("eval", model, "--input", "z=\(x)", "--output", y), 2, "no input 'z'; it has x")
    expect(
      exec("eval", model, "generator", "--input", "x=\(x)", "--output", y), 2,
      "an ONNX model has no networks")
    expect(
      exec("eval", model, "--seed", "1", "--input", "x=\(x)", "--output", y), 2,
      "--seed does not go with an ONNX model")
    let other = Self.path("discriminator.x.npy")
    expect(
      exec("eval", model, "--input", "x=\(other)", "--output", y), 3, "was given [3, 1, 16, 16]")
    expect(
      exec("eval", "\(Places.root)/Graphs/dense-gan.gan", "--output", y), 2, "no NETWORK")
    let broken = folder.file("broken.onnx")
    try FileIO.writeAtomically(Array(FileIO.read(model).prefix(1000)), to: broken)
    expect(compile(broken), 3, "truncated")
    let odd = ONNXModel(
      opsets: [ONNXOpset(version: 17)],
      graph: ONNXGraph(
        name: "odd", nodes: [ONNXNode("Einsum", name: "e", inputs: ["x"], outputs: ["y"])],
        inputs: [ONNXValueInfo("x", .float, [.value(1)])],
        outputs: [ONNXValueInfo("y", .float, [.value(1)])]))
    try FileIO.writeAtomically(odd.encode(), to: broken)
    expect(compile(broken), 3, "Einsum: one node ('e')")
  }
}
