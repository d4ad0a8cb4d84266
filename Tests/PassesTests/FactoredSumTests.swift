// Factors taken out of sums.

import Passes
import Testing

@Suite struct FactoredSumTests {
  @Test func rowsByOneRow() throws {
    try expect(
      FactorSums(),
      """
        input %0 argument "x" : f32[4, 3]
        input %1 argument "scale" : f32[3]
        %2 = multiply(%0, %1) : f32[4, 3]
        %3 = sum(%2) {axes: [0]} : f32[3]
        output result "r" %3
      """,
      """
      %2 = sum(%0) {axes: [0]} : f32[3]
      %3 = multiply(%2, %1) : f32[3]
      output result "r" %3
      """)
  }

  /// Several factors on either side, with kept axes, of a tensor of higher rank.
  @Test func severalFactors() throws {
    try expect(
      FactorSums(),
      """
        input %0 argument "x" : f32[2, 4, 3]
        input %1 argument "a" : f32[2, 1, 1]
        input %2 argument "b" : f32[]
        %3 = multiply(%1, %0) : f32[2, 4, 3]
        %4 = multiply(%3, %2) : f32[2, 4, 3]
        %5 = sum(%4) {axes: [1], keepDims: true} : f32[2, 1, 3]
        output result "r" %5
      """,
      """
      %3 = sum(%0) {axes: [1], keepDims: true} : f32[2, 1, 3]
      %4 = reshape(%2) {shape: [1, 1, 1]} : f32[1, 1, 1]
      %5 = multiply(%3, %4) : f32[2, 1, 3]
      %6 = multiply(%5, %1) : f32[2, 1, 3]
      output result "r" %6
      """)
  }

  /// Two sums of one tensor, as in the way back through a batch normalisation: the product is stored for other reasons,
  /// but its sum costs nothing more.
  @Test func besideAnEqualSum() throws {
    try expect(
      FactorSums(),
      """
        input %0 argument "x" : f32[4, 3]
        input %1 argument "scale" : f32[3]
        %2 = multiply(%0, %1) : f32[4, 3]
        %3 = sum(%2) {axes: [0]} : f32[3]
        %4 = sum(%0) {axes: [0]} : f32[3]
        output result "a" %3
        output result "b" %4
        output result "c" %2
      """,
      """
      %2 = multiply(%0, %1) : f32[4, 3]
      %3 = sum(%0) {axes: [0]} : f32[3]
      %4 = multiply(%3, %1) : f32[3]
      %5 = sum(%0) {axes: [0]} : f32[3]
      output result "a" %4
      output result "b" %5
      output result "c" %2
      """)
  }

  /// Factors that change along the summed axis, and products that are there anyway, stay.
  @Test func whatStays() throws {
    for (factor, output) in [("[4, 1]", "%3"), ("[4, 3]", "%3"), ("[3]", "%2")] {
      let body = """
          input %0 argument "x" : f32[4, 3]
          input %1 argument "scale" : f32\(factor)
          %2 = multiply(%0, %1) : f32[4, 3]
          %3 = sum(%2) {axes: [0]} : f32[3]
          output result "r" %3
          output result "s" \(output)
        """
      let graph = try parsed(body, stage: .differentiated)
      #expect(try rewritten([FactorSums()], graph) == graph)
    }
  }
}
