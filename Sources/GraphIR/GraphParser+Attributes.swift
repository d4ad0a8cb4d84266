// The part of the IR parser that reads types, attributes, regions and nested operations.

import Basics

extension GraphParser {
  // f32[128, 28]
  mutating func tensorType() throws(Diagnostic) -> TensorType {
    let range = token.range
    let word = try expectWord("a type")
    return try tensorType(named: word, at: range)
  }

  private mutating func tensorType(
    named word: String, at range: SourceRange
  ) throws(Diagnostic) -> TensorType {
    guard let element = ElementType(rawValue: word) else {
      throw Diagnostic(
        "ir.type", "there is no element type \(word)", at: range,
        help: suggestion(for: word, in: ElementType.allCases.map(\.rawValue)))
    }
    var shape: [Int] = []
    try expect("[", "before the shape")
    if !isAt("]") {
      // One axis more than allowed is enough for the check below to complain.
      repeat {
        let size = try expectInt("a dimension")
        if shape.count < 9 { shape.append(size) }
      } while try accept(",")
    }
    try expect("]", "after the shape")
    do {
      return try TensorType(element, shape).checked()
    } catch {
      throw error.placed(at: range)
    }
  }

  /// The type of the operation whose name stands here.
  mutating func operationType() throws(Diagnostic) -> any Operation.Type {
    let range = token.range
    let name = try expectWord("an operation")
    return try operationType(named: name, at: range)
  }

  private func operationType(
    named name: String, at range: SourceRange
  ) throws(Diagnostic) -> any Operation.Type {
    guard let type = operations.type(named: name) else {
      throw Diagnostic(
        "ir.operation", "there is no operation \(name)", at: range,
        help: suggestion(for: name, in: operations.names))
    }
    return type
  }

  /// An operation of a type with the attributes that stand here in braces, if there are any.
  mutating func operation(
    _ type: any Operation.Type, at range: SourceRange
  ) throws(Diagnostic) -> any Operation {
    var given: [(name: String, value: AttributeValue)] = []
    if try accept("{") {
      if !isAt("}") {
        repeat { try attribute(into: &given) } while try accept(",")
      }
      try expect("}", "after the attributes")
    }
    do {
      return try Self.make(type, given)
    } catch {
      throw error.placed(at: range)
    }
  }

  private static func make<T: Operation>(
    _ type: T.Type, _ given: [(name: String, value: AttributeValue)]
  ) throws(Diagnostic) -> any Operation {
    var operation = T()
    var reader = AttributeReader(given, operation: T.mnemonic)
    try operation.visitAttributes(&reader)
    try reader.finish()
    return operation
  }

  private mutating func attribute(
    into given: inout [(name: String, value: AttributeValue)]
  ) throws(Diagnostic) {
    let range = token.range
    let name = try expectWord("an attribute")
    guard given.count < Self.maximumAttributes else {
      throw Diagnostic(
        "ir.limit", "an operation may have at most \(Self.maximumAttributes) attributes", at: range)
    }
    guard !given.contains(where: { $0.name == name }) else {
      throw Diagnostic("ir.duplicate", "the attribute \(name) is there already", at: range)
    }
    try expect(":", "after the attribute's name")
    given.append((name, try value()))
  }

  /// One attribute value. Counts what it reads and how deep it is.
  mutating func value() throws(Diagnostic) -> AttributeValue {
    valueCount += 1
    nesting += 1
    defer { nesting -= 1 }
    guard nesting <= Self.maximumNesting, valueCount <= Self.maximumValues else {
      throw Diagnostic(
        "ir.limit",
        "attributes may nest \(Self.maximumNesting) deep and hold \(Self.maximumValues) values",
        at: token.range)
    }
    let range = token.range
    switch token.kind {
    case .int(let number):
      try advance()
      return .int(number)
    case .float(let number):
      try advance()
      return .float(number)
    case .string(let string):
      try advance()
      return .string(string)
    case .word(let word):
      try advance()
      return try value(beginningWith: word, at: range)
    case .punctuation(UInt8(ascii: "[")):
      try advance()
      var items: [AttributeValue] = []
      if !isAt("]") {
        repeat { items.append(try value()) } while try accept(",")
      }
      try expect("]", "after the list")
      return .list(items)
    case .punctuation(UInt8(ascii: "(")): return .region(try region())
    default: throw unexpected("a value")
    }
  }

  /// `true`, `inf`, a type `f32[…]`, an operation `conv2d {…}`, or a bare word.
  private mutating func value(
    beginningWith word: String, at range: SourceRange
  ) throws(Diagnostic) -> AttributeValue {
    switch word {
    case "true": return .bool(true)
    case "false": return .bool(false)
    case "inf": return .float(.infinity)
    case "nan": return .float(.nan)
    case _ where isAt("["): return .type(try tensorType(named: word, at: range))
    case _ where isAt("{"):
      let type = try operationType(named: word, at: range)
      return .operation(AnyOperation(try operation(type, at: range)))
    default: return .word(word)
    }
  }

  // (3) { s0 = add(i0, i1); yield s0 }
  private mutating func region() throws(Diagnostic) -> Region {
    try expect("(", "before the number of a region's inputs")
    let countRange = token.range
    let inputCount = try expectInt("the number of inputs")
    guard inputCount >= 0, inputCount <= Int(Int32.max) else {
      throw Diagnostic("ir.region", "a region cannot have \(inputCount) inputs", at: countRange)
    }
    try expect(")", "after the number of inputs")
    try expect("{", "before the region's steps")
    var region = Region(inputCount: inputCount, steps: [], results: [])
    while token.kind != .word("yield") {
      let nameRange = token.range
      guard try expectWord("a step or \"yield\"") == "s\(region.steps.count)" else {
        throw Diagnostic(
          "ir.region", "steps are numbered in order: expected s\(region.steps.count)",
          at: nameRange)
      }
      try expect("=", "after the step's name")
      region.steps.append(try step(region))
      try expect(";", "after the step")
    }
    try advance()
    if !isAt("}") {
      repeat { region.results.append(try reference(region)) } while try accept(",")
    }
    try expect("}", "after the region")
    return region
  }

  private mutating func step(_ region: Region) throws(Diagnostic) -> Region.Step {
    let range = token.range
    let type = try operationType()
    var arguments: [Region.Reference] = []
    try expect("(", "before the arguments")
    if !isAt(")") {
      repeat { arguments.append(try reference(region)) } while try accept(",")
    }
    try expect(")", "after the arguments")
    // Steps count as values, so that a text cannot nest regions without bound.
    valueCount += 1
    let operation = try operation(type, at: range)
    guard type.signature.count == arguments.count else {
      throw Diagnostic(
        "ir.operands",
        "\(operation.mnemonic) takes \(type.signature.count) operands, not \(arguments.count)",
        at: range)
    }
    return Region.Step(operation, arguments)
  }

  /// `i0` or `s1`, of what is there already.
  private mutating func reference(_ region: Region) throws(Diagnostic) -> Region.Reference {
    let range = token.range
    let word = try expectWord("an input i0, i1, … or a step s0, s1, …")
    // Only the spelling that the printer gives: no sign, no leading zero.
    if let index = Int(word.dropFirst()), String(index) == word.dropFirst(), index >= 0 {
      if word.hasPrefix("i"), index < region.inputCount { return .input(index) }
      if word.hasPrefix("s"), index < region.steps.count { return .step(index) }
    }
    throw Diagnostic("ir.region", "\(word) is not defined above in this region", at: range)
  }
}
