// Simplification, folding, common subexpressions and dead code: text before and after.

import Basics
import GraphIR
import Operators
import Passes
import TestSupport
import Testing

@Suite struct SimplifyTests {
  private static let x =
    "  input %0 argument \"x\" : f32[2, 3]\n  input %1 argument \"y\" : f32[2, 3]\n"

  /// The value that a graph of the two inputs and these lines gives back: an input, or the last lines.
  private func check(
    _ before: String, _ after: String, stage: Stage = .differentiated,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    try expect(
      Simplify(), Self.x + before, after, stage: stage, sourceLocation: sourceLocation)
  }

  @Test(arguments: [
    ("add(%0, %2)", 0.0), ("add(%2, %0)", 0), ("subtract(%0, %2)", 0), ("multiply(%0, %2)", 1),
    ("multiply(%2, %0)", 1), ("divide(%0, %2)", 1), ("power(%0, %2)", 1), ("add(%0, %2)", -0.0),
  ])
  func neutralElementsGo(_ call: String, _ value: Double) throws {
    for type in ["f32[]", "f32[3]", "f32[2, 3]", "f32[1, 1]"] {
      try check(
        "  %2 = constant() {type: \(type), values: [\(value)]} : \(type)\n"
          + "  %3 = \(call) : f32[2, 3]\n  output result \"r\" %3",
        "output result \"r\" %0")
    }
  }

  /// A neutral element that makes the result larger stays, as a broadcast at least.
  @Test func largerNeutralElementsStay() throws {
    try check(
      """
        %2 = constant() {type: f32[4, 1, 1], values: [0.0]} : f32[4, 1, 1]
        %3 = add(%0, %2) : f32[4, 2, 3]
        output result "r" %3
      """,
      """
      %2 = broadcast(%0) {shape: [4, 2, 3]} : f32[4, 2, 3]
      output result "r" %2
      """)
  }

  /// Whole numbers: what saturates or is not neutral there is left alone.
  @Test func wholeNumbers() throws {
    let input = "  input %0 argument \"n\" : i32[3]\n"
    try expect(
      Simplify(),
      input + """
          %1 = constant() {type: i32[], values: [-1.0]} : i32[]
          %2 = multiply(%0, %1) : i32[3]
          %3 = negate(%2) : i32[3]
          %4 = negate(%3) : i32[3]
          output result "r" %4
        """,
      """
      %1 = constant() {type: i32[], values: [-1.0]} : i32[]
      %2 = multiply(%0, %1) : i32[3]
      %3 = negate(%2) : i32[3]
      %4 = negate(%3) : i32[3]
      output result "r" %4
      """)
    try expect(
      Simplify(),
      input + """
          %1 = constant() {type: i32[], values: [1.0]} : i32[]
          %2 = divide(%0, %1) : i32[3]
          %3 = multiply(%2, %1) : i32[3]
          output result "r" %3
        """, "output result \"r\" %0")
  }

  @Test func signs() throws {
    try check(
      """
        %2 = negate(%1) : f32[2, 3]
        %3 = add(%0, %2) : f32[2, 3]
        %4 = subtract(%3, %2) : f32[2, 3]
        %5 = negate(%2) : f32[2, 3]
        %6 = multiply(%4, %5) : f32[2, 3]
        %7 = constant() {type: f32[], values: [-1.0]} : f32[]
        %8 = multiply(%6, %7) : f32[2, 3]
        output result "r" %8
      """,
      """
      %2 = subtract(%0, %1) : f32[2, 3]
      %3 = add(%2, %1) : f32[2, 3]
      %4 = multiply(%3, %1) : f32[2, 3]
      %5 = negate(%4) : f32[2, 3]
      output result "r" %5
      """)
  }

  @Test func divisionByPowersOfTwoOnly() throws {
    try check(
      """
        %2 = constant() {type: f32[], values: [-8.0]} : f32[]
        %3 = divide(%0, %2) : f32[2, 3]
        %4 = constant() {type: f32[], values: [3.0]} : f32[]
        %5 = divide(%3, %4) : f32[2, 3]
        output result "r" %5
      """,
      """
      %2 = constant() {type: f32[], values: [-0.125]} : f32[]
      %3 = multiply(%0, %2) : f32[2, 3]
      %4 = constant() {type: f32[], values: [3.0]} : f32[]
      %5 = divide(%3, %4) : f32[2, 3]
      output result "r" %5
      """)
  }

  @Test func selectsOfConstants() throws {
    try check(
      """
        %2 = constant() {type: bool[], values: [1.0]} : bool[]
        %3 = select(%2, %0, %1) : f32[2, 3]
        %4 = compare(%0, %1) {predicate: lt} : bool[2, 3]
        %5 = select(%4, %3, %3) : f32[2, 3]
        output result "r" %5
      """, "output result \"r\" %0")
  }

