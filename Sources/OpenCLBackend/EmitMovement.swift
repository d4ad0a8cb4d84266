// Lowers what moves elements about or makes them of nothing: transposes, slices, concatenation, repetition, padding,
// constants.

import Basics
import GraphIR
import Operators

let movementEmitters: [(any Operation.Type, NodeEmitter)] = [
  (Constant.self, emitConstant),
  (Iota.self, emitIota),
  (Reshape.self, emitReshape),
  (Transpose.self, emitTranspose),
  (Broadcast.self, emitBroadcast),
  (Concat.self, emitConcat),
  (Slice.self, emitSlice),
  (Pad.self, emitPad),
  (PadGradient.self, emitPadGradient),
]

// MARK: Made of nothing

/// Values of one piece of a table; GPUs hold at most 64 KiB in constant memory.
private let tableLimit = 4096

/// A constant that is not in the block of constants: a root, or one that a pass left to run.
private let emitConstant: NodeEmitter = { (node) throws(EnvironmentFailure) in
  let y = node.results[0]
  let values = node.operation.evaluate([], results: [y.type])[0].values
  let element = y.type.element
  if let first = values.first, values.allSatisfy({ $0.bitPattern == first.bitPattern }) {
    var kernel = node.itemKernel("fill", count: values.count)
    kernel.line("\(kernel.output(y))[i] = \(cLiteral(first, element));")
    return node.each(values.count, kernel)
  }
  for start in stride(from: 0, to: values.count, by: tableLimit) {
    let part = values[start..<min(start + tableLimit, values.count)]
    var kernel = node.itemKernel("table", count: part.count)
    let texts = part.map { cLiteral($0, element) }
    kernel.line("__constant \(cType(element)) table[\(part.count)] = {")
    for line in stride(from: 0, to: texts.count, by: 8) {
      kernel.line("  " + texts[line..<min(line + 8, texts.count)].joined(separator: ", ") + ",")
    }
    kernel.line("};")
    kernel.line("\(kernel.output(y))[\(start)u + i] = table[i];")
    node.each(part.count, kernel)
  }
}

/// 0, 1, 2 … along the last axis.
private let emitIota: NodeEmitter = { (node) throws(EnvironmentFailure) in
  let y = node.results[0]
  var kernel = node.itemKernel("iota", count: y.count)
  let row = y.shape[y.shape.count - 1]
  kernel.line("\(kernel.output(y))[i] = (\(cType(y.type.element)))(i % \(row)u);")
  node.each(y.count, kernel)
}

// MARK: Boxes

/// A reshape that the planner did not make a view.
private let emitReshape: NodeEmitter = { (node) throws(EnvironmentFailure) in
  node.copy(from: node.operands[0], to: node.results[0])
}

private let emitTranspose: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Transpose else { return }
  node.transpose(node.operands[0], to: node.results[0], operation.permutation)
}

extension NodeLowering {
  func transpose(_ x: DeviceTensor, to y: DeviceTensor, _ permutation: [Int]) {
    let strides = rowMajorStrides(x.shape)
    stridedCopy(
      from: CopySide(x, strides: permutation.map { strides[$0] }), to: CopySide(y), shape: y.shape)
  }
}

private let emitBroadcast: NodeEmitter = { (node) throws(EnvironmentFailure) in
  let (x, y) = (node.operands[0], node.results[0])
  let skipped = y.shape.count - x.shape.count
  let dense = rowMajorStrides(x.shape)
  let strides = y.shape.indices.map { axis in
    axis < skipped || x.shape[axis - skipped] == 1 ? 0 : dense[axis - skipped]
  }
  node.stridedCopy(from: CopySide(x, strides: strides), to: CopySide(y), shape: y.shape)
}

private let emitConcat: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Concat else { return }
  let y = node.results[0]
  var starts = [Int](repeating: 0, count: y.shape.count)
  for x in node.operands {
    node.stridedCopy(from: CopySide(x), to: CopySide(y, from: starts), shape: x.shape)
    starts[operation.axis] += x.shape[operation.axis]
  }
}

private let emitSlice: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Slice else { return }
  let y = node.results[0]
  node.stridedCopy(
    from: CopySide(node.operands[0], from: operation.starts), to: CopySide(y), shape: y.shape)
}

// MARK: Padding

/// An axis of a padded tensor, or several neighbours without a border as one.
private struct PaddedAxis {
  /// Without the border.
  var size: Int
  var before: Int
  var after: Int
  var padded: Int { before + size + after }
  var hasBorder: Bool { before > 0 || after > 0 }

  static func axes(_ shape: [Int], _ before: [Int], _ after: [Int]) -> [PaddedAxis] {
    var axes: [PaddedAxis] = []
    for index in shape.indices {
      let axis = PaddedAxis(size: shape[index], before: before[index], after: after[index])
      if let last = axes.last, !last.hasBorder, !axis.hasBorder {
        axes[axes.count - 1].size *= axis.size
      } else {
        axes.append(axis)
      }
    }
    return axes
  }

  /// The place inside of a signed index that counts from the first element: `PadMode.source` as an expression.
  func source(_ index: String, _ mode: PadMode) -> String {
    switch mode {
    case .zero: index
    case .edge: "clamp(\(index), 0, \(size - 1))"
    case .reflect:
      "(\(index) < 0 ? -\(index) : \(index) >= \(size) ? \(2 * (size - 1)) - \(index) : \(index))"
    }
  }
}

