// Fusion: what becomes one node, what must not, and where the values go that are read elsewhere too.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct FusionTests {
  @Test func chainsBecomeOneRegion() throws {
    try expect(
      FuseElementwise(),
      """
        input %0 argument "x" : f32[4, 3]
        input %1 argument "scale" : f32[3]
        input %2 state "w" : f32[4, 3]
        %3 = multiply(%0, %1) : f32[4, 3]
        %4 = add(%3, %2) : f32[4, 3]
        %5 = tanh(%4) : f32[4, 3]
        output result "r" %5
        output state "w" %4
        output result "again" %5
      """,
      """
      %3, %4 = fused(%0, %1, %2) {region: (3) { s0 = multiply(i0, i1); s1 = add(s0, i2); \
      s2 = tanh(s1); yield s1, s2 }} : f32[4, 3], f32[4, 3]
      output result "r" %4
      output state "w" %3
      output result "again" %4
      """)
  }

  /// A dropout's mask is made again where the backward part reads it; nothing of it is stored.
  @Test func drawsAreRepeated() throws {
    try expect(
      FuseElementwise(),
      """
        input %0 seed : i32[2]
        input %1 step : i32[]
        input %2 argument "x" : f32[4, 3]
        input %3 argument "dy" : f32[4, 3]
        input %4 argument "rate" : f32[]
        %5 = random_uniform(%0, %1) {shape: [4, 3], stream: 7} : f32[4, 3]
        %6 = compare(%5, %4) {predicate: ge} : bool[4, 3]
        %7 = convert(%6) {to: f32} : f32[4, 3]
        %8 = multiply(%2, %7) : f32[4, 3]
        %9 = sum(%8) {axes: [0]} : f32[3]
        %10 = add(%3, %9) : f32[4, 3]
        %11 = multiply(%10, %7) : f32[4, 3]
        output result "y" %8
        output result "dx" %11
      """,
      """
      %5 = fused(%0, %1, %4, %2) {region: (4) { s0 = random_uniform(i0, i1) \
      {shape: [4, 3], stream: 7}; s1 = compare(s0, i2) {predicate: ge}; \
      s2 = convert(s1) {to: f32}; s3 = multiply(i3, s2); yield s3 }} : f32[4, 3]
      %6 = sum(%5) {axes: [0]} : f32[3]
      %7 = fused(%0, %1, %4, %3, %6) {region: (5) { s0 = random_uniform(i0, i1) \
      {shape: [4, 3], stream: 7}; s1 = compare(s0, i2) {predicate: ge}; \
      s2 = convert(s1) {to: f32}; s3 = add(i3, i4); s4 = multiply(s3, s2); yield s4 }} : f32[4, 3]
      output result "y" %5
      output result "dx" %7
      """)
  }

  /// What mixes a draw with a tensor is kept: it could not be made again from its place alone.
  @Test func mixturesOfDrawsAreKept() throws {
    let graph = try parsed(
      """
        input %0 seed : i32[2]
        input %1 step : i32[]
        input %2 argument "x" : f32[4, 3]
        %3 = random_normal(%0, %1) {shape: [4, 3], stream: 7} : f32[4, 3]
        %4 = add(%2, %3) : f32[4, 3]
        %5 = sum(%4) {axes: [0]} : f32[3]
        %6 = subtract(%4, %5) : f32[4, 3]
        output result "r" %6
      """, stage: .differentiated)
    let fused = try rewritten([FuseElementwise()], graph)
    let drawing = fused.nodes.elements.filter {
      ($0.operation as? Fused)?.region.inputsReadWhole.isEmpty == false
    }
    #expect(drawing.count == 1)
    expectSameResults(graph, fused, "fuse-elementwise")
  }

  /// An epilogue behind a reshape draws in the root's shape; the numbers are those of the same flat places.
  @Test func drawsMoveBehindReshapes() throws {
    let graph = try parsed(
      """
        input %0 seed : i32[2]
        input %1 step : i32[]
        input %2 argument "x" : f32[4, 3]
        input %3 argument "w" : f32[3, 10]
        %4 = matmul(%2, %3) : f32[4, 10]
        %5 = reshape(%4) {shape: [4, 5, 2]} : f32[4, 5, 2]
        %6 = random_uniform(%0, %1) {shape: [4, 5, 2], stream: 3} : f32[4, 5, 2]
        %7 = multiply(%5, %6) : f32[4, 5, 2]
        output result "r" %7
      """, stage: .differentiated)
    let fused = try rewritten([FuseElementwise(), FuseEpilogues()], graph)
    #expect(fused.nodes.elements.contains { ($0.operation as? Fused)?.root != nil })
    expectSameResults(graph, fused, "fuse-epilogues")
  }

  /// A path through something that is not element-wise: one region would wait for itself.
  @Test func noCycles() throws {
    try expect(
      FuseElementwise(),
      """
        input %0 argument "x" : f32[4, 3]
        %1 = tanh(%0) : f32[4, 3]
        %2 = sum(%1) {axes: [0]} : f32[3]
        %3 = subtract(%1, %2) : f32[4, 3]
        output result "r" %3
      """,
      """
      %1 = fused(%0) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[4, 3]
      %2 = sum(%1) {axes: [0]} : f32[3]
      %3 = fused(%1, %2) {region: (2) { s0 = subtract(i0, i1); yield s0 }} : f32[4, 3]
      output result "r" %3
      """)
  }

  @Test func f64StaysApart() throws {
    try expect(
      FuseElementwise(),
      """
        input %0 step : i32[]
        %1 = convert(%0) {to: f64} : f64[]
        %2 = sqrt(%1) : f64[]
        %3 = convert(%2) {to: f32} : f32[]
        %4 = tanh(%3) : f32[]
        output result "r" %4
      """,
      """
      %1 = fused(%0) {region: (1) { s0 = convert(i0) {to: f64}; s1 = sqrt(s0); \
      s2 = convert(s1) {to: f32}; yield s2 }} : f32[]
      %2 = fused(%1) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[]
      output result "r" %2
      """)
  }

  /// Copies are no steps, and a region of copies is no region.
  @Test func copiesAreDropped() throws {
    try expect(
      FuseElementwise(),
      """
        input %0 argument "x" : f32[3]
        %1 = stop_gradient(%0) : f32[3]
        %2 = convert(%1) {to: f32} : f32[3]
        %3 = tanh(%2) : f32[3]
        %4 = stop_gradient(%3) : f32[3]
        output result "copy" %2
        output result "r" %4
        output result "inner" %3
      """,
      """
      %1 = fused(%0) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[3]
      output result "copy" %0
      output result "r" %1
      output result "inner" %1
      """)
    try expect(
      FuseElementwise(),
      """
        input %0 argument "x" : f32[3]
        %1 = stop_gradient(%0) : f32[3]
        output result "r" %1
      """, "output result \"r\" %0")
  }

  /// A mask that only the backward region reads is computed there, from the value that is kept anyway.
  @Test func masksStandWhereTheyAreRead() throws {
    try expect(
      FuseElementwise(),
      """
        input %0 argument "x" : f32[4, 4]
        %1 = tanh(%0) : f32[4, 4]
        %2 = square(%1) : f32[4, 4]
        %3 = matmul(%1, %1) : f32[4, 4]
        %4 = multiply(%3, %2) : f32[4, 4]
        output result "r" %4
      """,
      """
      %1 = fused(%0) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[4, 4]
      %2 = matmul(%1, %1) : f32[4, 4]
      %3 = fused(%1, %2) {region: (2) { s0 = square(i0); s1 = multiply(i1, s0); yield s1 }} \
      : f32[4, 4]
      output result "r" %3
      """)
  }

  @Test func regionsHaveLimits() throws {
    let builder = GraphBuilder(name: "long", stage: .differentiated)
    var x = try builder.input(.argument("x"), .f32(4))
    for index in 0..<200 {
      let other = try builder.input(.argument("a\(index)"), .f32(4))
      x = try builder.tanh(index % 2 == 0 ? builder.add(x, other) : x)
    }
    builder.output(.result("r"), x)
    let graph = builder.finish()
    let result = try rewritten([FuseElementwise()], graph)
    expectSameResults(graph, result, "long")
    #expect(result.nodes.count > 1 && result.nodes.count < 20)
    for node in result.nodes.elements {
      let region = try #require(node.operation as? Fused).region
      #expect(region.steps.count <= 64 && region.inputCount <= 24)
    }
  }

  @Test func biasAndActivationBecomeAnEpilogue() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[4, 3]
        input %1 argument "w" : f32[3, 5]
        input %2 argument "bias" : f32[5]
        %3 = matmul(%0, %1) : f32[4, 5]
        %4 = add(%3, %2) : f32[4, 5]
        %5 = leaky_relu(%4) {slope: 0.2} : f32[4, 5]
        output result "r" %5
      """, stage: .differentiated)
    let result = try rewritten([FuseElementwise(), FuseEpilogues()], graph)
    #expect(
      lines(result) == """
        %3 = fused(%0, %1, %2) {root: matmul {}, region: (2) { s0 = add(i0, i1); \
        s1 = leaky_relu(s0) {slope: 0.2}; yield s1 }} : f32[4, 5]
        output result "r" %3
        """)
    expectSameResults(graph, result, "bias")
  }

  /// The root's own result is read elsewhere: it becomes one more result. Of two products the later is the root.
  @Test func rootsThatAreReadElsewhere() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[4, 4]
        %1 = matmul(%0, %0) : f32[4, 4]
        %2 = matmul(%0, %0) {transposeB: true} : f32[4, 4]
        %3 = add(%1, %2) : f32[4, 4]
        %4 = sum(%2) {axes: [0]} : f32[4]
        output result "r" %3
        output result "s" %4
      """, stage: .differentiated)
    let result = try rewritten([FuseElementwise(), FuseEpilogues()], graph)
    #expect(
      lines(result) == """
        %1 = matmul(%0, %0) : f32[4, 4]
        %2, %3 = fused(%0, %0, %1) {root: matmul {transposeB: true}, region: (2) { \
        s0 = add(i1, i0); yield s0, i0 }} : f32[4, 4], f32[4, 4]
        %4 = sum(%3) {axes: [0]} : f32[4]
        output result "r" %2
        output result "s" %4
        """)
    expectSameResults(graph, result, "root")
  }

  /// The region waits for the root by another way too.
  @Test func noCyclesThroughRoots() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[4, 4]
        %1 = matmul(%0, %0) : f32[4, 4]
        %2 = sum(%1) {axes: [0]} : f32[4]
        %3 = subtract(%1, %2) : f32[4, 4]
        output result "r" %3
      """, stage: .differentiated)
    let result = try rewritten([FuseElementwise(), FuseEpilogues()], graph)
    #expect(result.nodes.elements.map { $0.operation.mnemonic } == ["matmul", "sum", "fused"])
    #expect((result.nodes.elements[2].operation as? Fused)?.root == nil)
  }

  /// A reshape between root and region: operands and results are seen in the root's shape.
  @Test func epiloguesThroughReshapes() throws {
    let graph = try parsed(
      """
        input %0 argument "x" : f32[2, 3]
        input %1 argument "w" : f32[3, 8]
        input %2 argument "mask" : f32[2, 2, 4]
        input %3 argument "rows" : f32[2, 1, 1]
        input %4 argument "pixels" : f32[2, 4]
        %5 = matmul(%0, %1) : f32[2, 8]
        %6 = reshape(%5) {shape: [2, 2, 4]} : f32[2, 2, 4]
        %7 = multiply(%6, %2) : f32[2, 2, 4]
        %8 = add(%7, %3) : f32[2, 2, 4]
        %9 = add(%8, %4) : f32[2, 2, 4]
        output result "r" %9
        output result "raw" %6
      """, stage: .differentiated)
    let result = try rewritten([FuseElementwise(), FuseEpilogues()], graph)
    #expect(
      lines(result) == """
        %5 = reshape(%2) {shape: [2, 8]} : f32[2, 8]
        %6 = reshape(%3) {shape: [2, 1]} : f32[2, 1]
        %7 = reshape(%4) {shape: [8]} : f32[8]
        %8, %9 = fused(%0, %1, %5, %6, %7) {root: matmul {}, region: (4) { \
        s0 = multiply(i0, i1); s1 = add(s0, i2); s2 = add(s1, i3); yield s2, i0 }} \
        : f32[2, 8], f32[2, 8]
        %10 = reshape(%8) {shape: [2, 2, 4]} : f32[2, 2, 4]
        %11 = reshape(%9) {shape: [2, 2, 4]} : f32[2, 2, 4]
        output result "r" %10
        output result "raw" %11
        """)
    expectSameResults(graph, result, "through a reshape")
    // The other way round: a row of the region is an image of the root's.
    let images = try parsed(
      """
        input %0 argument "x" : f32[2, 3, 4, 5]
        input %1 argument "w" : f32[1, 1, 5, 6]
        input %2 argument "row" : f32[72]
        input %3 argument "column" : f32[2, 1]
        %4 = conv2d(%0, %1) {padding: [0, 0, 0, 0]} : f32[2, 3, 4, 6]
        %5 = reshape(%4) {shape: [2, 72]} : f32[2, 72]
        %6 = multiply(%5, %2) : f32[2, 72]
        %7 = add(%6, %3) : f32[2, 72]
        output result "r" %7
      """, stage: .differentiated)
    let rows = try rewritten([FuseElementwise(), FuseEpilogues()], images)
    #expect(
      rows.nodes.elements.map { $0.operation.mnemonic } == [
        "reshape", "reshape", "fused", "reshape",
      ])
    #expect(rows.type(of: rows.nodes.elements[0].results[0]) == .f32(3, 4, 6))
    #expect(rows.type(of: rows.nodes.elements[1].results[0]) == .f32(2, 1, 1, 1))
    expectSameResults(images, rows, "rows")
    // A vector over the last axis alone has no such shape.
    let channels = try parsed(
      """
        input %0 argument "x" : f32[2, 3]
        input %1 argument "w" : f32[3, 8]
        input %2 argument "bias" : f32[4]
        %3 = matmul(%0, %1) : f32[2, 8]
        %4 = reshape(%3) {shape: [2, 2, 4]} : f32[2, 2, 4]
        %5 = add(%4, %2) : f32[2, 2, 4]
        output result "r" %5
      """, stage: .differentiated)
    let kept = try rewritten([FuseElementwise(), FuseEpilogues()], channels)
    #expect(kept.nodes.elements.map { $0.operation.mnemonic } == ["matmul", "reshape", "fused"])
  }

  /// A weight gradient and the optimiser's update of the weight are one node.
  @Test func updatesAreEpiloguesOfWeightGradients() throws {
    let builder = GraphBuilder(name: "adam")
    let x = try builder.input(.data(source: "x", round: 0), .f32(8, 4))
    let w = try builder.input(.state("w"), .f32(4, 4))
    let m = try builder.input(.state("w/m"), .f32(4, 4))
    let v = try builder.input(.state("w/v"), .f32(4, 4))
    let loss = try builder.mean(builder.square(builder.tanh(builder.matmul(x, w))))
    let gradient = try builder.gradient(loss, wrt: [w])[0]
    let m2 = try builder.add(builder.scaled(m, by: 0.5), builder.scaled(gradient, by: 0.5))
    let v2 = try builder.add(
      builder.scaled(v, by: 0.75), builder.scaled(builder.square(gradient), by: 0.25))
    let update = try builder.divide(m2, builder.add(builder.sqrt(v2), 1))
    builder.output(.state("w"), try builder.subtract(w, update))
    builder.output(.state("w/m"), m2)
    builder.output(.state("w/v"), v2)
    let best = try PassRunner(.standard).run(builder.finish()).graph
    let last = try #require(best.producer(of: best.outputs[0].value))
    let fused = try #require(last.operation as? Fused)
    #expect(fused.root?.operation is MatMul)
    #expect(Set(best.outputs.map(\.value)) == Set(last.results))
    #expect(best.nodes.elements.count { $0.operation is Fused } == 2)
  }
}
