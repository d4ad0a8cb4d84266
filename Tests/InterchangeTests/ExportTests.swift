import Basics
import Elaboration
import Formats
import GraphIR
import Operators
import TestSupport
import Testing

@testable import Interchange

/// The nodes of small networks, and what holds for all models.
@Suite struct ExportTests {
  static let programs = [
    "dcgan-fashion", "dcgan-mnist", "dense-gan", "fashion-gan", "vanilla-gan-tf", "vanilla-gan",
  ]

  @Test func convolutionsKeepOneLayout() throws {
    let source = try exportable(
      """
      network net(image: [n, 8, 8, 3]) -> [n, 10] {
        image |> conv2D(4, 3, stride: 2) |> batchNorm() |> leakyReLU(0.2)
              |> conv2D(5, 3, bias: false) |> relu() |> flatten() |> dense(10)
      }
      """)
    let model = try model(source)
    #expect(
      lines(model) == [
        "net/conv2D/Transpose = Transpose(image) {perm: 0 3 1 2}",
        "net/conv2D/Conv = Conv(net/conv2D/Transpose, net/conv2D/kernel, net/conv2D/bias) "
          + "{kernel_shape: 3 3, pads: 0 0 1 1, strides: 2 2}",
        "net/batchNorm/BatchNormalization = BatchNormalization(net/conv2D/Conv, "
          + "net/batchNorm/gamma, net/batchNorm/beta, net/batchNorm/runningMean, "
          + "net/batchNorm/runningVariance) {epsilon: 0.001}",
        "net/LeakyRelu = LeakyRelu(net/batchNorm/BatchNormalization) {alpha: 0.2}",
        "net/conv2D_1/Conv = Conv(net/LeakyRelu, net/conv2D_1/kernel) "
          + "{kernel_shape: 3 3, pads: 1 1 1 1, strides: 1 1}",
        "net/Relu = Relu(net/conv2D_1/Conv)",
        "net/Transpose = Transpose(net/Relu) {perm: 0 2 3 1}",
        "net/Reshape = Reshape(net/Transpose, \(shapeName(model, [-1, 80])))",
        "net/dense/MatMul = MatMul(net/Reshape, net/dense/kernel)",
        "output = Add(net/dense/MatMul, net/dense/bias)",
      ])
    #expect(model.graph.inputs == [info("image", ["batch", 8, 8, 3])])
    #expect(model.graph.outputs == [info("output", ["batch", 10])])
    #expect(model.opsets == [ONNXOpset(version: 17)])
    // The kernel [kh, kw, in, out] became [out, in, kh, kw].
    let kernel = try #require(model.graph.initializers.first { $0.name == "net/conv2D/kernel" })
    #expect(kernel.shape == [4, 3, 3, 3])
    let (o, i, y, x) = (2, 1, 2, 0)
    let place = ((y * 3 + x) * 3 + i) * 4 + o
    #expect(kernel.floats?[((o * 3 + i) * 3 + y) * 3 + x] == Float(place % 7) / 8 + 0.25)
  }

  private func shapeName(_ model: ONNXModel, _ shape: [Int64]) -> String {
    model.graph.initializers.first { $0.integers == shape }?.name ?? "no such shape"
  }

  private func info(_ name: String, _ shape: [Any]) -> ONNXValueInfo {
    ONNXValueInfo(
      name, .float,
      shape.map { ($0 as? Int).map { .value($0) } ?? .parameter($0 as? String ?? "") })
  }

  @Test func transposedConvolutionsCropAndFill() throws {
    let model = try model(
      try exportable(
        """
        network net(image: [n, 4, 4, 2]) -> [n, 8, 12, 3] {
          image |> convTranspose2D(3, [5, 4], stride: [2, 3])
        }
        """))
    #expect(
      lines(model).dropFirst().first
        == "net/convTranspose2D/ConvTranspose = ConvTranspose(net/convTranspose2D/Transpose, "
        + "net/convTranspose2D/kernel, net/convTranspose2D/bias) {kernel_shape: 5 4, "
        + "pads: 1 0 2 1, strides: 2 3}")
  }

  /// A mean over the batch, a part of it, and a tensor that is repeated for it.
  @Test func theBatchIsFree() throws {
    let model = try model(
      try exportable(
        """
        network net(x: [n, 4]) -> [n, 5] {
          let centred = x - mean(x, axes: 0)
          let constant = broadcast(parameter([1, 1]), [n, 1])
          concat([centred, constant], axis: 1)
        }
        """))
    let all = lines(model)
    #expect(all.contains("Shape = Shape(x) {end: 1, start: 0}"))
    #expect(all.contains { $0.contains("= Div(constants/") })
    #expect(all.contains { $0.contains("= Expand(net/parameter/value, ") })
    #expect(model.graph.outputs == [info("output", ["batch", 5])])
  }

  @Test func sayWhatDependsOnTheBatch() throws {
    func refusal(_ text: String) throws -> String {
      do {
        _ = try exportable(text)
        return "none"
      } catch let dependence as BatchDependence {
        return dependence.description
      }
    }
    #expect(
      try refusal(
        "network net(x: [n, 4]) -> [n + 1, 4] { concat([x, parameter([1, 4])], axis: 0) }"
      )
      .contains("does not grow with the batch"))
    #expect(
      try refusal("network net(x: [n, 4]) -> [n, 4] { x * sqrt(n) }")
        .contains("is a number that depends on the batch"))
    #expect(
      try refusal("network net(x: [n, 4]) -> [n, 4] { elu(x, alpha: 1 / n) }")
        .contains("elu at 1:36 net has attributes"))
  }

  @Test func namesRandomNumbers() throws {
    let source = try exportable(
      """
      network net(x: [n, 4]) -> [n, 4] {
        x + normal([n, 4])
      }
      """)
    #expect {
      try model(source)
    } throws: {
      "\($0)".contains("random_normal at 2:7 net draws random numbers")
    }
  }

  @Test func resultsThatAreInputs() throws {
    let model = try model(
      try exportable(
        "network net(output: [n, 4]) -> ([n, 4], [n, 4], [3], [n, 4]) {\n"
          + "  let y = relu(output)\n  (output, y, parameter([3]), y)\n}"))
    #expect(
      lines(model) == [
        "output_1 = Relu(output)", "output_0 = Identity(output)",
        "output_2 = Identity(net/parameter/value)", "output_3 = Identity(output_1)",
      ])
  }

  /// Every network of every program: standard operators, nothing transposed between convolutions, bytes
  /// that say the same when read again.
  @Test(arguments: programs) func everyNetwork(_ name: String) throws {
    let source = SourceText(
      name: "\(name).gan", bytes: try FileIO.read(Places.graph(name)))
    for network in ["generator", "discriminator"] {
      let model = try model(try exportable(source, network))
      let bytes = try model.encode()
      #expect(try ONNXModel.decode(bytes, name: "a file") == model)
      #expect(try model.encode() == bytes)
      #expect(model.graph.nodes.allSatisfy { $0.domain.isEmpty })
      // At most one way in and one way out.
      #expect(model.graph.nodes.count { $0.op == "Transpose" } <= 2)
      #expect(Set(model.graph.nodes.map(\.name)).count == model.graph.nodes.count)
      for value in model.graph.inputs + model.graph.outputs {
        guard case .tensor(_, let shape) = value.kind else { continue }
        #expect(shape?.first == .parameter("batch"))
      }
    }
  }
}
