// Checks and loops that the image operations share. Every diagnostic says what was expected and what was found.

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
}

/// A result that starts as zeros and that `body` fills from the values of an operand. Buffers, because these loops run
/// long in debug builds.
func accumulated(
  _ operand: HostTensor, into type: TensorType,
  _ body: (UnsafeBufferPointer<Double>, UnsafeMutableBufferPointer<Double>) -> Void
) -> HostTensor {
  var result = HostTensor(type)
  operand.values.withUnsafeBufferPointer { source in
    result.values.withUnsafeMutableBufferPointer { target in body(source, target) }
  }
  return result
}
