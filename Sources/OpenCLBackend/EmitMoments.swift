// Lowers moments: mean and variance over axes, exact also where the mean is far from zero. Each chunk of terms is walked
// twice: for its mean, as a sum of differences from its first term, and for the squared distances from that mean. Chunks
// are joined by the same two walks over their means and squares (Chan, Golub and LeVeque, 1979).

import Basics
import GraphIR
import Operators

let emitMoments: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Moments else { return }
  let (x, mean, variance) = (node.operands[0], node.results[0], node.results[1])
  let groups = ReductionGroups(x.shape, axes: operation.axes)
  switch groups.reduced.count {
  case 0:
    // Of one term each.
    node.copy(from: x, to: mean)
    var kernel = node.itemKernel("fill", count: variance.count)
    kernel.line("\(kernel.output(variance))[i] = 0.0f;")
    node.each(variance.count, kernel)
  case 1:
    node.moments(of: x.buffer, groups.form(of: groups.reduced[0]), mean, variance)
  default:
    // The reduced axes are brought together at the end.
    let kept = x.shape.indices.filter { !operation.axes.contains($0) }
    let permutation = kept + operation.axes
    let together = node.temporary(x.type.with(shape: permutation.map { x.shape[$0] }))
    node.transpose(x, to: together, permutation)
    let form = ReductionForm(outer: mean.count, terms: x.count / mean.count, inner: 1)
    node.moments(of: together.buffer, form, mean, variance)
  }
}

/// What is walked over: elements, or the means and squares of chunks of them.
private struct MomentTerms {
  var values: DeviceBuffer
  /// Squared distances from the mean of each chunk, and the numbers of elements in all chunks but the last and in that.
  var chunks: (squares: DeviceBuffer, size: Int, last: Int)?
  /// Elements in all.
  var count: Int
}

extension NodeLowering {
  fileprivate func moments(
    of source: DeviceBuffer, _ form: ReductionForm, _ mean: DeviceTensor, _ variance: DeviceTensor
  ) {
    let work = ReductionKernel(self, form, cut: .forCache)
    let elements = MomentTerms(values: source, chunks: nil, count: form.terms)
    guard work.chunks > 1 else {
      return walk(work, elements, mean.buffer, variance.buffer, isLast: true)
    }
    let means = temporary(floats: work.chunks * form.results)
    let squares = temporary(floats: work.chunks * form.results)
    walk(work, elements, means, squares, isLast: false)
    let rest = ReductionForm(outer: 1, terms: work.chunks, inner: form.results)
    let last = form.terms - (work.chunks - 1) * work.chunkTerms
    let chunks = MomentTerms(
      values: means, chunks: (squares, work.chunkTerms, last), count: form.terms)
    walk(
      ReductionKernel(self, rest, cut: .never, isRowwise: true), chunks, mean.buffer,
      variance.buffer, isLast: true)
  }

  /// Both walks. The second result is the sum of squares, at last divided by the number of elements.
  private func walk(
    _ work: ReductionKernel, _ source: MomentTerms, _ mean: DeviceBuffer, _ squares: DeviceBuffer,
    isLast: Bool
  ) {
    // Elements in what one walk sees.
    let count = work.chunks == 1 ? "\(source.count).0f" : "(float)(\(work.terms))"
    work.launch(source.chunks == nil ? "moments" : "moments_join") { kernel, code in
      let x = kernel.input(source.values)
      let own = source.chunks.map { kernel.input($0.squares) }
      /// Elements that a term stands for.
      func weight(_ term: FoldCode.Term) -> String {
        guard let chunks = source.chunks else { return "1" }
        if chunks.size == chunks.last { return "\(chunks.size).0f" }
        let lastTerm = work.form.terms - 1
        return "(\(term.number) == \(lastTerm)u ? \(chunks.last).0f : \(chunks.size).0f)"
      }
      let start = code.perColumn(&kernel, "start") { _, lanes in
        ElementAccess.vector(x, "first + \(lanes.offset)u", lanes.width)
      }
      let shift = code.spread(&kernel, "shift", start)
      let sums = code.fold(&kernel, "s", .sum, terms: work.terms) { _, term in
        let difference =
          "\(ElementAccess.vector(x, term.at, term.width)) - \(term.of(shift))"
        return own == nil ? difference : "\(weight(term)) * (\(difference))"
      }
      let means = code.perColumn(&kernel, "mean") { index, _ in
        "\(start[index]) + \(sums[index]) / \(count)"
      }
      let centre = code.spread(&kernel, "centre", means)
      let totals = code.fold(&kernel, "q", .sum, terms: work.terms) { kernel, term in
        let distance = term.name("d")
        let type = cType(.f32, term.width)
        let value = ElementAccess.vector(x, term.at, term.width)
        kernel.line("const \(type) \(distance) = \(value) - \(term.of(centre));")
        guard let own else { return "\(distance) * \(distance)" }
        let square = ElementAccess.vector(own, term.at, term.width)
        return "\(square) + \(weight(term)) * \(distance) * \(distance)"
      }
      let second = code.perColumn(&kernel, "square") { index, _ in
        isLast ? "\(totals[index]) / \(count)" : totals[index]
      }
      code.store(&kernel, means, kernel.output(mean))
      code.store(&kernel, second, kernel.output(squares))
    }
  }
}
