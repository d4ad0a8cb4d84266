// Wrong programs, each with the code and the place of its errors.

import Basics
import Elaboration
import Testing

/// A program and what is wrong with it.
struct Wrong: Sendable, CustomTestStringConvertible {
  var text: String
  var expected: [String]
  init(_ text: String, _ expected: String...) {
    self.text = text
    self.expected = expected
  }
  var testDescription: String { expected.joined(separator: " ") }
}

/// A program with two small networks around the statements of a step.
private func step(_ body: String) -> String {
  """
  data x: [8, 4] from "x.npy"
  network g(z: [n, 3]) -> [n, 4] { z |> dense(4) }
  network d(y: [n, 4]) -> [n, 1] { y |> dense(1) |> sigmoid() }
  train(steps: 5) {
  \(body)
  }
  """
}

/// A network around an expression of x: [2, 6, 6, 3], on line 2.
private func network(_ result: String, _ type: String = "[2, 1]") -> String {
  "network f(x: [2, 6, 6, 3]) -> \(type) {\n\(result)\n}"
}

private let constants: [Wrong] = [
  Wrong("let a = 7 / 0", "number.division@1:9"),
  Wrong("let a = 7 % 0", "number.division@1:9"),
  Wrong("let a = 1.5 / 0", "number.division@1:9"),
  Wrong("let a = 9223372036854775807 + 1", "number.overflow@1:9"),
  Wrong("let a = 4611686018427387904 * 2", "number.overflow@1:9"),
  Wrong("let a = -9223372036854775807 - 2", "number.overflow@1:9"),
  Wrong("let a = b\nlet b = a", "constant.cycle@1:5"),
  Wrong("let a = a + 1", "constant.cycle@1:5"),
  Wrong("let a = bacth\nlet batch = 3", "name.unknown@1:9"),
  Wrong("let a = \"x\" + 1", "type.operand@1:9"),
  Wrong("let a = -true", "type.operand@1:9"),
  Wrong("let a = [1] + 1", "type.operand@1:9"),
  Wrong("let a = normal([3])", "constant.expected@1:9"),
  Wrong("let a = (1, 2)", "constant.expected@1:9"),
  Wrong("let a = 1\nlet a = 2", "name.duplicate@2:5"),
  Wrong("model \"a\"\nmodel \"b\"", "syntax.duplicateModel@2:1"),
  Wrong("let a = 1\nlet b = a.size", "member.unknown@2:11"),
  Wrong("state s: [3] = 0", "notYet@1:1"),
]

private let data: [Wrong] = [
  Wrong("data x: [0, 3] from \"a\"", "shape.size@1:10"),
  Wrong("data x: [2.5] from \"a\"", "type.integer@1:10"),
  Wrong("data x: [7 / 2] from \"a\"", "type.integer@1:10"),
  Wrong("data x: [] from \"a\"", "data.type@1:9"),
  Wrong("data x: f64[3] from \"a\"", "type.element@1:9"),
  Wrong("data x: bool[3] from \"a\"", "data.element@1:9"),
  Wrong("data x: [3] in 1...0 from \"a\"", "data.bounds@1:16"),
  Wrong("data x: [3] from \"a\", order: sequental", "argument.word@1:30"),
  Wrong("data x: [3] from \"a\", ordre: sequential", "argument.unknown@1:23"),
  Wrong("data x: [3] from y.labels", "name.unknown@1:18"),
  Wrong("data x: [3] from x.labels", "data.cycle@1:18"),
  Wrong("data x: [3] from \"a\"\ndata y: [3] from x.names", "data.part@2:20"),
  Wrong("data x: [3] from \"a\"\ndata y: [4] from x.labels", "data.pair@2:9"),
  Wrong("data x: [3] from \"a\"\ndata y: [4] from \"b\", with: x", "data.pair@2:9"),
  Wrong(
    "data x: [3] from \"a\"\ndata y: [3] from x.labels, order: sequential", "data.order@2:28"),
  Wrong("data x: [3, 8, 8] from \"a\", resize: crp", "argument.word@1:37"),
  Wrong("data x: [3, 8] from \"a\", resize: crop", "data.resize@1:26"),
  Wrong("data x: [3, 8, 8, 5] from \"a\", resize: crop", "data.resize@1:32"),
  Wrong("data x: [3, 8, 8] from \"a\", resize: 2", "data.option@1:37"),
  Wrong("data x: [65536, 65536, 65536] from \"a\"", "shape.size@1:9"),
]

