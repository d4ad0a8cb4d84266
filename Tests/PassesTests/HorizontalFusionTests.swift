// Horizontal fusion: what becomes one node, where it stands, and what must stay apart.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct HorizontalFusionTests {
  private static let inputs = """
      input %0 state "w" : f32[5]
      input %1 state "b" : f32[3]
      input %2 argument "x" : f32[5]
      input %3 argument "y" : f32[3]
    """

  /// The number of nodes that a graph of these lines has after the pass.
  private func nodes(_ body: String) throws -> Int {
    let graph = try parsed(Self.inputs + "\n" + body, stage: .fused)
    let fused = try FuseHorizontally().run(graph)
    expectSameResults(graph, fused, "fuse-horizontally")
    return fused.nodes.count
  }

  @Test func updatesBecomeOneNode() throws {
    try expect(
      FuseHorizontally(),
      Self.inputs + """

          %4 = constant() {type: f32[], values: [0.5]} : f32[]
          %5, %6 = fused(%0, %2, %4) {region: (3) { s0 = multiply(i1, i2); s1 = add(i0, s0); \
        yield s1, s0 }} : f32[5], f32[5]
          %7 = fused(%1, %3, %4) {region: (3) { s0 = multiply(i1, i2); s1 = add(i0, s0); \
        yield s1 }} : f32[3]
          output state "w" %5
          output state "b" %7
          output result "r" %6
        """,
      """
      %4 = constant() {type: f32[], values: [0.5]} : f32[]
      %5, %6, %7 = fused(%0, %2, %4, %1, %3) {region: (5) { s0 = multiply(i1, i2); \
      s1 = add(i0, s0); s2 = multiply(i4, i2); s3 = add(i3, s2); yield s1, s0, s3 }} \
      : f32[5], f32[5], f32[3]
      output state "w" %5
      output state "b" %7
      output result "r" %6
      """, stage: .fused)
  }

  /// A group stands before the first node that reads one of its results; reshapes of results wait with it.
  @Test func groupsStandWhereTheyAreNeeded() throws {
    try expect(
      FuseHorizontally(),
      Self.inputs + """

          %4 = fused(%2) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[5]
          %5 = reshape(%4) {shape: [1, 5]} : f32[1, 5]
          %6 = sum(%3) {axes: [0]} : f32[]
          %7 = fused(%3, %6) {region: (2) { s0 = subtract(i0, i1); yield s0 }} : f32[3]
          %8 = sum(%5) {axes: [1]} : f32[1]
          %9 = fused(%8, %7) {region: (2) { s0 = add(i0, i1); yield s0 }} : f32[3]
          %10 = fused(%8) {region: (1) { s0 = square(i0); yield s0 }} : f32[1]
          output result "r" %9
          output result "s" %10
        """,
      """
      %4 = sum(%3) {axes: [0]} : f32[]
      %5, %6 = fused(%2, %3, %4) {region: (3) { s0 = tanh(i0); s1 = subtract(i1, i2); \
      yield s0, s1 }} : f32[5], f32[3]
      %7 = reshape(%5) {shape: [1, 5]} : f32[1, 5]
      %8 = sum(%7) {axes: [1]} : f32[1]
      %9, %10 = fused(%8, %6) {region: (2) { s0 = add(i0, i1); s1 = square(i0); yield s0, s1 }} \
      : f32[3], f32[1]
      output result "r" %9
      output result "s" %10
      """, stage: .fused)
  }

  /// One reads what the other makes: two nodes, and nothing moves.
  @Test func whatDependsStaysApart() throws {
    let count = try nodes(
      """
        %4 = fused(%3) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[3]
        %5 = fused(%4, %1) {region: (2) { s0 = add(i0, i1); yield s0 }} : f32[3]
        output result "r" %5
      """)
    #expect(count == 2)
  }

  @Test func differentPlacesStayApart() throws {
    func count(_ line: Int) throws -> Int {
      try nodes(
        """
          %4 = fused(%3) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[3] @ 7:1
          %5 = fused(%2) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[5] @ \(line):1
          output result "r" %4
          output result "s" %5
        """)
    }
    #expect(try count(8) == 2)
    #expect(try count(7) == 1)
  }

  /// In one launch the first would read, somewhere, what the second has written already.
  @Test func aStateIsReadBeforeItIsOverwritten() throws {
    func count(reads read: String) throws -> Int {
      try nodes(
        """
          %4 = fused(\(read), %2) {region: (2) { s0 = subtract(i0, i1); yield s0 }} : f32[5]
          %5 = fused(%0, %2) {region: (2) { s0 = add(i0, i1); yield s0 }} : f32[5]
          output result "r" %4
          output state "w" %5
        """)
    }
    #expect(try count(reads: "%0") == 2)
    #expect(try count(reads: "%2") == 1)
  }

  /// The planner runs an update behind later readers of the old state; a group beside it would have to move too.
  @Test func nothingIsJoinedWhereAnUpdateWaits() throws {
    func count(late: String) throws -> Int {
      try nodes(
        """
          %4 = fused(%0, %2) {region: (2) { s0 = add(i0, i1); yield s0 }} : f32[5]
          %5 = fused(%1, %3) {region: (2) { s0 = add(i0, i1); yield s0 }} : f32[3]
          %6 = sum(\(late)) {axes: [0]} : f32[]
          output state "w" %4
          output state "b" %5
          output result "r" %6
        """)
    }
    #expect(try count(late: "%0") == 3)
    #expect(try count(late: "%2") == 2)
  }

  @Test func largeRegionsAndHostArithmeticStayApart() throws {
    func count(_ type: String, _ step: String) throws -> Int {
      let graph = try parsed(
        """
          input %0 argument "x" : \(type)
          input %1 argument "y" : f32[3]
          %2 = fused(%0) {region: (1) { \(step) }} : \(type)
          %3 = fused(%1) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[3]
          output result "r" %2
          output result "s" %3
        """, stage: .fused)
      return try FuseHorizontally().run(graph).nodes.count
    }
    let tanh = "s0 = tanh(i0); yield s0"
    #expect(try count("f32[32768]", tanh) == 1)
    #expect(try count("f32[32769]", tanh) == 2)
    let double = "s0 = convert(i0) {to: f64}; s1 = sqrt(s0); s2 = convert(s1) {to: f32}; yield s2"
    #expect(try count("f32[]", double) == 2)
  }

  @Test func groupsAreBounded() throws {
    var body = "  input %0 argument \"x\" : f32[3]\n"
    for index in 1...40 {
      body += "  %\(index) = fused(%0) {region: (1) { s0 = tanh(i0); yield s0 }} : f32[3]\n"
    }
    for index in 1...40 { body += "  output result \"r\(index)\" %\(index)\n" }
    let fused = try FuseHorizontally().run(try parsed(body, stage: .fused))
    #expect(fused.nodes.elements.map(\.results.count) == [32, 8])
  }

  @Test(arguments: 0..<40) func randomGraphsKeepTheirBits(_ seed: Int) throws {
    let graph = try RandomGraph.make(
      seed: UInt64(seed), RandomGraphOptions(size: 20 + seed, fused: true))
    let fused = try FuseHorizontally().run(graph)
    try Verifier().verify(fused)
    expectSameResults(graph, fused, "seed \(seed)", rounding: true, tolerance: 0)
    #expect(try FuseHorizontally().run(fused).nodes.count <= fused.nodes.count)
  }

  /// What `--explain-fusion` says of a kernel of several regions.
  @Test func kernelsOfSeveralRegionsAreReported() throws {
    let graph = try parsed(
      Self.inputs + """

          %4 = add(%0, %2) : f32[5]
          %5 = tanh(%4) : f32[5]
          %6 = multiply(%1, %3) : f32[3]
          output state "w" %5
          output state "b" %6
        """, stage: .differentiated)
    let pipeline = Pipeline([.once(FuseElementwise()), .once(FuseHorizontally())])
    let report = try PassRunner(pipeline).run(graph).fusion
    #expect(report.kernels.map(\.partCount) == [2])
    #expect(report.kernels[0].operations.map(\.operation) == ["add", "tanh", "multiply"])
    #expect(report.kernels[0].operations.map(\.shape) == [[5], [5], [3]])
    // The same of a graph that was fused before.
    let again = try PassRunner(Pipeline([])).run(try FuseElementwise().run(graph)).fusion
    #expect(again.kernels.flatMap(\.operations).map(\.shape) == [[5], [5], [3]])
  }
}
