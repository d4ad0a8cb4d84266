// The functions of the language by their values: each expression of x = [[1, -2, 3], [0.5, 4, -1]]
// and of an image against the numbers it must give.

import Basics
import Elaboration
import GraphIR
import Testing

struct Valued: Sendable, CustomTestStringConvertible {
  var expression: String
  var shape: [Int]
  var values: [Double]
  init(_ expression: String, _ shape: [Int], _ values: [Double]) {
    self.expression = expression
    self.shape = shape
    self.values = values
  }
  var testDescription: String { expression }
}

private let matrix: [Valued] = [
  Valued("abs(x)", [2, 3], [1, 2, 3, 0.5, 4, 1]),
  Valued("sign(x) + 0 * x", [2, 3], [1, -1, 1, 1, 1, -1]),
  Valued("square(x)", [2, 3], [1, 4, 9, 0.25, 16, 1]),
  Valued("relu(x)", [2, 3], [1, 0, 3, 0.5, 4, 0]),
  Valued("leakyReLU(x)", [2, 3], [1, -0.6, 3, 0.5, 4, -0.3]),
  Valued("elu(x)", [2, 3], [1, -0.8646647168, 3, 0.5, 4, -0.6321205588]),
  Valued(
    "selu(x)", [2, 3],
    [1.0507009874, -1.5201664686, 3.1521029621, 0.5253504937, 4.2028039494, -1.1113307378]),
  Valued(
    "gelu(x)", [2, 3],
    [0.8413447461, -0.0455002639, 2.9959503059, 0.3457312306, 3.9998733150, -0.1586552539]),
  Valued(
    "swish(x)", [2, 3],
    [0.7310585786, -0.2384058440, 2.8577223804, 0.3112296656, 3.9280551601, -0.2689414214]),
  Valued(
    "softplus(x)", [2, 3],
    [1.3132616875, 0.1269280110, 3.0485873516, 0.9740769842, 4.0181499279, 0.3132616875]),
  Valued("clip(x, -1, 2)", [2, 3], [1, -1, 2, 0.5, 2, -1]),
  Valued("maximum(x, 1)", [2, 3], [1, 1, 3, 1, 4, 1]),
  Valued("minimum(1, x)", [2, 3], [1, -2, 1, 0.5, 1, -1]),
  Valued("power(abs(x), 2)", [2, 3], [1, 4, 9, 0.25, 16, 1]),
  Valued("where(x > 0, x, 0)", [2, 3], [1, 0, 3, 0.5, 4, 0]),
  Valued("where(x >= [1, 1, 3], 1, 2)", [2, 3], [1, 2, 1, 2, 1, 2]),
  Valued("x % 2", [2, 3], [1, 0, 1, 0.5, 0, 1]),
  Valued("-x + 1", [2, 3], [0, 3, -2, 0.5, -3, 2]),
  Valued("x / [1, 2, 4]", [2, 3], [1, -1, 0.75, 0.5, 2, -0.25]),
  Valued("(x > 0) + (x > 1)", [2, 3], [1, 0, 2, 1, 2, 0]),
  Valued("reshape(x, [3, -1])", [3, 2], [1, -2, 3, 0.5, 4, -1]),
  Valued("transpose(x)", [3, 2], [1, 0.5, -2, 4, 3, -1]),
  Valued("concat([x, x], axis: -1) |> slice(2, 4, axis: 1)", [2, 2], [3, 1, -1, 0.5]),
  Valued("x |> slice(-2, 3, axis: 1)", [2, 2], [-2, 3, 4, -1]),
  Valued("tile(x, [1, 2])", [2, 6], [1, -2, 3, 1, -2, 3, 0.5, 4, -1, 0.5, 4, -1]),
  Valued("broadcast([1, 2], [2, 2]) * 1.0", [2, 2], [1, 2, 1, 2]),
  Valued("pad(x, [[0, 0], [1, 1]], mode: edge)", [2, 5], [1, 1, -2, 3, 3, 0.5, 0.5, 4, -1, -1]),
  Valued("sum(x)", [], [5.5]),
  Valued("sum(x, axis: 1)", [2], [2, 3.5]),
  Valued("mean(x, axes: [0], keepdims: true)", [1, 3], [0.75, 1, 1]),
  Valued("variance(x, axes: 0)", [3], [0.0625, 9, 4]),
  Valued("max(x, axes: -1)", [2], [3, 4]),
  Valued("min(x)", [], [-2]),
  Valued("1.0 * argmax(x, axis: 1)", [2], [2, 1]),
  Valued("1.0 * argmax(x)", [], [4]),
  Valued("norm(x, axes: 1)", [2], [3.7416573868, 4.1533119315]),
  Valued("gradient(of: sum(norm(x * 0, axes: 1)), wrt: x)", [2, 3], [0, 0, 0, 0, 0, 0]),
  Valued("softmax([0.0, 0.0])", [2], [0.5, 0.5]),
  Valued("logSoftmax([0.0, 0.0])", [2], [-0.6931471806, -0.6931471806]),
  Valued("matmul(x, transpose(x))", [2, 2], [14, -10.5, -10.5, 17.25]),
  Valued("onehot([2, 0], 3)", [2, 3], [0, 0, 1, 1, 0, 0]),
  Valued("1.0 * range(3) + 0.5", [3], [0.5, 1.5, 2.5]),
  Valued("range(5) / 2", [5], [0, 0.5, 1, 1.5, 2]),
  Valued("1.0 * (range(5) % 2)", [5], [0, 1, 0, 1, 0]),
  Valued("gradient(of: sum(square(x)), wrt: x)", [2, 3], [2, -4, 6, 1, 8, -2]),
  Valued("gradient(of: sum(clip(x, -1.5, 2)), wrt: x)", [2, 3], [1, 0, 0, 1, 0, 1]),
]

