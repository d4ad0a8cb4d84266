// Checkpoints: what is in them, and that hostile or foreign ones change nothing.

import Basics
import CPUBackend
import CommandSupport
import Elaboration
import Formats
import Foundation
import Testing
import Training

@Suite struct CheckpointTests {
  private struct Trained {
    let folder: TemporaryFolder
    let program: String
    let path: String
  }

  private func trained() throws -> Trained {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder)
    #expect(
      exec("train", program, "--out", folder.file("run"), "--steps", "3", "--seed", "9").code == 0)
    return Trained(
      folder: folder, program: program,
      path: folder.file("run/checkpoints/step-00000003.safetensors"))
  }

  /// The checkpoint with its tensors or metadata changed, and a checksum that fits.
  private func changed(
    _ trained: Trained, _ change: (inout TensorFile) -> Void
  ) throws -> String {
    var file = try TensorFile.decode(try contents(trained.path), name: trained.path)
    change(&file)
    let path = trained.folder.file("changed.safetensors")
    try FileIO.writeAtomically(try file.encode(), to: path)
    return path
  }

  private func session(_ program: ProgramSource) throws -> Session {
    let session = try Session(program: program.program, backend: CPUBackend(threads: 1), seed: 0)
    try session.initialize()
    return session
  }

  @Test func holdsEverything() throws {
    let trained = try trained()
    let checkpoint = try Checkpoint(path: trained.path)
    #expect(checkpoint.step == 3 && checkpoint.seed == 9)
    #expect(checkpoint.data.map(\.name) == ["images"])
    let source = try checkpoint.program.elaborated()
    #expect(source.hash == checkpoint.programHash)
    let names = Set(checkpoint.tensors.map(\.name))
    #expect(names == Set(source.program.states.map(\.name)))
    #expect(source.program.states.contains { $0.kind == .moment })
    let session = try session(source)
    try checkpoint.restore(session, path: trained.path)
    for tensor in checkpoint.tensors {
      #expect(try session.bytes(of: tensor.name) == tensor.data)
    }
  }

  @Test func whatDoesNotFitChangesNothing() throws {
    let trained = try trained()
    let changes: [(String, (inout TensorFile) -> Void)] = [
      ("lacks", { $0.tensors.removeLast() }),
      ("does not know", { $0.tensors.append(NamedTensor(name: "alien", shape: [1], floats: [1])) }),
      (
        "the program has",
        { file in
          let last = file.tensors.count - 1
          let name = file.tensors[last].name
          file.tensors[last] = NamedTensor(
            name: name, shape: [99], floats: .init(repeating: 1, count: 99))
        }
      ),
    ]
    for (message, change) in changes {
      let path = try changed(trained, change)
      let checkpoint = try Checkpoint(path: path)
      let session = try session(try checkpoint.program.elaborated())
      let before = try session.program.states.map { try session.bytes(of: $0.name) }
      let error = #expect(throws: EnvironmentFailure.self) {
        try checkpoint.restore(session, path: path)
      }
      #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
      #expect(try session.program.states.map { try session.bytes(of: $0.name) } == before)
    }
  }

  @Test func hostileMetadata() throws {
    let trained = try trained()
    for (key, value) in [
      ("step", "-1"), ("step", "9223372036854775807"), ("step", "three"), ("seed", "-5"),
      ("format", "something else"), ("version", "2"), ("settings", "[1, 2"), ("settings", "7"),
      ("data", "{"), ("data_sources", "[[1]]"),
    ] {
      let path = try changed(trained) { file in
        file.metadata = file.metadata.map { $0.0 == key ? (key, value) : $0 }
      }
      #expect(throws: EnvironmentFailure.self, "\(key) = \(value)") { try Checkpoint(path: path) }
      #expect(exec("sample", path, "--out", trained.folder.file("x.png")).code == 3)
    }
    // A program that does not compile, or that needs other tensors.
    let broken = try changed(trained) { file in
      file.metadata = file.metadata.map { $0.0 == "program" ? ("program", "network {") : $0 }
    }
    #expect(exec("sample", broken, "--out", trained.folder.file("x.png")).code == 1)
    let other = try changed(trained) { file in
      file.metadata = file.metadata.map {
        $0.0 == "program"
          ? ($0.0, $0.1.split(separator: "dense(8)").joined(separator: "dense(7)")) : $0
      }
    }
    #expect(exec("sample", other, "--out", trained.folder.file("x.png")).code == 3)
    #expect(!FileIO.exists(trained.folder.file("x.png")))
  }

  @Test func anyFlippedByteIsNoticed() throws {
    let trained = try trained()
    let good = try contents(trained.path)
    let path = trained.folder.file("flipped.safetensors")
    for index in stride(from: 0, to: good.count, by: max(1, good.count / 150)) {
      var bytes = good
      bytes[index] ^= 0x04
      try FileIO.writeAtomically(bytes, to: path)
      #expect(throws: EnvironmentFailure.self, "byte \(index)") { try Checkpoint(path: path) }
    }
    for count in stride(from: 0, to: good.count, by: max(1, good.count / 50)) {
      try FileIO.writeAtomically(Array(good.prefix(count)), to: path)
      #expect(throws: EnvironmentFailure.self, "\(count) bytes") { try Checkpoint(path: path) }
    }
  }

  // MARK: Weights

  @Test func weightsNameWhatIsMissing() throws {
    let trained = try trained()
    var file = try TensorFile.decode(try contents(trained.path), name: trained.path)
    file.tensors.removeAll { $0.name == "generator/batchNorm/runningMean" }
    let path = trained.folder.file("part.safetensors")
    try FileIO.writeAtomically(try file.encode(), to: path)
    for arguments in [
      ["sample", trained.program, "--weights", path, "--out", trained.folder.file("x.png")],
      [
        "train", trained.program, "--weights", path, "--steps", "1", "--out",
        trained.folder.file("r"),
      ],
    ] {
      let result = exec(arguments)
      #expect(result.code == 3)
      #expect(result.messages.contains("generator/batchNorm/runningMean"))
    }
    // Networks that are not in use need not be there.
    file = try TensorFile.decode(try contents(trained.path), name: trained.path)
    file.tensors.removeAll { $0.name.hasPrefix("discriminator/") }
    try FileIO.writeAtomically(try file.encode(), to: path)
    let result = exec(
      "sample", trained.program, "--weights", path, "--out", trained.folder.file("x.png"))
    #expect(result.code == 0, "\(result.messages)")
  }

  @Test func samplingNeedsOnlyACheckpoint() throws {
    let trained = try trained()
    try FileIO.remove(trained.program)
    try FileIO.remove(trained.folder.file("images.npy"))
    let out = trained.folder.file("grid.png")
    let first = exec("sample", trained.path, "--out", out)
    #expect(first.code == 0, "\(first.messages)")
    #expect(
      try contents(out) == contents(trained.folder.file("run/samples/final.png")),
      "the same noise as in the run")
    let numbers = trained.folder.file("images.npy")
    #expect(exec("sample", trained.path, "--count", "7", "--out", numbers).code == 0)
    let seven = try NPYArray.decode(try contents(numbers), name: numbers)
    #expect(seven.shape == [7, 6, 6, 1])
    #expect(seven.floats.allSatisfy { abs($0) <= 1 })
    #expect(exec("sample", trained.path, "--count", "7", "--seed", "5", "--out", numbers).code == 0)
    let others = try NPYArray.decode(try contents(numbers), name: numbers)
    #expect(others.floats != seven.floats)
    #expect(exec("sample", trained.path, "--name", "alien", "--out", out).code == 2)
    #expect(exec("sample", trained.path, "--out", trained.folder.file("x.bmp")).code == 2)
    #expect(exec("sample", trained.path, "--count", "0", "--out", out).code == 2)
  }

  /// The program travels in the weights too, with its settings.
  @Test func samplingNeedsOnlyWeights() throws {
    let folder = try TemporaryFolder()
    let program = try Tiny.make(in: folder, top: "let low = 0")
    let trained = exec(
      "train", program, "--out", folder.file("run"), "--steps", "2", "--set", "low=1", "--batch",
      "3")
    #expect(trained.code == 0, "\(trained.messages)")
    try FileIO.remove(program)
    let weights = folder.file("run/weights.safetensors")
    let out = folder.file("grid.png")
    let drawn = exec("sample", weights, "--out", out)
    #expect(drawn.code == 0, "\(drawn.messages)")
    #expect(try contents(out) == contents(folder.file("run/samples/final.png")))
    let carried = try Weights.readWithProgram(weights).program
    #expect(carried.settings.map(\.name) == ["low", "batch"])
    #expect(carried.name == "tiny.gan")
    // A wrong setting is looked for in the program that travels.
    #expect(exec("sample", weights, "--out", out, "--set", "lwo=1").messages.contains("low"))

    let z = folder.file("z.npy")
    try FileIO.writeAtomically(try NPYArray(shape: [1, 3], floats: [1, 2, 3]).encode(), to: z)
    let evaluated = exec(
      "eval", weights, "generator", "--input", "z=\(z)", "--output", folder.file("y.npy"))
    #expect(evaluated.code == 0, "\(evaluated.messages)")
  }

  @Test func weightsWithoutAProgramSayHowToGiveIt() throws {
    let trained = try trained()
    let weights = trained.folder.file("run/weights.safetensors")
    var file = try TensorFile.decode(try contents(weights), name: weights)
    let whole = file
    let out = trained.folder.file("x.png")
    let path = trained.folder.file("foreign.safetensors")
    for metadata in [[], [("format", "pt")], [("format", "swift-gan weights"), ("model", "tiny")]] {
      file.metadata = metadata
      try FileIO.writeAtomically(try file.encode(checksum: false), to: path)
      for result in [
        exec("sample", path, "--out", out),
        exec("eval", path, "generator", "--output", trained.folder.file("y.npy")),
      ] {
        #expect(result.code == 3)
        #expect(result.messages.contains("no program travels"), "\(result.messages)")
        #expect(result.messages.contains("PROGRAM.gan --weights \(path)"), "\(result.messages)")
      }
      #expect(!FileIO.exists(out))
      let given = exec("sample", trained.program, "--weights", path, "--out", out)
      #expect(given.code == 0, "\(given.messages)")
      try FileIO.remove(out)
    }
    // With a program but damaged: refused.
    for key in ["program_name", "settings"] {
      file = whole
      file.metadata.removeAll { $0.0 == key }
      try FileIO.writeAtomically(try file.encode(), to: path)
      let result = exec("sample", path, "--out", out)
      #expect(result.code == 3 && result.messages.contains(key), "\(result.messages)")
    }
    try FileIO.writeAtomically(try whole.encode(checksum: false), to: path)
    #expect(exec("sample", path, "--out", out).messages.contains("checksum"))
  }

  @Test func evaluatesOneNetwork() throws {
    let trained = try trained()
    let z = trained.folder.file("z.npy")
    try FileIO.writeAtomically(
      try NPYArray(shape: [2, 3], floats: [1, 2, 3, -1, 0, 1]).encode(), to: z)
    let out = trained.folder.file("y.npy")
    let weights = trained.folder.file("run/weights.safetensors")
    let result = exec(
      "eval", trained.program, "generator", "--input", "z=\(z)", "--weights", weights, "--output",
      out)
    #expect(result.code == 0, "\(result.messages)")
    let array = try NPYArray.decode(try contents(out), name: out)
    #expect(array.shape == [2, 6, 6, 1])
    // By hand, in Double, with the weights of the file.
    let file = try TensorFile.decode(try contents(weights), name: weights)
    let expected = try Self.generator(file, [1, 2, 3]) + Self.generator(file, [-1, 0, 1])
    for (found, wanted) in zip(array.floats, expected) {
      #expect(abs(Double(found) - wanted) < 1e-5)
    }

    let fromCheckpoint = exec(
      "eval", trained.path, "generator", "--input", "z=\(z)", "--output", out + ".npy")
    #expect(fromCheckpoint.code == 0, "\(fromCheckpoint.messages)")
    #expect(try contents(out + ".npy") == contents(out))
    func code(_ arguments: String...) -> Int32 { exec(["eval", trained.program] + arguments).code }
    #expect(code("generatr", "--input", "z=\(z)", "--output", out) == 2)
    #expect(code("generator", "--output", out) == 2)
    #expect(code("generator", "--input", "y=\(z)", "--output", out) == 2)
    #expect(code("generator", "--input", "z=\(z)") == 2)
    #expect(code("discriminator", "--input", "image=\(z)", "--output", out) == 3)
    #expect(code("generator", "--input", "z=/nowhere.npy", "--output", out) == 3)
  }

  /// tanh(relu(batchNorm(z W)) W') of one row.
  private static func generator(_ file: TensorFile, _ z: [Double]) throws -> [Double] {
    func tensor(_ name: String) throws -> [Double] {
      try #require(file["generator/\(name)"]?.floats).map(Double.init)
    }
    func dense(_ x: [Double], _ name: String) throws -> [Double] {
      let (kernel, bias) = (try tensor("\(name)/kernel"), try tensor("\(name)/bias"))
      return bias.indices.map { j in
        bias[j] + x.indices.reduce(0) { $0 + x[$1] * kernel[$1 * bias.count + j] }
      }
    }
    let hidden = try dense(z, "dense")
    let mean = try tensor("batchNorm/runningMean")
    let variance = try tensor("batchNorm/runningVariance")
    let gamma = try tensor("batchNorm/gamma")
    let beta = try tensor("batchNorm/beta")
    let normal = hidden.indices.map {
      max(0, (hidden[$0] - mean[$0]) / (variance[$0] + 1e-3).squareRoot() * gamma[$0] + beta[$0])
    }
    return try dense(normal, "dense_1").map { 2 / (1 + exp(-2 * $0)) - 1 }
  }
}