private let signatures: [Wrong] = [
  Wrong("network f(x: [n]) -> [m] { x }", "shape.variable@1:23"),
  Wrong("network f(x: [n], x: [n]) -> [n] { x }", "name.duplicate@1:19"),
  Wrong("network f(x: [n]) -> ([n], [n]) { x }", "tuple.count@1:35"),
  Wrong("network f(x: [n, 4]) -> [n, 5] { x }", "shape.result@1:34"),
  Wrong("network f(x: i32[n]) -> [n] { x }", "shape.result@1:31"),
  Wrong("network f(x: float[n]) -> [n] { x }", "type.element@1:14"),
  Wrong("network f(x: [n]) -> [n] { f(x) }", "network.recursion@1:28"),
  Wrong(
    "network f(x: [n]) -> [n] { g(x) }\nnetwork g(x: [n]) -> [n] { f(x) }",
    "network.recursion@2:28"),
  Wrong("block b(x) { b(x) }\nnetwork f(x: [n]) -> [n] { b(x) }", "block.recursion@1:14"),
  Wrong("network dense(x: [n]) -> [n] { x }", "name.reserved@1:9"),
  Wrong("let k = 3\nnetwork k(x: [n]) -> [n] { x }", "name.duplicate@2:9"),
  Wrong("network f(x: [n]) -> [n] { let y = x\nlet y = x\ny }", "name.duplicate@2:5"),
  Wrong("network f(x: [n]) -> [n] { let (a, b) = x\na }", "tuple.count@1:32"),
  Wrong(
    "network f(x: [n]) -> [n] { let (a, b) = split(x, 3, axis: 0)\na }\n"
      + "train(steps: 1) { let y = f(normal([6])) }", "tuple.count@1:32"),
  Wrong("network f(x: [n]) -> [n] { x = 3\nx }", "assign@1:28"),
]

private let layers: [Wrong] = [
  Wrong(network("x |> desne(3)"), "function.unknown@2:6"),
  Wrong(network("x |> dense()"), "argument.missing@2:6"),
  Wrong(network("x |> dense(3, unit: 2)"), "argument.unknown@2:15"),
  Wrong(network("x |> dense(3, units: 2)"), "argument.duplicate@2:15"),
  Wrong(network("x |> relu(1)"), "argument.extra@2:11"),
  Wrong(network("x |> dense(0)"), "argument.value@2:12"),
  Wrong(network("x |> dense(2.5)"), "type.integer@2:12"),
  Wrong(network("x |> dense(3, bias: 1)"), "argument.type@2:21"),
  Wrong(network("x |> dense(3, init: glorotUniforn)"), "initializer.unknown@2:21"),
  Wrong(network("x |> dense(3, init: normal)"), "argument.missing@2:21"),
  Wrong(network("x |> dense(3, init: normal(-1))"), "argument.value@2:28"),
  Wrong(network("x |> dense(3, init: zeros(1))"), "argument.extra@2:21"),
  Wrong(network("x |> dense(3, init: 0.1)"), "argument.type@2:21"),
  Wrong(network("x |> dense(3, name: \"a b\")"), "argument.value@2:21"),
  Wrong(
    network("x |> dense(3, name: \"a\") |> dense(3, name: \"a\")"), "name.duplicate@2:29"),
  Wrong(network("x |> dense(3, spectral: true)"), "notYet@2:25"),
  Wrong(network("x |> dense(3, init: orthogonal)"), "notYet@2:21"),
  Wrong(network("x |> conv2D(3, 3, dilation: 2)"), "notYet@2:29"),
  Wrong(network("x |> conv2D(3, 3, groups: 3)"), "notYet@2:27"),
  Wrong(network("x |> conv2D(3, 7, padding: valid)"), "shape.window@2:6"),
  Wrong(network("x |> conv2D(3, 3, padding: sam)"), "argument.word@2:28"),
  Wrong(network("x |> conv2D(3, 3, padding: [1, 2])"), "argument.type@2:28"),
  Wrong(network("x |> conv2D(3, [3, 3, 3])"), "argument.value@2:16"),
  Wrong(network("x |> conv2D(3, 0)"), "argument.value@2:16"),
  Wrong(network("x |> flatten() |> conv2D(3, 3)"), "shape.rank@2:6"),
  Wrong(network("x |> convTranspose2D(3, 1, stride: 2)"), "argument.value@2:6"),
  Wrong(network("x |> groupNorm(2)"), "argument.value@2:16"),
  Wrong(network("x |> batchNorm(momentum: 2)"), "argument.value@2:26"),
  Wrong(network("x |> batchNorm(variance: unbiassed)"), "argument.word@2:26"),
  Wrong(network("x |> embedding(3, 4)"), "type.element@2:1"),
  Wrong("train(steps: 1) { let y = dense(normal([2, 3]), 4) }", "layer.outside@1:27"),
]

