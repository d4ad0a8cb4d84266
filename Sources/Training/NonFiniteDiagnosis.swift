// What is known of a run that died of an infinity or a NaN, once its last steps have been replayed: the first bad operation,
// its place, what it was given, and what mends it. As a value, as text for a person, and as JSON.

import Basics
import Formats
import GraphIR

/// What a tensor holds.
package struct ValueRange: Sendable, Equatable {
  package var type: TensorType
  /// Of the finite elements; nil where there are none.
  package var least: Double?
  package var greatest: Double?
  package var mean: Double?
  package var notNumbers = 0
  package var infinities = 0
  package var zeros = 0
  package var nonFinite: Int { notNumbers + infinities }
  /// The largest magnitude of the finite elements.
  package var largest: Double { max(abs(least ?? 0), abs(greatest ?? 0)) }

  /// The elements of a buffer.
  init(_ type: TensorType, _ raw: UnsafeRawBufferPointer) {
    self.type = type
    switch type.element {
    case .f32: add(raw.bindMemory(to: Float.self)) { Double($0) }
    case .f64: add(raw.bindMemory(to: Double.self)) { $0 }
    case .i32, .bool: add(raw.bindMemory(to: Int32.self)) { Double($0) }
    }
  }

  /// Of elements that are all the same, or given one by one, as they are in a tensor of this type.
  init(_ type: TensorType, values: [Double]) {
    self.type = type
    values.withUnsafeBufferPointer { add($0) { HostTensor.round($0, to: type.element) } }
    if values.count == 1 { zeros *= type.count }
  }

  private mutating func add<Element>(
    _ elements: UnsafeBufferPointer<Element>, _ number: (Element) -> Double
  ) {
    var sum = 0.0
    var count = 0
    var low = Double.infinity
    var high = -Double.infinity
    for element in elements {
      let value = number(element)
      guard value.isFinite else {
        if value.isNaN { notNumbers += 1 } else { infinities += 1 }
        continue
      }
      if value == 0 { zeros += 1 }
      low = min(low, value)
      high = max(high, value)
      sum += value
      count += 1
    }
    guard count > 0 else { return }
    (least, greatest, mean) = (low, high, sum / Double(count))
  }

  /// `f32[4, 1] from -1.5 to 2.25, mean 0.125, 3 NaN, 1 infinite`
  package var text: String {
    var parts: [String] = []
    if let least, let greatest, let mean {
      parts.append(
        least == greatest
          ? "\(shortNumber(least))" : "from \(shortNumber(least)) to \(shortNumber(greatest))")
      if least != greatest { parts.append("mean \(shortNumber(mean))") }
    }
    if notNumbers > 0 { parts.append("\(notNumbers) NaN") }
    if infinities > 0 { parts.append("\(infinities) infinite") }
    return "\(type) " + parts.joined(separator: ", ")
  }

  package var json: JSONValue {
    func number(_ value: Double?) -> JSONValue { value.map { .double($0) } ?? .null }
    return [
      "type": .string("\(type)"), "min": number(least), "max": number(greatest),
      "mean": number(mean), "nan": .int(notNumbers), "infinite": .int(infinities),
    ]
  }
}

package struct NonFiniteDiagnosis: Sendable {
  /// Which part of a training step an operation belongs to.
  package enum Part: Sendable, Equatable {
    case forward
    /// It was made by differentiating an operation of this name at the same place.
    case backward(of: String)
    /// It is a part of what gives these parameters their new values.
    case update(of: [String])
    /// A batch of this source held it already.
    case data(source: String)
  }

  package struct Operand: Sendable {
    package var range: ValueRange
    /// What computes it: an operation and its place, an input.
    package var from: String
  }

  /// The step in which it happened, counted from 1.
  package var step: Int
  /// The last good states, that is the number of steps done at them, and how many steps were replayed from there.
  package var replayedFrom: Int
  /// The operation's name, such as `log`.
  package var operation: String
  package var part: Part
  package var origin: Origin
  package var result: ValueRange
  package var operands: [Operand]
  package var hint: String?
  /// The reported values of the last steps before.
  package var recent: [(step: Int, reports: [(name: String, value: Double)])]
  /// Of each network: root mean squares of its parameters where the replay began and before the bad step.
  package var weights: [(network: String, before: Double, after: Double)]

  package var partText: String {
    switch part {
    case .forward: "the forward part"
    case .backward(let operation): "the backward part (adjoint of \(operation))"
    case .update(let names):
      "the update of \(names[0])" + (names.count > 1 ? " and \(names.count - 1) more" : "")
    case .data(let source): "the data of '\(source)'"
    }
  }

  /// One sentence.
  package var summary: String {
    var held: [String] = []
    if result.notNumbers > 0 { held.append("\(result.notNumbers) NaN") }
    if result.infinities > 0 { held.append("\(result.infinities) infinite") }
    let amount = "\(held.joined(separator: " and ")) among \(result.type.count) values"
    if case .data(let source) = part {
      return "step \(step): a batch of '\(source)' holds \(amount)"
    }
    let path = origin.path.isEmpty || isUpdate ? "" : " of \(origin.path)"
    return "step \(step): \(operation)\(path) in \(partText) gives \(amount)"
  }

  private var isUpdate: Bool { if case .update = part { true } else { false } }

  /// As diagnostics are shown: the line of the program with a caret, what the operation was given, the mend.
  package func text(_ source: SourceText) -> String {
    var notes = operands.enumerated().map { index, operand in
      Diagnostic.Note("operand \(index + 1): \(operand.range.text); \(operand.from)")
    }
    if recent.count > 1 {
      notes.append(.init("before: " + recent.map(Self.text).joined(separator: "; ")))
    }
    let grown = weights.filter { !($0.after < 2 * $0.before) }
    if !grown.isEmpty {
      let all = grown.map {
        "\($0.network) \(shortNumber($0.before)) → \(shortNumber($0.after))"
      }
      notes.append(
        .init("size of the weights since step \(replayedFrom): " + all.joined(separator: ", ")))
    }
    return DiagnosticRenderer(source).render(
      Diagnostic(
        "train.nonFinite", summary,
        at: source.range(line: Int(origin.line), column: Int(origin.column)), notes: notes,
        help: hint))
  }

  private static func text(_ line: (step: Int, reports: [(name: String, value: Double)])) -> String
  {
    "step \(line.step) "
      + line.reports.map { "\($0.name) \(shortNumber($0.value))" }.joined(separator: " ")
  }

  /// The members that it adds to a line of log.jsonl.
  package var json: [(key: String, value: JSONValue)] {
    let (partName, of): (String, [String]) =
      switch part {
      case .forward: ("forward", [])
      case .backward(let operation): ("backward", [operation])
      case .update(let names): ("update", names)
      case .data(let source): ("data", [source])
      }
    return [
      // The run may have died, that is its line's step, in a later one.
      (key: "at_step", value: .int(step)),
      (key: "operation", value: .string(operation)), (key: "part", value: .string(partName)),
      (key: "of", value: .array(of.map { .string($0) })),
      (key: "line", value: .int(Int(origin.line))),
      (key: "column", value: .int(Int(origin.column))), (key: "path", value: .string(origin.path)),
      (key: "replayed_from", value: .int(replayedFrom)), (key: "result", value: result.json),
      (
        key: "operands",
        value: .array(
          operands.map { operand in
            guard case .object(let range) = operand.range.json else { return .null }
            return .object(range + [(key: "from", value: .string(operand.from))])
          })
      ),
      (key: "hint", value: hint.map { .string($0) } ?? .null),
    ]
  }
}
