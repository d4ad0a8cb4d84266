// Checks of operand counts, element types and ranks that the image operations share. All diagnostics of them are
// about the user's program, so they say what was expected and what was found.

import Basics
import GraphIR

enum ImageOperands {
  /// Throws unless there are as many operands as `names`.
  static func expect(
    _ operands: [TensorType], _ names: [String], of operation: String
  ) throws(Diagnostic) {
    guard operands.count == names.count else {
      throw Diagnostic(
        "ir.operands",
        "\(operation) takes \(names.joined(separator: ", ")), found \(operands.count) operands")
    }
  }

  /// Throws unless `type` is f32 of rank 4.
  static func expectImage(
    _ type: TensorType, _ form: String = "[n, h, w, c]", of operation: String
  ) throws(Diagnostic) {
    try expectFloat(type, of: operation)
    guard type.rank == 4 else {
      throw Diagnostic("shape.rank", "\(operation) expects f32\(form), found \(type)")
    }
  }

  static func expectFloat(_ type: TensorType, of operation: String) throws(Diagnostic) {
    guard type.element == .f32 else {
      throw Diagnostic("type.mismatch", "\(operation) expects f32, found \(type)")
    }
  }

  static func expectIDs(_ type: TensorType, of operation: String) throws(Diagnostic) {
    guard type.element == .i32 else {
      throw Diagnostic("type.mismatch", "\(operation) expects i32 indices, found \(type)")
    }
  }

  /// Throws unless the attribute is [h, w], both in 1...2³¹ − 1.
  static func expectPair(
    _ pair: [Int], _ name: String, of operation: String
  ) throws(Diagnostic) {
    guard pair.count == 2, pair.allSatisfy({ $0 >= 1 && $0 <= WindowAxis.limit }) else {
      throw Diagnostic(
        "conv.size", "\(name) of \(operation) is [h, w], both at least 1; found \(shapeText(pair))")
    }
  }
}
