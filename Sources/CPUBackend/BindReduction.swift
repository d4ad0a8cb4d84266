// Binds reductions. Every one is brought to the form [outer, reduce, inner]; axes that do not lie together are
// reduced one group after the other.

import Basics
import GraphIR
import KernelTable
import Operators

/// A reduction over axes by one or more launches.
func bindReduce(
  _ node: NodeBinding, _ operation: ReduceOperation, axes: [Int]
) throws(EnvironmentFailure) {
  try node.expectLanes()
  let (input, output) = (node.operands[0], node.results[0])
  var groups = ReductionGroups(input.shape, axes: axes)
  guard !groups.reduced.isEmpty else {
    bindCopy(node, from: input.pointer, to: output.pointer, count: output.count)
    return
  }
  var source = UnsafeRawPointer(input.pointer)
  while let index = groups.largest {
    let form = groups.form(of: index)
    var arguments = ReduceArguments()
    arguments.input = source
    arguments.outer = form.outer
    arguments.reduce = form.terms
    arguments.inner = form.inner
    arguments.operation = operation
    arguments.isInteger = input.type.element != .f32
    let isLast = groups.reduced.count == 1
    let target =
      isLast ? output.pointer : node.context.temporary(bytes: form.results * 4)
    arguments.output = target
    let partial = arguments.partialCount()
    if partial > 0 { arguments.partial = node.context.temporary(bytes: partial * 4) }
    let stored = node.memory.store(arguments)
    node.context.launch(
      "reduce", node.table.reduce, stored: stored, tasks: arguments.tasks())
    if partial > 0 {
      node.context.launch(
        "reduceCombine", node.table.reduceCombine, stored: stored, tasks: arguments.combineTasks())
    }
    groups.remove(index)
    source = UnsafeRawPointer(target)
  }
}

let bindSum: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Sum else { return }
  try bindReduce(node, .sum, axes: operation.axes)
}

let bindMax: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Max else { return }
  try bindReduce(node, .maximum, axes: operation.axes)
}

let bindMoments: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Moments else { return }
  let input = node.operands[0]
  let groups = ReductionGroups(input.shape, axes: operation.axes)
  let (mean, variance) = (node.results[0], node.results[1])
  var arguments = MomentsArguments()
  arguments.input = UnsafePointer(input.floats)
  arguments.mean = mean.floats
  arguments.variance = variance.floats
  switch groups.reduced.count {
  case 0:
    bindCopy(node, from: input.pointer, to: mean.pointer, count: mean.count)
    bindFill(node, variance, word: 0)
    return
  case 1:
    let form = groups.form(of: groups.reduced[0])
    arguments.outer = form.outer
    arguments.rows = form.terms
    arguments.channels = form.inner
  default:
    // The reduced axes are brought together at the end.
    let kept = input.shape.indices.filter { !operation.axes.contains($0) }
    let permutation = kept + operation.axes.sorted()
    let together = node.context.temporary(floats: input.count)
    bindTranspose(node, input, to: UnsafeMutableRawPointer(together), permutation)
    arguments.input = UnsafePointer(together)
    arguments.outer = mean.count
    arguments.rows = input.count / mean.count
    arguments.channels = 1
  }
  arguments.partial = node.context.temporary(floats: arguments.partialCount())
  let stored = node.memory.store(arguments)
  node.context.launch("moments", node.table.moments, stored: stored, tasks: arguments.tasks())
  node.context.launch(
    "momentsCombine", node.table.momentsCombine, stored: stored, tasks: arguments.combineTasks())
}

let bindArgMax: Binder = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? ArgMax else { return }
  let input = node.operands[0]
  var arguments = ArgmaxArguments()
  arguments.input = UnsafePointer(input.floats)
  arguments.output = node.results[0].integers
  arguments.outer = input.shape[..<operation.axis].reduce(1, *)
  arguments.reduce = input.shape[operation.axis]
  arguments.inner = input.shape[(operation.axis + 1)...].reduce(1, *)
  node.context.launch("argmax", node.table.argmax, arguments, tasks: arguments.tasks())
}

func bindSoftmax(logarithm: Bool) -> Binder {
  { (node) throws(EnvironmentFailure) in
    let input = node.operands[0]
    var arguments = SoftmaxArguments()
    arguments.input = UnsafePointer(input.floats)
    arguments.output = node.results[0].floats
    arguments.columns = input.shape[input.shape.count - 1]
    arguments.rows = input.count / max(arguments.columns, 1)
    arguments.logarithm = logarithm
    node.context.launch("softmax", node.table.softmax, arguments, tasks: arguments.tasks())
  }
}
