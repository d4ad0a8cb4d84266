// What kernels over images have in common: one work-item makes a vector of channels of one pixel. Layout NHWC.

import Basics
import GraphIR
import Operators

/// The kernel of an image while it is written. `n`, `y`, `x` and `c` are the item's place, signed.
struct ImageKernel {
  var text: KernelText
  /// Channels of one item.
  let width: Int
  private let node: NodeLowering
  private let target: DeviceTensor

  init(_ node: NodeLowering, _ family: String, making target: DeviceTensor) {
    self.node = node
    self.target = target
    let (height, columns, channels) = (target.shape[1], target.shape[2], target.shape[3])
    width = node.widthDividing(channels)
    let blocks = channels / width
    text = node.itemKernel(family, count: target.count / width)
    text.line("const int c = (int)(i % \(blocks)u) * \(width);")
    text.line("const int x = (int)(i / \(blocks)u % \(columns)u);")
    text.line("const int y = (int)(i / \(blocks * columns)u % \(height)u);")
    text.line("const int n = (int)(i / \(blocks * columns * height)u);")
  }

  /// The type of an item's floats, and that of comparisons of them.
  var type: String { cType(.f32, width) }
  var maskType: String { cType(.i32, width) }
  var zero: String { cLiteral(0, .f32, width) }

  /// The channels at a pixel of another image.
  func load(_ pointer: String, of shape: [Int], _ y: String, _ x: String) -> String {
    let offset = "((n * \(shape[1]) + \(y)) * \(shape[2]) + \(x)) * \(shape[3]) + c"
    return ElementAccess.vector(pointer, "(\(offset))", width)
  }

  /// `condition ? yes : no` of each channel; the condition is a comparison.
  func chosen(_ condition: String, _ yes: String, _ no: String) -> String {
    width == 1 ? "((\(condition)) ? \(yes) : \(no))" : "select(\(no), \(yes), \(condition))"
  }

  /// Stores what the item has made and launches one item for each vector.
  mutating func finish(_ value: String) {
    let pointer = text.output(target)
    text.line(ElementAccess.store(value, pointer, "i * \(width)u", width))
    node.each(target.count / width, text)
  }
}
