// Health events read again from their lines in log.jsonl, as HealthEvent.logLine writes them, for those who go on with a run.
// Whatever is missing or of another kind makes nil: a log may have been changed.

import Formats
import GraphIR

extension HealthEvent {
  /// Nil for a line of something else. A diagnosis comes back without what its line does not hold: the reports and weights
  /// before.
  package init?(logLine json: JSONValue) {
    guard json["event"]?.stringValue == "health", let step = json["step"]?.intValue,
      let kind = json["kind"]?.stringValue.flatMap({ Kind(rawValue: $0) }),
      let message = json["message"]?.stringValue
    else { return nil }
    self.init(kind, step: step, message: message)
    subject = json["subject"]?.stringValue ?? ""
    isOver = json["over"]?.boolValue ?? false
    line = json["line"]?.intValue ?? 0
    column = json["column"]?.intValue ?? 0
    diagnosis = NonFiniteDiagnosis(logLine: json)
  }
}

extension NonFiniteDiagnosis {
  /// From the members that `json` adds to a line.
  fileprivate init?(logLine json: JSONValue) {
    guard let step = json["at_step"]?.intValue, let operation = json["operation"]?.stringValue,
      let part = json["part"]?.stringValue.flatMap({ Part(name: $0, of: json["of"]) }),
      let result = json["result"].flatMap({ ValueRange($0) }),
      let listed = json["operands"]?.arrayValue
    else { return nil }
    let operands = listed.compactMap { operand -> Operand? in
      guard let range = ValueRange(operand), let from = operand["from"]?.stringValue else {
        return nil
      }
      return Operand(range: range, from: from)
    }
    guard operands.count == listed.count else { return nil }
    self.init(
      step: step, replayedFrom: json["replayed_from"]?.intValue ?? 0, operation: operation,
      part: part,
      origin: Origin(
        line: json["line"]?.intValue ?? 0, column: json["column"]?.intValue ?? 0,
        path: json["path"]?.stringValue ?? ""),
      result: result, operands: operands, hint: json["hint"]?.stringValue, recent: [], weights: [])
  }
}

extension NonFiniteDiagnosis.Part {
  fileprivate init?(name: String, of list: JSONValue?) {
    let names = (list?.arrayValue ?? []).compactMap(\.stringValue)
    switch (name, names.first) {
    case ("forward", _): self = .forward
    case ("backward", let operation?): self = .backward(of: operation)
    case ("update", _?): self = .update(of: names)
    case ("data", let source?): self = .data(source: source)
    default: return nil
    }
  }
}

extension ValueRange {
  /// From what `json` gives; the number of zeros is not in it.
  fileprivate init?(_ json: JSONValue) {
    guard let type = json["type"]?.stringValue.flatMap({ TensorType(text: $0) }) else {
      return nil
    }
    self.init(type, values: [])
    least = json["min"]?.doubleValue
    greatest = json["max"]?.doubleValue
    mean = json["mean"]?.doubleValue
    notNumbers = json["nan"]?.intValue ?? 0
    infinities = json["infinite"]?.intValue ?? 0
  }
}

extension TensorType {
  /// From its description: `f32[128, 28]`.
  fileprivate init?(text: String) {
    guard let open = text.firstIndex(of: "["), text.last == "]",
      let element = ElementType(rawValue: String(text[..<open]))
    else { return nil }
    let sizes = text[text.index(after: open)...].dropLast().split(separator: ",")
    let shape = sizes.compactMap { Int(String($0.drop { $0 == " " })) }
    guard shape.count == sizes.count, (try? TensorType(element, shape).checked()) != nil else {
      return nil
    }
    self.init(element, shape)
  }
}
