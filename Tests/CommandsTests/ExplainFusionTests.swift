// `gan-compile FILE --explain-fusion`: golden text and the keys of the JSON.

import CommandSupport
import Formats
import TestSupport
import Testing

@Suite struct ExplainFusionTests {
  /// A batch norm between two dense layers: statistics keep it apart from both in training, not in a sample.
  private static let program = """
    model "tiny"
    let batch = 4
    data images: [batch, 6] in -1...1 from "/nowhere/images.npy"
    network generator(z: [n, 3]) -> [n, 6] {
      z |> dense(8) |> batchNorm() |> relu() |> dense(6) |> tanh()
    }
    network discriminator(x: [n, 6]) -> [n, 1] { x |> dense(1) }
    train(steps: 3) {
      let fake = generator(normal([batch, 3]))
      let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminator(fake), 0)
      update discriminator minimizing dLoss with sgd(0.1)
      report dLoss
    }
    sample(count: 4) { generator(normal([count, 3])) }
    """

  private func explained(_ options: String...) throws -> String {
    let folder = try TemporaryFolder()
    let path = try folder.write(Self.program, to: "tiny.gan")
    let result = compile([path, "--explain-fusion"] + options)
    #expect(result.code == 0, "\(result.messages)")
    return result.output.replacingOccurrences(of: folder.path + "/", with: "")
  }