private let functions: [Wrong] = [
  Wrong(network("x |> leakyRelu(0.2)"), "function.unknown@2:6"),
  Wrong(network("x + normal([5])"), "shape.broadcast@2:1"),
  Wrong(network("let y = 2 * x\ny(3)"), "function.value@3:1"),
  Wrong(network("x |> reshape([2, 100])"), "shape.reshape@2:14"),
  Wrong(network("x |> reshape([2, -3])"), "shape.size@2:14"),
  Wrong(network("x |> reshape(4)"), "argument.type@2:14"),
  Wrong(network("x |> transpose([0, 1])"), "shape.axis@2:16"),
  Wrong(network("concat([x, normal([2, 6, 5, 3])], axis: 1)"), "shape.concat@2:8"),
  Wrong(network("concat([x, x])"), "argument.missing@2:1"),
  Wrong(network("concat([], axis: 0)"), "argument.value@2:8"),
  Wrong(network("x |> split(4, axis: 1)"), "shape.split@2:12"),
  Wrong(network("x |> slice(2, 9, axis: 1)"), "argument.value@2:15"),
  Wrong(network("x |> slice(3, 3, axis: 1)"), "argument.value@2:15"),
  Wrong(network("x |> sum(axes: 4)"), "shape.axis@2:16"),
  Wrong(network("x |> sum(axes: [1, 1])"), "argument.value@2:16"),
  Wrong(network("x |> pad([[1, 1]])"), "shape.rank@2:10"),
  Wrong(network("x |> upsample(2, mode: cubic)"), "argument.word@2:24"),
  Wrong(network("x |> upsample(1000000)"), "shape.size@2:15"),
  Wrong(network("x |> downsample(4)"), "shape.factor@2:17"),
  Wrong(network("x |> pixelShuffle(2)"), "shape.factor@2:19"),
  Wrong(network("x |> maxPool(7)"), "shape.window@2:14"),
  Wrong(network("x |> tile([1, 2])"), "argument.value@2:11"),
  Wrong(network("x |> broadcast([2, 3])"), "shape.broadcast@2:6"),
  Wrong(network("matmul(x, normal([4, 4]))"), "shape.matmul@2:1"),
  Wrong(network("x |> dropout(1)"), "argument.value@2:14"),
  Wrong(network("bernoulli([2, 1], 2)"), "argument.value@2:19"),
  Wrong(network("normal([2, 0])"), "shape.size@2:8"),
  Wrong(network("onehot(normal([2]), 3)"), "type.element@2:8"),
  Wrong(network("mse(x, normal([7]))"), "shape.target@2:8"),
  Wrong(network("bce(x, 1, clip: 0.7)"), "argument.value@2:17"),
  Wrong(network("clip(x, 1, 0)"), "argument.value@2:12"),
  Wrong(network("gradient(of: x, wrt: x)"), "gradient.scalar@2:14"),
  Wrong(network("gradient(of: sum(x), wrt: normal([2]))"), "gradient.independent@2:27"),
  Wrong(network("gradient(of: sum(stopGradient(x)), wrt: x)"), "gradient.independent@2:41"),
  Wrong(network("x |> convolve(normal([3, 3, 5, 2]))"), "shape.mismatch@2:15"),
  Wrong(network("relu(same)"), "type.tensor@2:6"),
  Wrong(network("relu((x, x))"), "type.tensor@2:6"),
  Wrong(network("x |> adam(1)"), "optimizer.place@2:6"),
]

