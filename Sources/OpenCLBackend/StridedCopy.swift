// Kernels that copy a box of elements between two places with strides: transposes, slices, concatenation, repetition.

import Basics
import GraphIR
import Operators

/// One side of a copy: a tensor, the element that the box begins at, and a stride for each axis of the box.
struct CopySide {
  var tensor: DeviceTensor
  var start = 0
  var strides: [Int]

  /// All of a tensor.
  init(_ tensor: DeviceTensor) {
    self.tensor = tensor
    strides = rowMajorStrides(tensor.shape)
  }

  /// Part of a tensor: the box from `starts` on.
  init(_ tensor: DeviceTensor, from starts: [Int]) {
    self.init(tensor)
    start = zip(starts, strides).reduce(0) { $0 + $1.0 * $1.1 }
  }

  /// A tensor by other strides.
  init(_ tensor: DeviceTensor, strides: [Int]) {
    self.tensor = tensor
    self.strides = strides
  }
}

extension NodeLowering {
  /// Copies a box of the shape.
  func stridedCopy(from source: CopySide, to target: CopySide, shape: [Int]) {
    let axes = StridedAxes(sizes: shape, source: source.strides, target: target.strides)
    // Where the source's neighbours are along another axis than the target's, both sides want runs.
    if let last = axes.source.last, last > 1, axes.target.last == 1,
      let column = axes.source.firstIndex(of: 1), axes.sizes[column] >= 4
    {
      return transposedCopy(from: source, to: target, axes, column: column)
    }
    rowCopy(from: source, to: target, axes)
  }

  // MARK: Rows

  /// One work-item copies up to a vector of one row, which is the last axis.
  private func rowCopy(from source: CopySide, to target: CopySide, _ axes: StridedAxes) {
    let size = axes.sizes.last ?? 1
    let (stride, targetStride) = (axes.source.last ?? 1, axes.target.last ?? 1)
    let width = stride > 1 || targetStride > 1 ? 1 : rowWidth(size)
    let blocks = (size + width - 1) / width
    let rows = axes.count / size
    var kernel = itemKernel("copy", count: rows * blocks)
    let x = kernel.input(source.tensor)
    let y = kernel.output(target.tensor)
    kernel.line("const uint row = i / \(blocks)u;")
    kernel.line("const uint c = i % \(blocks)u * \(width)u;")
    let outer = ElementPlace(flat: "row", column: nil)
    let sizes = Array(axes.sizes.dropLast())
    let from = offsetText(outer, sizes, Array(axes.source.dropLast()))
    let to = offsetText(outer, sizes, Array(axes.target.dropLast()))
    kernel.line("const uint from = \(source.start)u + \(from) + c * \(stride)u;")
    kernel.line("const uint to = \(target.start)u + \(to) + c * \(targetStride)u;")
    let type = cType(source.tensor.type.element, width)
    let value =
      stride == 0
      ? (width == 1 ? "\(x)[from]" : "(\(type))(\(x)[from])")
      : ElementAccess.vector(x, "from", width)
    let store = ElementAccess.store(value, y, "to", width)
    if size % width == 0 {
      kernel.line(store)
    } else {
      kernel.block("if (c <= \(size - width)u)") { $0.line(store) }
      kernel.block("else") {
        $0.line(
          "for (uint k = 0; k < \(size)u - c; k++) \(y)[to + k] = \(x)[from + k * \(stride)u];")
      }
    }
    each(rows * blocks, kernel)
  }

  /// Lanes for rows of a size: whole vectors where a row has that many elements, the rest one by one; vectors without a
  /// rest in shorter rows.
  private func rowWidth(_ size: Int) -> Int {
    size >= traits.vectorWidth ? traits.vectorWidth : widthDividing(size)
  }

  /// The widest vector, a power of two, that divides a size.
  func widthDividing(_ size: Int) -> Int {
    var width = traits.vectorWidth
    while size % width != 0 { width /= 2 }
    return width
  }

  // MARK: Tiles

  /// Copies tiles of the last axis and of the axis along which the source's neighbours lie.
  private func transposedCopy(
    from source: CopySide, to target: CopySide, _ axes: StridedAxes, column: Int
  ) {
    let last = axes.sizes.count - 1
    let others = axes.sizes.indices.filter { $0 != column && $0 != last }
    let tile = traits.runsItemsInTurn || traits.groupLimit >= 256 ? 16 : 8
    let (rows, columns) = (axes.sizes[last], axes.sizes[column])
    let counts = [(rows + tile - 1) / tile, (columns + tile - 1) / tile]
    let outer = axes.count / (rows * columns)
    let text = TransposeText(
      tile: tile, rows: rows, columns: columns, rowStride: axes.source[last],
      columnStride: axes.target[column])
    var kernel = KernelText("transpose")
    let (x, y) = (kernel.input(source.tensor), kernel.output(target.tensor))
    let place = ElementPlace(flat: "o", column: nil)
    let sizes = others.map { axes.sizes[$0] }
    // All tiles along one dimension, because drivers limit the others.
    let (across, all) = (counts[0], counts[0] * counts[1])
    kernel.line("const uint group = get_group_id(0);")
    kernel.line("const uint o = group / \(all)u;")
    kernel.line("const uint row = group % \(across)u * \(tile)u;")
    kernel.line("const uint column = group / \(across)u % \(counts[1])u * \(tile)u;")
    kernel.line(
      "const uint from = \(source.start)u + \(offsetText(place, sizes, others.map { axes.source[$0] }));"
    )
    kernel.line(
      "const uint to = \(target.start)u + \(offsetText(place, sizes, others.map { axes.target[$0] }));"
    )
    if traits.runsItemsInTurn {
      text.inTurn(&kernel, x, y)
      launch(kernel, global: [all * outer], local: [1])
    } else {
      text.inGroup(&kernel, x, y, source.tensor.type.element)
      launch(kernel, global: [all * outer * tile, tile], local: [tile, tile])
    }
  }
}

/// The statements that transpose one tile: y[to + column · columnStride + row] = x[from + row · rowStride + column].
private struct TransposeText {
  let tile: Int
  let rows: Int
  let columns: Int
  let rowStride: Int
  let columnStride: Int

  func inTurn(_ kernel: inout KernelText, _ x: String, _ y: String) {
    kernel.line("const uint rowEnd = min(row + \(tile)u, \(rows)u);")
    kernel.line("const uint columnEnd = min(column + \(tile)u, \(columns)u);")
    kernel.block("for (uint c = column; c < columnEnd; c++)") {
      $0.line("for (uint r = row; r < rowEnd; r++)")
      $0.line("  \(y)[to + c * \(columnStride)u + r] = \(x)[from + r * \(rowStride)u + c];")
    }
  }

  /// Through local memory, whose rows are one element longer than the tile, so that neither way meets one bank only.
  func inGroup(
    _ kernel: inout KernelText, _ x: String, _ y: String, _ element: ElementType
  ) {
    kernel.line("__local \(cType(element)) part[\(tile)][\(tile + 1)];")
    kernel.line("const uint a = get_local_id(0), b = get_local_id(1);")
    kernel.line("if (row + b < \(rows)u && column + a < \(columns)u)")
    kernel.line("  part[b][a] = \(x)[from + (row + b) * \(rowStride)u + column + a];")
    kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
    kernel.line("if (row + a < \(rows)u && column + b < \(columns)u)")
    kernel.line("  \(y)[to + (column + b) * \(columnStride)u + row + a] = part[a][b];")
  }
}
