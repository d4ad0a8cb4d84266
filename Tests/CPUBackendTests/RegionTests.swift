// Element-wise work: awkward sizes and broadcasts, random fused regions, epilogues, integers and booleans, f64 chains.

import BackendSupport
import Basics
import CPUBackend
import GraphIR
import Operators
import Passes
import Testing

@Suite struct RegionTests {
  @Test func awkwardSizes() throws {
    let region = Region(
      inputCount: 3,
      steps: [
        .init(Multiply(), [.input(0), .input(1)]), .init(Sigmoid(), [.step(0)]),
        .init(Subtract(), [.step(1), .input(2)]), .init(Tanh(), [.step(2)]),
        .init(Add(), [.step(3), .input(0)]),
      ], results: [.step(4), .step(1)])
    for n in [
      1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 1023, 1024, 1025, 4095, 4097, 9000,
    ] {
      try check(Fused(region: region), [.f32(n), .f32(n), .f32(n)], seed: UInt64(n))
      try check(Fused(region: region), [.f32(n), .f32(), .f32(1)], seed: UInt64(n))
    }
  }

  @Test func broadcasts() throws {
    let shapes: [([Int], [Int])] = [
      ([5, 7], [7]), ([5, 7], [5, 1]), ([3, 5, 7], [5, 1]), ([3, 5, 7], [3, 1, 7]),
      ([3, 5, 7], [1, 5, 7]), ([3, 5, 7], [3, 1, 1]), ([2, 3, 4, 5], [3, 1, 5]),
      ([2, 3, 4, 5], [2, 1, 4, 1]), ([1, 600, 3], [1, 600, 1]), ([700, 2, 3], [3]),
      ([2, 1, 3], [1, 5, 1]), ([64, 100], [1, 100]), ([1, 1, 9], [9, 1]), ([1500, 3], [1500, 1]),
      ([3, 1500], [3, 1]), ([3, 1500], [1500]),
    ]
    for (index, pair) in shapes.enumerated() {
      try check(Subtract(), [.f32(pair.0), .f32(pair.1)], seed: UInt64(index))
      try check(Maximum(), [.f32(pair.1), .f32(pair.0)], seed: UInt64(index))
    }
  }

  /// A random region over operands that broadcast to one shape.
  private func randomRegion(_ random: inout PhiloxSequence, inputs: Int, steps: Int) -> Region {
    var list: [Region.Step] = []
    func reference() -> Region.Reference {
      let index = random.nextInt(below: inputs + list.count)
      return index < inputs ? .input(index) : .step(index - inputs)
    }
    for _ in 0..<steps {
      let unary: [any Operation] = [
        Tanh(), Sigmoid(), Square(), Negate(), LeakyRelu(slope: 0.2), Softplus(), Relu(), Sign(),
        Absolute(), Elu(alpha: 1),
      ]
      let binary: [any Operation] = [
        Add(), Subtract(), Multiply(), Minimum(), Maximum(), BceWithLogits(),
      ]
      if random.nextInt(below: 2) == 0 {
        list.append(.init(unary[random.nextInt(below: unary.count)], [reference()]))
      } else {
        list.append(.init(binary[random.nextInt(below: binary.count)], [reference(), reference()]))
      }
      // Bounded, so that errors stay comparable.
      list.append(.init(Tanh(), [.step(list.count - 1)]))
    }
    let results = (0..<3).map { _ in Region.Reference.step(random.nextInt(below: list.count)) }
    return Region(inputCount: inputs, steps: list, results: results)
  }

  @Test(arguments: 0..<30) func randomRegions(_ seed: Int) throws {
    var random = PhiloxSequence(seed: UInt64(seed), stream: 5)
    let region = randomRegion(&random, inputs: 4, steps: 3 + seed)
    let shapes: [[Int]] = [[6, 50], [50], [6, 1], []]
    try check(Fused(region: region), shapes.map { .f32($0) }, seed: UInt64(seed), bound: 5e-5)
  }

