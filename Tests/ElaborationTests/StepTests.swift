// Steps as a whole: repeat, data rounds, random streams, gradients inside a step, losses, settings,
// several errors.

import Basics
import Elaboration
import GraphIR
import Operators
import Testing

/// WGAN-GP as LANGUAGE shows it, small.
private let wganGP = """
  let batch  = 4
  let latent = 3
  data images: [batch, 4, 4, 1] in -1...1 from "fashion-mnist"
  network generator(z: [n, latent]) -> [n, 4, 4, 1] {
    z |> dense(16) |> tanh() |> reshape([n, 4, 4, 1])
  }
  network critic(x: [n, 4, 4, 1]) -> [n, 1] {
    x |> conv2D(3, 3) |> leakyReLU(0.2) |> flatten() |> dense(1)
  }
  train(steps: 20000) {
    repeat 5 {
      let fake = stopGradient(generator(normal([batch, latent])))
      let mix  = uniform([batch, 1, 1, 1])
      let between = mix * images + (1 - mix) * fake
      let slope = norm(gradient(of: sum(critic(between)), wrt: between), axes: [1, 2, 3])
      let cLoss = mean(critic(fake)) - mean(critic(images)) + 10 * mean(square(slope - 1))
      update critic minimizing cLoss with adam(1e-4, beta1: 0.5, beta2: 0.9)
    }
    let gLoss = -mean(critic(generator(normal([batch, latent]))))
    update generator minimizing gLoss with adam(1e-4, beta1: 0.5, beta2: 0.9)
    report cLoss, gLoss
  }
  """

private func streams(_ graph: Graph) -> [UInt32] {
  graph.nodes.elements.compactMap { node in
    (node.operation as? RandomNormal)?.stream ?? (node.operation as? RandomUniform)?.stream
  }
}

@Suite struct StepTests {
  @Test func wassersteinWithGradientPenalty() throws {
    let program = try compiled(wganGP)
    let train = try #require(program.train)
    #expect(program.data[0].batchesPerStep == 5)
    let rounds = train.graph.inputs.compactMap { binding -> Int? in
      if case .data("images", let round) = binding.role { round } else { nil }
    }
    #expect(rounds == [0, 1, 2, 3, 4])
    // Two draws a round, and one at the end, all different.
    #expect(Set(streams(train.graph)).count == 11)
    let result = try run(train.graph, states: initialStates(program))
    #expect(result.report("cLoss").isFinite && result.report("gLoss").isFinite)
    #expect(result.states["update-critic/critic/count"]?.values == [5])
    #expect(result.states["update-generator/generator/count"]?.values == [1])
  }

  @Test func penaltyIsDifferentiatedThrough() throws {
    // c(x) = w·x², slope = 2·w·x, penalty = Σ(2wx − 1)²: ∂/∂w = Σ 2·(2wx − 1)·2x.
    let program = try compiled(
      """
      data x: [2] from "x.npy"
      network w() -> [1] { parameter([1], init: constant(2), name: "p") }
      train(steps: 1) {
        let slope = gradient(of: sum(w() * square(x)), wrt: x)
        update w minimizing sum(square(slope - 1)) with sgd(0.01)
      }
      """)
    let result = try run(
      try #require(program.train).graph, states: initialStates(program),
      data: ["x": HostTensor(.f32(2), [1, 3])])
    let gradient = 2 * 3 * 2 + 2 * 11 * 6
    #expect(abs(result.states["w/p/value"]!.values[0] - (2 - 0.01 * Double(gradient))) < 1e-9)
  }

