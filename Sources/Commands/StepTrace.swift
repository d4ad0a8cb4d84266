// Traced steps as a file for Perfetto: a lane with the steps, below it one lane a thread with the shares of kernels. A span
// says which operation it belongs to, where that stands in the program, and what passes made of it.

import Basics
import Formats
import GraphIR
import Runtime

struct StepTrace {
  /// The program's name and its file.
  var program: String
  var file: String
  var graph: Graph
  /// What the spans' `launch` counts.
  var launches: [ProfileEntry]
  var spans: [TraceSpan]
  /// When each step began and ended, feeding its data and reading its scalars included.
  var steps: [(start: UInt64, end: UInt64)]

  func encode() -> [UInt8] {
    var trace = ChromeTrace(process: program)
    let zero = steps.first?.start ?? 0
    trace.lane(0, "steps")
    for thread in 0...(spans.map(\.thread).max() ?? 0) {
      trace.lane(thread + 1, thread == 0 ? "calling thread" : "worker \(thread)")
    }
    for (index, step) in steps.enumerated() {
      trace.span("step \(index + 1)", lane: 0, from: step.start - zero, to: step.end - zero)
    }
    let shares = spans.reduce(into: [Int](repeating: 0, count: launches.count)) {
      $0[$1.launch] = max($0[$1.launch], $1.share + 1)
    }
    let names = launches.map(name)
    let details = launches.map(details)
    for span in spans {
      let share = JSONValue.string("\(span.share + 1) of \(shares[span.launch])")
      trace.span(
        names[span.launch], lane: span.thread + 1, from: span.start - zero, to: span.end - zero,
        details[span.launch] + [(key: "share", value: share)])
    }
    return trace.encode()
  }

  private func name(_ launch: ProfileEntry) -> String {
    guard let id = launch.node, !graph.nodes[id].origin.path.isEmpty else { return launch.kernel }
    return "\(launch.kernel) \(graph.nodes[id].origin.path)"
  }

  private func details(_ launch: ProfileEntry) -> [(key: String, value: JSONValue)] {
    guard let id = launch.node else { return [] }
    let node = graph.nodes[id]
    let types = typeText(graph.types(of: node.results))
    var details: [(key: String, value: JSONValue)] = [
      ("operation", .string(node.operation.mnemonic)), ("results", .string(types)),
    ]
    let source = node.origin.provenance(file: file)
    if !source.isEmpty { details.append(("source", .string(source))) }
    return details
  }
}
