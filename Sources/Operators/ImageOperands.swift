// Checks that the image operations share. Every diagnostic says what was expected and what was found.

import Basics
import GraphIR

extension Operation {
  /// Throws unless `type` is f32 of rank 4.
  func checkImage(_ type: TensorType, _ form: String = "[n, h, w, c]") throws(Diagnostic) {
    try checkElement(type, [.f32])
    guard type.rank == 4 else {
      throw Diagnostic("shape.rank", "\(mnemonic) expects f32\(form), found \(type)")
    }
  }

  /// Throws unless the attribute is [h, w], both in 1...2³¹ − 1, so that products of it with sizes fit an Int.
  func checkPair(_ pair: [Int], _ name: String) throws(Diagnostic) {
    guard pair.count == 2, pair.allSatisfy({ $0 >= 1 && $0 <= WindowAxis.limit }) else {
      throw Diagnostic(
        "conv.size", "\(name) of \(mnemonic) is [h, w], both at least 1; found \(shapeText(pair))")
    }
  }

  /// The sizes of a pooling of the first operand; all operands must be images.
  func pooling(
    _ operands: [TensorType], _ window: PoolWindow
  ) throws(Diagnostic) -> ConvolutionGeometry {
    try checkArity(operands)
    for type in operands { try checkImage(type) }
    return try window.geometry(operands[0].shape)
  }
}
