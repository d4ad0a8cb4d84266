// The block of constants: what a backend fills its memory with once.

import Basics
import GraphIR
import Operators

extension Plan {
  /// Writes every constant that has a place in the block, in its element type; truth values as words. `base` has
  /// `constantBytes`.
  package func writeConstants(to base: UnsafeMutableRawPointer) {
    for node in graph.nodes.elements where node.operation is Constant {
      let value = node.results[0]
      guard case .constant(let offset) = placements[value] else { continue }
      var type = graph.type(of: value)
      if scalarConstants.contains(value) { type = type.with(shape: []) }
      let target = base + offset
      let tensor = node.operation.evaluate([], results: [type])[0]
      for (index, element) in tensor.values.enumerated() {
        switch type.element {
        case .f32:
          target.storeBytes(of: Float(element), toByteOffset: index * 4, as: Float.self)
        case .i32, .bool:
          target.storeBytes(of: Int32(element), toByteOffset: index * 4, as: Int32.self)
        case .f64:
          target.storeBytes(of: element, toByteOffset: index * 8, as: Double.self)
        }
      }
    }
  }
}
