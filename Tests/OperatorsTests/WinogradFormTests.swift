// Winograd's form in exact arithmetic (Double): with the filters' matrices that the form gives, as many multiplications
// as it has points make the sums of a convolution, its input gradient and its filter gradient, along one axis.

import Basics
import GraphIR
import Operators
import TestSupport
import Testing

@Suite struct WinogradFormTests {
  /// Bᵀ: row by row the coefficients of Π (x − q) over the finite points q, without the row's own.
  static func input(_ points: Int) -> [[Double]] {
    let finite = WinogradForm.finitePoints(points)
    return (0..<points).map { row in
      var product = [1.0]
      for (index, point) in finite.enumerated() where index != row {
        let shifted = [0] + product
        product = zip(shifted, product + [0]).map { $0 - point * $1 }
      }
      return product + Array(repeating: 0, count: points - product.count)
    }
  }

  static func power(_ points: Int, _ point: Int, _ j: Int, _ count: Int) -> Double {
    guard point < points - 1 else { return j == count - 1 ? 1 : 0 }
    let base = WinogradForm.finitePoints(points)[point]
    return (0..<j).reduce(1) { power, _ in power * base }
  }

  struct Axis: Sendable {
    var input: Int, kernel: Int
    var stride = 1, before = 0, after = 0, upsample = 1
  }
  static let axes: [Axis] = [
    Axis(input: 9, kernel: 3, before: 1, after: 1), Axis(input: 8, kernel: 4, before: 1, after: 2),
    Axis(input: 12, kernel: 5), Axis(input: 7, kernel: 2, after: 1),
    Axis(input: 9, kernel: 5, stride: 2, before: 1, after: 2),
    Axis(input: 8, kernel: 5, stride: 2, before: 2, after: 2),
    Axis(input: 5, kernel: 5, before: 2, after: 2, upsample: 2),
    Axis(input: 6, kernel: 4, before: 1, after: 2, upsample: 2),
  ]

  @Test(arguments: axes, 6...8) func anAxisIsTheSum(_ axis: Axis, _ points: Int) throws {
    let sizes = try ConvolutionGeometry(
      batch: 1, input: [axis.input, axis.input], kernel: [axis.kernel, axis.kernel],
      channels: (16, 16), stride: [axis.stride, axis.stride],
      padding: [axis.before, axis.after, axis.before, axis.after],
      upsample: [axis.upsample, axis.upsample])
    var random = PhiloxSequence(seed: 3, step: 0, stream: 0)
    let x = (0..<axis.input).map { _ in random.nextUniform() - 0.5 }
    let w = (0..<axis.kernel).map { _ in random.nextUniform() - 0.5 }
    guard let form = WinogradForm(sizes, .forward, points: points) else {
      #expect(points == 8 && axis.kernel == 2, "a form is missing")
      return
    }
    let matrix = form.filterMatrix(form.height)
    var found = [Double](repeating: 0, count: sizes.height.output)
    for group in matrix.indices {
      let transformed = matrix[group].map { row in zip(row, w).reduce(0) { $0 + $1.0 * $1.1 } }
      add(form, group, transformed, x, to: &found)
    }
    for o in 0..<sizes.height.output {
      let expected = (0..<axis.kernel).reduce(0.0) { sum, tap in
        let place = o * axis.stride - axis.before + tap
        guard place >= 0, place < axis.input * axis.upsample else { return sum }
        return sum + x[place / axis.upsample] * w[tap]
      }
      #expect(abs(found[o] - expected) < 1e-12, "output \(o)")
    }
  }

  /// Adds what one group of taps contributes (stride 2), or writes one group of outputs (up-sampling).
  private func add(
    _ form: WinogradForm, _ group: Int, _ filter: [Double], _ x: [Double], to y: inout [Double]
  ) {
    let axis = form.height
    for first in stride(from: 0, to: form.extent[0], by: form.tile) {
      let pixels = (0..<form.points).map { place -> Double in
        let real =
          axis.imageStep * (first + place - axis.before)
          + (axis.imageStep == 2 ? group : 0)
        return x.indices.contains(real) ? x[real] : 0
      }
      let products = (0..<form.points).map { point in
        filter[point] * zip(Self.input(form.points)[point], pixels).reduce(0) { $0 + $1.0 * $1.1 }
      }
      for j in 0..<form.tile {
        let real = axis.outputStep * (first + j) + (axis.outputStep == 2 ? group : 0)
        guard y.indices.contains(real) else { continue }
        y[real] += (0..<form.points).reduce(0) {
          $0 + Self.power(form.points, $1, j, form.tile) * products[$1]
        }
      }
    }
  }

  @Test func formsThatDoNotExist() throws {
    func form(_ c: Int, _ o: Int, _ kernel: [Int], _ stride: [Int]) throws -> WinogradForm? {
      WinogradForm(
        try ConvolutionGeometry(
          batch: 1, input: [16, 16], kernel: kernel, channels: (c, o), stride: stride,
          padding: [0, 0, 0, 0]), .forward, points: 6)
    }
    #expect(try form(16, 32, [3, 3], [1, 1]) != nil)
    #expect(try form(1, 32, [3, 3], [1, 1]) == nil, "channels that fill no vector")
    #expect(try form(16, 32, [1, 1], [1, 1]) == nil, "a matrix product")
    #expect(try form(16, 32, [6, 6], [1, 1]) == nil, "too many taps")
    #expect(try form(16, 32, [3, 3], [3, 3]) == nil)
    #expect(try form(16, 32, [3, 3], [1, 2]) == nil)
  }
}