  @Test(arguments: 0..<20) func randomEpilogues(_ seed: Int) throws {
    var random = PhiloxSequence(seed: UInt64(seed), stream: 6)
    let region = randomRegion(&random, inputs: 4, steps: 2 + seed / 2)
    let (m, k, n) = (
      1 + random.nextInt(below: 60), 1 + random.nextInt(below: 40), 1 + random.nextInt(below: 90)
    )
    let operation = Fused(
      root: MatMul(transposeA: seed % 2 == 1, transposeB: seed % 3 == 1), region: region)
    let a = seed % 2 == 1 ? [k, m] : [m, k]
    let b = seed % 3 == 1 ? [n, k] : [k, n]
    try check(
      operation, [.f32(a), .f32(b), .f32(n), .f32(m, n), .f32(m, 1)], seed: UInt64(seed),
      bound: 5e-5)
  }

  /// Random draws in regions and in epilogues give the numbers of their own flat places, whatever blocks and windows the
  /// kernels go by.
  @Test func drawsInRegions() throws {
    for (m, k, n) in [(5, 3, 7), (37, 20, 33), (130, 40, 100), (13, 8, 1030), (300, 9, 48)] {
      for normal in [false, true] {
        let builder = GraphBuilder(name: "draws", stage: .fused)
        let seed = try builder.input(.seed, .i32(2))
        let step = try builder.input(.step, .i32())
        let a = try builder.input(.argument("a"), .f32([m, k]))
        let b = try builder.input(.argument("b"), .f32([k, n]))
        let c = try builder.input(.argument("c"), .f32([m, n]))
        let draw: any Operation =
          normal
          ? RandomNormal(shape: [m, n], stream: 9) : RandomUniform(shape: [m, n], stream: 9)
        // The step is read as a number, too.
        let region = Region(
          inputCount: 3,
          steps: [
            .init(draw, [.input(1), .input(2)]), .init(Multiply(), [.input(0), .step(0)]),
            .init(Convert(to: .f32), [.input(2)]), .init(Add(), [.step(1), .step(2)]),
          ], results: [.step(3), .step(0)])
        let operands: [[ValueID]] = [[a, b, seed, step], [c, seed, step]]
        for (index, root) in [MatMul(), nil].enumerated() {
          let results = try builder.add(Fused(root: root, region: region), operands[index])
          for (place, value) in results.enumerated() {
            builder.output(.result("\(index).\(place)"), value)
          }
        }
        var filler = Filler(UInt64(m))
        let inputs = [
          HostTensor(.i32(2), [17, -4]), HostTensor(.i32(), [3]),
          filler.uniform(.f32(m, k), -1, 1), filler.uniform(.f32(k, n), -1, 1),
          filler.uniform(.f32(m, n), -1, 1),
        ]
        try expectAgreement(builder.finish(), inputs)
      }
    }
  }

  /// Adam's update, with and without a correction of the root: it becomes one instruction, but not where a result asks for
  /// what is between its parts. Both must give the same bits, alone and behind a product.
  @Test(arguments: [true, false], [true, false])
  func joinedInstructionsKeepBits(divides: Bool, hasRoot: Bool) throws {
    let constants = [0.9, 0.1, 0.999, 0.001, 1e-8]
    let (rows, columns) = (17, 61)
    func outputs(betweenToo: Bool) throws -> [[UInt8]] {
      let builder = GraphBuilder(name: "joined", stage: .fused)
      var operands: [ValueID] = []
      for name in ["g", "m", "v", "p"] {
        operands.append(try builder.input(.argument(name), .f32([rows, columns])))
      }
      let rate = try builder.input(.argument("rate"), .f32())
      var root: MatMul?
      if hasRoot {
        let a = try builder.input(.argument("a"), .f32([rows, 5]))
        root = MatMul()
        operands[0] = a
        operands.insert(try builder.input(.argument("b"), .f32([5, columns])), at: 1)
      }
      operands.append(rate)
      for constant in constants { operands.append(try builder.scalar(constant)) }
      // Inputs: g, m, v, p, rate, then the constants.
      var steps: [Region.Step] = [
        .init(Multiply(), [.input(1), .input(5)]), .init(Multiply(), [.input(0), .input(6)]),
        .init(Add(), [.step(0), .step(1)]), .init(Square(), [.input(0)]),
        .init(Multiply(), [.step(3), .input(8)]), .init(Multiply(), [.input(2), .input(7)]),
        .init(Add(), [.step(4), .step(5)]), .init(Sqrt(), [.step(6)]),
      ]
      if divides { steps.append(.init(Divide(), [.step(7), .input(4)])) }
      let last = steps.count
      steps += [
        .init(Add(), [.step(last - 1), .input(9)]), .init(Divide(), [.step(2), .step(last)]),
        .init(Multiply(), [.step(last + 1), .input(4)]),
        .init(Subtract(), [.input(3), .step(last + 2)]),
      ]
      var region = Region(
        inputCount: 10, steps: steps, results: [.step(2), .step(6), .step(last + 3)])
      if betweenToo {
        region.results += steps.indices.filter { ![2, 6, last + 3].contains($0) }.map { .step($0) }
      }
      for (index, value) in try builder.add(Fused(root: root, region: region), operands)
        .enumerated()
      {
        builder.output(.result("\(index)"), value)
      }
      var filler = Filler(3)
      let inputs = builder.finish().inputs.map { input -> HostTensor in
        let type = TensorType.f32(builder.type(of: input.value).shape)
        if type.shape == [] { return HostTensor(type, [0.0002]) }
        return filler.uniform(type, input.role == .argument("v") ? 0 : -1, 1)
      }
      let graph = builder.finish()
      try expectAgreement(graph, inputs)
      var found: [[UInt8]] = []
      for backend in try makeBackends() {
        found += try Loaded(graph, backend, inputs).step().prefix(3)
      }
      return found
    }
    #expect(try outputs(betweenToo: false) == outputs(betweenToo: true))
  }

