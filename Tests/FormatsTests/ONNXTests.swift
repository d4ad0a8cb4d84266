import Basics
import Formats
import TestSupport
import Testing

@Suite struct ONNXTests {
  static func decode(_ bytes: [UInt8]) throws -> ONNXModel {
    try ONNXModel.decode(bytes, name: "a file")
  }

  /// The bytes of a model around a graph's, as a writer of our own makes them.
  static func model(_ graph: (inout ProtobufWriter) -> Void) -> [UInt8] {
    var writer = ProtobufWriter()
    writer.integer(1, 8)
    writer.message(7, graph)
    writer.message(8) { $0.integer(2, 17) }
    return writer.bytes
  }

  static func tensor(_ tensor: (inout ProtobufWriter) -> Void) -> [UInt8] {
    model { $0.message(5, tensor) }
  }

  static let sample = ONNXModel(
    opsets: [ONNXOpset(version: 17), ONNXOpset(domain: "custom", version: 1)], producer: "tests",
    producerVersion: "1.0", domain: "d", modelVersion: 3, documentation: "a model",
    graph: ONNXGraph(
      name: "g",
      nodes: [
        ONNXNode("Add", name: "sum", inputs: ["x", "w"], outputs: ["y"], documentation: "adds"),
        ONNXNode(
          "Thing", domain: "custom", inputs: ["y", "", "z"], outputs: ["", "u"],
          attributes: [
            ONNXAttribute("f", .float(0.5)), ONNXAttribute("i", .int(-3)),
            ONNXAttribute("s", .string("wörd")), ONNXAttribute("fs", .floats([1, -2])),
            ONNXAttribute("is", .ints([3, -4, 1 << 40])), ONNXAttribute("none", .ints([])),
            ONNXAttribute("ss", .strings(["a", ""])),
            ONNXAttribute("t", .tensor(ONNXTensor(shape: [2], integers: [7, -8]))),
            ONNXAttribute("ts", .tensors([ONNXTensor(shape: [], floats: [1])])),
            ONNXAttribute("g", .graph(ONNXGraph(name: "inner"))),
            ONNXAttribute("gs", .graphs([ONNXGraph(name: "a"), ONNXGraph(name: "b")])),
          ]),
      ],
      initializers: [
        ONNXTensor(name: "w", shape: [2, 3], floats: [1, 2, 3, 4, 5, .infinity]),
        ONNXTensor(name: "none", element: .bool, shape: [0, 4], data: []),
      ],
      inputs: [ONNXValueInfo("x", .float, [.parameter("batch"), .value(3), .unknown])],
      outputs: [
        ONNXValueInfo("u", .tensor(.int64, shape: nil)), ONNXValueInfo("v", .bool, []),
      ],
      valueInfo: [ONNXValueInfo("y", .float, [.value(2), .value(3)])], documentation: "a graph"),
    metadata: [ONNXMetadata("key", "value"), ONNXMetadata("empty", "")])

