// The trace event format that Perfetto and Chrome's trace viewer open: spans on lanes. In: names and times. Out: JSON.
// The format: "Trace Event Format", the JSON object form with complete events ("ph": "X").

import Basics

/// A trace being put together: lanes are named and spans added in any order, `encode` makes the file.
package struct ChromeTrace {
  private var events: [JSONValue] = []
  private var spans: [(lane: Int, start: UInt64, value: JSONValue)] = []

  package init(process: String) { name("process_name", process, lane: nil) }

  /// Names a lane; lanes are shown by their numbers.
  package mutating func lane(_ lane: Int, _ text: String) {
    name("thread_name", text, lane: lane)
    events.append([
      "name": "thread_sort_index", "ph": "M", "pid": 1, "tid": .int(lane),
      "args": ["sort_index": .int(lane)],
    ])
  }

  private mutating func name(_ kind: String, _ text: String, lane: Int?) {
    events.append([
      "name": .string(kind), "ph": "M", "pid": 1, "tid": .int(lane ?? 0),
      "args": ["name": .string(text)],
    ])
  }

  /// Something that took from `start` to `end`, in nanoseconds since the trace's own start.
  package mutating func span(
    _ name: String, lane: Int, from start: UInt64, to end: UInt64,
    _ arguments: [(key: String, value: JSONValue)] = []
  ) {
    var members: [(key: String, value: JSONValue)] = [
      ("name", .string(name)), ("ph", "X"), ("pid", 1), ("tid", .int(lane)),
      ("ts", Self.microseconds(start)), ("dur", Self.microseconds(end - start)),
    ]
    if !arguments.isEmpty { members.append(("args", .object(arguments))) }
    spans.append((lane, start, .object(members)))
  }

  private static func microseconds(_ nanoseconds: UInt64) -> JSONValue {
    nanoseconds % 1000 == 0
      ? .int(Int(nanoseconds / 1000)) : .double(Double(nanoseconds) / 1000)
  }

  /// The file: what names lanes, then the spans by lane and time.
  package func encode() -> [UInt8] {
    let sorted = spans.indices.sorted {
      (spans[$0].lane, spans[$0].start, $0) < (spans[$1].lane, spans[$1].start, $1)
    }
    let file: JSONValue = [
      "displayTimeUnit": "ns", "traceEvents": .array(events + sorted.map { spans[$0].value }),
    ]
    return Array((file.text() + "\n").utf8)
  }
}
