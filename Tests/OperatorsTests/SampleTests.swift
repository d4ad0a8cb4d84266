// What holds of every operation in the list, tried on its own samples: types, evaluation, attributes, and that no
// operand types or attributes make it trap.

import Basics
import GraphIR
import Operators
import TestSupport
import Testing

@Suite struct SampleTests {
  /// Operations without samples, because alone they mean nothing.
  static let withoutSamples = ["gradient"]

  @Test(arguments: OperatorSet.standard.names)
  func samplesInferAndEvaluate(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    #expect(!type.summary.isEmpty)
    let samples = allSamples(of: type)
    #expect(samples.isEmpty == Self.withoutSamples.contains(name), "samples of \(name)")
    for sample in samples {
      let types = try sample.operation.inferTypes(sample.operands)
      #expect(!types.isEmpty)
      for type in types { #expect(try type.checked() == type) }
      let results = sample.operation.evaluate(sample.inputs(), results: types)
      #expect(results.map(\.type) == types, "\(sample)")
      for (result, type) in zip(results, types) {
        #expect(result.values.count == type.count, "\(sample)")
        #expect(result.values.allSatisfy { $0.isFinite }, "\(sample)")
        if !type.element.isFloat { #expect(result.rounded() == result, "\(sample)") }
      }
      if sample.operation.isElementwise { #expect(types.count == 1) }
      if sample.operation.isReshape { #expect(results[0].values == sample.inputs()[0].values) }
      let cost = sample.operation.cost(sample.operands, types)
      #expect(cost.flops >= 0 && cost.bytes >= 0 && (cost.flops + cost.bytes).isFinite)
    }
  }

  @Test(arguments: OperatorSet.standard.names)
  func attributesReadBack(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    for sample in allSamples(of: type) {
      let copy = try read(type, sample.operation.attributes)
      #expect(copy.isEqual(to: sample.operation), "\(sample)")
      #expect(AnyOperation(copy) == AnyOperation(sample.operation))
      #expect(AnyOperation(copy).hashValue == AnyOperation(sample.operation).hashValue)
      let extra: [(name: String, value: AttributeValue)] = [("no_such_attribute", .int(1))]
      #expect(throws: Diagnostic.self) { try read(type, sample.operation.attributes + extra) }
    }
  }

  /// Samples that differ only in attributes must not be equal, or common subexpressions would merge them.
  @Test func attributesDistinguish() {
    #expect(LeakyRelu(slope: 0.1) != LeakyRelu(slope: 0.2))
    #expect(LeakyRelu(slope: 0.0) != LeakyRelu(slope: -0.0))
    #expect(LeakyRelu(slope: .nan) == LeakyRelu(slope: .nan))
    #expect(RandomNormal(shape: [2], stream: 1) != RandomNormal(shape: [2], stream: 2))
    #expect(!Add().isEqual(to: Subtract()))
  }

  /// Operand types drawn at random: an answer or a diagnostic, never a trap.
  @Test(arguments: OperatorSet.standard.names)
  func anyOperandTypes(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    var random = PhiloxSequence(seed: 7, stream: StableHash.stream(name))
    var operations: [any Operation] = [type.init()]
    operations += allSamples(of: type).prefix(12).map(\.operation)
    for operation in operations {
      for _ in 0..<60 {
        let count = random.nextInt(below: 5)
        let operands = (0..<count).map { _ in
          let element = ElementType.allCases[random.nextInt(below: 8) % 4]
          let shape = (0..<random.nextInt(below: 6)).map { _ in 1 + random.nextInt(below: 4) }
          return TensorType(element, shape)
        }
        guard let types = try? operation.inferTypes(operands) else { continue }
        let valid = types.allSatisfy { (try? $0.checked()) != nil }
        guard valid, !(operation is Gradient) else { continue }
        let inputs = operands.map { HostTensor($0, repeating: 1) }
        let results = operation.evaluate(inputs, results: types)
        #expect(results.map(\.type) == types)
        _ = operation.cost(operands, types)
        for set in operation.rowLinearOperands(operands) + [operation.rowUse(operands).operands] {
          #expect(set.allSatisfy { operands.indices.contains($0) && operands[$0].rank > 0 })
        }
        #expect(!operation.rowLinearOperands(operands).contains([]))
      }
    }
  }

  /// Numbers of attributes replaced by hostile ones: an answer or a diagnostic, never a trap.
  @Test(arguments: OperatorSet.standard.names)
  func anyAttributes(_ name: String) throws {
    let type = try #require(OperatorSet.standard.type(named: name))
    let hostile = [Int.min, Int.min + 1, -1_000_000, -2, -1, 0, 1, 2, 3, 9, 1 << 31, 1 << 62, .max]
    for sample in allSamples(of: type).prefix(8) {
      let attributes = sample.operation.attributes
      for index in attributes.indices {
        for number in hostile {
          for place in 0..<4 {
            var changed = attributes
            changed[index].value = replacing(changed[index].value, by: number, at: place)
            guard let operation = try? read(type, changed) else { continue }
            _ = try? operation.inferTypes(sample.operands)
          }
        }
        for list in [[], [0], [0, 0], [Int.max, Int.max], Array(repeating: 1, count: 20)] {
          var changed = attributes
          changed[index].value = .list(list.map { .int($0) })
          guard let operation = try? read(type, changed) else { continue }
          _ = try? operation.inferTypes(sample.operands)
        }
      }
    }
  }

  private func replacing(_ value: AttributeValue, by number: Int, at place: Int) -> AttributeValue {
    switch value {
    case .int: return .int(number)
    case .float: return .float([.nan, .infinity, -1e300, Double(number)][place])
    case .list(var items) where !items.isEmpty:
      let index = place % items.count
      items[index] = replacing(items[index], by: number, at: place)
      return .list(items)
    case .type(var type) where !type.shape.isEmpty:
      type.shape[place % type.rank] = number
      return .type(type)
    default: return value
    }
  }

  private func read(
    _ type: any Operation.Type, _ attributes: [(name: String, value: AttributeValue)]
  ) throws -> any Operation {
    func make<Op: Operation>(_ type: Op.Type) throws -> any Operation {
      var operation = Op()
      var reader = AttributeReader(attributes, operation: Op.mnemonic)
      try operation.visitAttributes(&reader)
      try reader.finish()
      return operation
    }
    return try make(type)
  }
}

@Suite struct OperatorListTests {
  @Test func mnemonicsAreUnique() {
    let names = OperatorSet.standard.names
    #expect(Set(names).count == names.count)
    #expect(names.allSatisfy { $0.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" } })
  }

  /// Every operation that stands in a file stands in the list.
  @Test func listMatchesFiles() throws {
    var found: [String] = []
    for file in try Places.names(in: "Sources/Operators") where file.hasSuffix(".swift") {
      let text = String(decoding: try Places.bytes("Sources/Operators/\(file)"), as: UTF8.self)
      for line in text.split(separator: "\n") {
        let words = line.split(whereSeparator: { " :,{".contains($0) }).map(String.init)
        guard let place = words.firstIndex(of: "struct"), place + 1 < words.count,
          words[(place + 2)...].contains(where: { $0.hasSuffix("Operation") })
        else { continue }
        found.append(words[place + 1])
      }
    }
    let listed = OperatorSet.standard.all.map { String(describing: $0) }
    #expect(found.count > 40)
    #expect(found.sorted() == listed.sorted())
  }
}