  @Test func conversionsThereAndBack() throws {
    try check(
      """
        %2 = convert(%0) {to: f64} : f64[2, 3]
        %3 = convert(%2) {to: f32} : f32[2, 3]
        %4 = convert(%3) {to: f32} : f32[2, 3]
        output result "r" %4
      """, "output result \"r\" %0")
    // Through i32 something is lost.
    let lossy = """
      %2 = convert(%0) {to: i32} : i32[2, 3]
      %3 = convert(%2) {to: f32} : f32[2, 3]
      output result "r" %3
      """
    try check(lossy, lossy)
  }

  @Test func stopGradientGoesOnceNothingIsDifferentiated() throws {
    let before = "%2 = stop_gradient(%0) : f32[2, 3]\noutput result \"r\" %2"
    try check(before, before, stage: .raw)
    try check(before, "output result \"r\" %0")
  }

  @Test func shapesMerge() throws {
    try check(
      """
        %2 = reshape(%0) {shape: [6]} : f32[6]
        %3 = reshape(%2) {shape: [2, 3]} : f32[2, 3]
        %4 = transpose(%3) {permutation: [1, 0]} : f32[3, 2]
        %5 = transpose(%4) {permutation: [1, 0]} : f32[2, 3]
        output result "r" %5
      """, "output result \"r\" %0")
    try check(
      """
        %2 = reshape(%0) {shape: [1, 2, 3]} : f32[1, 2, 3]
        %3 = transpose(%2) {permutation: [1, 0, 2]} : f32[2, 1, 3]
        %4 = sum(%3) {axes: [1]} : f32[2, 3]
        output result "r" %4
      """, "output result \"r\" %0")
    try check(
      """
        %2 = reshape(%0) {shape: [1, 2, 3]} : f32[1, 2, 3]
        %3 = broadcast(%2) {shape: [5, 2, 3]} : f32[5, 2, 3]
        %4 = broadcast(%3) {shape: [4, 5, 2, 3]} : f32[4, 5, 2, 3]
        output result "r" %4
      """,
      """
      %2 = broadcast(%0) {shape: [4, 5, 2, 3]} : f32[4, 5, 2, 3]
      output result "r" %2
      """)
  }

  /// A repeated tensor takes its new shape first, unless the new axes cut across the repetition.
  @Test func repeatedTensorsAreReshapedFirst() throws {
    try check(
      """
        %2 = reshape(%0) {shape: [1, 6]} : f32[1, 6]
        %3 = broadcast(%2) {shape: [4, 6]} : f32[4, 6]
        %4 = reshape(%3) {shape: [2, 2, 3, 2]} : f32[2, 2, 3, 2]
        output result "r" %4
      """,
      """
      %2 = reshape(%0) {shape: [3, 2]} : f32[3, 2]
      %3 = broadcast(%2) {shape: [2, 2, 3, 2]} : f32[2, 2, 3, 2]
      output result "r" %3
      """)
    try check(
      """
        %2 = broadcast(%0) {shape: [5, 2, 3]} : f32[5, 2, 3]
        %3 = reshape(%2) {shape: [10, 3]} : f32[10, 3]
        output result "r" %3
      """,
      """
      %2 = broadcast(%0) {shape: [5, 2, 3]} : f32[5, 2, 3]
      %3 = reshape(%2) {shape: [10, 3]} : f32[10, 3]
      output result "r" %3
      """)
    try check(
      """
        %2 = slice(%0) {starts: [0, 0], ends: [2, 1]} : f32[2, 1]
        %3 = broadcast(%2) {shape: [2, 3]} : f32[2, 3]
        %4 = reshape(%3) {shape: [6]} : f32[6]
        output result "r" %4
      """,
      """
      %2 = slice(%0) {starts: [0, 0], ends: [2, 1]} : f32[2, 1]
      %3 = broadcast(%2) {shape: [2, 3]} : f32[2, 3]
      %4 = reshape(%3) {shape: [6]} : f32[6]
      output result "r" %4
      """)
  }

