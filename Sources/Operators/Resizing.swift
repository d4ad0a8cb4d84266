// What the operations that resize an image by a whole factor have in common: up-sampling and its adjoints.

import Basics
import GraphIR

/// An operation of one image that makes it larger or smaller by a whole factor on each axis.
package protocol ResizingOperation: Operation {
  /// [h, w]
  var factor: [Int] { get set }
}

extension ResizingOperation {
  package init(factor: [Int]) {
    self.init()
    self.factor = factor
  }

  package mutating func visitAttributes(_ visitor: inout some AttributeVisitor) throws(Diagnostic) {
    try visitor.attribute("factor", &factor)
  }

  /// Every image by itself.
  package func rowLinearOperands(_ operands: [TensorType]) -> [[Int]] { [[0]] }
  package func rowUse(_ operands: [TensorType]) -> RowUse { .each([0]) }

  /// The type of an image enlarged by a factor on each axis.
  func enlargedType(_ operands: [TensorType]) throws(Diagnostic) -> TensorType {
    try checkArity(operands)
    try checkImage(operands[0])
    try checkPair(factor, "factor")
    let shape = operands[0].shape
    return .f32(shape[0], shape[1] * factor[0], shape[2] * factor[1], shape[3])
  }

  /// The type of an image made smaller by a factor that divides it on each axis.
  func reducedType(_ operands: [TensorType]) throws(Diagnostic) -> TensorType {
    try checkArity(operands)
    try checkImage(operands[0])
    try checkPair(factor, "factor")
    let shape = operands[0].shape
    guard shape[1] % factor[0] == 0, shape[2] % factor[1] == 0 else {
      throw Diagnostic(
        "shape.mismatch",
        "the image \(operands[0]) cannot be cut into blocks of \(factor[0])×\(factor[1]): the "
          + "height and width must be multiples of them")
    }
    return .f32(shape[0], shape[1] / factor[0], shape[2] / factor[1], shape[3])
  }
}