  @Test func textOfASample() throws {
    #expect(
      try explained("--graph", "sample") == """
        graph sample: 10 element-wise operations
             7  fused into 2 epilogues
             3  fused into 1 region
             0  alone
             0  removed
        1 pair of neighbours not fused
             1  other-shape, 64 B
        1 memory pass of element-wise work alone: 100 B, 1 of them beside a product or \
        convolution: 100 B
        fusion saves 1.8 kB

        fused into epilogues of products and convolutions (2)
          #2 matmul [4, 8] at tiny.gan:5:8 generator/dense; moves 400 B, saves 1.3 kB
            add [4, 8] at tiny.gan:5:8 generator/dense
            subtract, multiply, add [4, 8] at tiny.gan:5:20 generator/batchNorm
            relu [4, 8] at tiny.gan:5:35 generator
          #3 matmul [4, 6] at tiny.gan:5:45 generator/dense_1; moves 440 B, saves 384 B
            add [4, 6] at tiny.gan:5:45 generator/dense_1
            tanh [4, 6] at tiny.gan:5:57 generator

        fused into regions (1)
          #1 region [8] at tiny.gan:5:20 generator/batchNorm; moves 100 B, saves 128 B
            add, sqrt, divide [8] at tiny.gan:5:20 generator/batchNorm

        not fused, other-shape: a region goes over one shape, and these are two (1)
          #1 region [8] at tiny.gan:5:20 generator/batchNorm -> #2 matmul [4, 8] at tiny.gan:5:8 \
        generator/dense; [8] is read in [4, 8]; 64 B

        10 element-wise operations: 10 fused, 0 alone, 0 removed; 1 pair not fused

        """)
  }

  /// The step: what keeps the normalisation from the products on both sides.
  @Test func textOfAStep() throws {
    let text = try explained()
    let lines = text.split(separator: "\n").map(String.init)
    for expected in [
      "  #1 matmul [4, 8] at tiny.gan:5:8 generator/dense -> #3 region [4, 8] at tiny.gan:5:35 "
        + "generator; through moments [8] at tiny.gan:5:20 generator/batchNorm; 128 B",
      "  moments [8] at tiny.gan:5:20 generator/batchNorm -> #3 region [4, 8] at tiny.gan:5:35 "
        + "generator; 32 B",
      "  #1 matmul [4, 8] at tiny.gan:5:8 generator/dense -> moments [8] at tiny.gan:5:20 "
        + "generator/batchNorm; the statistics' own pass reads 128 B, 5.4 % of what the graph moves; "
        + "128 B",
      "  #3 region [4, 8] at tiny.gan:5:35 generator -> #4 matmul [4, 6] at tiny.gan:5:45 "
        + "generator/dense_1; 256 B",
      "  #2 3 regions, the largest [8] at tiny.gan:5:20 generator/batchNorm; moves 268 B, saves 424 B",
      // Both statistics are read by regions that run at once.
      "  moments [8] at tiny.gan:5:20 generator/batchNorm -> #2 3 regions, the largest [8] at "
        + "tiny.gan:5:20 generator/batchNorm; 96 B",
    ] { #expect(lines.contains(expected), "\(expected): \(text)") }
    #expect(text.hasPrefix("graph train: 34 element-wise operations\n    15  fused into 5 epi"))
    let pairs = lines.filter { $0.contains(" -> ") }
    #expect(Set(pairs).count == pairs.count, "no pair twice: \(text)")
  }

  /// The sections hold as many pairs as the last line counts, most of them first, in every run.
  @Test(arguments: ["fashion-gan", "dense-gan"]) func listsOfPrograms(name: String) throws {
    let result = compile(Places.graph(name), "--explain-fusion", "--batch", "8")
    #expect(result.code == 0, "\(result.messages)")
    let again = compile(Places.graph(name), "--explain-fusion", "--batch", "8")
    #expect(result.output == again.output)
    let lines = result.output.split(separator: "\n").map(String.init)
    let pairs = lines.count { $0.contains(" -> ") }
    let last = try #require(lines.last)
    #expect(last.hasSuffix(" removed; \(pairs) pairs not fused") && pairs > 5, "\(last)")
    let titles = lines.filter { $0.hasPrefix("not fused, ") }
    let counts = try titles.map { title in
      try #require(Int(title.split(separator: "(").last?.dropLast() ?? ""), "\(title)")
    }
    #expect(counts.reduce(0, +) == pairs && counts == counts.sorted(by: >))
    // Everything that stands in the program says where.
    let places = lines.filter { $0.hasPrefix("  ") && $0.contains(" at ") }
    #expect(places.count > pairs && places.allSatisfy { $0.contains("\(name).gan:") })
  }

  @Test func passesThatDidNotRun() throws {
    let plain = try explained("-O0", "--graph", "sample")
    #expect(plain.contains("\nfuse-elementwise did not run\nfuse-epilogues did not run\n"))
    #expect(plain.contains("  0  fused into 0 epilogues\n     0  fused into 0 regions\n"))
    #expect(plain.contains("\nfusion saves 0 B\n"))
    #expect(plain.contains("generator/dense; fuse-elementwise and fuse-epilogues did not run\n"))
    let regions = try explained("--disable", "fuse-epilogues", "--graph", "sample")
    #expect(regions.contains("\nfuse-epilogues did not run\n"))
    #expect(regions.contains("  0  fused into 0 epilogues\n    10  fused into 3 regions\n"))
    #expect(try explained("--math", "exact") == explained(), "nothing in it changes roundings")
  }

  @Test func keysOfJSON() throws {
    let text = try explained("--json")
    #expect(text.hasSuffix("}\n") && text.count { $0 == "\n" } == 1)
    #expect(try explained("--json") == text)
    let json = try JSONValue.parse(text, name: "json")
    #expect(
      json.objectValue?.map(\.key) == [
        "graph", "file", "passes", "counts", "reasons", "kernels", "removed", "not_fused",
      ])
    #expect(json["passes"]?.arrayValue?.count == 3)
    let kernels = try #require(json["kernels"]?.arrayValue)
    let label = ["operation", "shape", "line", "column", "path", "notes", "parts"]
    for kernel in kernels {
      #expect(
        kernel.objectValue?.map(\.key) == ["number"] + label + [
          "is_product", "regions", "results", "fused", "bytes", "saved_bytes", "alone_because",
        ])
    }
    let region = kernels[2]
    #expect(region["is_product"] == .bool(false) && region["alone_because"] == .null)
    #expect(region["line"]?.intValue == 5 && region["column"]?.intValue == 35)
    #expect(region["fused"]?.arrayValue?.count == 4)
    #expect(region["shape"] == .array([.int(4), .int(8)]))
    let refusals = try #require(json["not_fused"]?.arrayValue)
    let refusal = try #require(
      refusals.first {
        $0["producer"]?["kernel"] == .int(1) && $0["consumer"]?["kernel"] == .int(3)
      })
    #expect(
      refusal.objectValue?.map(\.key) == ["reason", "detail", "producer", "consumer", "bytes"])
    #expect(refusal["consumer"]?.objectValue?.map(\.key) == ["kernel"] + label)
    #expect(refusal["reason"] == .string("reduction-between"))
    #expect(refusal["bytes"]?.intValue == 128)
    let counts = try #require(json["counts"])
    #expect(counts["memory_passes"]?.intValue == 4)
    #expect(kernels[1]["regions"] == .int(3) && kernels[0]["regions"] == .int(0))
    #expect(counts["saved_bytes"]?.intValue ?? 0 > 2000)
    #expect(counts["pairs_not_fused"]?.intValue == refusals.count)
    let reasons = json["reasons"]?.arrayValue ?? []
    #expect(reasons.reduce(0) { $0 + ($1["pairs"]?.intValue ?? 0) } == refusals.count)
  }

  /// From IR text the places are the program's, whose name is not known.
  @Test func ofIRText() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(Self.program, to: "tiny.gan")
    let text = compile(path, "--emit", "ir", "--graph", "sample", "--disable", "fuse-epilogues")
    let file = try folder.write(text.output, to: "tiny.ir")
    let result = compile(file, "--explain-fusion", "--pipeline", "fuse-epilogues")
    #expect(result.code == 0, "\(result.messages)")
    #expect(result.output.contains("\n  #2 matmul [4, 8] at 5:8 generator/dense; moves 400 B, "))
    #expect(result.output.contains("     7  fused into 2 epilogues\n     3  fused into 1 region\n"))
  }

  @Test func wrongUsage() throws {
    let graph = Places.graph("dense-gan")
    let cases = [
      ["--explain-fusion", "--emit", "ir"], ["--explain-fusion", "--after", "simplify"],
      ["--explain-fusion", "--before", "simplify"], ["--json"], ["--json", "--emit", "json"],
    ]
    for options in cases {
      let result = compile([graph] + options)
      #expect(result.code == 2 && result.messages.contains("--explain-fusion"), "\(options)")
      #expect(result.output.isEmpty)
    }
    let network = compile(graph, "--explain-fusion", "--graph", "generatr")
    #expect(network.code == 2 && network.messages.contains("generator"))
    #expect(compile("/nowhere.gan", "--explain-fusion").code == 3)
    let folder = try TemporaryFolder()
    let broken = try folder.write("network {", to: "broken.gan")
    #expect(compile(broken, "--explain-fusion").code == 1)
  }
}
