// The trace file: valid JSON of the form that Perfetto opens, lanes named, spans in order.

import Formats
import Testing

@Suite struct ChromeTraceTests {
  @Test func lanesAndSpans() throws {
    var trace = ChromeTrace(process: "a \"program\"")
    trace.lane(0, "steps")
    trace.lane(1, "calling thread")
    trace.span("late", lane: 1, from: 2_500, to: 4_000, [(key: "share", value: "1 of 2")])
    trace.span("early", lane: 1, from: 1_000, to: 2_500)
    trace.span("step", lane: 0, from: 0, to: 5_001)
    let text = String(decoding: trace.encode(), as: UTF8.self)
    let file = try JSONValue.parse(text, name: "trace")
    let events = try #require(file["traceEvents"]?.arrayValue)
    let names = events.compactMap { $0["name"]?.stringValue }
    #expect(
      names == [
        "process_name", "thread_name", "thread_sort_index", "thread_name", "thread_sort_index",
        "step", "early", "late",
      ])
    #expect(events[0]["args"]?["name"]?.stringValue == "a \"program\"")
    // Microseconds.
    #expect(events[5]["dur"]?.doubleValue == 5.001)
    #expect(events[7]["ts"]?.doubleValue == 2.5)
    #expect(events[7]["dur"]?.doubleValue == 1.5)
    #expect(events[7]["args"]?["share"]?.stringValue == "1 of 2")
    #expect(events[5...].allSatisfy { $0["ph"]?.stringValue == "X" && $0["pid"]?.intValue == 1 })
  }
}