  @Test func dataMovesOnInRepeat() throws {
    let program = try compiled(
      """
      data x: [1] from "x.npy"
      data y: i32[1] from x.labels
      data z: [1] from "z.npy"
      train(steps: 1) {
        let before = sum(x)
        repeat 2 {
          let seen = sum(x)
          repeat 2 { let inner = sum(z) }
        }
        let after = sum(x)
        let labels = sum(y)
        let last = sum(z)
        report before, seen, inner, after, labels, last
      }
      """)
    let data = [
      "x@0": HostTensor(.f32(1), [10]), "x@1": HostTensor(.f32(1), [11]),
      "y@1": HostTensor(TensorType(.i32, [1]), [21]),
      "z@0": HostTensor(.f32(1), [30]), "z@1": HostTensor(.f32(1), [31]),
      "z@2": HostTensor(.f32(1), [32]), "z@3": HostTensor(.f32(1), [33]),
    ]
    let result = try run(try #require(program.train).graph, data: data)
    #expect(result.report("before") == 10)
    #expect(result.report("seen") == 11)
    #expect(result.report("inner") == 33)
    #expect(result.report("after") == 11)
    #expect(result.report("labels") == 21)
    #expect(result.report("last") == 33)
    #expect(program.data.map(\.batchesPerStep) == [2, 2, 4])
    #expect(program.data[1].source == .part(of: "x", name: "labels"))
  }

  @Test func resizingAndHalves() throws {
    let program = try compiled(
      """
      data pairs: [2, 8, 16, 3] from "p", resize: pad, order: sequential
      data photos: [2, 8, 8, 3] from pairs.left
      data maps: [2, 8, 8] from pairs.right, resize: stretch
      train(steps: 1) {
        let m = mean(photos) + mean(maps)
        report m
      }
      """)
    #expect(program.data.map(\.resize) == [.pad, nil, .stretch])
    #expect(program.data[2].source == .part(of: "pairs", name: "right"))
  }

  @Test func streamsAreStableUnderEdits() throws {
    func text(_ extra: String, _ end: String) -> String {
      """
      network g(z: [n, 2]) -> [n, 2] { z |> dense(2) |> dropout(0.5) |> dropout(0.5) }
      train(steps: 1) {
        let a = sum(g(normal([3, 2])))
        \(extra)
        let b = sum(g(normal([3, 2])))
        \(end)
        report a, b
      }
      """
    }
    let plain = streams(try #require(try compiled(text("", "")).train).graph)
    #expect(plain.count == 6 && Set(plain).count == 6)
    // Other functions, a repeat's rounds and an every block in between disturb nothing.
    let edited = streams(
      try #require(
        try compiled(text("let c = uniform([2])", "every 2 steps { let d = normal([2]) }")).train
      ).graph)
    #expect(edited.filter { plain.contains($0) } == plain)
    // The same program gives the same streams.
    #expect(streams(try #require(try compiled(text("", "")).train).graph) == plain)
  }

  @Test func dropoutByMode() throws {
    let program = try compiled(
      """
      network f(x: [n, 50]) -> [n, 50] { x |> dropout(0.2) }
      network same(x: [n, 50]) -> [n, 50] { x |> dropout(0.0) }
      """)
    let x = HostTensor(.f32(1, 50), repeating: 3)
    let f = program.networks[0]
    #expect(try run(f.graph, arguments: ["x": x]).results[0] == x)
    let dropped = try run(f.trainingGraph, arguments: ["x": x]).results[0].values
    #expect(dropped.allSatisfy { $0 == 0 || abs($0 - 3.75) < 1e-9 })
    let zeros = dropped.filter { $0 == 0 }.count
    #expect(zeros > 0 && zeros < 25)
    #expect(program.networks[1].trainingGraph.nodes.count == 0)
  }

  // MARK: Losses

  @Test func crossEntropyOfASigmoidComesFromItsLogits() throws {
    func loss(_ expression: String) throws -> Graph {
      try #require(
        try compiled(
          "network f(x: [2, 1]) -> [] { \(expression) }"
        ).networks.first
      ).graph
    }
    func names(_ graph: Graph) -> [String] { graph.nodes.elements.map { $0.operation.mnemonic } }
    #expect(names(try loss("bce(sigmoid(x), 1)")).contains("bce_with_logits"))
    #expect(
      !names(try loss("bce(concat([sigmoid(x)], axis: 0) * 1, 1)")).contains("bce_with_logits"))
    #expect(
      !names(try loss("bce(concat([sigmoid(x), sigmoid(x)], axis: 0), 1)"))
        .contains("bce_with_logits"))
    #expect(names(try loss("bce(sigmoid(x), 1, clip: 0)")).contains("bce_clamped"))
    let x = HostTensor(.f32(2, 1), [0.75, 0.25])
    let clipped = try run(try loss("bce(x, 1)"), arguments: ["x": x])
    #expect(abs(clipped.results[0].values[0] - 0.83698822) < 1e-7)
    let sure = try run(
      try loss("bce(x, 0.5)"), arguments: ["x": HostTensor(.f32(2, 1), [0, 1])])
    #expect(abs(sure.results[0].values[0] + 0.5 * 2 * -16.11809565 / 2) < 1e-4)
  }

  @Test func otherLosses() throws {
    func value(_ expression: String) throws -> Double {
      let network = try #require(
        try compiled(
          "network f(x: [2, 2], t: [2, 2], ids: i32[2]) -> [] { \(expression) }"
        ).networks.first)
      return try run(
        network.graph,
        arguments: [
          "x": HostTensor(.f32(2, 2), [1, -2, 0.5, 3]), "t": HostTensor(.f32(2, 2), [1, 1, -1, 1]),
          "ids": HostTensor(TensorType(.i32, [2]), [0, 1]),
        ]
      ).results[0].values[0]
    }
    #expect(try value("mse(x, t)") == (9 + 2.25 + 4) / 4)
    #expect(try value("l1(x, 1)") == (0 + 3 + 0.5 + 2) / 4)
    #expect(try value("hinge(x, t)") == (0 + 3 + 1.5 + 0) / 4)
    #expect(abs(try value("crossEntropy(x, ids)") - (0.04858735 + 0.07888973) / 2) < 1e-7)
    #expect(
      abs(
        try value("bceWithLogits(x, 1)") - (0.31326169 + 2.12692801 + 0.47407698 + 0.04858735) / 4)
        < 1e-7)
  }

  // MARK: Settings and constants

  @Test func settings() throws {
    let text = """
      let batch = 8
      let rate  = 0.5
      let wide  = true
      let kind  = "plain"
      let sizes = [1, 2]
      let twice = 2 * batch
      network f(x: [twice]) -> [16] { x }
      """
    let program = try compiled(text)
    #expect(
      program.settings.map { "\($0.name)=\($0.value)" } == [
        "batch=8", "rate=0.5", "wide=true", "kind=\"plain\"", "sizes=[1, 2]", "twice=16",
      ])
    let changed = try compiled(
      text,
      settings: [
        ("batch", "4"), ("rate", "1"), ("wide", "false"), ("kind", "other"), ("sizes", "[3]"),
        ("twice", "16"),
      ])
    #expect(
      changed.settings.map(\.value) == ["4", "1.0", "false", "\"other\"", "[3]", "16"])
    // An override reaches what is computed from it.
    #expect(places(text, settings: [("batch", "4")]) == ["shape.result@7:33"])
    #expect(places(text, settings: [("batch", "2.5")]) == ["setting.type@1:5"])
    #expect(places(text, settings: [("batch", "many")]) == ["setting.type@1:5"])
    #expect(places(text, settings: [("wide", "1")]) == ["setting.type@3:5"])
    #expect(places(text, settings: [("sizes", "3")]) == ["setting.type@5:5"])
    let source = SourceText(name: "t.gan", text)
    let unknown = compile(source, options: ElaborationOptions(settings: [("bacth", "4")]))
    #expect(unknown.diagnostics.map(\.code) == ["setting.unknown"])
    #expect(unknown.diagnostics.first?.help == "did you mean batch?")
  }

  @Test func constantArithmetic() throws {
    let program = try compiled(
      """
      let a = 7 / 2
      let b = 6 / 2
      let c = -7 % 3
      let d = minimum(3, 4) + power(2, 10)
      let e = where(1 < 2, 5, 6)
      let f = 1e3
      let g = sqrt(2.25) == 1.5
      let h = later + 1
      let later = 1
      let i = 5.5 % 2
      let j = abs(-3)
      """)
    #expect(
      program.settings.map(\.value) == [
        "3.5", "3", "2", "1027", "5", "1000.0", "true", "2", "1", "1.5", "3",
      ])
  }

  @Test func severalErrorsInOneRun() {
    #expect(
      places(
        """
        let a = 1 / 0
        data x: [4, a] from "x.npy"
        network f(x: [n, 3]) -> [n, 2] { x |> desne(2) |> leakyRelu(2) }
        network g(x: [n, 3]) -> [n, 2] {
          let p = x + unknown
          let q = p |> dense(3)
          let r = q |> dense(2, uints: 3)
          r
        }
        train(steps: 1) {
          let u = f(x)
          let v = mean(u) + mean(w)
          update f minimizing v with adan(1)
          report v
        }
        """) == [
          "number.division@1:9", "function.unknown@3:39", "function.unknown@3:51",
          "name.unknown@5:15",
          "argument.unknown@7:25", "name.unknown@12:26", "optimizer.unknown@13:30",
        ])
  }

  @Test func suggestions() throws {
    func help(_ text: String) -> String? {
      compile(SourceText(name: "t.gan", text)).diagnostics.first?.help
    }
    #expect(
      help("network f(x: [n, 3]) -> [n, 3] { x |> leakyRelu(0.2) }") == "did you mean leakyReLU?")
    #expect(
      help("network f(x: [n, 3]) -> [n, 3] { x |> dense(3, int: zeros) }") == "did you mean init?")
    #expect(help("let batch = 3\nlet b = bacth") == "did you mean batch?")
    #expect(
      help("network f(x: [n, 3]) -> [n, 3] { x |> dense(3, init: heUnifrom) }")
        == "did you mean heUniform?")
  }

  @Test func defaultsInUse() throws {
    let program = try compiled("network f(x: [n, 3]) -> [n, 3] { x |> leakyReLU() |> dense(3) }")
    let lines = program.defaults.map { "\($0.origin.line):\($0.origin.column) \($0.text)" }
    #expect(lines.contains("1:39 leakyReLU: slope = 0.3"))
    #expect(lines.contains("1:54 dense: init = glorotUniform"))
    #expect(Set(lines).count == lines.count)
  }

  @Test func originsNameTheLayer() throws {
    let program = try compiled(
      "network f(x: [n, 3]) -> [n, 3] {\n  x |> dense(3)\n    |> dense(3)\n}")
    let product = try #require(
      program.networks[0].graph.nodes.elements.last { $0.operation is MatMul })
    #expect(product.origin.line == 3 && product.origin.column == 8)
    #expect(product.origin.path == "f/dense_1")
  }
}
