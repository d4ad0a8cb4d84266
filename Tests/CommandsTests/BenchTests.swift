// `gan-exec bench` and `profile`: what they refuse, what they say. Times themselves are not tested.

import Commands
import Formats
import Foundation
import CommandSupport
import TestSupport
import Testing

/// A GAN of a few hundred numbers that asks for a data set that is not there, with labels.
private let tiny = """
  model "tiny"
  let batch = 6
  data images: [batch, 5] in -1...1 from "/nowhere/images.npy"
  data labels: i32[batch] from "/nowhere/labels.npy", with: images
  network generator(z: [n, 3]) -> [n, 5] { z |> dense(8) |> relu() |> dense(5) |> tanh() }
  network discriminator(x: [n, 5]) -> [n, 1] { x |> dense(7) |> leakyReLU(0.2) |> dense(1) }
  train(steps: 3) {
    let fake = generator(normal([batch, 3]))
    let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminator(fake), 0)
    update discriminator minimizing dLoss with adam(1e-3)
    let gLoss = bceWithLogits(discriminator(generator(normal([batch, 3]))), 1)
    update generator minimizing gLoss with adam(1e-3)
    let classes = mean(onehot(labels, 10))
    report dLoss, gLoss, classes
  }
  sample wide(count: 4) { generator(normal([count, 3])) }
  """

// One after the other: each takes all threads and some memory.
@Suite(.serialized) struct BenchTests {
  @Test func wrongUsage() throws {
    let graph = Places.graph("vanilla-gan")
    let cases: [(arguments: [String], says: String)] = [
      (["bench"], "FILE"), (["bench", graph, "more"], "more"),
      (["bench", graph, "--steps", "0"], "--steps"), (["bench", graph, "--steps", "x"], "'x'"),
      (["bench", graph, "--name", "final"], "--sample"),
      (["bench", graph, "--sample", "--name", "final"], "'final'"),
      (["bench", graph, "--json=yes"], "no value"), (["bench", graph, "--threads", "0"], "0"),
      (["bench", graph, "--set", "bach=3"], "batch"),
      (["bench", graph, "--kernels", "--sample"], "--sample"),
      (["bench", graph, "--methods"], "--kernels"),
      (["bench", "--kernels", "--set", "rate=3"], "rate=3"),
      (["bench", "--kernels", "--batch", "none"], "none"),
    ]
    for (arguments, says) in cases {
      let result = exec(arguments)
      #expect(result.code == 2, "\(arguments): \(result.messages)")
      #expect(result.messages.contains(says), "\(arguments): \(result.messages)")
      #expect(result.output.isEmpty)
    }
    #expect(exec("bench", "/nowhere.gan").code == 3)
    let folder = try TemporaryFolder()
    let empty = try folder.write("", to: "empty.gan")
    #expect(exec("bench", empty).code == 1)
    #expect(exec("bench", empty, "--sample").code == 2)
    #expect(exec("bench", empty, "--kernels").code == 1)
  }