  @Test func writesKnownBytes() throws {
    let small = ONNXModel(
      opsets: [ONNXOpset(version: 13)],
      graph: ONNXGraph(
        name: "g", nodes: [ONNXNode("Neg", inputs: ["x"], outputs: ["y"])],
        inputs: [ONNXValueInfo("x", .float, [.parameter("N"), .value(2)])]))
    let node: [UInt8] = [0x0A, 1, 0x78, 0x12, 1, 0x79, 0x22, 3, 0x4E, 0x65, 0x67]
    let type: [UInt8] = [0x0A, 13, 8, 1, 0x12, 9, 0x0A, 3, 0x12, 1, 0x4E, 0x0A, 2, 8, 2]
    let input: [UInt8] = [0x0A, 1, 0x78, 0x12, 15] + type
    let graph: [UInt8] =
      [0x0A, UInt8(node.count)] + node + [0x12, 1, 0x67] + [0x5A, UInt8(input.count)] + input
    #expect(
      try small.encode() == [8, 8, 0x3A, UInt8(graph.count)] + graph + [0x42, 2, 0x10, 13])
    #expect(try Self.decode(small.encode()) == small)
  }

  @Test func roundTrips() throws {
    let bytes = try Self.sample.encode()
    #expect(try Self.sample.encode() == bytes)
    let back = try Self.decode(bytes)
    #expect(back == Self.sample)
    #expect(back.standardOpset == 17)
    #expect(back.graph.nodes[1].attribute("i") == .int(-3))
    #expect(back.graph.nodes[1].attribute("x") == nil)
    #expect(back.graph.initializers[0].floats?[5] == .infinity)
  }

  /// What the typed fields hold is the same as the bytes of `raw_data`.
  @Test func readsTypedFields() throws {
    func read(
      _ element: ONNXElement, _ shape: [Int64], _ fill: (inout ProtobufWriter) -> Void
    ) throws -> ONNXTensor {
      let model = try Self.decode(
        Self.tensor {
          $0.packed(1, integers: shape)
          $0.integer(2, element.rawValue)
          fill(&$0)
        })
      return try #require(model.graph.initializers.first)
    }
    #expect(try read(.float, [2]) { $0.packed(4, floats: [1.5, -2]) }.floats == [1.5, -2])
    #expect(try read(.double, [2]) { $0.packed(10, doubles: [0.1, 2]) }.doubles == [0.1, 2])
    #expect(try read(.int32, [2]) { $0.packed(5, integers: [-1, 5]) }.integers == [-1, 5])
    #expect(try read(.int8, [2]) { $0.packed(5, integers: [-128, 5]) }.integers == [-128, 5])
    #expect(try read(.uint8, [1]) { $0.packed(5, integers: [255]) }.integers == [255])
    #expect(try read(.int16, [1]) { $0.packed(5, integers: [-2]) }.integers == [-2])
    #expect(try read(.bool, [3]) { $0.packed(5, integers: [1, 0, 1]) }.integers == [1, 0, 1])
    #expect(try read(.int64, [1]) { $0.integer(7, .min) }.integers == [.min])
    #expect(try read(.uint64, [1]) { $0.unsigned(11, .max) }.integers == [.max])
    #expect(try read(.uint32, [1]) { $0.unsigned(11, 4_294_967_295) }.integers == [4_294_967_295])
    #expect(
      try read(.float16, [2]) { $0.packed(5, integers: [0x3C00, 0xC000]) }.floats == [1, -2])
    #expect(try read(.bfloat16, [1]) { $0.packed(5, integers: [0x3F80]) }.doubles == [1])
    let text = try read(.string, [1]) { $0.string(6, "a") }
    #expect(text.strings == [[97]] && text.doubles == nil && text.integers == nil)
    #expect(try read(.int4, [3]) { $0.bytes(9, [0x21, 3]) }.data == [0x21, 3])
  }

  @Test func readsATensorByItself() throws {
    let bytes: [UInt8] = [8, 2, 16, 7, 0x3A, 2, 5, 6, 0x42, 1, 0x78]
    let tensor = try ONNXTensor.decode(bytes, name: "a file")
    #expect(tensor == ONNXTensor(name: "x", shape: [2], integers: [5, 6]))
    expectFailure("a file", "TensorProto", "truncated") {
      _ = try ONNXTensor.decode(Array(bytes.dropLast()), name: "a file")
    }
  }

  @Test func readsAttributesWithoutTypes() throws {
    func value(_ fill: (inout ProtobufWriter) -> Void) throws -> ONNXAttribute.Value? {
      let model = try Self.decode(
        Self.model {
          $0.message(1) {
            $0.string(4, "Op")
            $0.message(5) {
              $0.string(1, "a")
              fill(&$0)
            }
          }
        })
      return model.graph.nodes[0].attribute("a")
    }
    #expect(try value { $0.integer(3, 4) } == .int(4))
    #expect(try value { $0.float(2, 4) } == .float(4))
    #expect(try value { $0.string(4, "x") } == .string("x"))
    #expect(try value { $0.packed(8, integers: [1, 2]) } == .ints([1, 2]))
    #expect(try value { _ in } == .other("nothing"))
    // proto3 leaves out zeros.
    #expect(try value { $0.integer(20, 2) } == .int(0))
    #expect(try value { $0.integer(20, 1) } == .float(0))
    #expect(try value { $0.integer(20, 3) } == .string(""))
    #expect(try value { $0.integer(20, 13) } == .other("type"))
    expectFailure("a file", "'a' has no tensor") { _ = try value { $0.integer(20, 4) } }
    expectFailure("a file", "'a' has no graph") { _ = try value { $0.integer(20, 5) } }
    expectFailure("unknown type 99") { _ = try value { $0.integer(20, 99) } }
    expectFailure("attribute of a function") { _ = try value { $0.string(21, "b") } }
  }

  @Test func refusesWhatItCannotKeep() throws {
    func expectTensorFailure(
      _ words: String, sourceLocation: SourceLocation = #_sourceLocation,
      _ fill: (inout ProtobufWriter) -> Void
    ) {
      let bytes = Self.tensor {
        $0.string(8, "w")
        fill(&$0)
      }
      expectFailure("a file", words, sourceLocation: sourceLocation) {
        _ = try Self.decode(bytes)
      }
    }
    expectTensorFailure("'w' has its data in another file ('w.bin')") {
      $0.message(13) {
        $0.string(1, "location")
        $0.string(2, "w.bin")
      }
    }
    expectTensorFailure("another file") { $0.integer(14, 1) }
    expectTensorFailure("in segments") { $0.message(3) { _ in } }
    expectTensorFailure("'w' has no element type") { _ in }
    expectTensorFailure("77 is no element type") { $0.integer(2, 77) }
    expectTensorFailure("has a dimension of -1") {
      $0.integer(2, 1)
      $0.packed(1, integers: [-1])
    }
    expectTensorFailure("which overflows") {
      $0.integer(2, 1)
      $0.packed(1, integers: [1 << 40, 1 << 40])
    }
    expectTensorFailure("of float32 and shape [3] needs 12 bytes, found 4") {
      $0.integer(2, 1)
      $0.packed(1, integers: [3])
      $0.packed(4, floats: [1])
    }
    expectTensorFailure("of shape [2] has 1 texts") {
      $0.integer(2, 8)
      $0.packed(1, integers: [2])
      $0.string(6, "a")
    }
    expectFailure("a file", "sparse initialisers") {
      _ = try Self.decode(Self.model { $0.message(15) { _ in } })
    }
    expectFailure("a file", "the node 'n' has no operator") {
      _ = try Self.decode(Self.model { $0.message(1) { $0.string(3, "n") } })
    }
    var functions = ProtobufWriter()
    functions.message(25) { $0.string(1, "mine") }
    expectFailure("a file", "functions of its own", "mine") {
      _ = try Self.decode(Self.model { _ in } + functions.bytes)
    }
    expectFailure("a file", "not an ONNX model", "no graph") { _ = try Self.decode([]) }
    expectFailure("a file", "not an ONNX model") { _ = try Self.decode([8, 8]) }
    expectFailure("IR version, found 0") {
      _ = try Self.decode(Array(Self.model { _ in }.dropFirst(2)))
    }
    var wrong = Self.sample
    wrong.graph.initializers[0].shape = [7]
    expectFailure("a file", "'w'", "has 24 bytes") { _ = try wrong.encode(name: "a file") }
  }

  @Test func passesOverWhatIsNotTensors() throws {
    let model = try Self.decode(
      Self.model {
        for (field, name) in [(4, "s"), (5, "m"), (8, "p"), (9, "o")] {
          $0.message(11) {
            $0.string(1, name)
            $0.message(2) { $0.message(field) { _ in } }
          }
        }
        $0.message(11) { $0.string(1, "n") }
      })
    let kinds = model.graph.inputs.map(\.kind)
    #expect(
      kinds
        == ["sequence", "map", "sparse tensor", "optional", "nothing"].map {
          ONNXValueInfo.Kind.other($0)
        })
  }

  /// A cut file is refused, or it ends behind a field that may be the last.
  @Test func survivesCutsAndNoise() throws {
    let bytes = try Self.sample.encode()
    var accepted = 0
    for length in 0..<bytes.count {
      do {
        _ = try Self.decode(Array(bytes[..<length]))
        accepted += 1
      } catch let failure as EnvironmentFailure {
        #expect(failure.message.contains("a file"))
      }
    }
    // Behind the two opsets and the first entry of the metadata.
    #expect(accepted == 3)
    try fuzz(bytes, seed: 3, rounds: 20000) { _ = try Self.decode($0) }
  }
}
