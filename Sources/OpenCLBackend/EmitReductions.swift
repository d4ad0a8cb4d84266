// Lowers reductions. Every one is brought to the form [outer, terms, inner]; runs of axes that do not lie together are
// reduced one after the other.

import Basics
import GraphIR
import Operators

let reductionEmitters: [(any Operation.Type, NodeEmitter)] = [
  (Sum.self, emitSum),
  (Max.self, emitMax),
  (ArgMax.self, emitArgMax),
  (Moments.self, emitMoments),
  (Softmax.self, emitSoftmax(logarithm: false)),
  (LogSoftmax.self, emitSoftmax(logarithm: true)),
]

// MARK: Sums and largest elements

private let emitSum: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Sum else { return }
  node.reduce(.sum, axes: operation.axes)
}

private let emitMax: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Max else { return }
  node.reduce(.largest, axes: operation.axes)
}

extension NodeLowering {
  fileprivate func reduce(_ fold: Fold, axes: [Int]) {
    let (x, y) = (operands[0], results[0])
    var groups = ReductionGroups(x.shape, axes: axes)
    guard groups.largest != nil else { return copy(from: x, to: y) }
    var source = x.buffer
    while let index = groups.largest {
      let form = groups.form(of: index)
      groups.remove(index)
      let target = groups.largest == nil ? y.buffer : temporary(floats: form.results)
      reduce(fold, form, from: source, to: target)
      source = target
    }
  }

  /// Chunks of the terms where there are few results, and then the chunks' results in order.
  fileprivate func reduce(
    _ fold: Fold, _ form: ReductionForm, from source: DeviceBuffer, to target: DeviceBuffer
  ) {
    let work = ReductionKernel(self, form, cut: .whereFew)
    let made = work.chunks == 1 ? target : temporary(floats: work.chunks * form.results)
    work.launch(fold == .sum ? "sum" : "largest") { kernel, code in
      let (x, y) = (kernel.input(source), kernel.output(made))
      let totals = code.fold(&kernel, "a", fold, terms: work.terms) { _, term in
        ElementAccess.vector(x, term.at, term.width)
      }
      code.store(&kernel, totals, y)
    }
    guard work.chunks > 1 else { return }
    let rest = ReductionForm(outer: 1, terms: work.chunks, inner: form.results)
    reduce(fold, rest, from: made, to: target)
  }
}

// MARK: Largest place

/// The first place of the largest element; a NaN is larger than all.
private let emitArgMax: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? ArgMax else { return }
  let (x, y) = (node.operands[0], node.results[0])
  let terms = x.shape[operation.axis]
  let inner = x.shape[(operation.axis + 1)...].reduce(1, *)
  var kernel = node.itemKernel("argmax", count: y.count)
  let (from, to) = (kernel.input(x), kernel.output(y))
  kernel.line("const uint first = i / \(inner)u * \(terms * inner)u + i % \(inner)u;")
  kernel.line("float largest = \(from)[first];")
  kernel.line("int best = 0;")
  kernel.block("for (uint t = 1; t < \(terms)u; t++)") { kernel in
    kernel.line("const float v = \(from)[first + t * \(inner)u];")
    kernel.block("if (v > largest || (v != v && largest == largest))") { kernel in
      kernel.line("largest = v;")
      kernel.line("best = (int)t;")
    }
  }
  kernel.line("\(to)[i] = best;")
  node.each(y.count, kernel)
}

// MARK: Softmax

/// e^(x − m) / Σ e^(x − m), or x − m − ln Σ e^(x − m), with m the largest element of the row.
private func emitSoftmax(logarithm: Bool) -> NodeEmitter {
  { (node) throws(EnvironmentFailure) in
    let (input, output) = (node.operands[0], node.results[0])
    let columns = input.shape[input.shape.count - 1]
    let form = ReductionForm(outer: input.count / columns, terms: columns, inner: 1)
    let work = ReductionKernel(node, form, cut: .never)
    work.launch(logarithm ? "log_softmax" : "softmax") { kernel, code in
      let (x, y) = (kernel.input(input), kernel.output(output))
      let largest = code.fold(&kernel, "m", .largest, terms: work.terms) { _, term in
        ElementAccess.vector(x, term.at, term.width)
      }
      let shift = code.spread(&kernel, "shift", largest)
      let total = code.fold(&kernel, "s", .sum, terms: work.terms) { _, term in
        "exp(\(ElementAccess.vector(x, term.at, term.width)) - \(term.of(shift)))"
      }
      let last = code.perColumn(&kernel, "last") { index, _ in
        logarithm ? "log(\(total[index]))" : total[index]
      }
      let rest = code.spread(&kernel, "rest", last)
      code.each(&kernel, terms: work.terms) { kernel, term in
        let shifted =
          "\(ElementAccess.vector(x, term.at, term.width)) - \(term.of(shift))"
        let value =
          logarithm
          ? "\(shifted) - \(term.of(rest))" : "exp(\(shifted)) / \(term.of(rest))"
        kernel.line(ElementAccess.store(value, y, "(\(term.at))", term.width))
      }
    }
  }
}
