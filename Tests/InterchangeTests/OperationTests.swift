// Every operation by itself as a model. With ONNX_FOLDER set the models are written there with their
// inputs and the results of the reference evaluator, for Tools/check-onnx-export to run them in
// onnxruntime.

import Basics
import Formats
import GraphIR
import Interchange
import Operators
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct OperationTests {
  /// What no network in inference mode has, or what no other program can do.
  static let refused = ["random_uniform", "random_normal", "gradient", "fused"]

  /// How a sample stands in a model.
  enum Form: String, CaseIterable {
    /// All operands are inputs.
    case inputs
    /// All but the first are weights.
    case weights
    /// Images come from a pooling that changes nothing, so that they lie as NCHW.
    case images
  }

  @Test func everyOperationIsExported() throws {
    let folder = getenv("ONNX_FOLDER").map { String(cString: $0) }
    var count = 0
    for operation in OperatorSet.standard.all {
      for (number, sample) in allSamples(of: operation).enumerated() {
        if Self.refused.contains(operation.mnemonic) {
          #expect(throws: ExportRefusal.self) { try Self.model(sample, .inputs) }
          continue
        }
        for form in Form.allCases {
          guard let (model, example) = try Self.model(sample, form) else { continue }
          #expect(try ONNXModel.decode(model.encode(), name: "a file") == model)
          #expect(model.graph.nodes.allSatisfy { $0.domain.isEmpty })
          count += 1
          if let folder {
            try Self.write(
              model, example, to: "\(folder)/\(operation.mnemonic)-\(number)-\(form.rawValue)")
          }
        }
      }
    }
    #expect(count > 300)
  }

  struct Example {
    var inputs: [(key: String, array: NPYArray)] = []
    var results: [(key: String, array: NPYArray)] = []
  }

  /// The model of a sample; nil where the form does not differ from the plain one.
  static func model(_ sample: AnySample, _ form: Form) throws -> (ONNXModel, Example)? {
    let isImage = { (type: TensorType) in type.rank == 4 && type.element == .f32 }
    switch form {
    case .inputs: break
    case .weights:
      if sample.operands.count < 2
        || !sample.operands.dropFirst().allSatisfy({ $0.element == .f32 })
      {
        return nil
      }
    case .images: if !sample.operands.contains(where: isImage) { return nil }
    }
    let builder = GraphBuilder(name: sample.operation.mnemonic, stage: .differentiated)
    let given = sample.inputs()
    var operands: [ValueID] = []
    var example = Example()
    var weights: [String: [UInt8]] = [:]
    for (index, tensor) in given.enumerated() {
      if form == .weights, index > 0 {
        weights["w\(index)"] = tensor.values.map { Float($0) }.withUnsafeBytes { Array($0) }
        operands.append(try builder.input(.state("w\(index)"), tensor.type))
        continue
      }
      let input = try builder.input(.argument("x\(index)"), tensor.type)
      example.inputs.append(("x\(index)", array(tensor)))
      guard form == .images, isImage(tensor.type) else {
        operands.append(input)
        continue
      }
      let window = PoolWindow(size: [1, 1], stride: [1, 1], padding: [0, 0, 0, 0])
      operands.append(try builder.add(AvgPool(window), [input])[0])
    }
    for (index, value) in try builder.add(sample.operation, operands).enumerated() {
      builder.output(.result("\(index)"), value)
    }
    let graph = builder.finish()
    let model = try ONNXExport.model(ExtentGraph(graph), metadata: []) { ($0, weights[$0] ?? []) }
    let results = Evaluator().evaluate(graph, inputs: given)
    for (info, result) in zip(model.graph.outputs, results) {
      example.results.append((info.name, array(result)))
    }
    return (model, example)
  }

  static func array(_ tensor: HostTensor) -> NPYArray {
    switch tensor.type.element {
    case .f32: NPYArray(shape: tensor.shape, floats: tensor.values.map { Float($0) })
    case .f64: NPYArray(shape: tensor.shape, doubles: tensor.values)
    case .i32: NPYArray(shape: tensor.shape, integers: tensor.values.map { Int32($0) })
    case .bool:
      NPYArray(
        element: .bool, shape: tensor.shape, bytes: tensor.values.map { $0 == 0 ? 0 : 1 })
    }
  }

  static func write(_ model: ONNXModel, _ example: Example, to path: String) throws {
    try FileIO.writeAtomically(try model.encode(), to: path + ".onnx")
    try FileIO.writeAtomically(try NPZ.encode(example.inputs + example.results), to: path + ".npz")
  }
}