private let image: [Valued] = [
  Valued("upsample(v, 2)", [1, 2, 4, 2], [1, 2, 1, 2, 3, 4, 3, 4, 1, 2, 1, 2, 3, 4, 3, 4]),
  Valued("upsample(v, [1, 2])", [1, 1, 4, 2], [1, 2, 1, 2, 3, 4, 3, 4]),
  Valued("upsample(v, [1, 2], mode: bilinear)", [1, 1, 4, 2], [1, 2, 1.5, 2.5, 2.5, 3.5, 3, 4]),
  Valued("downsample(v, [1, 2])", [1, 1, 1, 2], [2, 3]),
  Valued("globalAvgPool(v)", [1, 2], [2, 3]),
  Valued("maxPool(v, [1, 2])", [1, 1, 1, 2], [3, 4]),
  Valued("avgPool(v, [1, 2], stride: 1, padding: same)", [1, 1, 2, 2], [2, 3, 3, 4]),
  Valued(
    "pixelShuffle(reshape(range(8) * 1.0, [1, 1, 1, 8]), 2)", [1, 2, 2, 2],
    [0, 4, 1, 5, 2, 6, 3, 7]),
  Valued("convolve(v, reshape([1.0, 10.0], [1, 1, 2, 1]))", [1, 1, 2, 1], [21, 43]),
  Valued("flatten(v)", [1, 4], [1, 2, 3, 4]),
]

@Suite struct FunctionTests {
  @Test(arguments: matrix + image) func values(_ item: Valued) throws {
    let shape = "[" + item.shape.map(String.init).joined(separator: ", ") + "]"
    let program = try compiled(
      "network f(x: [2, 3], v: [1, 1, 2, 2]) -> \(shape) {\n\(item.expression)\n}")
    let network = try #require(program.networks.first)
    let result = try run(
      network.graph,
      arguments: [
        "x": HostTensor(.f32(2, 3), [1, -2, 3, 0.5, 4, -1]),
        "v": HostTensor(.f32(1, 1, 2, 2), [1, 2, 3, 4]),
      ]
    ).results[0]
    #expect(result.shape == item.shape)
    #expect(
      zip(result.values, item.values).allSatisfy { abs($0 - $1) < 1e-8 },
      "found \(result.values)")
  }

  @Test func randomNumbersHaveTheirRange() throws {
    let program = try compiled(
      """
      network f(x: [1]) -> ([400], [400], i32[400]) {
        (uniform([400], low: -3, high: 5), bernoulli([400], 0.25), categorical([400], 4))
      }
      """)
    let results = try run(program.networks[0].graph).results
    #expect(results[0].values.allSatisfy { $0 >= -3 && $0 < 5 })
    #expect(results[0].values.contains { $0 < -2 } && results[0].values.contains { $0 > 4 })
    let ones = results[1].values.filter { $0 == 1 }.count
    #expect(ones > 60 && ones < 140)
    #expect(results[1].values.allSatisfy { $0 == 0 || $0 == 1 })
    #expect(Set(results[2].values) == [0, 1, 2, 3])
  }

  @Test func everyFunctionIsDocumented() throws {
    let reference = try graphReference()
    for document in functionDocuments + optimizerDocuments {
      #expect(reference.contains("`\(document.signature)`"))
    }
    #expect(functionDocuments.count > 60)
    let names = functionDocuments.map { $0.signature.prefix { $0 != "(" } }
    #expect(Set(names).count == names.count)
    #expect(
      (functionDocuments + optimizerDocuments).allSatisfy {
        $0.summary.hasSuffix(".") || $0.summary.count < 40
      })
  }
}
