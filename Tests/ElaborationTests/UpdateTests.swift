// What a step computes: updates, versions of parameters, optimisers, counters; checked against
// formulas by running the step in the reference evaluator.

import Basics
import Elaboration
import GraphIR
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// A network with one parameter w [1], whose value is its result.
private let scalarNet = """
  network w() -> [1] { parameter([1], init: constant(2), name: "p") }
  network u() -> [1] { parameter([1], init: constant(3), name: "p") }

  """

private func weight(_ run: Run, _ network: String = "w") -> Double {
  run.states["\(network)/p/value"]?.values[0] ?? .nan
}

private func close(_ a: Double, _ b: Double, _ tolerance: Double = 1e-9) -> Bool {
  abs(a - b) <= tolerance * max(1, abs(b))
}

/// Runs the steps of a program and gives the run after each.
private func steps(_ text: String, _ count: Int) throws -> [Run] {
  let program = try compiled(text)
  let train = try #require(program.train)
  var states = initialStates(program)
  var runs: [Run] = []
  for index in 0..<count {
    let result = try run(train.graph, states: states, step: index, epoch: index / 2)
    for (name, value) in result.states { states[name] = value }
    runs.append(Run(states: states, reports: result.reports, results: result.results))
  }
  return runs
}

@Suite struct UpdateTests {
  @Test func laterCallsSeeTheNewValueEarlierKeepTheOld() throws {
    let runs = try steps(
      scalarNet + """
        train(steps: 1) {
          let before = sum(w())
          let loss = sum(square(w()))
          update w minimizing loss with sgd(0.1)
          let after = sum(w())
          report before, after
        }
        """, 2)
    // 2 − 0.1·4, then 1.6 − 0.1·3.2
    #expect(runs[0].report("before") == 2)
    #expect(close(runs[0].report("after"), 1.6))
    #expect(close(runs[1].report("before"), 1.6))
    #expect(close(runs[1].report("after"), 1.28))
  }

  @Test func simultaneousAndSequential() throws {
    let losses = "let a = sum(w() * u())\nlet b = sum(w() * u() * 2)\n"
    let together = try steps(
      scalarNet + "train(steps: 1) {\n" + losses
        + "update { w minimizing a with sgd(0.1); u minimizing b with sgd(0.1) }\n}", 1)[0]
    #expect(close(weight(together), 2 - 0.1 * 3))
    #expect(close(weight(together, "u"), 3 - 0.1 * 2 * 2))
    let inTurn = try steps(
      scalarNet + """
        train(steps: 1) {
          update w minimizing sum(w() * u()) with sgd(0.1)
          update u minimizing sum(w() * u() * 2) with sgd(0.1)
        }
        """, 1)[0]
    #expect(close(weight(inTurn), 1.7))
    #expect(close(weight(inTurn, "u"), 3 - 0.1 * 2 * 1.7))
  }

  @Test func updatesCarryNoGradient() throws {
    // u's new value depends on w through its loss; w's gradient must not flow through that update.
    let result = try steps(
      scalarNet + """
        train(steps: 1) {
          update u minimizing sum(w() * square(u())) with sgd(0.1)
          update w minimizing sum(w() * u()) with sgd(0.1)
        }
        """, 1)[0]
    let u = 3 - 0.1 * 2 * 2 * 3
    #expect(close(weight(result, "u"), u))
    #expect(close(weight(result), 2 - 0.1 * u))
  }

  @Test func adamOfKeras() throws {
    let runs = try steps(
      scalarNet
        + "train(steps: 3) { update w minimizing sum(square(w())) with adam(0.1, beta1: 0.5) }", 3)
    var (p, m, v) = (2.0, 0.0, 0.0)
    for t in 1...3 {
      let g = 2 * p
      m = 0.5 * m + 0.5 * g
      v = 0.999 * v + (1 - 0.999) * g * g
      let size = 0.1 * (1 - pow(0.999, Double(t))).squareRoot() / (1 - pow(0.5, Double(t)))
      p -= size * m / (v.squareRoot() + 1e-7)
      #expect(close(weight(runs[t - 1]), p, 1e-12))
      #expect(runs[t - 1].states["update-w/w/count"]?.values == [Double(t)])
    }
    #expect(close(runs[2].states["update-w/w/p/value/m"]!.values[0], m))
    #expect(close(runs[2].states["update-w/w/p/value/v"]!.values[0], v))
  }

  @Test func adamOfPyTorchAndDecay() throws {
    let runs = try steps(
      scalarNet + """
        optimizer o = adamW(0.1, epsilon: 0.01, epsilonStyle: pytorch, weightDecay: 0.2)
        train(steps: 3) { update w minimizing sum(square(w())) with o }
        """, 3)
    var (p, m, v) = (2.0, 0.0, 0.0)
    for t in 1...3 {
      let g = 2 * p
      m = 0.9 * m + (1 - 0.9) * g
      v = 0.999 * v + (1 - 0.999) * g * g
      p *= 1 - 0.1 * 0.2
      let root = v.squareRoot() / (1 - pow(0.999, Double(t))).squareRoot()
      p -= 0.1 / (1 - pow(0.9, Double(t))) * m / (root + 0.01)
      #expect(close(weight(runs[t - 1]), p, 1e-12))
    }
  }

