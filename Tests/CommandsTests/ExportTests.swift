// `gan-exec export`, and NPZ files into and out of `eval`.

import Basics
import CommandSupport
import Formats
import Testing

@Suite struct ExportCommandTests {
  static let program = """
    let batch = 4
    network generator(z: [n, 3]) -> [n, 2] { z |> dense(2) |> batchNorm() |> tanh() }
    network critic(x: [n, 2], z: [n, 3]) -> ([n, 1], [n]) {
      (dense(x, 1), sum(z, axes: 1))
    }
    network fixed(x: [batch, 2]) -> [batch, 2] { x * 2 }
    network lopsided(x: [n, 2]) -> [n, 2] { x * sqrt(n) }
    network noisy(x: [n, 2]) -> [n, 2] {
      x + normal([n, 2])
    }
    train(steps: 2) {
      let fake = generator(normal([batch, 3]))
      update generator minimizing mse(fake, 1) with sgd(0.5)
      average generator as smooth decay 0.5
    }
    """

  private func written() throws -> (folder: TemporaryFolder, file: String) {
    let folder = try TemporaryFolder()
    return (folder, try folder.write(Self.program, to: "p.gan"))
  }

  private func model(_ path: String) throws -> ONNXModel {
    try ONNXModel.decode(try FileIO.read(path), name: path)
  }

  private func initializer(_ model: ONNXModel, _ name: String) throws -> [Float] {
    try #require(model.graph.initializers.first { $0.name == name }?.floats)
  }

  @Test func fromARunAlone() throws {
    let (folder, file) = try written()
    let run = folder.file("run")
    #expect(exec("train", file, "--out", run, "--quiet").code == 0)
    let weights = "\(run)/weights.safetensors"
    for target in ["g.onnx", "all.npz", "one.npz", "all.safetensors", "one.safetensors"] {
      let network = target.hasPrefix("all") ? [] : ["generator"]
      let result = exec(["export", weights] + network + ["--output", folder.file(target)])
      #expect(result.code == 0, "\(result.messages)")
    }
    let tensors = try TensorFile.decode(try FileIO.read(weights), name: weights)
    let all = try NPZArchive(try FileIO.read(folder.file("all.npz")), name: "all.npz")
    #expect(all.keys == tensors.tensors.map(\.name))
    for tensor in tensors.tensors { #expect(try all.array(tensor.name) == NPYArray(tensor)) }
    let one = try NPZArchive(try FileIO.read(folder.file("one.npz")), name: "one.npz")
    #expect(one.keys == all.keys.filter { $0.hasPrefix("generator/") })
    let again = try TensorFile.decode(
      try FileIO.read(folder.file("all.safetensors")), name: "all", requireChecksum: true)
    #expect(again == tensors)

    let model = try model(folder.file("g.onnx"))
    #expect(model.producer == "swift-gan")
    #expect(model.metadata.first { $0.key == "model" }?.value == "p")
    #expect(model.metadata.contains { $0.key == "program_hash" && !$0.value.isEmpty })
    let kernel = try #require(tensors["generator/dense/kernel"]?.floats)
    #expect(try initializer(model, "generator/dense/kernel") == kernel)

    // The average has weights of its own, under its own names.
    let average = exec("export", weights, "smooth", "--output", folder.file("s.onnx"))
    #expect(average.code == 0, "\(average.messages)")
    let smooth = try initializer(try self.model(folder.file("s.onnx")), "smooth/dense/kernel")
    #expect(smooth == tensors["smooth/dense/kernel"]?.floats)
    #expect(smooth != kernel)
  }

  @Test func theBatchIsFixedWhereItMustBe() throws {
    let (folder, file) = try written()
    func export(_ network: String) -> CommandResult {
      exec("export", file, network, "--seed", "1", "--output", folder.file("x.onnx"))
    }
    #expect(
      export("generator").messages.contains("z float32[batch, 3] -> output float32[batch, 2]"))
    let fixed = export("fixed")
    #expect(
      fixed.code == 0 && fixed.messages.contains("warning: the batch of 'fixed' is fixed at 4"))
    let lopsided = export("lopsided")
    #expect(
      lopsided.code == 0 && lopsided.messages.contains("is a number that depends on the batch"),
      "\(lopsided.messages)")
    let noisy = export("noisy")
    #expect(noisy.code == 1)
    #expect(
      noisy.messages.contains("'noisy' cannot be exported: random_normal at 9:7 noisy draws"),
      "\(noisy.messages)")
  }

  @Test func wrongUsage() throws {
    let (folder, file) = try written()
    let (onnx, npz) = (folder.file("x.onnx"), folder.file("x.npz"))
    for (arguments, says) in [
      ([file, "generator"], ".onnx, .npz or .safetensors"),
      ([file, "generator", "--output", "x.pt"], ".onnx, .npz or .safetensors"),
      ([file, "generator", "--output", onnx], "--weights F"),
      ([file, "--seed", "1", "--output", onnx], "NETWORK is missing; the program has generator"),
      ([file, "generatr", "--seed", "1", "--output", onnx], "no network 'generatr'"),
      ([file, "--seed", "1", "--weights", "x", "--output", npz], "exclude each other"),
    ] {
      let result = exec(["export"] + arguments)
      #expect(result.code == 2 && result.messages.contains(says), "\(result.messages)")
      #expect(!FileIO.exists(onnx) && !FileIO.exists(npz))
    }
  }

  @Test func archivesIntoAndOutOfEval() throws {
    let (folder, file) = try written()
    let path = folder.file("in.npz")
    let x = NPYArray(shape: [2, 2], floats: [1, 2, 3, 4])
    let z = NPYArray(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    try FileIO.writeAtomically(try NPZ.encode([("x", x), ("deep/z", z)]), to: path)
    #expect(exec("export", file, "--seed", "3", "--output", folder.file("w.npz")).code == 0)
    let result = exec(
      "eval", file, "critic", "--weights", folder.file("w.npz"), "--input", "x=\(path):x",
      "--input",
      "z=\(path):deep/z", "--output", folder.file("out.npz"))
    #expect(result.code == 0, "\(result.messages)")
    let out = try NPZArchive(try FileIO.read(folder.file("out.npz")), name: "out.npz")
    #expect(out.keys == ["0", "1"])
    #expect(try out.array("1").floats == [6, 15])
    // The weights are those of the archive: the same seed gives the same result.
    let seeded = exec(
      "eval", file, "critic", "--seed", "3", "--input", "x=\(path):x", "--input",
      "z=\(path):deep/z",
      "--output", folder.file("seeded.npz"))
    #expect(seeded.code == 0)
    #expect(try FileIO.read(folder.file("seeded.npz")) == FileIO.read(folder.file("out.npz")))
    let several = exec(
      "eval", file, "critic", "--input", "x=\(path)", "--output", folder.file("y.npz"))
    #expect(several.code == 3)
    #expect(several.messages.contains("in.npz: one array is expected, and it has x, deep/z"))
  }
}
