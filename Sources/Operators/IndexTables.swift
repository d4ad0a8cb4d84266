// Offsets for the evaluators of operations that move or reduce elements. An element's offset is a sum of one number
// per axis; given those numbers as one table an axis, all offsets follow in row-major order with no index arithmetic
// per element.

import GraphIR

/// For every index in row-major order, the sum of `tables[axis][index[axis]]`.
func sumOffsets(_ tables: [[Int]]) -> [Int] {
  var offsets = [0]
  for table in tables {
    var next: [Int] = []
    next.reserveCapacity(offsets.count * table.count)
    for offset in offsets {
      for entry in table { next.append(offset + entry) }
    }
    offsets = next
  }
  return offsets
}

/// For every element of a tensor whose axis i is axis permutation[i] of `shape`, where it stands in
/// the tensor of `shape`.
package func permutationOffsets(of shape: [Int], _ permutation: [Int]) -> [Int] {
  let strides = rowMajorStrides(shape)
  return sumOffsets(permutation.map { axis in (0..<shape[axis]).map { $0 * strides[axis] } })
}

/// For every element of `shape`, the offset of the element of `source` that broadcasting puts there.
func broadcastOffsets(from source: [Int], to shape: [Int]) -> [Int] {
  let strides = rowMajorStrides(source)
  let skipped = shape.count - source.count
  var tables: [[Int]] = []
  for (axis, size) in shape.enumerated() {
    let repeats = axis < skipped || source[axis - skipped] == 1
    let stride = repeats ? 0 : strides[axis - skipped]
    tables.append((0..<size).map { $0 * stride })
  }
  return sumOffsets(tables)
}

/// For every element of `shape`, the offset of the element that a reduction over `axes` adds it to.
func reductionOffsets(of shape: [Int], axes: [Int]) -> [Int] {
  let kept = reducedShape(shape, axes: axes, keepDims: true)
  return broadcastOffsets(from: kept, to: shape)
}

/// The elements at `offsets`.
func gathered(_ values: [Double], _ offsets: [Int]) -> [Double] {
  values.withUnsafeBufferPointer { source in offsets.map { source[$0] } }
}