extension NodeLowering {
  /// Begins a kernel of one item for each vector of a shape's elements: `e` is the flat index, `p0`, `p1` … are the
  /// indices along the axes, all signed.
  fileprivate func placeKernel(_ family: String, _ sizes: [Int], width: Int) -> KernelText {
    let count = sizes.reduce(1, *)
    var kernel = itemKernel(family, count: count / width)
    kernel.line("const uint e = i * \(width)u;")
    for (axis, inner) in rowMajorStrides(sizes).enumerated() {
      kernel.line("const int p\(axis) = (int)(e / \(inner)u % \(sizes[axis])u);")
    }
    return kernel
  }
}

private let emitPad: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? Pad else { return }
  let (x, y) = (node.operands[0], node.results[0])
  let axes = PaddedAxis.axes(x.shape, operation.before, operation.after)
  let strides = rowMajorStrides(axes.map(\.size))
  // A vector lies within one run of the operand, or in the border.
  let width = axes.last.map { $0.hasBorder ? 1 : node.widthDividing($0.size) } ?? 1
  var kernel = node.placeKernel("pad", axes.map(\.padded), width: width)
  let (from, to) = (kernel.input(x), kernel.output(y))
  var terms: [String] = []
  var conditions: [String] = []
  for (index, axis) in axes.enumerated() {
    kernel.line("const int q\(index) = p\(index) - \(axis.before);")
    if axis.hasBorder, operation.mode == .zero {
      conditions.append("q\(index) >= 0 && q\(index) < \(axis.size)")
    }
    let source = axis.hasBorder ? axis.source("q\(index)", operation.mode) : "q\(index)"
    terms.append("\(source) * \(strides[index])")
  }
  let offset = terms.isEmpty ? "0" : terms.joined(separator: " + ")
  let type = cType(y.type.element, width)
  let load = ElementAccess.vector(from, "(\(offset))", width)
  kernel.line("\(type) v = (\(type))(0);")
  kernel.line(
    (conditions.isEmpty ? "" : "if (\(conditions.joined(separator: " && "))) ") + "v = \(load);")
  kernel.line(ElementAccess.store("v", to, "e", width))
  node.each(y.count / width, kernel)
}

private let emitPadGradient: NodeEmitter = { (node) throws(EnvironmentFailure) in
  guard let operation = node.operation as? PadGradient else { return }
  let (dy, dx) = (node.operands[0], node.results[0])
  if operation.mode == .zero {
    return node.stridedCopy(
      from: CopySide(dy, from: operation.before), to: CopySide(dx), shape: dx.shape)
  }
  let axes = PaddedAxis.axes(dx.shape, operation.before, operation.after)
  let strides = rowMajorStrides(axes.map(\.padded))
  let width = axes.last.map { $0.hasBorder ? 1 : node.widthDividing($0.size) } ?? 1
  var kernel = node.placeKernel("pad_gradient", axes.map(\.size), width: width)
  let (from, to) = (kernel.input(dy), kernel.output(dx))
  kernel.line("\(cType(.f32, width)) sum = 0;")
  var offset = "0"
  // One loop an axis with a border, over the places that were copied from this one.
  func addPlaces(_ kernel: inout KernelText, _ index: Int) {
    guard index < axes.count else {
      kernel.line("sum += \(ElementAccess.vector(from, "(\(offset))", width));")
      return
    }
    let axis = axes[index]
    offset += " + s\(index) * \(strides[index])"
    guard axis.hasBorder else {
      kernel.line("const int s\(index) = p\(index);")
      return addPlaces(&kernel, index + 1)
    }
    kernel.block(axis.placesLoop(index, operation.mode)) { kernel in
      if operation.mode == .reflect { kernel.line(axis.mirrorImage(index)) }
      addPlaces(&kernel, index + 1)
    }
  }
  addPlaces(&kernel, 0)
  kernel.line(ElementAccess.store("sum", to, "e", width))
  node.each(dx.count / width, kernel)
}

extension PaddedAxis {
  /// The head of a loop over the padded places `sN` of an element `pN`. Of an edge they are neighbours. Else there are
  /// up to three, whose number is `kN`: itself and one in each border; `mirrorImage` finds them.
  fileprivate func placesLoop(_ n: Int, _ mode: PadMode) -> String {
    if mode == .reflect { return "for (int k\(n) = 0; k\(n) < 3; k\(n)++)" }
    let first = "p\(n) == 0 ? 0 : p\(n) + \(before)"
    let last = "p\(n) == \(size - 1) ? \(padded - 1) : p\(n) + \(before)"
    return "for (int s\(n) = \(first), end\(n) = \(last); s\(n) <= end\(n); s\(n)++)"
  }

  fileprivate func mirrorImage(_ n: Int) -> String {
    let below = "p\(n) >= 1 && p\(n) <= \(before) ? \(before) - p\(n) : -1"
    let above =
      "p\(n) <= \(size - 2) && p\(n) >= \(size - 1 - after) ? \(before + 2 * (size - 1)) - p\(n) : -1"
    return
      "const int s\(n) = k\(n) == 0 ? p\(n) + \(before) : k\(n) == 1 ? (\(below)) : (\(above)); "
      + "if (s\(n) < 0) continue;"
  }
}