  @Test func convolutionEpilogues() throws {
    let biased = Region(
      inputCount: 3,
      steps: [
        .init(Add(), [.input(0), .input(1)]), .init(LeakyRelu(slope: 0.2), [.step(0)]),
        .init(Multiply(), [.step(1), .input(2)]),
      ], results: [.step(2), .step(0)])
    let convolution = Conv2D(stride: [2, 2], padding: [1, 1, 1, 1])
    try check(
      Fused(root: convolution, region: biased),
      [.f32(2, 9, 8, 3), .f32(3, 3, 3, 20), .f32(20), .f32(2, 5, 4, 20)], bound: 3e-5)
    let transposed = Conv2DInputGradient(
      stride: [2, 2], padding: [1, 1, 1, 1], inputSize: [8, 6])
    try check(
      Fused(root: transposed, region: biased),
      [.f32(2, 4, 3, 12), .f32(4, 4, 5, 12), .f32(5), .f32(2, 8, 6, 1)], bound: 3e-5)
  }

  @Test func rootsThatTakeNoEpilogue() throws {
    let region = Region(
      inputCount: 2, steps: [.init(Multiply(), [.input(0), .input(1)])],
      results: [.step(0), .input(0)])
    try check(Fused(root: Sum(axes: [1]), region: region), [.f32(5, 7), .f32(5)])
    // A result that is larger than the root's.
    let wide = Region(
      inputCount: 2, steps: [.init(Multiply(), [.input(0), .input(1)])], results: [.step(0)])
    try check(Fused(root: MatMul(), region: wide), [.f32(1, 4), .f32(4, 6), .f32(5, 6)])
  }

  @Test func constantsBecomeImmediates() throws {
    let builder = GraphBuilder(name: "constants", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(37))
    var y = x
    for value in [2.0, 0.5, 3.0, -0.7] {
      y = try builder.add(Add(), builder.multiply(y, value), builder.scalar(value))
      y = try builder.subtract(1, builder.divide(y, value))
      y = try builder.tanh(builder.divide(value, builder.add(builder.square(y), 1)))
      y = try builder.maximum(builder.minimum(builder.power(y, 2), 0.9), -0.9)
    }
    let wide = try builder.constant(.f32(37), [0.25])
    builder.output(.result("y"), try builder.add(y, wide))
    var filler = Filler(4)
    try expectAgreement(builder.finish(), [filler.uniform(.f32(37), -1, 1)])
  }

  @Test func integersAndBooleans() throws {
    let region = Region(
      inputCount: 3,
      steps: [
        .init(Modulo(), [.input(0), .input(1)]), .init(Compare(.ge), [.step(0), .input(1)]),
        .init(Compare(.lt), [.input(0), .input(1)]),
        .init(Select(), [.step(2), .input(0), .step(0)]),
        .init(Convert(to: .f32), [.step(3)]), .init(Multiply(), [.step(4), .input(2)]),
        .init(Convert(to: .f32), [.step(1)]), .init(Add(), [.step(5), .step(6)]),
        .init(Divide(), [.input(0), .input(1)]),
      ], results: [.step(7), .step(3), .step(2), .step(8)])
    try check(
      Fused(region: region), [.i32(5, 7), .i32(7), .f32(5, 1)], low: -6, high: 6)
  }

