// `gan-compile FILE --emit memory` and `memory-svg`: golden text, JSON and SVG, and that they agree with each other.

import CommandSupport
import Formats
import Foundation
import TestSupport
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite struct MemoryTests {
  private func memory(_ program: String, _ options: String...) throws -> String {
    try view(program, ["--emit", "memory"] + options)
  }

  @Test func textOfConvolutions() throws {
    #expect(
      try memory(TinyPrograms.convolutional, "--graph", "sample") == """
        memory of graph sample
          arena                                 41.0 kB
          lower bound, the most alive at once   41.0 kB  arena is 1.00x
          without reuse                         41.5 kB  arena is 0.99x
          constants                                 0 B
          states                               432.6 kB

        peak: 41.0 kB at position 2 of 4, forward conv2d + add, relu 6:40 generator, held by
          generator forward  41.0 kB  100.0 %

        values held at the peak
          32.8 kB  2...3  %11 f32[2, 8, 8, 64]        forward  conv2d + add, relu  6:40 generator
           8.2 kB  1...2  %9 f32[2, 1024] and 1 more  forward  matmul + add        5:8 generator/dense

        timeline: the most that is held, by position in the order
            0     64 B                                            forward random_normal 18:30
            1   8.3 kB  ########                                  forward matmul + add 5:8 generator/dense
            2  41.0 kB  ########################################  forward conv2d + add, relu 6:40 generator
            3  33.3 kB  #################################         forward conv2d + add, tanh 7:24 generator
          end    512 B  #

        buffers, the dearest first: bytes, positions held, share of all bytes x positions
          32.8 kB  2  78.9 %  %11 f32[2, 8, 8, 64]        forward  conv2d + add, relu  6:40 generator
           8.2 kB  2  19.7 %  %9 f32[2, 1024] and 1 more  forward  matmul + add        5:8 generator/dense
            512 B  2   1.2 %  %12 f32[2, 8, 8, 1]         forward  conv2d + add, tanh  7:24 generator
             64 B  2   0.2 %  %8 f32[2, 4]                forward  random_normal       18:30

        """)
  }

  @Test func textOfDenseLayers() throws {
    #expect(
      try memory(TinyPrograms.dense, "--graph", "sample") == """
        memory of graph sample
          arena                                256 B
          lower bound, the most alive at once  256 B  arena is 1.00x
          without reuse                        384 B  arena is 0.67x
          constants                             64 B
          states                               472 B

        peak: 256 B at position 2 of 4, forward matmul + add, subtract, … 6:35 generator, held by
          generator forward  192 B  75.0 %
          step forward        64 B  25.0 %

        values held at the peak
          128 B  2...3  %13 f32[4, 8]  forward  matmul + add, subtract, …  6:35 generator
           64 B  0...2  %10 f32[4, 3]  forward  random_normal              19:30
           64 B  1...2  %12 f32[8]     forward  add, sqrt, divide          6:20 generator/batchNorm

        timeline: the most that is held, by position in the order
            0   64 B  ##########                                forward random_normal 19:30
            1  128 B  ####################                      forward add, sqrt, divide 6:20 generator/batchNorm
            2  256 B  ########################################  forward matmul + add, subtract, … 6:35 generator
            3  256 B  ########################################  forward matmul + add, tanh 6:57 generator
          end  128 B  ####################

        buffers, the dearest first: bytes, positions held, share of all bytes x positions
          128 B  2  30.8 %  %13 f32[4, 8]  forward  matmul + add, subtract, …  6:35 generator
          128 B  2  30.8 %  %14 f32[4, 6]  forward  matmul + add, tanh         6:57 generator
           64 B  3  23.1 %  %10 f32[4, 3]  forward  random_normal              19:30
           64 B  2  15.4 %  %12 f32[8]     forward  add, sqrt, divide          6:20 generator/batchNorm

        """)
  }

  @Test func jsonOfOneLayer() throws {
    #expect(
      try memory(TinyPrograms.dense, "--json", "--graph", "discriminator") == """
        {"graph":"discriminator","arena_bytes":64,"lower_bound_bytes":64,"without_reuse_bytes":64,"to_lower_bound":1.0,"to_without_reuse":1.0,"constant_bytes":0,"state_bytes":28,"peak":{"position":0,"bytes":64,"by_network":[{"name":"discriminator forward","bytes":64}]},"positions":[{"held_bytes":64,"node":0,"operation":"matmul + add","phase":"forward","line":8,"column":51,"path":"discriminator/dense","notes":[],"parts":[{"labels":["matmul","add"],"line":8,"column":51,"path":"discriminator/dense"}]},{"held_bytes":64}],"buffers":[{"offset":0,"bytes":64,"first_position":0,"last_position":1,"byte_positions":128,"at_peak":true,"use":"values","phase":"forward","values":[{"value":3,"type":"f32[4, 1]","operation":"matmul + add","line":8,"column":51,"path":"discriminator/dense","notes":[],"parts":[{"labels":["matmul","add"],"line":8,"column":51,"path":"discriminator/dense"}]}]}]}

        """)
  }

  /// What is held at each position is the sum of the buffers held then; the peak is the most, and the arena as large.
  @Test(arguments: Places.models) func positionsAndBuffersAgree(model: String) throws {
    let result = compile(Places.graph(model), "--emit", "memory", "--json", "--batch", "8")
    #expect(result.code == 0, "\(result.messages)")
    let report = try JSONValue.parse(result.output, name: "json")
    let buffers = report["buffers"]?.arrayValue ?? []
    let held = (report["positions"]?.arrayValue ?? []).map { $0["held_bytes"]?.intValue ?? -1 }
    var sums = [Int](repeating: 0, count: held.count)
    var end = 0
    for buffer in buffers {
      let bytes = try #require(buffer["bytes"]?.intValue)
      let first = try #require(buffer["first_position"]?.intValue)
      let last = try #require(buffer["last_position"]?.intValue)
      for position in first...last { sums[position] += bytes }
      #expect(buffer["byte_positions"]?.intValue == bytes * (last - first + 1))
      end = max(end, bytes + (buffer["offset"]?.intValue ?? 0))
    }
    #expect(sums == held && held.count > 50)
    let peak = try #require(report["peak"])
    #expect(peak["bytes"]?.intValue == held.max())
    #expect(held[peak["position"]?.intValue ?? 0] == held.max())
    #expect(report["arena_bytes"]?.intValue == end)
    let atPeak = buffers.filter { $0["at_peak"] == .bool(true) }
    #expect(atPeak.reduce(0) { $0 + ($1["bytes"]?.intValue ?? 0) } == held.max())
    let networks = peak["by_network"]?.arrayValue ?? []
    #expect(networks.reduce(0) { $0 + ($1["bytes"]?.intValue ?? 0) } == held.max())
    #expect(report["to_lower_bound"]?.doubleValue ?? 0 >= 1)
    #expect(!buffers.contains { $0["use"]?.stringValue == "workspace" })
  }

  /// Where it is said which kernels run, their workspace is in it, and nothing else changes.
  @Test func workspaceOfKernels() throws {
    func report(_ more: String...) throws -> JSONValue {
      let result = compile(
        [Places.graph("dcgan-mnist"), "--emit", "memory", "--json", "--batch", "8"] + more)
      #expect(result.code == 0, "\(result.messages)")
      return try JSONValue.parse(result.output, name: "json")
    }
    let (plain, bound) = (try report(), try report("--isa", "base", "--threads", "2"))
    func buffers(_ report: JSONValue, _ use: String) -> [JSONValue] {
      (report["buffers"]?.arrayValue ?? []).filter { $0["use"]?.stringValue == use }
    }
    #expect(!buffers(bound, "workspace").isEmpty)
    #expect(buffers(bound, "values").count == buffers(plain, "values").count)
    #expect(bound["arena_bytes"]!.intValue! > plain["arena_bytes"]!.intValue!)
    #expect(bound["to_lower_bound"]!.doubleValue! < 1.05)
    #expect(bound["to_without_reuse"]!.doubleValue! < 1)
    // What is more than this machine has is planned all the same.
    let huge = compile(
      Places.graph("dcgan-mnist"), "--emit", "memory", "--json", "--batch", "100000", "--backend",
      "cpu")
    #expect(huge.code == 0, "\(huge.messages)")
    let arena = try JSONValue.parse(huge.output, name: "json")["arena_bytes"]?.intValue ?? 0
    #expect(arena > 30 << 30)
    let text = compile(
      Places.graph("dcgan-mnist"), "--emit", "memory", "--batch", "8", "--backend", "cpu")
    #expect(text.output.contains("  workspace  "))
  }

  @Test func picture() throws {
    #expect(
      try view(TinyPrograms.dense, ["--emit", "memory-svg", "--graph", "discriminator"]) == """
        <svg xmlns="http://www.w3.org/2000/svg" width="1180" height="826" viewBox="0 0 1180 826">
        <style>
        text{fill:#24292f;font:12px system-ui,Helvetica,Arial,sans-serif}
        .title{font-size:17px;font-weight:600}.axis,.grid{stroke:#57606a;fill:none}
        .grid{stroke-opacity:.25}.page{fill:#fff}.held{fill:#8c959f;fill-opacity:.35;stroke:#57606a}
        .peak{stroke:#cf222e;stroke-dasharray:5 4;fill:none}.peakText{fill:#cf222e}
        .buffer{fill-opacity:.62;stroke-width:.7}.buffer:hover{fill-opacity:1}
        .name{pointer-events:none;font-size:11px}
        .forward{fill:#54a3e8;stroke:#0a4f8f}.backward{fill:#f0883e;stroke:#953800}
        .update{fill:#5bbf6a;stroke:#1a6b2a}.other{fill:#afb8c1;stroke:#57606a}
        @media (prefers-color-scheme:dark){text{fill:#e6edf3}.page{fill:#0d1117}
        .axis,.grid{stroke:#8b949e}.buffer{fill-opacity:.5}.peak{stroke:#ff7b72}.peakText{fill:#ff7b72}}
        </style>
        <rect class="page" width="100%" height="100%"/>
        <text x="84" y="30" class="title">Memory of graph discriminator</text>
        <text x="84" y="52">arena 64 B: 1.00x the lower bound (64 B), 1.00x what it would be without reuse (64 B)</text>
        <rect class="buffer forward" x="84" y="64" width="14" height="14"/>
        <text x="104" y="76">forward</text>
        <rect class="buffer backward" x="173" y="64" width="14" height="14"/>
        <text x="193" y="76">backward</text>
        <rect class="buffer update" x="269" y="64" width="14" height="14"/>
        <text x="289" y="76">update</text>
        <rect class="buffer other" x="351" y="64" width="14" height="14"/>
        <text x="371" y="76">other</text>
        <line class="grid" x1="84" y1="616" x2="1156" y2="616"/>
        <text x="76" y="620" text-anchor="end">0 B</text>
        <line class="grid" x1="84" y1="534.75" x2="1156" y2="534.75"/>
        <text x="76" y="538.75" text-anchor="end">10 B</text>
        <line class="grid" x1="84" y1="453.5" x2="1156" y2="453.5"/>
        <text x="76" y="457.5" text-anchor="end">20 B</text>
        <line class="grid" x1="84" y1="372.25" x2="1156" y2="372.25"/>
        <text x="76" y="376.25" text-anchor="end">30 B</text>
        <line class="grid" x1="84" y1="291" x2="1156" y2="291"/>
        <text x="76" y="295" text-anchor="end">40 B</text>
        <line class="grid" x1="84" y1="209.75" x2="1156" y2="209.75"/>
        <text x="76" y="213.75" text-anchor="end">50 B</text>
        <line class="grid" x1="84" y1="128.5" x2="1156" y2="128.5"/>
        <text x="76" y="132.5" text-anchor="end">60 B</text>
        <text x="76" y="756" text-anchor="end">0 B</text>
        <text x="76" y="664" text-anchor="end">64 B</text>
        <line class="grid" x1="84" y1="96" x2="84" y2="756"/>
        <text x="352" y="774" text-anchor="middle">0</text>
        <line class="grid" x1="620" y1="96" x2="620" y2="756"/>
        <text x="888" y="774" text-anchor="middle">1</text>
        <line class="axis" x1="84" y1="96" x2="84" y2="616"/>
        <line class="axis" x1="84" y1="616" x2="1156" y2="616"/>
        <line class="axis" x1="84" y1="756" x2="1156" y2="756"/>
        <text x="620" y="798" text-anchor="middle">position in the order of the step's kernels</text>
        <text x="16" y="356" text-anchor="middle" transform="rotate(-90 16 356)">address in the arena</text>
        <text x="16" y="706" text-anchor="middle" transform="rotate(-90 16 706)">bytes held</text>
        <rect class="buffer forward" x="84" y="96" width="1072" height="520"><title>64 B at 0 B; positions 0 to 1; %3 f32[4, 1] matmul + add 8:51 discriminator/dense</title></rect>
        <text x="88" y="108" class="name">discriminator/dense [4, 1]</text>
        <path class="held" d="M84 756V656H620V656H1156V756Z"/>
        <line class="peak" x1="352" y1="92" x2="352" y2="756"/>
        <text x="352" y="88" class="peakText" text-anchor="start">peak 64 B at 0</text>
        </svg>

        """)
  }

  /// A rectangle for every buffer that is high enough to be seen, and XML that another parser reads.
  @Test(arguments: Places.models) func picturesAreWellFormed(model: String) throws {
    let result = compile(Places.graph(model), "--emit", "memory-svg", "--batch", "8")
    #expect(result.code == 0, "\(result.messages)")
    let reader = RectangleReader()
    let parser = XMLParser(data: Data(result.output.utf8))
    parser.delegate = reader
    #expect(parser.parse(), "\(String(describing: parser.parserError))")
    let report = try JSONValue.parse(
      compile(Places.graph(model), "--emit", "memory", "--json", "--batch", "8").output,
      name: "json")
    let least = 0.25 / 520 * (report["arena_bytes"]?.doubleValue ?? 0)
    let seen = (report["buffers"]?.arrayValue ?? []).count {
      ($0["bytes"]?.doubleValue ?? 0) >= least
    }
    // Four of them are the legend.
    #expect(reader.count - 4 == seen && seen > 10)
    #expect(reader.titles == seen)
    #expect(!result.output.contains("nan") && !result.output.contains("inf\""))
  }

  /// A graph that keeps nothing in the arena.
  @Test func ofNothing() throws {
    let folder = try TemporaryFolder()
    let text = """
      // swift-gan ir 1
      graph "empty <&>" stage fused {
        input %0 argument "x" : f32[2]
        output result "0" %0
      }

      """
    let file = try folder.write(text, to: "empty.ir")
    for form in ["memory", "memory-svg", "cost", "html"] {
      let result = compile(file, "--emit", form)
      #expect(result.code == 0, "\(form): \(result.messages)")
    }
    let picture = compile(file, "--emit", "memory-svg").output
    #expect(picture.contains("empty &lt;&amp;&gt;"))
    #expect(XMLParser(data: Data(picture.utf8)).parse())
  }
}

/// Counts buffers and their titles.
private final class RectangleReader: NSObject, XMLParserDelegate {
  var count = 0
  var titles = 0

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?,
    qualifiedName: String?, attributes: [String: String] = [:]
  ) {
    if name == "title" { titles += 1 }
    if name == "rect", attributes["class"]?.hasPrefix("buffer ") == true { count += 1 }
  }
}
