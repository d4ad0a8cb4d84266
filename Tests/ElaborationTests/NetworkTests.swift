// Networks and layers: paths, shared parameters, modes, running statistics, averages, blocks,
// shapes of layers.

import Basics
import Elaboration
import GraphIR
import Operators
import Testing

private func close(_ a: [Double], _ b: [Double], _ tolerance: Double = 1e-9) -> Bool {
  a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
}

/// The results of a network by itself.
private func results(
  _ text: String, _ network: String = "f", states: [String: HostTensor] = [:],
  arguments: [String: HostTensor] = [:], training: Bool = false
) throws -> Run {
  let program = try compiled(text)
  let found = try #require(program.networks.first { $0.name == network })
  let all = initialStates(program).merging(states) { $1 }
  return try run(
    training ? found.trainingGraph : found.graph, states: all, arguments: arguments)
}

@Suite struct NetworkTests {
  @Test func paths() throws {
    let program = try compiled(
      """
      block up(x, filters, k = 3) { x |> conv2D(filters, k) |> conv2D(filters, 1, bias: false) }
      network inner(x: [n, 4, 4, 2]) -> [n, 4, 4, 2] { x |> conv2D(2, 3) }
      network f(x: [n, 4, 4, 2]) -> [n, 5] {
        x |> up(3) |> up(2, k: 5) |> inner() |> up(2, name: "last") |> conv2D(1, 1, name: "one")
          |> conv2D(1, 1) |> flatten() |> dense(5) |> dense(5, bias: false)
      }
      """)
    #expect(
      program.states.map(\.name) == [
        "inner/conv2D/kernel", "inner/conv2D/bias",
        "f/up/conv2D/kernel", "f/up/conv2D/bias", "f/up/conv2D_1/kernel",
        "f/up_1/conv2D/kernel", "f/up_1/conv2D/bias", "f/up_1/conv2D_1/kernel",
        "f/last/conv2D/kernel", "f/last/conv2D/bias", "f/last/conv2D_1/kernel",
        "f/one/kernel", "f/one/bias", "f/conv2D/kernel", "f/conv2D/bias",
        "f/dense/kernel", "f/dense/bias", "f/dense_1/kernel",
      ])
    #expect(program.states.first { $0.name == "f/up_1/conv2D/kernel" }?.type.shape == [5, 5, 3, 2])
    let f = try #require(program.networks.first { $0.name == "f" })
    #expect(f.layers.map(\.name).prefix(3) == ["up/conv2D", "up/conv2D_1", "up_1/conv2D"])
    #expect(f.trainableCount == f.layers.reduce(0) { $0 + $1.trainable })
  }

  @Test func callsOfDifferentBatchSizesShareParameters() throws {
    let program = try compiled(
      """
      network f(x: [n, 3]) -> [n, 2] { x |> dense(2) }
      train(steps: 1) {
        let a = sum(f(normal([4, 3]))) + sum(f(normal([7, 3])))
        report a
      }
      """)
    #expect(program.states.map(\.name) == ["f/dense/kernel", "f/dense/bias"])
    #expect(program.networks[0].arguments[0].type == .f32(4, 3))
  }

  @Test func parametersOfTwoSizesAreAnError() {
    #expect(
      places(
        """
        network f(x: [n, m]) -> [n, 2] { x |> dense(2) }
        train(steps: 1) {
          let a = sum(f(normal([4, 3])))
          let b = sum(f(normal([4, 5])))
        }
        """) == ["parameter.shape@1:39"])
  }

  @Test func errorsOfShapesShowBothAndTheirOrigins() throws {
    let source = SourceText(
      name: "t.gan",
      """
      network f(x: [n, 3], y: [n, 4]) -> [n, 3] { x }
      train(steps: 1) {
        let a = normal([4, 3])
        let b = normal([5, 4])
        let c = f(a, b)
      }
      """)
    let diagnostic = try #require(compile(source).diagnostics.first)
    #expect(diagnostic.code == "shape.argument")
    #expect(diagnostic.message == "f takes y as f32[n = 4, 4], not f32[5, 4]")
    let lines = diagnostic.notes.map { source.position(of: $0.range!.start).line }
    #expect(lines == [1, 4, 3])
  }

  @Test func batchNormInBothModes() throws {
    let text = """
      network f(x: [3, 2]) -> [3, 2] {
        x |> batchNorm(momentum: 0.9, epsilon: 0.5, variance: unbiased)
      }
      """
    let x = HostTensor(.f32(3, 2), [1, 2, 3, 5, 8, -1])
    let states = [
      "f/batchNorm/gamma": HostTensor(.f32(2), [2, 3]),
      "f/batchNorm/beta": HostTensor(.f32(2), [0.5, -1]),
      "f/batchNorm/runningMean": HostTensor(.f32(2), [0.25, 4]),
      "f/batchNorm/runningVariance": HostTensor(.f32(2), [4, 9]),
    ]
    let inference = try results(text, states: states, arguments: ["x": x])
    func normalized(_ x: Double, _ mean: Double, _ variance: Double, _ g: Double, _ b: Double)
      -> Double
    { (x - mean) / (variance + 0.5).squareRoot() * g + b }
    #expect(
      close(
        inference.results[0].values,
        (0..<6).map {
          $0 % 2 == 0
            ? normalized(x.values[$0], 0.25, 4, 2, 0.5) : normalized(x.values[$0], 4, 9, 3, -1)
        }))
    let training = try results(text, states: states, arguments: ["x": x], training: true)
    let variances = [26.0 / 3, 6.0]
    #expect(
      close(
        training.results[0].values,
        (0..<6).map {
          $0 % 2 == 0
            ? normalized(x.values[$0], 4, variances[0], 2, 0.5)
            : normalized(x.values[$0], 2, variances[1], 3, -1)
        }))
    #expect(
      close(training.states["f/batchNorm/runningMean"]!.values, [0.9 * 0.25 + 0.4, 3.6 + 0.2]))
    #expect(
      close(training.states["f/batchNorm/runningVariance"]!.values, [3.6 + 1.3, 8.1 + 0.9]))
  }

  @Test func everyTrainingCallMovesTheStatistics() throws {
    let program = try compiled(
      """
      data x: [2, 1] from "x.npy"
      network f(x: [n, 1]) -> [n, 1] { x |> batchNorm(momentum: 0.5) }
      train(steps: 1) {
        let a = f(x)
        let early = sum(f(x, training: false))
        let b = f(x)
        let late = sum(f(x, training: false))
        report early, late
      }
      sample { f(normal([4, 1]), training: true) }
      """)
    let graph = try #require(program.train).graph
    let x = HostTensor(.f32(2, 1), [6, 10])
    let result = try run(graph, states: initialStates(program), data: ["x": x])
    // The mean is 8, the variance 4: 0 → 4 → 6 and 1 → 2.5 → 3.25. Inference sees what has moved
    // before it.
    #expect(close(result.states["f/batchNorm/runningMean"]!.values, [6]))
    #expect(close(result.states["f/batchNorm/runningVariance"]!.values, [3.25]))
    #expect(close([result.report("early")], [8 / (2.5 + 1e-3).squareRoot()]))
    #expect(close([result.report("late")], [4 / (3.25 + 1e-3).squareRoot()]))
    // In a sample even training mode changes no state.
    #expect(program.samples[0].graph.outputs.map(\.role) == [.result("0")])
  }

  @Test func averageFollowsItsNetwork() throws {
    let program = try compiled(
      """
      data x: [2, 1] from "x.npy"
      network f(x: [n, 1]) -> [n, 1] { x |> dense(1, init: constant(2)) |> batchNorm() }
      train(steps: 1) {
        update f minimizing sum(square(f(x))) with sgd(0.1)
        average f as ema decay 0.75
        let seen = sum(ema(x))
        report seen
      }
      sample { ema(normal([count, 1])) }
      """)
    #expect(
      program.states.filter { $0.kind == .average }.map { "\($0.name) \($0.initializer)" } == [
        "ema/dense/kernel copy(of: \"f/dense/kernel\")",
        "ema/dense/bias copy(of: \"f/dense/bias\")",
        "ema/batchNorm/gamma copy(of: \"f/batchNorm/gamma\")",
        "ema/batchNorm/beta copy(of: \"f/batchNorm/beta\")",
        "ema/batchNorm/runningMean copy(of: \"f/batchNorm/runningMean\")",
        "ema/batchNorm/runningVariance copy(of: \"f/batchNorm/runningVariance\")",
      ])
    let result = try run(
      try #require(program.train).graph, states: initialStates(program),
      data: ["x": HostTensor(.f32(2, 1), [1, 3])])
    let kernel = try #require(result.states["f/dense/kernel"]).values[0]
    #expect(close(result.states["ema/dense/kernel"]!.values, [0.75 * 2 + 0.25 * kernel]))
    #expect(
      program.samples[0].graph.inputs.contains { $0.role == .state("ema/dense/kernel") })
    #expect(
      !program.samples[0].graph.inputs.contains { $0.role == .state("f/dense/kernel") })
  }

  @Test func tuplesAndNestedNetworks() throws {
    let run = try results(
      """
      network twins(x: [n, 2]) -> ([n, 1], [n, 1]) { split(x, 2, axis: 1) }
      network f(x: [n, 2]) -> ([n, 1], [n, 2]) {
        let (a, _) = twins(x)
        let (_, b) = x |> twins()
        (a - b, concat([b, a], axis: -1))
      }
      """, arguments: ["x": HostTensor(.f32(1, 2), [5, 3])])
    #expect(run.results.map(\.values) == [[2], [3, 5]])
  }

  @Test func transposedConvolution() throws {
    // y[s·i + j] += x[i]·w[j], unflipped.
    let x = HostTensor(.f32(1, 1, 2, 1), [1, 10])
    let w = HostTensor(.f32(1, 3, 1, 1), [1, 2, 3])
    func output(_ padding: String, _ width: Int) throws -> [Double] {
      try results(
        """
        network f(x: [1, 1, 2, 1], w: [1, 3, 1, 1]) -> [1, 1, \(width), 1] {
          convolveTranspose(x, w, stride: [1, 2], padding: \(padding))
        }
        """, arguments: ["x": x, "w": w]
      ).results[0].values
    }
    #expect(try output("valid", 5) == [1, 2, 13, 20, 30])
    #expect(try output("same", 4) == [1, 2, 13, 20])
    #expect(try output("[[0, 0], [1, 2]]", 2) == [2, 13])
    let program = try compiled(
      """
      network f(x: [n, 7, 7, 5]) -> [n, 14, 14, 3] {
        x |> convTranspose2D(3, 4, stride: 2, init: heUniform)
      }
      """)
    let kernel = try #require(program.states.first)
    #expect(kernel.type.shape == [4, 4, 5, 3])
    // The fan-in counts the output channels.
    let limit = (6.0 / Double(4 * 4 * 3)).squareRoot()
    #expect(kernel.initializer == .uniform(low: -limit, high: limit))
  }

  @Test func samePaddingPutsTheRestAfter() throws {
    let run = try results(
      """
      network f(x: [1, 1, 4, 1], w: [1, 2, 1, 1]) -> [1, 1, 4, 1] { convolve(x, w) }
      """,
      arguments: [
        "x": HostTensor(.f32(1, 1, 4, 1), [1, 2, 3, 4]),
        "w": HostTensor(.f32(1, 2, 1, 1), [1, 10]),
      ])
    #expect(run.results[0].values == [21, 32, 43, 4])
  }

  @Test func normalisations() throws {
    let x = pattern(.f32(2, 2, 3, 4), salt: 5)
    func moments(_ indices: [Int]) -> (Double, Double) {
      let values = indices.map { x.values[$0] }
      let mean = values.reduce(0, +) / Double(values.count)
      return (mean, values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count))
    }
    func expected(_ group: (Int, Int) -> Bool) -> [Double] {
      (0..<x.values.count).map { index in
        let (mean, variance) = moments(x.values.indices.filter { group($0, index) })
        return (x.values[index] - mean) / (variance + 1e-5).squareRoot()
      }
    }
    func output(_ layer: String) throws -> [Double] {
      try results(
        "network f(x: [2, 2, 3, 4]) -> [2, 2, 3, 4] { x |> \(layer) }", arguments: ["x": x]
      ).results[0].values
    }
    // Index = ((n·2 + h)·3 + w)·4 + c
    #expect(
      close(try output("instanceNorm()"), expected { $0 / 24 == $1 / 24 && $0 % 4 == $1 % 4 }))
    #expect(close(try output("layerNorm()"), expected { $0 / 4 == $1 / 4 }))
    #expect(
      close(
        try output("groupNorm(2)"), expected { $0 / 24 == $1 / 24 && $0 % 4 / 2 == $1 % 4 / 2 }))
  }

  @Test func embeddingAndPrelu() throws {
    let run = try results(
      """
      network f(ids: i32[3], x: [2, 2]) -> ([3, 2], [2, 2]) {
        (embedding(ids, 4, 2), prelu(x))
      }
      """, states: ["f/embedding/table": HostTensor(.f32(4, 2), [0, 1, 2, 3, 4, 5, 6, 7])],
      arguments: [
        "ids": HostTensor(TensorType(.i32, [3]), [3, 0, 3]),
        "x": HostTensor(.f32(2, 2), [1, -2, -4, 8]),
      ])
    #expect(run.results[0].values == [6, 7, 0, 1, 6, 7])
    #expect(run.results[1].values == [1, -0.5, -1, 8])
  }

  @Test func unusedNetworksAreElaboratedToo() throws {
    let program = try compiled(
      """
      network f(x: [n, h, w, 3]) -> [n, 2] {
        x |> conv2D(4, 5, padding: valid) |> globalAvgPool() |> dense(2)
      }
      """
    )
    #expect(program.networks[0].trainableCount == 5 * 5 * 3 * 4 + 4 + 4 * 2 + 2)
    #expect(program.networks[0].arguments[0].type.shape == [8, 8, 8, 3])
  }
}
