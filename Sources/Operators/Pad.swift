// Padding, and its adjoint, which adds what was copied into the border back to where it came from.

import Basics
import GraphIR

/// What stands in the border.
package enum PadMode: String, WordAttribute, Sendable {
  /// Zeros.
  case zero
  /// The tensor mirrored at its first and last element, which are not repeated: at most size − 1 on each side.
  case reflect
  /// The first and last element repeated.
  case edge

  /// The place in 0..<size whose element stands at `index`, counted from the first element; nil for zeros.
  package func source(_ index: Int, size: Int) -> Int? {
    if index >= 0, index < size { return index }
    switch self {
    case .zero: return nil
    case .edge: return index < 0 ? 0 : size - 1
    case .reflect: return index < 0 ? -index : 2 * (size - 1) - index
    }
  }
}

/// Padding and its adjoint: the border on each side of each axis, and what stands in it.
package protocol PaddingOperation: Operation {
  var before: [Int] { get set }
  var after: [Int] { get set }
  var mode: PadMode { get set }
}

extension PaddingOperation {
  package init(before: [Int], after: [Int], mode: PadMode) {
    self.init()
    self.before = before
    self.after = after
    self.mode = mode
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("before", &before)
    try visitor.attribute("after", &after)
    try visitor.attribute("mode", &mode, default: .zero)
  }

  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] {
    before.first == 0 && after.first == 0 ? [[0]] : []
  }

  package func rowUse(_ operands: [TensorType]) -> RowUse {
    rowLinearOperands(operands).isEmpty ? .mixed : .each([0])
  }

  /// Throws `shape.range` for negative borders and those that a mirror image cannot fill.
  fileprivate func checkBorder(axis: Int, size: Int, of type: TensorType) throws(Diagnostic) {
    let (before, after) = (before[axis], after[axis])
    guard before >= 0, after >= 0 else {
      throw Diagnostic(
        "shape.range", "\(mnemonic): a border cannot be negative, found \(before) and \(after)")
    }
    guard before <= TensorType.maximumCount, after <= TensorType.maximumCount else {
      throw Diagnostic("shape.size", "\(mnemonic): a border of \(before) and \(after) is too wide")
    }
    guard mode != .reflect || (before < size && after < size) else {
      throw Diagnostic(
        "shape.range",
        "\(mnemonic): a mirrored border of \(before) and \(after) does not fit an axis of size "
          + "\(size) of \(type)",
        help: "it may be at most \(size - 1) wide")
    }
  }

  /// For every element of the padded tensor, the offset of its source in one of `shape`; negative for zeros.
  fileprivate func sourceOffsets(_ shape: [Int]) -> [Int] {
    let strides = rowMajorStrides(shape)
    // Any sum with one of these is negative, and eight of them do not overflow.
    let nowhere = -(1 << 56)
    let tables = shape.indices.map { axis in
      (-before[axis]..<shape[axis] + after[axis]).map { index in
        mode.source(index, size: shape[axis]).map { $0 * strides[axis] } ?? nowhere
      }
    }
    return sumOffsets(tables)
  }
}

