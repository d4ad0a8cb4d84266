// What operations check of their operands' types before anything else. Every error shows what was found and what
// was expected; the caller of the builder knows the place in the program and adds it.

import Basics
import GraphIR

extension ElementType: WordAttribute {}

extension ElementType {
  static let floats: [ElementType] = [.f32, .f64]
  static let numbers: [ElementType] = [.f32, .f64, .i32]
  /// The elements that take four bytes: operations that move elements without looking at them have kernels for these.
  static let lanes: [ElementType] = [.f32, .i32, .bool]
}

extension Operation {
  /// Throws `ir.operands` unless there are as many operands as the signature says.
  func checkArity(_ operands: [TensorType]) throws(Diagnostic) {
    let signature = Self.signature
    if signature.contains(where: { $0.arity == .variadic }) {
      guard operands.count >= signature.count else {
        throw Diagnostic(
          "ir.operands", "\(mnemonic) needs at least \(signature.count) operands, not none")
      }
    } else if operands.count != signature.count {
      let noun = signature.count == 1 ? "operand" : "operands"
      throw Diagnostic(
        "ir.operands",
        "\(mnemonic) needs \(signature.count) \(noun) but was given \(operands.count)")
    }
  }

  /// Throws `type.element` unless an operand's element type is among those that the operation takes.
  func checkElement(_ type: TensorType, _ allowed: [ElementType]) throws(Diagnostic) {
    guard !allowed.contains(type.element) else { return }
    let names = allowed.map(\.rawValue).joined(separator: " or ")
    throw Diagnostic("type.element", "\(mnemonic) needs elements of type \(names), found \(type)")
  }

  /// The number of operands, and the element type of each.
  func check(_ operands: [TensorType], _ allowed: [ElementType]) throws(Diagnostic) {
    try checkArity(operands)
    for operand in operands { try checkElement(operand, allowed) }
  }

  /// Throws `type.element` unless two operands have one element type.
  func checkSameElement(_ a: TensorType, _ b: TensorType) throws(Diagnostic) {
    guard a.element == b.element else {
      throw Diagnostic(
        "type.element", "\(mnemonic) needs operands of one element type, found \(a) and \(b)",
        help: "convert one of them")
    }
  }

  /// The broadcast shape of two operands, or `shape.mismatch`.
  func broadcast(_ a: TensorType, _ b: TensorType) throws(Diagnostic) -> [Int] {
    guard let shape = broadcastShapes(a.shape, b.shape) else {
      throw Diagnostic(
        "shape.mismatch",
        "\(mnemonic) cannot combine the shapes \(shapeText(a.shape)) and \(shapeText(b.shape))",
        help: "counted from the last axis, sizes must be equal or one of them 1")
    }
    return shape
  }

  /// Throws `shape.axis` unless the axis exists.
  func checkAxis(_ axis: Int, of type: TensorType) throws(Diagnostic) {
    guard axis >= 0, axis < type.rank else {
      throw Diagnostic(
        "shape.axis", "\(mnemonic): \(type) has no axis \(axis)",
        help: type.rank == 0 ? "it is a scalar" : "its axes are 0 to \(type.rank - 1)")
    }
  }

  /// Throws `shape.axis` unless the axes exist and ascend.
  func checkAxes(_ axes: [Int], of type: TensorType) throws(Diagnostic) {
    for (index, axis) in axes.enumerated() {
      try checkAxis(axis, of: type)
      guard index == 0 || axes[index - 1] < axis else {
        throw Diagnostic(
          "shape.axis", "\(mnemonic) needs its axes in ascending order, found \(shapeText(axes))")
      }
    }
  }

  /// Throws `shape.rank` unless a list of per-axis numbers has one entry for each axis.
  func checkPerAxis(_ list: [Int], _ name: String, of type: TensorType) throws(Diagnostic) {
    guard list.count == type.rank else {
      throw Diagnostic(
        "shape.rank",
        "\(mnemonic): \(name) \(shapeText(list)) needs one number for each of the \(type.rank) "
          + "axes of \(type)")
    }
  }
}

/// The shape that is left when `axes` are reduced.
func reducedShape(_ shape: [Int], axes: [Int], keepDims: Bool) -> [Int] {
  var result: [Int] = []
  for (axis, size) in shape.enumerated() {
    if !axes.contains(axis) {
      result.append(size)
    } else if keepDims {
      result.append(1)
    }
  }
  return result
}