  @Test func sgdWithMomentumAndNesterov() throws {
    for nesterov in [false, true] {
      let runs = try steps(
        scalarNet
          + "train(steps: 3) { update w minimizing sum(square(w())) "
          + "with sgd(0.05, momentum: 0.9, nesterov: \(nesterov)) }", 3)
      var (p, m) = (2.0, 0.0)
      for t in 0..<3 {
        let g = 2 * p
        m = 0.9 * m - 0.05 * g
        p += nesterov ? 0.9 * m - 0.05 * g : m
        #expect(close(weight(runs[t]), p, 1e-12))
      }
    }
  }

  @Test func rmsprop() throws {
    let runs = try steps(
      scalarNet
        + "train(steps: 3) { update w minimizing sum(square(w())) "
        + "with rmsprop(0.05, rho: 0.8, momentum: 0.5, epsilon: 0.1) }", 3)
    var (p, m, v) = (2.0, 0.0, 0.0)
    for t in 0..<3 {
      let g = 2 * p
      v = 0.8 * v + (1 - 0.8) * g * g
      m = 0.5 * m + 0.05 * g / (v + 0.1).squareRoot()
      p -= m
      #expect(close(weight(runs[t]), p, 1e-12))
    }
  }

  @Test func aNamedOptimizerIsShared() throws {
    let runs = try steps(
      scalarNet + """
        optimizer o = adam(0.1)
        train(steps: 1) {
          update w minimizing sum(square(w())) with o
          update w minimizing sum(w()) with o
        }
        """, 1)
    #expect(runs[0].states["o/w/count"]?.values == [2])
    #expect(runs[0].states.keys.filter { $0.hasSuffix("/m") } == ["o/w/p/value/m"])
  }

  @Test func countersFollowWhatIsReached() throws {
    let program = try compiled(
      """
      network f() -> [1] {
        parameter([1], init: ones, name: "a") * stopGradient(parameter([1], init: ones, name: "b"))
      }
      network h() -> ([1], [1]) {
        (parameter([1], init: ones, name: "a"), parameter([1], init: ones, name: "b"))
      }
      optimizer o = adam(0.1)
      train(steps: 1) {
        update f minimizing sum(f()) with o
        let (a, b) = h()
        update h minimizing sum(a + b) with o
        let (c, _) = h()
        update h minimizing sum(c) with o
      }
      """)
    // f's b is never reached: no moments, no count. h's a has two updates a step, its b one.
    #expect(
      program.states.filter { $0.kind == .moment || $0.kind == .counter }.map(\.name) == [
        "o/f/a/value/m", "o/f/a/value/v", "o/h/a/value/m", "o/h/a/value/v", "o/h/b/value/m",
        "o/h/b/value/v", "o/f/count", "o/h/a/value/count", "o/h/b/value/count",
      ])
    let graph = try #require(program.train).graph
    let result = try run(graph, states: initialStates(program))
    #expect(result.states["o/h/a/value/count"]?.values == [2])
    #expect(result.states["o/h/b/value/count"]?.values == [1])
    #expect(graph.output(.state("f/b/value")) == nil)
  }

  @Test func rateOfStepAndEpoch() throws {
    let runs = try steps(
      scalarNet + """
        optimizer o = sgd(where(step < 2, 0.1, 0.05) * power(0.5, epoch))
        train(steps: 5) { update w minimizing sum(w()) with o }
        """, 5)
    var p = 2.0
    for (index, rate) in [0.1, 0.1, 0.025, 0.025, 0.0125].enumerated() {
      p -= rate
      #expect(close(weight(runs[index]), p, 1e-12))
    }
  }

  @Test func warnings() {
    let twoInline =
      scalarNet + """
        train(steps: 1) {
          update w minimizing sum(w()) with sgd(1)
          update w minimizing sum(w()) with sgd(1)
        }
        """
    #expect(places(twoInline, .warning) == ["optimizer.inline@5:37"])
    let older =
      scalarNet + """
        train(steps: 1) {
          let before = sum(w())
          update w minimizing sum(square(w())) with sgd(1)
          update u, w minimizing before * sum(w() * u()) with sgd(1)
        }
        """
    #expect(
      places(older, .warning)
        == ["optimizer.inline@6:55", "update.versions@6:13"].sorted { $0 > $1 })
    #expect(
      places("let batch = 3\nnetwork f(x: [batc]) -> [batc] { x }", .warning) == [
        "shape.variable@2:15"
      ])
    #expect(places("let nz = 3\nnetwork f(x: [n]) -> [n] { x }", .warning) == [])
  }

  @Test func conditionalBlocks() throws {
    let program = try compiled(
      scalarNet + """
        train(steps: 4) {
          update w minimizing sum(w()) with sgd(0.5)
          every 2 steps {
            update u minimizing sum(u() * w()) with adam(0.1)
            let s = sum(u())
            report s
          }
          every 3 steps { let t = sum(w()); report t; checkpoint }
          let last = sum(u())
          report last
        }
        """)
    let train = try #require(program.train)
    #expect(train.reports == ["s", "t", "last"])
    #expect(train.variants.count == 4)
    #expect(train.schedules.map(\.block) == [0, 1])
    #expect(train.schedules.map(\.actions) == [[], [.checkpoint]])
    let states = initialStates(program)
    let plain = try run(train.variants[0], states: states)
    #expect(plain.reports.keys.sorted() == ["last"])
    #expect(plain.report("last") == 3)
    let both = try run(train.variants[3], states: states)
    #expect(both.reports.keys.sorted() == ["last", "s", "t"])
    #expect(close(both.report("last"), 2.9, 1e-6))
    #expect(both.report("t") == 1.5)
    #expect(both.states["update-u/u/count"]?.values == [1])
  }
}
