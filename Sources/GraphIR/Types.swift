// Tensor types: an element type and a static shape. Types are inferred when a node is built and are never absent.

import Basics

/// The type of one element. f64 occurs only in scalar schedules (an optimiser's step size).
package enum ElementType: String, Hashable, Sendable, CaseIterable {
  case f32, i32, bool, f64

  /// Bytes of one element in a buffer: booleans take a lane like the others, as 0 or 1.
  package var byteCount: Int { self == .f64 ? 8 : 4 }
  package var isFloat: Bool { self == .f32 || self == .f64 }
}

package struct TensorType: Hashable, Sendable, CustomStringConvertible {
  package var element: ElementType
  package var shape: [Int]

  package init(_ element: ElementType, _ shape: [Int]) {
    self.element = element
    self.shape = shape
  }

  package static func f32(_ shape: [Int]) -> TensorType { TensorType(.f32, shape) }
  package static func f32(_ shape: Int...) -> TensorType { TensorType(.f32, shape) }
  package static func i32(_ shape: Int...) -> TensorType { TensorType(.i32, shape) }

  package var rank: Int { shape.count }
  package var isScalar: Bool { shape.isEmpty }
  /// The number of elements; `TensorType.checked` has made sure that it fits.
  package var count: Int { shape.reduce(1, *) }
  package var byteCount: Int { count * element.byteCount }
  package func with(shape: [Int]) -> TensorType { TensorType(element, shape) }
  package func with(element: ElementType) -> TensorType { TensorType(element, shape) }

  /// `f32[128, 28, 28, 1]`
  package var description: String { "\(element.rawValue)\(shapeText(shape))" }

  /// The largest number of elements of one tensor: 2³¹ − 1, so that Int32 indices are enough.
  package static let maximumCount = Int(Int32.max)

  /// Throws `shape.size` where the element count overflows or a dimension is not positive.
  package func checked() throws(Diagnostic) -> TensorType {
    var count = 1
    for size in shape {
      guard size > 0 else {
        throw Diagnostic("shape.size", "the shape \(shapeText(shape)) has a dimension of \(size)")
      }
      let (product, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow, product <= Self.maximumCount else {
        throw Diagnostic(
          "shape.size", "a tensor of shape \(shapeText(shape)) is too large",
          help: "one tensor may have at most \(Self.maximumCount) elements")
      }
      count = product
    }
    guard shape.count <= 8 else {
      throw Diagnostic(
        "shape.rank", "\(shapeText(shape)) has \(shape.count) axes; at most 8 are supported")
    }
    return self
  }
}

/// `[128, 28]`
package func shapeText(_ shape: [Int]) -> String {
  "[" + shape.map(String.init).joined(separator: ", ") + "]"
}

/// The common shape of two by NumPy's rules, or nil.
package func broadcastShapes(_ a: [Int], _ b: [Int]) -> [Int]? {
  let rank = max(a.count, b.count)
  var result = [Int](repeating: 1, count: rank)
  for axis in 0..<rank {
    let x = axis < rank - a.count ? 1 : a[axis - (rank - a.count)]
    let y = axis < rank - b.count ? 1 : b[axis - (rank - b.count)]
    guard x == y || x == 1 || y == 1 else { return nil }
    result[axis] = x == 1 ? y : x
  }
  return result
}

/// Row-major strides in elements.
package func rowMajorStrides(_ shape: [Int]) -> [Int] {
  var strides = [Int](repeating: 1, count: shape.count)
  for axis in stride(from: shape.count - 2, through: 0, by: -1) {
    strides[axis] = strides[axis + 1] * shape[axis + 1]
  }
  return strides
}
