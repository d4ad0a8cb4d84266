// The node tests of the ONNX standard that we support, from a stored file: each model is imported
// and computes what the standard's own implementation computed. `Tools/onnx-node-tests` makes the
// file; Sources/Interchange/NODE-TESTS.md lists all tests, with reasons for those that are not here.

import Basics
import Formats
import GraphIR
import Interchange
import TestSupport
import Testing

struct NodeTestCase: Sendable, CustomTestStringConvertible {
  var name: String
  var model: ONNXModel
  var inputs: [ONNXTensor]
  var outputs: [ONNXTensor]
  var testDescription: String { name }

  /// All cases of the stored file: a message with a field 1 for each, of its name (1), its model
  /// (2), its inputs (3) and outputs (4).
  static let all: [NodeTestCase] = {
    do {
      let path = "Tests/InterchangeTests/Fixtures/onnx-nodes.bin.gz"
      let bytes = try Gzip.decompress(try Places.bytes(path), name: path)
      var reader = ProtobufReader(bytes, name: path, what: "node tests")
      var cases: [NodeTestCase] = []
      while let field = try reader.next() {
        cases.append(try NodeTestCase(reader.message(field, "case"), path))
      }
      return cases
    } catch {
      Issue.record("\(error)")
      return []
    }
  }()

  private init(_ source: ProtobufReader, _ path: String) throws {
    var reader = source
    (name, inputs, outputs) = ("", [], [])
    var bytes: [UInt8] = []
    while let field = try reader.next() {
      switch field.number {
      case 1: name = try reader.string(field)
      case 2: bytes = Array(try reader.bytes(field))
      case 3: inputs.append(try ONNXTensor.decode(Array(reader.bytes(field)), name: path))
      default: outputs.append(try ONNXTensor.decode(Array(reader.bytes(field)), name: path))
      }
    }
    model = try ONNXModel.decode(bytes, name: name)
  }
}

@Suite struct NodeTests {
  @Test func thereAreCases() { #expect(NodeTestCase.all.count > 800) }

  @Test(arguments: NodeTestCase.all) func reproduces(_ test: NodeTestCase) throws {
    let model = try ImportedModel.importing(test.model, name: test.name, given: test.inputs)
    var inputs: [String: [Double]] = [:]
    for input in test.inputs { inputs[input.name] = input.doubles }
    let results = try model.evaluate(inputs)
    #expect(results.count == test.outputs.count)
    for (index, result) in results.enumerated() {
      let port = model.results[index]
      let expected = try #require(test.outputs.first { $0.name == port.name })
      #expect(result.shape == expected.shape && port.element == expected.element)
      let relative = Self.roughlyWritten[test.name] ?? Self.tolerance(expected.element)
      let worst = try worstError(result.values, #require(expected.doubles), relative)
      #expect(worst <= 1, "\(port.name): \(worst) times what is allowed")
    }
  }

  /// Cases whose expected values were written by hand, with four digits.
  private static let roughlyWritten = ["test_averagepool_2d_ceil_last_window_starts_on_pad": 1e-3]

  /// For float32 a hundredth of what the standard's runner allows, for halves two units in the last
  /// place.
  private static func tolerance(_ element: ONNXElement) -> Double {
    switch element {
    case .float16: 0x1p-9
    case .bfloat16: 0x1p-6
    default: 1e-5
    }
  }

  /// The largest error in units of what is allowed: a part of the value and 10⁻⁶.
  private func worstError(
    _ found: [Double], _ expected: [Double], _ relative: Double
  ) throws -> Double {
    try #require(found.count == expected.count)
    var worst = 0.0
    for (a, b) in zip(found, expected) where a != b && !(a.isNaN && b.isNaN) {
      let error = abs(a - b) / (1e-6 + relative * abs(b))
      worst = max(worst, error.isNaN ? .infinity : error)
    }
    return worst
  }
}
