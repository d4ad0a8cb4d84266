// Where an element, or the first element of a vector, stands in the shape that a kernel runs over, and how tensors that
// broadcast to the shape are read there.

import Basics
import GraphIR
import Operators

/// C expressions; all unsigned integers.
struct ElementPlace {
  /// The flat index.
  var flat: String
  /// The index along the last dimension, where the kernel has it at hand, and that dimension's size.
  var column: (name: String, size: Int)?
}

/// How an input is read at the places of a shape that it broadcasts to.
struct ElementAccess {
  private let axes: BroadcastAxes
  private let inputCount: Int
  private let shapeCount: Int

  init(reading input: [Int], in shape: [Int]) {
    axes = BroadcastAxes(reading: input, in: shape)
    inputCount = input.reduce(1, *)
    shapeCount = shape.reduce(1, *)
  }

  private var isFull: Bool { inputCount == shapeCount }
  private var isScalar: Bool { inputCount == 1 }

  /// Whether so many neighbours from a multiple of their number on are neighbours in the input, or one element of it.
  func allows(width: Int) -> Bool {
    isFull || isScalar || (axes.sizes.last ?? 1) % width == 0
  }

  /// The value at a place: one element, or a vector of `width`.
  func load(_ pointer: String, _ element: ElementType, at place: ElementPlace, width: Int)
    -> String
  {
    let type = cType(element, width)
    if isFull { return Self.vector(pointer, place.flat, width) }
    if isScalar { return width == 1 ? "\(pointer)[0]" : "(\(type))(\(pointer)[0])" }
    let offset = offset(at: place)
    if axes.strides.last == 0 {
      return width == 1 ? "\(pointer)[\(offset)]" : "(\(type))(\(pointer)[\(offset)])"
    }
    return Self.vector(pointer, offset, width)
  }

  static func vector(_ pointer: String, _ offset: String, _ width: Int) -> String {
    width == 1 ? "\(pointer)[\(offset)]" : "vload\(width)(0, \(pointer) + \(offset))"
  }

  static func store(_ value: String, _ pointer: String, _ offset: String, _ width: Int) -> String {
    width == 1
      ? "\(pointer)[\(offset)] = \(value);" : "vstore\(width)(\(value), 0, \(pointer) + \(offset));"
  }

  private func offset(at place: ElementPlace) -> String {
    offsetText(place, axes.sizes, axes.strides)
  }
}

/// Σ over axes of the place's index there times the stride.
func offsetText(_ place: ElementPlace, _ sizes: [Int], _ strides: [Int]) -> String {
  var terms: [String] = []
  var inner = 1
  for axis in sizes.indices.reversed() {
    let (size, stride) = (sizes[axis], strides[axis])
    if stride != 0 {
      let index: String
      if inner == 1, let column = place.column, column.size == size {
        index = column.name
      } else {
        let over = inner == 1 ? place.flat : "\(place.flat) / \(inner)u"
        index = axis == 0 ? "(\(over))" : "(\(over)) % \(size)u"
      }
      terms.append(stride == 1 ? index : "\(index) * \(stride)u")
    }
    inner *= size
  }
  return terms.isEmpty ? "0" : "(" + terms.reversed().joined(separator: " + ") + ")"
}