private let steps: [Wrong] = [
  Wrong("train() { }", "train.length@1:1"),
  Wrong("train(epochs: 3) { }", "train.length@1:7"),
  Wrong("train(steps: 0) { }", "argument.value@1:14"),
  Wrong("train(step: 5) { }", "argument.unknown@1:7"),
  Wrong("train(steps: 1) { }\ntrain(steps: 1) { }", "item.duplicate@2:1"),
  Wrong(step("let a = d(x, x)"), "argument.extra@5:14"),
  Wrong(step("let a = g(x)"), "shape.argument@5:11"),
  Wrong(step("let a = d()"), "argument.missing@5:9"),
  Wrong(step("let a = d(y: x, y: x)"), "syntax.duplicateLabel@5:17"),
  Wrong(step("let a = d(x, training: 1)"), "argument.type@5:24"),
  Wrong(step("let a = d"), "name.kind@5:9"),
  Wrong(step("let a = x.labels"), "data.member@5:11"),
  Wrong(step("update d minimizing d(x) with adam(1e-3)"), "loss.scalar@5:21"),
  Wrong(step("update d minimizing 3 with adam(1e-3)"), "loss.scalar@5:21"),
  Wrong(step("update e minimizing mean(d(x)) with adam(1e-3)"), "name.unknown@5:8"),
  Wrong(step("update g minimizing mean(d(x)) with adam(1e-3)"), "update.unreached@5:8"),
  Wrong(step("update d minimizing mean(d(x)) with adan(1e-3)"), "optimizer.unknown@5:37"),
  Wrong(step("update d minimizing mean(d(x)) with adam"), "argument.missing@5:37"),
  Wrong(step("update d minimizing mean(d(x)) with opt"), "optimizer.unknown@5:37"),
  Wrong(step("update d minimizing mean(d(x)) with adam()"), "argument.missing@5:37"),
  Wrong(
    step("update d minimizing mean(d(x)) with adam(1e-3, beta1: 1)"), "argument.value@5:55"),
  Wrong(step("update d minimizing mean(d(x)) with adam(-1)"), "argument.value@5:42"),
  Wrong(
    step("update d minimizing mean(d(x)) with adam(1, epsilonStyle: torch)"),
    "argument.word@5:59"),
  Wrong(
    step(
      "let l = mean(d(x))\nupdate d minimizing l with sgd(1)\nupdate d minimizing l with sgd(1)"),
    "update.stale@7:8"),
  Wrong(
    step("update { d minimizing mean(d(x)) with sgd(1); d minimizing mean(d(x)) with sgd(1) }"),
    "update.twice@5:47"),
  Wrong(step("report nothing"), "name.unknown@5:8"),
  Wrong(step("let a = d(x)\nreport a"), "report.scalar@6:8"),
  Wrong(step("let a = mean(x)\nreport a, a"), "report.duplicate@6:11"),
  Wrong(step("let event = mean(x)\nreport event"), "report.reserved@6:8"),
  Wrong(step("repeat 0 { let a = 1 }"), "argument.value@5:8"),
  Wrong(step("repeat 2.5 { let a = 1 }"), "type.integer@5:8"),
  Wrong(step("every 0 steps { checkpoint }"), "argument.value@5:7"),
  Wrong(step("every 2 steps { sample }"), "name.unknown@5:17"),
  Wrong(step("every 2 steps { sample grid }"), "name.unknown@5:24"),
  Wrong(step("every 2 epochs { let a = 1 }"), "every.epochs@5:18"),
  Wrong(step("repeat 2 { every 2 steps { checkpoint } }"), "statement.misplaced@5:12"),
  Wrong(step("average e as f decay 0.9"), "name.unknown@5:9"),
  Wrong(step("average d as f decay 1.5"), "argument.value@5:22"),
  Wrong(step("average d as f decay 0.9\nlet a = f(x, training: true)"), "average.training@6:24"),
  Wrong(
    step("average d as f decay 0.9\nupdate f minimizing mean(f(x)) with sgd(1)"),
    "update.average@6:8"),
  Wrong(step("x = 3"), "assign@5:1"),
  Wrong(step("state s: [] = 0"), "notYet@5:1"),
  Wrong("optimizer o = adam", "optimizer.unknown@1:15"),
  Wrong("optimizer o = adam(1, beta3: 2)", "argument.unknown@1:23"),
  Wrong("sample(count: 0) { normal([count, 2]) }", "argument.value@1:15"),
  Wrong("sample(cuont: 3) { normal([2, 2]) }", "argument.unknown@1:8"),
  Wrong("sample { normal([2, 2]) }\nsample { normal([2, 2]) }", "name.duplicate@2:1"),
  Wrong("sample { range(3) }", "sample.result@1:10"),
  Wrong("sample { step }", "name.unknown@1:10"),
  Wrong("data x: [3] from \"a\"\nnetwork f(z: [n]) -> [n] { z + x }", "data.place@2:32"),
]

@Suite struct DiagnosticTests {
  @Test(arguments: constants + data + signatures) func declarations(_ wrong: Wrong) {
    #expect(places(wrong.text) == wrong.expected)
  }

  @Test(arguments: layers + functions) func expressions(_ wrong: Wrong) {
    #expect(places(wrong.text) == wrong.expected)
  }

  @Test(arguments: steps) func trainingSteps(_ wrong: Wrong) {
    #expect(places(wrong.text) == wrong.expected)
  }

  /// A part that no source has is caught before any data are there.
  @Test(arguments: [
    ("lables", "did you mean labels?"), ("names", "images, labels, left, right"),
    ("lefts", "did you mean left?"),
  ])
  func partsOfSources(part: String, help: String) {
    let text = "data x: [3] from \"fashion-mnist\"\ndata y: i32[3] from x.\(part)"
    let diagnostics = compile(SourceText(name: "test.gan", text)).diagnostics
    #expect(diagnostics.map(\.code) == ["data.part"])
    #expect(diagnostics.first?.help?.contains(help) == true)
  }

  @Test func thereAreEnough() {
    let count = constants.count + data.count + signatures.count + layers.count + functions.count
    #expect(count + steps.count >= 120)
  }
}
