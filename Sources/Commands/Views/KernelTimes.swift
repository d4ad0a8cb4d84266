// Measured times of kernels on their way from `gan-exec profile --json` to a picture of the same graph: the object
// that one writes and the other reads.

import Basics
import Formats
import GraphIR
import Runtime

struct KernelTimes {
  /// Milliseconds of one step, by node.
  let milliseconds: Table<NodeTag, Double?>

  /// What tells graphs apart: a hash of the IR text.
  static func hash(_ graph: Graph) -> String {
    var hash = StableHash()
    hash.combine(GraphPrinter.text(graph))
    return String(hash.value, radix: 16)
  }

  /// One object on one line. README.md lists the keys.
  static func json(
    model: String, backend: String, _ profile: [ProfileEntry], _ graph: Graph, steps: Int,
    median: Double, wait: DataWait? = nil
  ) -> JSONValue {
    let kernels = profile.map { entry -> JSONValue in
      var members: [(key: String, value: JSONValue)] = [
        (key: "kernel", value: .string(entry.kernel)),
        (key: "ms", value: number(Double(entry.nanoseconds) / 1e6 / Double(steps))),
        (key: "launches", value: .int(entry.runs / steps)),
        (key: "node", value: entry.node.map { .int($0.index) } ?? .null),
      ]
      if let id = entry.node {
        let node = graph.nodes[id]
        let cost = graph.cost(of: node)
        let types = graph.types(of: node.results).map { JSONValue.string($0.description) }
        members += [
          (key: "operation", value: .string(node.displayName)),
          (key: "results", value: .array(types)), (key: "flops", value: wholeNumber(cost.flops)),
          (key: "bytes", value: wholeNumber(cost.bytes)),
        ]
        members += originMembers(node.origin)
      }
      return .object(members)
    }
    return [
      "model": .string(model), "backend": .string(backend), "graph": .string(graph.name),
      "graph_hash": .string(hash(graph)), "steps": .int(steps), "ms_median": number(median),
      "data_wait_ms": wait.map { number($0.waited) } ?? .null,
      "data_copy_ms": wait.map { number($0.copied) } ?? .null, "kernels": .array(kernels),
    ]
  }

  /// Reads a profile. Throws `EnvironmentFailure` where the file is none or is of another graph.
  init(reading path: String, for graph: Graph) throws {
    let bytes = try FileIO.read(path, limit: 64 << 20)
    let profile = try JSONValue.parse(String(decoding: bytes, as: UTF8.self), name: path)
    guard let hash = profile["graph_hash"]?.stringValue,
      let kernels = profile["kernels"]?.arrayValue
    else {
      throw EnvironmentFailure(
        "\(path): not a profile", help: "gan-exec profile FILE --json > profile.json makes one")
    }
    guard hash == Self.hash(graph) else {
      throw EnvironmentFailure(
        "\(path): a profile of another graph",
        help: "give both commands the same --batch, --set, --math and -O0")
    }
    var times = Table<NodeTag, Double?>(repeating: nil, count: graph.nodes.count)
    for kernel in kernels {
      guard let node = kernel["node"]?.intValue, node >= 0, node < graph.nodes.count,
        let time = kernel["ms"]?.doubleValue, time.isFinite
      else { continue }
      times[NodeID(node)] = (times[NodeID(node)] ?? 0) + time
    }
    milliseconds = times
  }
}
