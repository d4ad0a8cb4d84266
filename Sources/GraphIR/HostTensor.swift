// A tensor of the reference evaluator: every element a Double, whatever the element type (integers and
// booleans are exact in it). Slow and obvious on purpose: it is the meaning of an operation.

package struct HostTensor: Sendable, Equatable {
  package var type: TensorType
  package var values: [Double]

  package init(_ type: TensorType, _ values: [Double]) {
    precondition(values.count == type.count)
    self.type = type
    self.values = values
  }

  package init(_ type: TensorType, repeating value: Double = 0) {
    self.type = type
    values = Array(repeating: value, count: type.count)
  }

  package var shape: [Int] { type.shape }

  /// Every element rounded to the element type: what a buffer of that type would hold.
  package func rounded() -> HostTensor {
    HostTensor(type, values.map { HostTensor.round($0, to: type.element) })
  }

  /// One element rounded to an element type.
  package static func round(_ value: Double, to element: ElementType) -> Double {
    switch element {
    case .f64: value
    case .f32: Double(Float(value))
    case .i32: Double(Int32(truncating(value)))
    case .bool: value != 0 ? 1 : 0
    }
  }

  /// Truncation toward zero, saturating, as the kernels convert.
  private static func truncating(_ value: Double) -> Int32 {
    if value.isNaN { return 0 }
    if value >= 2_147_483_647 { return .max }
    if value <= -2_147_483_648 { return .min }
    return Int32(value)
  }

  /// The tensor repeated to a larger shape by NumPy's rules.
  package func broadcast(to shape: [Int]) -> HostTensor {
    if shape == self.shape { return self }
    let result = type.with(shape: shape)
    return HostTensor(result, forEachIndex(in: shape) { values[broadcastOffset($0)] })
  }

  /// The offset of the element that stands at `index` of a shape this one broadcasts to.
  package func broadcastOffset(_ index: [Int]) -> Int {
    var offset = 0
    let skipped = index.count - shape.count
    for axis in shape.indices {
      offset = offset * shape[axis] + (shape[axis] == 1 ? 0 : index[axis + skipped])
    }
    return offset
  }

  /// The flat offset of a full index.
  package func offset(_ index: [Int]) -> Int {
    var offset = 0
    for axis in shape.indices { offset = offset * shape[axis] + index[axis] }
    return offset
  }

  package subscript(index: [Int]) -> Double {
    get { values[offset(index)] }
    set { values[offset(index)] = newValue }
  }
}

/// Visits every index of a shape in row-major order and collects what `body` returns.
package func forEachIndex<T>(in shape: [Int], _ body: ([Int]) -> T) -> [T] {
  let count = shape.reduce(1, *)
  var results: [T] = []
  results.reserveCapacity(count)
  var index = [Int](repeating: 0, count: shape.count)
  for _ in 0..<count {
    results.append(body(index))
    var axis = shape.count - 1
    while axis >= 0 {
      index[axis] += 1
      if index[axis] < shape[axis] { break }
      index[axis] = 0
      axis -= 1
    }
  }
  return results
}
