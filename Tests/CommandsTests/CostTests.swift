// `gan-compile FILE --emit cost`: golden text and JSON, sums that must agree, what passes are worth.

import CommandSupport
import Formats
import Foundation
import TestSupport
import Testing

@Suite struct CostTests {
  private func cost(_ program: String, _ options: String...) throws -> String {
    try view(program, ["--emit", "cost"] + options)
  }

  private func json(_ program: String, _ options: String...) throws -> JSONValue {
    try JSONValue.parse(try view(program, ["--emit", "cost", "--json"] + options), name: "json")
  }

  /// An up-sampling that is folded, convolutions of which one has Winograd's form.
  @Test func textOfConvolutions() throws {
    #expect(
      try cost(TinyPrograms.convolutional, "--graph", "sample") == """
        cost of graph sample, one run
                       arithmetic  by plain sums     bytes  FLOP/byte  operations
          as written  26.41 MFLOP                 730.2 kB      36.16
          as run      2.542 MFLOP     26.4 MFLOP  515.2 kB      4.934           5
            forward   2.542 MFLOP     26.4 MFLOP  515.2 kB      4.934           5

        passes that changed the arithmetic
          12. dead-code: 26.41 -> 26.4 MFLOP
             6:8 generator: 8.192 -> 0 kFLOP
          28. choose-convolutions: 26.4 -> 2.542 MFLOP
             6:23 generator/conv2D: 26.22 -> 2.367 MFLOP

        without one pass, and with it
          fold-upsampling: 4.385 -> 2.542 MFLOP, 580.7 kB -> 515.2 kB
             6:23 generator/conv2D: 4.202 -> 2.367 MFLOP
             6:8 generator: 8.192 -> 0 kFLOP
          choose-convolutions: 26.4 -> 2.542 MFLOP, 515.2 kB -> 515.2 kB
             6:23 generator/conv2D: 26.22 -> 2.367 MFLOP
          fuse-elementwise: 2.542 MFLOP, 664.7 kB -> 515.2 kB
          fuse-epilogues: 2.542 MFLOP, 598.1 kB -> 515.2 kB

        operations, those with the most arithmetic first
           arithmetic  by plain sums     bytes  FLOP/byte  part     operation                            place
          2.376 MFLOP    26.23 MFLOP  450.8 kB       5.27  forward  conv2d + add, relu f32[2, 8, 8, 64]  6:40 generator
          147.7 kFLOP                  35.6 kB      4.151  forward  conv2d + add, tanh f32[2, 8, 8, 1]   7:24 generator
          18.43 kFLOP                  28.7 kB     0.6421  forward  matmul + add f32[2, 1024]            5:8 generator/dense
             160 FLOP                     44 B      3.636  forward  random_normal f32[2, 4]              18:30

        """)
  }

  @Test func textOfDenseLayers() throws {
    #expect(
      try cost(TinyPrograms.dense, "--graph", "sample") == """
        cost of graph sample, one run
                       arithmetic  by plain sums   bytes  FLOP/byte  operations
          as written  1.048 kFLOP                 2.8 kB     0.3754
          as run      1.048 kFLOP    1.048 kFLOP  1.0 kB      1.048           4
            forward   1.048 kFLOP    1.048 kFLOP  1.0 kB      1.048           4

        without one pass, and with it
          fuse-elementwise: 1.048 kFLOP, 2.8 kB -> 1.0 kB
          fuse-epilogues: 1.048 kFLOP, 1.4 kB -> 1.0 kB

        operations, those with the most arithmetic first
          arithmetic  by plain sums  bytes  FLOP/byte  part     operation                            place
            432 FLOP                 440 B     0.9818  forward  matmul + add, tanh f32[4, 6]         6:57 generator
            352 FLOP                 400 B       0.88  forward  matmul + add, subtract, … f32[4, 8]  6:35 generator
            240 FLOP                  60 B        4.0  forward  random_normal f32[4, 3]              19:30
             24 FLOP                 100 B       0.24  forward  add, sqrt, divide f32[8]             6:20 generator/batchNorm

        """)
  }

  @Test func jsonOfOneLayer() throws {
    #expect(
      try cost(TinyPrograms.dense, "--json", "--graph", "discriminator") == """
        {"graph":"discriminator","written":{"flops":52,"bytes":172,"intensity":0.302326},"run":{"flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"operations":1},"parts":{"forward":{"flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"operations":1},"backward":{"flops":0,"bytes":0,"intensity":null,"direct_flops":0,"operations":0},"update":{"flops":0,"bytes":0,"intensity":null,"direct_flops":0,"operations":0}},"updates":[],"several_updates":{"flops":0,"bytes":0,"intensity":null,"direct_flops":0,"operations":0},"no_update":{"flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"operations":1},"rewrites":[],"worth":[{"pass":"fuse-elementwise","run":null,"stage":null,"before":{"flops":52,"bytes":172,"intensity":0.302326},"after":{"flops":52,"bytes":140,"intensity":0.371429},"places":[]},{"pass":"fuse-epilogues","run":null,"stage":null,"before":{"flops":52,"bytes":172,"intensity":0.302326},"after":{"flops":52,"bytes":140,"intensity":0.371429},"places":[]}],"operations":[{"node":0,"operation":"matmul + add","results":["f32[4, 1]"],"part":"forward","flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"line":8,"column":51,"path":"discriminator/dense","notes":[],"parts":[{"labels":["matmul","add"],"line":8,"column":51,"path":"discriminator/dense"}]}]}

        """)
  }

  /// Parts, updates and operations are the same nodes counted in three ways.
  @Test(arguments: [TinyPrograms.convolutional, TinyPrograms.dense])
  func sumsAgree(program: String) throws {
    let report = try json(program)
    let operations = report["operations"]?.arrayValue ?? []
    for key in ["flops", "bytes", "direct_flops"] {
      let whole = try #require(report["run"]?[key]?.intValue)
      let parts = report["parts"]?.objectValue?.reduce(0) { $0 + ($1.value[key]?.intValue ?? 0) }
      #expect(parts == whole && whole > 0, "\(key)")
      #expect(operations.reduce(0) { $0 + ($1[key]?.intValue ?? 0) } == whole, "\(key)")
      let updates = report["updates"]?.arrayValue ?? []
      let alone = updates.reduce(0) { $0 + ($1["alone"]?[key]?.intValue ?? 0) }
      let others = ["several_updates", "no_update"].reduce(0) {
        $0 + (report[$1]?[key]?.intValue ?? 0)
      }
      #expect(updates.count == 2 && alone + others == whole, "\(key)")
    }
    #expect(operations.allSatisfy { ($0["line"]?.intValue ?? 0) > 0 })
  }

  /// In one program both updates are at one point and share the forward pass; in the other the second comes after the
  /// first and shares only what was computed before it.
  @Test func updatesAreFoundByTheirPlaces() throws {
    let updates = try json(TinyPrograms.convolutional)["updates"]?.arrayValue ?? []
    #expect(updates.map { $0["network"]?.stringValue } == ["discriminator", "generator"])
    #expect(updates.map { $0["line"]?.intValue } == [13, 15])
    let generator = try #require(updates[1]["alone"]?["flops"]?.intValue)
    let discriminator = try #require(updates[0]["alone"]?["flops"]?.intValue)
    #expect(generator > 100 * discriminator)
    #expect(updates[0]["shared"]?["flops"] == updates[1]["shared"]?["flops"])
    #expect((updates[0]["shared"]?["flops"]?.intValue ?? 0) > 2_000_000)
  }

  /// Each record goes on from the one before it: what the unlisted passes did not change.
  @Test(arguments: Places.models) func rewritesAreAChain(model: String) throws {
    let result = compile(Places.graph(model), "--emit", "cost", "--json", "--batch", "8")
    #expect(result.code == 0, "\(result.messages)")
    let report = try JSONValue.parse(result.output, name: "json")
    let rewrites = report["rewrites"]?.arrayValue ?? []
    #expect(rewrites.count > 3)
    for (first, second) in zip(rewrites, rewrites.dropFirst()) {
      #expect(first["after"]?["flops"] == second["before"]?["flops"])
    }
    #expect(rewrites.last?["after"]?["flops"] == report["run"]?["flops"])
    for rewrite in rewrites {
      let places = rewrite["places"]?.arrayValue ?? []
      let change = places.reduce(0) {
        $0 + ($1["flops_after"]?.intValue ?? 0) - ($1["flops_before"]?.intValue ?? 0)
      }
      let before = rewrite["before"]?["flops"]?.intValue ?? 0
      #expect(rewrite["after"]?["flops"]?.intValue == before + change)
    }
  }

  @Test func winogradsFormsAreToldFromPlainSums() throws {
    let run = try #require(try json(TinyPrograms.convolutional)["run"])
    let exact = try #require(try json(TinyPrograms.convolutional, "--math", "exact")["run"])
    #expect(run["flops"]!.intValue! * 5 < run["direct_flops"]!.intValue!)
    #expect(exact["flops"] == exact["direct_flops"])
    // Beside the convolutions, some element-wise work is saved too.
    #expect(exact["flops"]!.doubleValue! < 1.01 * run["direct_flops"]!.doubleValue!)
  }

  @Test func anUnoptimisedGraphIsAsWritten() throws {
    let report = try json(TinyPrograms.dense, "-O0")
    #expect(report["written"]?["flops"] == report["run"]?["flops"])
    #expect(report["worth"]?.arrayValue?.isEmpty == true)
  }

  /// Of IR text that is fused nobody knows what it was made of.
  @Test func ofFusedIRText() throws {
    let folder = try TemporaryFolder()
    let file = try folder.write(
      try view(TinyPrograms.dense, ["--emit", "ir"]), to: "dense.ir")
    let result = compile(file, "--emit", "cost", "--json")
    #expect(result.code == 0, "\(result.messages)")
    let report = try JSONValue.parse(result.output, name: "json")
    #expect(report["written"] == .null && report["rewrites"]?.arrayValue?.isEmpty == true)
    #expect(try report["run"] == json(TinyPrograms.dense)["run"])
    #expect(report["updates"]?.arrayValue?.count == 2)
  }

  @Test func wrongUsage() throws {
    let graph = Places.graph("dense-gan")
    for options in [["--after", "simplify"], ["--before", "simplify"]] {
      let result = compile([graph, "--emit", "cost"] + options)
      #expect(result.code == 2 && result.messages.contains(options[0]))
    }
    #expect(compile(graph, "--emit", "costs").messages.contains("cost"))
    #expect(compile(graph, "--emit", "cost", "--profile", "x.json").code == 2)
  }
}
