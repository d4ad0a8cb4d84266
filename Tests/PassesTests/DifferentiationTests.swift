// Differentiation: derivatives against finite differences, to second order, and what is not computed because
// nobody asked for it.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct DifferentiationTests {
  /// f = the loss of a random graph, and g = Σ ∂f · ∂f: the derivative of g holds that of the gradient.
  @Test(arguments: 0..<25)
  func randomGraphsToSecondOrder(_ seed: Int) throws {
    let options = RandomGraphOptions(size: 14, differentiable: true)
    let forward = try RandomGraph.make(seed: UInt64(seed), options)
    let inputs = RandomGraph.inputs(of: forward, seed: UInt64(seed))
    let once = try Self.extended(forward)
    compare(once.graph, once.gradients, inputs, tolerance: 1e-6, "first order of \(seed)")
    let twice = try Self.extended(once.graph)
    compare(twice.graph, twice.gradients, inputs, tolerance: 1e-4, "second order of \(seed)")
  }

  /// The graph with its derivatives behind it, and a new loss made of them; derivatives by input, nil where there is
  /// none.
  private static func extended(_ graph: Graph) throws -> (graph: Graph, gradients: [ValueID?]) {
    let rewriter = try copied(graph)
    let builder = rewriter.builder
    let loss = rewriter.value(graph.outputs[0].value)
    let found = try differentiate(
      builder: builder, loss: loss, wrt: builder.graph.inputs.map(\.value))
    var total = try builder.scalar(0)
    for gradient in found {
      if let gradient { total = try builder.add(total, builder.sum(builder.square(gradient))) }
    }
    builder.output(.result("total"), total)
    builder.output(.result("loss"), loss)
    return (builder.finish(), found)
  }

  private static func copied(_ graph: Graph) throws -> GraphRewriter {
    var rewriter = try GraphRewriter(graph)
    for node in graph.nodes.elements { try rewriter.keep(node) }
    return rewriter
  }

  /// Compares gradients of the last output with central differences at every element.
  private func compare(
    _ graph: Graph, _ gradients: [ValueID?], _ inputs: [HostTensor], tolerance: Double,
    _ comment: String
  ) {
    let computed = Evaluator().evaluateAll(Self.withOutputs(graph, gradients), inputs: inputs)
    func loss(_ moved: [HostTensor]) -> Double {
      Evaluator().evaluate(graph, inputs: moved).last?.values[0] ?? .nan
    }
    let step = 1e-5
    for index in inputs.indices {
      for element in inputs[index].values.indices.prefix(4) {
        var (more, less) = (inputs, inputs)
        more[index].values[element] += step
        less[index].values[element] -= step
        let expected = (loss(more) - loss(less)) / (2 * step)
        let found = gradients[index].flatMap { computed[$0]?.values[element] } ?? 0
        #expect(
          abs(found - expected) <= tolerance * max(1, abs(expected)),
          "\(comment): input \(index), element \(element): \(found) against \(expected)")
      }
    }
  }

  private static func withOutputs(_ graph: Graph, _ values: [ValueID?]) -> Graph {
    var graph = graph
    for (index, value) in values.enumerated() {
      guard let value else { continue }
      graph.outputs.append(OutputBinding(role: .result("gradient \(index)"), value: value))
    }
    return graph
  }

  // MARK: - Values and variables

  /// Everything that is read several times gets the sum of what comes back, in an order that is always the same.
  @Test func adjointsAddUpFromTheLastUse() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[]
        %1 = tanh(%0) : f32[]
        %2 = multiply(%1, %0) : f32[]
        %3 = add(%2, %0) : f32[]
        %4 = gradient(%3, %0) : f32[]
        output result "r" %4
      """)
    let result = try rewritten(
      [ExpandGradients(), FoldConstants(), Simplify(), CommonSubexpressions()], graph)
    #expect(
      lines(result) == """
        %1 = tanh(%0) : f32[]
        %2 = constant() {type: f32[], values: [1.0]} : f32[]
        %3 = add(%2, %1) : f32[]
        %4 = square(%1) : f32[]
        %5 = subtract(%2, %4) : f32[]
        %6 = multiply(%0, %5) : f32[]
        %7 = add(%3, %6) : f32[]
        output result "r" %7
        """)
  }

  /// With respect to a computed value, the value is a variable: equal ones are others, and what is behind it is
  /// not looked at.
  @Test(arguments: [Pipeline.unoptimized, .standard])
  func computedValuesAreVariables(_ pipeline: Pipeline) throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[]
        %1 = square(%0) : f32[]
        %2 = square(%0) : f32[]
        %3 = multiply(%1, %2) : f32[]
        %4 = gradient(%3, %1) : f32[]
        %5 = constant() {type: f32[], values: [3.0]} : f32[]
        %6 = add(%5, %5) : f32[]
        %7 = multiply(%6, %6) : f32[]
        %8 = gradient(%7, %6) : f32[]
        %9 = negate(%0) : f32[]
        %10 = negate(%9) : f32[]
        %11 = multiply(%10, %0) : f32[]
        %12 = gradient(%11, %9) : f32[]
        output result "x²" %4
        output result "12" %8
        output result "-x" %12
      """)
    let result = try PassRunner(pipeline).run(graph).graph
    let values = Evaluator().evaluate(result, inputs: [HostTensor(.f32(), [0.5])])
    #expect(values.map { $0.values[0] } == [0.25, 12, -0.5])
  }

  /// Nothing flows through `stop_gradient`, neither at the first order nor at the second.
  @Test(arguments: [Pipeline.unoptimized, .standard])
  func stopGradientStops(_ pipeline: Pipeline) throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[]
        %1 = stop_gradient(%0) : f32[]
        %2 = multiply(%0, %1) : f32[]
        %3 = gradient(%2, %0) : f32[]
        %4 = multiply(%3, %0) : f32[]
        %5 = gradient(%4, %0) : f32[]
        %6 = gradient(%1, %0) : f32[]
        output result "x" %3
        output result "x again" %5
        output result "0" %6
      """)
    let result = try PassRunner(pipeline).run(graph).graph
    let values = Evaluator().evaluate(result, inputs: [HostTensor(.f32(), [0.5])])
    #expect(values.map { $0.values[0] } == [0.5, 0.5, 0])
  }

  @Test func lossesMustBeScalars() throws {
    let builder = GraphBuilder(name: "vector")
    let x = try builder.input(.argument("x"), .f32(3))
    #expect(throws: Diagnostic.self) { try differentiate(builder: builder, loss: x, wrt: [x]) }
    let loss = try builder.sum(x)
    #expect(try differentiate(builder: builder, loss: loss, wrt: [loss])[0] != nil)
    #expect(try differentiate(builder: builder, loss: loss, wrt: [builder.scalar(1)]) == [nil])
  }

  // MARK: - Pruning

  /// A generator of two dense layers and a discriminator of one convolution and one dense layer.
  private struct Pair {
    let builder = GraphBuilder(name: "pair")
    let generator: [ValueID]
    let discriminator: [ValueID]
    let loss: ValueID

    init() throws {
      let z = try builder.input(.data(source: "z", round: 0), .f32(2, 3))
      generator = [
        try builder.input(.state("g/1"), .f32(3, 5)), try builder.input(.state("g/2"), .f32(5, 16)),
      ]
      discriminator = [
        try builder.input(.state("d/1"), .f32(3, 3, 1, 2)),
        try builder.input(.state("d/2"), .f32(32, 1)),
      ]
      let hidden = try builder.tanh(builder.matmul(z, generator[0]))
      let image = try builder.reshape(
        builder.tanh(builder.matmul(hidden, generator[1])), [2, 4, 4, 1])
      let features = try builder.tanh(
        builder.conv2D(image, discriminator[0], stride: [1, 1], padding: [1, 1, 1, 1]))
      let logits = try builder.matmul(builder.reshape(features, [2, 32]), discriminator[1])
      loss = try builder.mean(builder.softplus(logits))
    }

    func expanded(_ variables: [ValueID]) throws -> Graph {
      for (index, gradient) in try builder.gradient(loss, wrt: variables).enumerated() {
        builder.output(.result("\(index)"), gradient)
      }
      return try rewritten([ExpandGradients()], builder.finish())
    }
  }

  @Test func aGeneratorStepHasNoWeightGradientsOfTheDiscriminator() throws {
    let pair = try Pair()
    let graph = try pair.expanded(pair.generator)
    #expect(count(Conv2DFilterGradient.self, in: graph) == 0)
    #expect(count(Conv2DInputGradient.self, in: graph) == 1)
    // Three forward; back: through the discriminator's, two weights of the generator, one input.
    #expect(count(MatMul.self, in: graph) == 3 + 4)
  }

  @Test func aDiscriminatorStepStopsAtItsInput() throws {
    let pair = try Pair()
    let graph = try pair.expanded(pair.discriminator)
    #expect(count(Conv2DFilterGradient.self, in: graph) == 1)
    #expect(count(Conv2DInputGradient.self, in: graph) == 0)
    #expect(count(MatMul.self, in: graph) == 3 + 2)
  }

  // MARK: - Gradients of gradients

  /// The WGAN-GP penalty (‖∂D(x̂)/∂x̂‖ − 1)², with respect to the weights of D, against finite differences; x̂ is a
  /// computed value.
  @Test(arguments: [Pipeline.unoptimized, .standard])
  func gradientPenalty(_ pipeline: Pipeline) throws {
    func penalty(_ builder: GraphBuilder) throws -> (loss: ValueID, weights: [ValueID]) {
      let real = try builder.input(.argument("real"), .f32(3, 4))
      let fake = try builder.input(.argument("fake"), .f32(3, 4))
      let mix = try builder.input(.argument("mix"), .f32(3, 1))
      let weights = [
        try builder.input(.state("d/1"), .f32(4, 5)), try builder.input(.state("d/2"), .f32(5, 1)),
      ]
      let between = try builder.add(
        builder.multiply(mix, real), builder.multiply(builder.subtract(1, mix), fake))
      let hidden = try builder.leakyRelu(
        builder.tanh(builder.matmul(between, weights[0])), slope: 0.2)
      let score = try builder.sum(builder.matmul(hidden, weights[1]))
      let slope = try builder.gradient(score, wrt: [between])[0]
      let norm = try builder.sqrt(builder.add(builder.sum(builder.square(slope), axes: [1]), 1e-12))
      let loss = try builder.mean(builder.square(builder.subtract(norm, 1)))
      return (loss, weights)
    }
    let plain = GraphBuilder(name: "penalty")
    plain.output(.result("loss"), try penalty(plain).loss)
    let forward = try PassRunner(pipeline).run(plain.finish()).graph

    let full = GraphBuilder(name: "penalty")
    let made = try penalty(full)
    for (index, gradient) in try full.gradient(made.loss, wrt: made.weights).enumerated() {
      full.output(.result("\(index)"), gradient)
    }
    let backward = try PassRunner(pipeline).run(full.finish()).graph
    let inputs = RandomGraph.inputs(of: forward, seed: 3)
    let gradients = Evaluator().evaluate(backward, inputs: inputs)
    for (place, gradient) in zip([3, 4], gradients) {
      for element in inputs[place].values.indices {
        var (more, less) = (inputs, inputs)
        more[place].values[element] += 1e-5
        less[place].values[element] -= 1e-5
        let high = Evaluator().evaluate(forward, inputs: more)[0].values[0]
        let low = Evaluator().evaluate(forward, inputs: less)[0].values[0]
        #expect(abs(gradient.values[element] - (high - low) / 2e-5) < 1e-5)
      }
      #expect(gradient.values.contains { abs($0) > 1e-3 })
    }
  }
}