  @Test func keysOfJSON() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(tiny, to: "tiny.gan")
    let result = exec(
      "bench", path, "--steps", "3", "--json", "--sample", "--name", "wide", "--threads", "2")
    #expect(result.code == 0, "\(result.messages)")
    let json = try JSONValue.parse(result.output, name: "json")
    #expect(
      json.objectValue?.map(\.key) == [
        "model", "backend", "steps", "images_per_step", "ms_median", "ms_min", "ms_max",
        "images_per_second", "written", "run", "peak_gflops", "bandwidth_gb_s", "arena_bytes",
        "workspace_bytes", "arena_lower_bound", "state_bytes", "planned_bytes", "resident_bytes",
        "first_step_ms", "cold_start_s",
        "reports", "sample",
      ])
    #expect(json["model"]?.stringValue == "tiny")
    #expect(json["steps"]?.intValue == 3)
    #expect(json["images_per_step"]?.intValue == 6)
    func positive(_ value: JSONValue?, _ key: String) {
      #expect(value?.doubleValue ?? 0 > 0, "\(key)")
    }
    for key in [
      "ms_median", "images_per_second", "peak_gflops", "bandwidth_gb_s", "arena_bytes",
      "workspace_bytes", "state_bytes", "planned_bytes", "first_step_ms",
    ] { positive(json[key], key) }
    func bytes(_ key: String) -> Int { json[key]?.intValue ?? 0 }
    let arena = bytes("arena_bytes") + bytes("workspace_bytes")
    #expect(bytes("arena_lower_bound") > 0 && bytes("arena_lower_bound") <= arena)
    #expect(bytes("planned_bytes") >= arena + bytes("state_bytes"))
    #if os(Linux)
      for key in ["resident_bytes", "cold_start_s"] { positive(json[key], key) }
    #endif
    for graph in ["written", "run"] {
      for key in ["gflop", "gflops", "peak_share"] { positive(json[graph]?[key], key) }
    }
    // What the passes leave is no more than what was written.
    let written = json["written"]?["gflop"]?.doubleValue ?? 0
    #expect(json["run"]?["gflop"]?.doubleValue ?? .infinity <= written)
    #expect(json["sample"]?["name"]?.stringValue == "wide")
    #expect(json["sample"]?["count"]?.intValue == 64)
    positive(json["sample"]?["images_per_second"], "images_per_second")
    // A tenth of one-hot rows is ones: labels are drawn from the ten classes, never out of range.
    #expect(abs((json["reports"]?["classes"]?.doubleValue ?? 0) - 0.1) < 1e-6)
    let losses = ["dLoss", "gLoss"].map { json["reports"]?[$0]?.doubleValue ?? .nan }
    #expect(losses.allSatisfy { $0 > 0 && $0 < 100 }, "\(losses)")
    // Nothing is left on the disk.
    #expect(try FileIO.list(folder.path) == ["tiny.gan"])
  }

  @Test func tables() throws {
    let folder = try TemporaryFolder()
    let kept = try folder.write(tiny, to: "tiny.gan")
    let bench = exec("bench", kept, "--steps", "2", "--batch", "8")
    #expect(bench.code == 0, "\(bench.messages)")
    for row in [
      "tiny on ", "ms (median of 2;", "images a second", "as written", "as run", "% of the peak",
      "GB/s", "planned memory", "first step",
    ] {
      #expect(bench.output.contains(row), "\(row): \(bench.output)")
    }
    #expect(!bench.output.contains("sample "))
    let profile = exec("profile", kept, "--steps", "2")
    #expect(profile.code == 0, "\(profile.messages)")
    #expect(profile.output.contains("  % of peak  "))
    #expect(profile.output.contains("launches a step"))
    // Where data is named, it is looked for.
    #expect(exec("profile", kept, "--data", "images=/nowhere").code == 3)
  }

  /// Every product of the step is there, with its whole arithmetic; equal ones once.
  @Test func kernelsOfAProgram() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(tiny, to: "tiny.gan")
    // Unfused, a network has nothing but its products.
    let result = exec("bench", path, "--kernels", "--json", "-O0", "--steps", "2")
    #expect(result.code == 0, "\(result.messages)")
    let json = try JSONValue.parse(result.output, name: "json")
    #expect(
      json.objectValue?.map(\.key) == [
        "model", "backend", "peak_gflops", "bandwidth_gb_s", "kernels", "prediction",
      ])
    let kernels = json["kernels"]?.arrayValue ?? []
    for kernel in kernels {
      #expect(
        kernel.objectValue?.map(\.key) == [
          "kernel", "attributes", "operands", "fused_steps", "count", "line", "path", "method",
          "predicted_ms", "ms_median", "ms_min", "ms_max", "gflop", "gflops", "peak_share", "gb_s",
          "next_method", "next_predicted_ms",
        ])
      #expect(kernel["kernel"]?.stringValue == "matmul")
      #expect(kernel["ms_median"]?.doubleValue ?? 0 > 0)
    }
    #expect(kernels.allSatisfy { $0["method"] == .string("product") && $0["next_method"] == .null })
    // images, fake and the generator's turn: 6×5 by 5×7.
    let first = kernels.filter {
      $0["operands"]?.arrayValue?.map(\.stringValue) == ["f32[6, 5]", "f32[5, 7]"]
    }
    #expect(first.count == 1)
    #expect(first.first?["count"]?.intValue == 3)
    #expect(first.first?["gflop"]?.doubleValue == 2 * 6 * 5 * 7 / 1e9)

    let fused = exec("bench", path, "--kernels", "--steps", "1")
    #expect(fused.code == 0, "\(fused.messages)")
    #expect(fused.output.contains("matmul(f32[6, 5], f32[5, 7]) + "), "\(fused.output)")
    #expect(fused.output.contains(" steps  line 6 "), "\(fused.output)")
  }

  /// Convolutions with their gradients, without a program.
  @Test func kernelsOfKnownLayers() throws {
    let result = exec("bench", "--kernels", "--json", "--batch", "1", "--steps", "1")
    #expect(result.code == 0, "\(result.messages)")
    let kernels = try JSONValue.parse(result.output, name: "json")["kernels"]?.arrayValue ?? []
    for name in ["matmul", "conv2d", "conv2d_input_gradient", "conv2d_filter_gradient"] {
      let some = kernels.filter { $0["kernel"]?.stringValue == name }
      #expect(some.count >= 7, "\(name)")
      #expect(some.allSatisfy { $0["gflops"]?.doubleValue ?? 0 > 0 })
    }
  }
}
