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
                       arithmetic      direct     bytes  FLOP/byte  operations
          as written  26.41 MFLOP              730.2 kB      36.16
          as run      2.542 MFLOP  26.4 MFLOP  515.2 kB      4.934           5
            forward   2.542 MFLOP  26.4 MFLOP  515.2 kB      4.934           5

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
           arithmetic       direct     bytes  FLOP/byte  phase    operation                            place
          2.376 MFLOP  26.23 MFLOP  450.8 kB       5.27  forward  conv2d + add, relu f32[2, 8, 8, 64]  6:40 generator
          147.7 kFLOP                35.6 kB      4.151  forward  conv2d + add, tanh f32[2, 8, 8, 1]   7:24 generator
          18.43 kFLOP                28.7 kB     0.6421  forward  matmul + add f32[2, 1024]            5:8 generator/dense
             160 FLOP                   44 B      3.636  forward  random_normal f32[2, 4]              18:30

        """)
  }

  @Test func textOfDenseLayers() throws {
    #expect(
      try cost(TinyPrograms.dense, "--graph", "sample") == """
        cost of graph sample, one run
                       arithmetic       direct   bytes  FLOP/byte  operations
          as written  1.048 kFLOP               2.8 kB     0.3754
          as run      1.048 kFLOP  1.048 kFLOP  1.0 kB      1.048           4
            forward   1.048 kFLOP  1.048 kFLOP  1.0 kB      1.048           4

        without one pass, and with it
          fuse-elementwise: 1.048 kFLOP, 2.8 kB -> 1.0 kB
          fuse-epilogues: 1.048 kFLOP, 1.4 kB -> 1.0 kB

        operations, those with the most arithmetic first
          arithmetic  direct  bytes  FLOP/byte  phase    operation                            place
            432 FLOP          440 B     0.9818  forward  matmul + add, tanh f32[4, 6]         6:57 generator
            352 FLOP          400 B       0.88  forward  matmul + add, subtract, … f32[4, 8]  6:35 generator
            240 FLOP           60 B          4  forward  random_normal f32[4, 3]              19:30
             24 FLOP          100 B       0.24  forward  add, sqrt, divide f32[8]             6:20 generator/batchNorm

        """)
  }

  @Test func jsonOfOneLayer() throws {
    #expect(
      try cost(TinyPrograms.dense, "--json", "--graph", "discriminator") == """
        {"graph":"discriminator","written":{"flops":52,"bytes":172,"intensity":0.302326},"run":{"flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"operations":1},"phases":{"forward":{"flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"operations":1},"backward":{"flops":0,"bytes":0,"intensity":null,"direct_flops":0,"operations":0},"update":{"flops":0,"bytes":0,"intensity":null,"direct_flops":0,"operations":0}},"updates":[],"several_updates":{"flops":0,"bytes":0,"intensity":null,"direct_flops":0,"operations":0},"no_update":{"flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"operations":1},"rewrites":[],"worth":[{"pass":"fuse-elementwise","run":null,"stage":null,"before":{"flops":52,"bytes":172,"intensity":0.302326},"after":{"flops":52,"bytes":140,"intensity":0.371429},"places":[]},{"pass":"fuse-epilogues","run":null,"stage":null,"before":{"flops":52,"bytes":172,"intensity":0.302326},"after":{"flops":52,"bytes":140,"intensity":0.371429},"places":[]}],"operations":[{"node":0,"operation":"matmul + add","results":["f32[4, 1]"],"phase":"forward","flops":52,"bytes":140,"intensity":0.371429,"direct_flops":52,"line":8,"column":51,"path":"discriminator/dense","notes":[],"parts":[{"labels":["matmul","add"],"line":8,"column":51,"path":"discriminator/dense"}]}]}

        """)
  }

  /// Phases, updates and operations are the same nodes counted in three ways.
  @Test(arguments: [TinyPrograms.convolutional, TinyPrograms.dense])
  func sumsAgree(program: String) throws {
    let report = try json(program)
    let operations = report["operations"]?.arrayValue ?? []
    for key in ["flops", "bytes", "direct_flops"] {
      let whole = try #require(report["run"]?[key]?.intValue)
      let phases = report["phases"]?.objectValue?.reduce(0) { $0 + ($1.value[key]?.intValue ?? 0) }
      #expect(phases == whole && whole > 0, "\(key)")
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

  @Test func winogradsFormsAreToldFromTheDirectMethod() throws {
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

  /// The report of a graph given as IR text.
  private func json(ofIR text: String, _ options: String...) throws -> JSONValue {
    let folder = try TemporaryFolder()
    let file = try folder.write(text, to: "graph.ir")
    let result = compile([file, "--emit", "cost", "--json"] + options)
    #expect(result.code == 0, "\(result.messages)")
    return try JSONValue.parse(result.output, name: "json")
  }

  /// Of IR text nobody knows what passes have done to it: here it is simplified, not yet fused.
  @Test func ofOptimisedIRText() throws {
    let report = try json(
      ofIR: try view(
        TinyPrograms.convolutional, ["--emit", "ir", "--before", "choose-convolutions"]))
    #expect(report["written"] == .null)
    #expect(try report["run"] == json(TinyPrograms.convolutional)["run"])
    #expect(report["worth"]?.arrayValue?.isEmpty == false)
  }

  /// A limit counts runs, so that without one pass it would let others run.
  @Test func nothingIsWorthUnderALimit() throws {
    let report = try json(TinyPrograms.convolutional, "--pass-limit", "30")
    #expect(report["worth"]?.arrayValue?.isEmpty == true)
    #expect(report["rewrites"]?.arrayValue?.isEmpty == false)
    #expect(try json(TinyPrograms.convolutional)["worth"]?.arrayValue?.isEmpty == false)
  }

  /// Gradients that are not expanded would count as nothing.
  @Test func theBackwardPassIsNotLeftOut() throws {
    let graph = Places.graph("dense-gan")
    for options in [["--pipeline", "simplify"], ["--pipeline", "simplify", "--json"]] {
      let result = compile([graph, "--emit", "cost"] + options)
      #expect(result.code == 2 && result.messages.contains("backward pass"), "\(result.messages)")
      #expect(result.messages.contains("expand-gradients") && result.output.isEmpty)
    }
    for options in [["--graph", "generator", "--pipeline", "simplify"], ["-O0"]] {
      let result = compile([graph, "--emit", "cost"] + options)
      #expect(result.code == 0, "\(result.messages)")
    }
  }

  /// Two convolutions of the largest images with the largest filters: 2 · 2 · 46340⁴ operations, twice an Int's largest.
  @Test func sumsBeyondAnInt() throws {
    let text = """
      // swift-gan ir 1
      graph "large" stage fused {
        input %0 argument "image" : f32[1, 46340, 46340, 1]
        input %1 state "a" : f32[46340, 46340, 1, 1]
        input %2 state "b" : f32[46340, 46340, 1, 1]
        %3 = conv2d(%0, %1) {padding: [23169, 23170, 23169, 23170]} : f32[1, 46340, 46340, 1]
        %4 = conv2d(%3, %2) {padding: [23169, 23170, 23169, 23170]} : f32[1, 46340, 46340, 1]
        output result "image" %4
      }

      """
    let run = try #require(try json(ofIR: text)["run"])
    let flops = try #require(run["flops"]?.doubleValue)
    #expect(abs(flops / (4 * Double(46340 * 46340) * Double(46340 * 46340)) - 1) < 1e-9)
    let folder = try TemporaryFolder()
    let file = try folder.write(text, to: "large.ir")
    for form in ["cost", "memory", "memory-svg", "html"] {
      let result = compile(file, "--emit", form)
      #expect(result.code == 0, "\(form): \(result.messages)")
    }
    #expect(compile(file, "--emit", "cost").output.contains("18450000 TFLOP"))
  }

  /// 70 updates, each of one operation for its rule, one of its own, and one that all of them need.
  @Test func moreUpdatesThanBitsOfAWord() throws {
    let count = 70
    var text = "// swift-gan ir 1\ngraph \"many\" stage fused {\n"
    for index in 0..<count { text += "  input %\(index) state \"net/w\(index)\" : f32[2]\n" }
    text += "  %\(count) = relu(%0) : f32[2] @ 1:1 \"net\"\n"
    for index in 0..<count {
      let (own, rule) = (count + 1 + 2 * index, count + 2 + 2 * index)
      text += "  %\(own) = add(%\(index), %\(count)) : f32[2] @ 2:1 \"net\"\n"
      text += "  %\(rule) = relu(%\(own)) : f32[2] @ \(index + 10):1 \"net/w\(index)\"\n"
    }
    for index in 0..<count {
      text += "  output state \"net/w\(index)\" %\(count + 2 + 2 * index)\n"
    }
    let report = try json(ofIR: text + "}\n")
    let updates = report["updates"]?.arrayValue ?? []
    #expect(updates.map { $0["line"]?.intValue } == (10..<10 + count).map { $0 })
    for update in updates {
      #expect(update["alone"]?["operations"]?.intValue == 2)
      #expect(update["shared"]?["operations"]?.intValue == 1)
    }
    #expect(report["several_updates"]?["operations"]?.intValue == 1)
    #expect(report["no_update"]?["operations"]?.intValue == 0)
  }

  @Test func ofFusedIRText() throws {
    let report = try json(ofIR: try view(TinyPrograms.dense, ["--emit", "ir"]))
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