  @Test func cutsAndJoints() throws {
    try check(
      """
        %2 = slice(%0) {starts: [0, 0], ends: [2, 1]} : f32[2, 1]
        %3 = slice(%0) {starts: [0, 1], ends: [2, 2]} : f32[2, 1]
        %4 = slice(%0) {starts: [0, 2], ends: [2, 3]} : f32[2, 1]
        %5 = concat(%2, %3, %4) {axis: 1} : f32[2, 3]
        output result "r" %5
      """, "output result \"r\" %0")
    try check(
      """
        %2 = concat(%0, %1) {axis: 0} : f32[4, 3]
        %3 = slice(%2) {starts: [2, 0], ends: [4, 3]} : f32[2, 3]
        output result "r" %3
      """, "output result \"r\" %1")
    try check(
      """
        %2 = concat(%0, %1) {axis: 0} : f32[4, 3]
        %3 = slice(%2) {starts: [1, 0], ends: [3, 3]} : f32[2, 3]
        %4 = slice(%3) {starts: [0, 1], ends: [1, 2]} : f32[1, 1]
        output result "r" %4
      """,
      """
      %2 = slice(%0) {starts: [1, 1], ends: [2, 2]} : f32[1, 1]
      output result "r" %2
      """)
    try check(
      """
        %2 = pad(%0) {before: [2, 0], after: [0, 0]} : f32[4, 3]
        %3 = pad(%1) {before: [0, 0], after: [2, 0]} : f32[4, 3]
        %4 = add(%2, %3) : f32[4, 3]
        output result "r" %4
      """,
      """
      %2 = concat(%1, %0) {axis: 0} : f32[4, 3]
      output result "r" %2
      """)
    // Both halves over the same place: nothing to join.
    let overlapping = """
      %2 = pad(%0) {before: [0, 0], after: [2, 0]} : f32[4, 3]
      %3 = pad(%1) {before: [0, 0], after: [2, 0]} : f32[4, 3]
      %4 = add(%2, %3) : f32[4, 3]
      output result "r" %4
      """
    try check(overlapping, overlapping)
  }

  @Test func broadcastsAreLeftToElementwiseWork() throws {
    try check(
      """
        %2 = slice(%1) {starts: [0, 0], ends: [1, 3]} : f32[1, 3]
        %3 = broadcast(%2) {shape: [2, 3]} : f32[2, 3]
        %4 = tanh(%3) : f32[2, 3]
        %5 = multiply(%0, %4) : f32[2, 3]
        output result "r" %5
      """,
      """
      %2 = slice(%1) {starts: [0, 0], ends: [1, 3]} : f32[1, 3]
      %3 = tanh(%2) : f32[1, 3]
      %4 = multiply(%0, %3) : f32[2, 3]
      output result "r" %4
      """)
    try check(
      """
        %2 = constant() {type: f32[2, 3], values: [0.5]} : f32[2, 3]
        %3 = maximum(%2, %0) : f32[2, 3]
        output result "r" %3
      """,
      """
      %2 = constant() {type: f32[], values: [0.5]} : f32[]
      %3 = maximum(%2, %0) : f32[2, 3]
      output result "r" %3
      """)
  }

  @Test func reshapesSinkBelowElementwiseWork() throws {
    try check(
      """
        %2 = add(%0, %1) : f32[2, 3]
        %3 = reshape(%2) {shape: [6]} : f32[6]
        %4 = tanh(%3) : f32[6]
        %5 = exp(%4) : f32[6]
        output result "r" %5
      """,
      """
      %2 = add(%0, %1) : f32[2, 3]
      %3 = tanh(%2) : f32[2, 3]
      %4 = exp(%3) : f32[2, 3]
      %5 = reshape(%4) {shape: [6]} : f32[6]
      output result "r" %5
      """)
    // Read twice, it would cut the region of its readers.
    let twice = """
      %2 = add(%0, %1) : f32[2, 3]
      %3 = reshape(%2) {shape: [6]} : f32[6]
      %4 = tanh(%3) : f32[6]
      %5 = multiply(%3, %4) : f32[6]
      output result "r" %5
      """
    try check(twice, twice)
  }

  @Test func sumsOfNegatedElements() throws {
    try check(
      """
        %2 = negate(%0) : f32[2, 3]
        %3 = sum(%2) {axes: [0]} : f32[3]
        output result "r" %3
      """,
      """
      %2 = sum(%0) {axes: [0]} : f32[3]
      %3 = negate(%2) : f32[3]
      output result "r" %3
      """)
  }

  @Test func productsTakeTransposes() throws {
    try check(
      """
        %2 = transpose(%0) {permutation: [1, 0]} : f32[3, 2]
        %3 = matmul(%2, %1) : f32[3, 3]
        output result "r" %3
      """,
      """
      %2 = matmul(%0, %1) {transposeA: true} : f32[3, 3]
      output result "r" %2
      """)
  }
}