package struct Pad: PaddingOperation {
  package static let mnemonic = "pad"
  package static let summary =
    "The tensor with a border of zeros, of its mirror image or of its edge."
  package static let signature = [OperandSpec("x")]
  package static var samples: [Sample<Pad>] {
    padCases.map { Sample(Pad(before: $0.1, after: $0.2, mode: $0.3), [.f32($0.0)]) } + [
      Sample(Pad(before: [1], after: [2], mode: .zero), [.i32(3)], differentiable: false)
    ]
  }

  package var before: [Int] = []
  package var after: [Int] = []
  package var mode = PadMode.zero
  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, ElementType.lanes)
    let type = operands[0]
    try checkPerAxis(before, "before", of: type)
    try checkPerAxis(after, "after", of: type)
    var shape = type.shape
    for axis in shape.indices {
      try checkBorder(axis: axis, size: shape[axis], of: type)
      shape[axis] += before[axis] + after[axis]
    }
    return [type.with(shape: shape)]
  }

  /// For zeros dx is the inner part of dy; else `pad_gradient`, which also adds the border.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    let builder = scope.builder
    if mode == .zero {
      let ends = zip(before, scope.type(ofOperand: 0).shape).map { $0 + $1 }
      scope.setAdjoint(of: 0, try builder.slice(scope.seed, starts: before, ends: ends))
    } else {
      let adjoint = PadGradient(before: before, after: after, mode: mode)
      scope.setAdjoint(of: 0, try builder.add(adjoint, scope.seed))
    }
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let offsets = sourceOffsets(operands[0].shape)
    let source = operands[0].values
    return [HostTensor(results[0], offsets.map { $0 < 0 ? 0 : source[$0] })]
  }

  package func cost(_ operands: [TensorType], _ results: [TensorType]) -> Cost {
    Cost(flops: 0, bytes: Cost.traffic(operands, results))
  }
}

package struct PadGradient: PaddingOperation {
  package static let mnemonic = "pad_gradient"
  package static let summary = "The adjoint of pad: each element of the border added to its source."
  package static let signature = [OperandSpec("dy")]
  package static var samples: [Sample<PadGradient>] {
    padCases.map { shape, before, after, mode in
      let padded = shape.indices.map { shape[$0] + before[$0] + after[$0] }
      return Sample(PadGradient(before: before, after: after, mode: mode), [.f32(padded)])
    }
  }

  package var before: [Int] = []
  package var after: [Int] = []
  package var mode = PadMode.zero
  package init() {}

  package func inferTypes(_ operands: [TensorType]) throws(Diagnostic) -> [TensorType] {
    try check(operands, [.f32])
    let type = operands[0]
    try checkPerAxis(before, "before", of: type)
    try checkPerAxis(after, "after", of: type)
    var shape = type.shape
    for axis in shape.indices {
      let (border, overflow) = before[axis].addingReportingOverflow(after[axis])
      guard !overflow, before[axis] >= 0, after[axis] >= 0, border < shape[axis] else {
        throw Diagnostic(
          "shape.range",
          "\(mnemonic): axis \(axis) of \(type) has no room for a border of \(before[axis]) and "
            + "\(after[axis])")
      }
      shape[axis] -= border
      try checkBorder(axis: axis, size: shape[axis], of: type)
    }
    return [type.with(shape: shape)]
  }

  /// Linear: its adjoint is the padding itself.
  package func gradient(_ scope: inout GradientScope) throws(Diagnostic) {
    guard scope.needs(0) else { return }
    scope.setAdjoint(
      of: 0, try scope.builder.pad(scope.seed, before: before, after: after, mode: mode))
  }

  package func evaluate(_ operands: [HostTensor], results: [TensorType]) -> [HostTensor] {
    let offsets = sourceOffsets(results[0].shape)
    var sums = [Double](repeating: 0, count: results[0].count)
    for (value, offset) in zip(operands[0].values, offsets) where offset >= 0 {
      sums[offset] += value
    }
    return [HostTensor(results[0], sums)]
  }
}

/// Shape, before, after, mode of the samples of both operations.
private let padCases: [([Int], [Int], [Int], PadMode)] = [
  ([5], [2], [1], .zero), ([5], [2], [4], .reflect), ([5], [3], [1], .edge), ([1], [4], [5], .edge),
  ([3, 4], [1, 0], [0, 2], .zero), ([3, 4], [2, 3], [1, 2], .reflect),
  ([3, 4], [1, 1], [2, 0], .edge),
  ([2, 3, 4, 2], [0, 1, 1, 0], [0, 1, 1, 0], .zero),
  ([2, 3, 4, 2], [0, 1, 2, 0], [0, 2, 1, 0], .reflect),
  ([2, 2, 3, 3], [0, 2, 1, 0], [0, 1, 2, 0], .edge), ([2, 3], [0, 0], [0, 0], .reflect),
]