  @Test func schedulesInDouble() throws {
    // Adam's step size: lr · √(1 − β₂ᵗ) / (1 − β₁ᵗ) in f64, then a tensor update in f32, all in one region.
    let region = Region(
      inputCount: 4,
      steps: [
        .init(Convert(to: .f64), [.input(0)]), .init(Power(), [.input(1), .step(0)]),
        .init(Subtract(), [.input(3), .step(1)]), .init(Sqrt(), [.step(2)]),
        .init(Convert(to: .f32), [.step(3)]), .init(Multiply(), [.step(4), .input(2)]),
      ], results: [.step(5), .step(3), .step(4)])
    let builder = GraphBuilder(name: "schedule", stage: .fused)
    let step = try builder.input(.step, .i32())
    let beta = try builder.scalar(0.999, .f64)
    let one = try builder.scalar(1, .f64)
    let x = try builder.input(.argument("x"), .f32(33))
    for (index, value) in try builder.add(Fused(region: region), [step, beta, x, one]).enumerated()
    {
      builder.output(.result("\(index)"), value)
    }
    var filler = Filler(9)
    let inputs = [HostTensor(.i32(), [41]), filler.uniform(.f32(33), -1, 1)]
    try expectAgreement(builder.finish(), inputs)
  }

  @Test func sharedInputsInPlace() throws {
    // Results go over dying operands while other results still need them.
    let builder = GraphBuilder(name: "in place", stage: .fused)
    let x = try builder.input(.argument("x"), .f32(3000))
    let a = try builder.add(Tanh(), x)
    let b = try builder.add(Square(), x)
    let region = Region(
      inputCount: 2,
      steps: [
        .init(Add(), [.input(0), .input(1)]), .init(Subtract(), [.input(0), .input(1)]),
        .init(Multiply(), [.step(0), .input(0)]), .init(Multiply(), [.step(2), .input(1)]),
      ], results: [.step(0), .step(3), .input(0), .input(1)])
    for (index, value) in try builder.add(Fused(region: region), [a, b]).enumerated() {
      builder.output(.result("\(index)"), value)
    }
    var filler = Filler(9)
    try expectAgreement(builder.finish(), [filler.uniform(.f32(3000), -1, 1)])
  }

  /// Updates of states of many sizes in one launch: the same bits as one after the other, in any number of threads, step
  /// after step.
  @Test func regionsAtOnceHaveTheSameBits() throws {
    let builder = GraphBuilder(name: "updates", stage: .differentiated)
    var filler = Filler(3)
    var inputs: [HostTensor] = []
    let rate = try builder.input(.argument("rate"), .f32())
    inputs.append(filler.uniform(.f32(), 0, 1))
    for (index, size) in [1, 3, 64, 65, 257, 1000, 5000, 2].enumerated() {
      let state = try builder.input(.state("w\(index)"), .f32(size))
      let moment = try builder.input(.state("m\(index)"), .f32(size))
      let slope = try builder.input(.argument("g\(index)"), .f32(size))
      inputs += (0..<3).map { _ in filler.uniform(.f32(size), 0.1, 1) }
      let next = try builder.add(builder.multiply(moment, rate), builder.multiply(slope, slope))
      let change = try builder.divide(builder.multiply(slope, rate), builder.add(Sqrt(), next))
      builder.output(.state("m\(index)"), next)
      builder.output(.state("w\(index)"), try builder.subtract(state, change))
    }
    let apart = try FuseElementwise().run(builder.finish())
    let joined = try FuseHorizontally().run(apart)
    #expect(joined.nodes.count == 1)
    for instructionSet in InstructionSet.available {
      var found: [[[UInt8]]] = []
      for (graph, threads) in [(apart, 1), (joined, 1), (joined, 2), (joined, 3)] {
        let backend = try CPUBackend(threads: threads, instructionSet: instructionSet)
        let loaded = try Loaded(graph, backend, inputs)
        let executable = try #require(loaded.executable as? CPUExecutable)
        #expect(executable.launchCount == graph.nodes.count)
        #expect(executable.plan.stateCopies.isEmpty)
        _ = try loaded.step()
        found.append(try loaded.step())
      }
      for other in found.dropFirst() { #expect(other == found[0], "\(instructionSet)") }
    }
  }
}