@Suite struct FoldTests {
  @Test func constantsFold() throws {
    try expect(
      FoldConstants(),
      """
        %0 = constant() {type: f32[], values: [0.1]} : f32[]
        %1 = multiply(%0, %0) : f32[]
        output result "square" %1
      """,
      """
      %0 = constant() {type: f32[], values: [\(Double(Float(0.1) * Float(0.1)))]} : f32[]
      output result "square" %0
      """, stage: .raw)
    try expect(
      FoldConstants(),
      """
        %0 = constant() {type: f32[70, 80, 90], values: [2.0]} : f32[70, 80, 90]
        %1 = reshape(%0) {shape: [504000]} : f32[504000]
        %2 = tanh(%1) : f32[504000]
        %3 = constant() {type: f32[2], values: [1.0, 2.0]} : f32[2]
        %4 = sum(%3) {axes: [0]} : f32[]
        %5 = slice(%2) {starts: [5], ends: [404000]} : f32[403995]
        output result "r" %5
        output result "s" %4
      """,
      """
      %0 = constant() {type: f32[], values: [3.0]} : f32[]
      %1 = constant() {type: f32[403995], values: [\(Double(Float(0.9640275800758169)))]} : f32[403995]
      output result "r" %1
      output result "s" %0
      """, stage: .raw)
  }

  @Test func foldingKeepsTheElementType() throws {
    try expect(
      FoldConstants(),
      """
        %0 = constant() {type: i32[], values: [2147483647.0]} : i32[]
        %1 = constant() {type: i32[], values: [2.0]} : i32[]
        %2 = add(%0, %1) : i32[]
        %3 = negate(%1) : i32[]
        %4 = constant() {type: i32[], values: [7.0]} : i32[]
        %5 = divide(%4, %3) : i32[]
        %6 = compare(%4, %1) {predicate: gt} : bool[]
        %7 = convert(%6) {to: f32} : f32[]
        %8 = constant() {type: f64[], values: [0.1]} : f64[]
        %9 = multiply(%8, %8) : f64[]
        output result "wraps" %2
        output result "floor" %5
        output result "bool" %6
        output result "double" %9
      """,
      """
      %0 = constant() {type: i32[], values: [-2147483647.0]} : i32[]
      %1 = constant() {type: i32[], values: [-4.0]} : i32[]
      %2 = constant() {type: bool[], values: [1.0]} : bool[]
      %3 = constant() {type: f64[], values: [\(0.1 * 0.1)]} : f64[]
      output result "wraps" %0
      output result "floor" %1
      output result "bool" %2
      output result "double" %3
      """, stage: .raw)
  }

  /// Not a number and infinities fold like any value and read back from the text.
  @Test func specialValuesFold() throws {
    let graph = try parsed(
      """
        %0 = constant() {type: f32[], values: [0.0]} : f32[]
        %1 = constant() {type: f32[], values: [-1.0]} : f32[]
        %2 = divide(%1, %0) : f32[]
        %3 = divide(%0, %0) : f32[]
        output result "infinity" %2
        output result "nan" %3
      """)
    let folded = try rewritten([FoldConstants()], graph)
    #expect(
      lines(folded) == """
        %0 = constant() {type: f32[], values: [-inf]} : f32[]
        %1 = constant() {type: f32[], values: [nan]} : f32[]
        output result "infinity" %0
        output result "nan" %1
        """)
    let text = GraphPrinter.text(folded)
    let read = try GraphParser.parseOne(
      SourceText(name: "t", text), operations: OperatorSet.standard)
    #expect(read == folded)
  }
}

@Suite struct SharingTests {
  @Test func equalNodesBecomeOne() throws {
    try expect(
      CommonSubexpressions(),
      """
        input %0 seed : i32[2]
        input %1 step : i32[]
        %2 = random_normal(%0, %1) {shape: [3], stream: 1} : f32[3]
        %3 = random_normal(%0, %1) {shape: [3], stream: 1} : f32[3]
        %4 = random_normal(%0, %1) {shape: [3], stream: 2} : f32[3]
        %5 = tanh(%2) : f32[3]
        %6 = tanh(%3) : f32[3]
        %7 = tanh(%4) : f32[3]
        output result "a" %5
        output result "b" %6
        output result "c" %7
      """,
      """
      %2 = random_normal(%0, %1) {shape: [3], stream: 1} : f32[3]
      %3 = random_normal(%0, %1) {shape: [3], stream: 2} : f32[3]
      %4 = tanh(%2) : f32[3]
      %5 = tanh(%3) : f32[3]
      output result "a" %4
      output result "b" %4
      output result "c" %5
      """)
  }

  @Test func deadNodesGoAndInputsStay() throws {
    let graph = try parsed(
      """
        input %0 state "w" : f32[3]
        input %1 argument "unused" : f32[]
        %2 = tanh(%0) : f32[3]
        %3 = exp(%2) : f32[3]
        output state "w" %0
      """)
    let result = try DeadCode().run(graph)
    #expect(lines(result) == "output state \"w\" %0")
    #expect(result.inputs.count == 2)
  }
}
