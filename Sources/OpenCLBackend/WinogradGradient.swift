// The filter gradient in Winograd's form: at each point the product of the image's transform with that of dy, reduced over
// tiles, in parts; the last kernel adds the parts in their order and transforms back to the filter's taps. Also the
// choice between the forms of both kinds of devices.

import Basics
import GraphIR
import Operators

/// Lowers a convolution or an input gradient; false for the direct method, and where there is no such form.
func emitWinograd(
  _ node: NodeLowering, _ sizes: ConvolutionGeometry, _ method: ConvolutionMethod,
  _ direction: WinogradForm.Direction, _ epilogue: RegionCode?
) -> Bool {
  guard let shape = WinogradShape(sizes, method, direction), fitsIndices(sizes, method, direction)
  else { return false }
  let store = ProductStore(node, epilogue)
  if node.traits.runsItemsInTurn {
    WinogradTurn(node, shape, method).launch(store)
  } else {
    WinogradGroup(node, shape, method).launch(store)
  }
  return true
}

/// Whether what one image becomes can be counted by kernels' indices of 32 bits.
private func fitsIndices(
  _ sizes: ConvolutionGeometry, _ method: ConvolutionMethod, _ direction: WinogradForm.Direction
) -> Bool {
  guard let form = method.form(sizes, direction) else { return false }
  let places = Double(form.points * form.points) * Double(form.tileRows * form.tileColumns)
  return places * Double(max(form.depth, form.columns)) < Double(Int32.max / 2)
}

/// Lowers a filter gradient; false as above.
func emitWinogradFilterGradient(
  _ node: NodeLowering, _ sizes: ConvolutionGeometry, _ method: ConvolutionMethod,
  _ epilogue: RegionCode?
) -> Bool {
  guard let shape = WinogradShape(sizes, method, .filterGradient),
    fitsIndices(sizes, method, .filterGradient)
  else { return false }
  let gradient = WinogradGradient(node, shape)
  let (partial, parts) =
    node.traits.runsItemsInTurn ? gradient.launchInTurn() : gradient.launchGroups()
  gradient.launchTaps(partial, parts, ProductStore(node, epilogue))
  return true
}

private struct WinogradGradient {
  let node: NodeLowering
  let shape: WinogradShape

  init(_ node: NodeLowering, _ shape: WinogradShape) {
    self.node = node
    self.shape = shape
  }

  /// Elements of one part: [point][channel of the source][channel of the target], with groups.
  private var partCount: Int { shape.pointCount * shape.depth * shape.columns }

  // MARK: Many items a group

  func launchGroups() -> (partial: DeviceBuffer, parts: Int) {
    let pieces = ImagePieces(shape)
    let transformed = node.temporary(floats: shape.pointCount * pieces.tiles * shape.depth)
    let outputs = node.temporary(floats: shape.pointCount * pieces.tiles * shape.columns)
    let partial = node.temporary(floats: pieces.all.count * partCount)
    let piecePartial =
      pieces.all.count > 1 ? node.temporary(.f32([partCount])) : nil
    for (index, piece) in pieces.all.enumerated() {
      launchTransform(
        node, shape, node.operands[0], shape.source, shape.form.inputTransform,
        corner: (shape.top, shape.left), piece, to: transformed)
      launchTransform(
        node, shape, node.operands[1], shape.target, shape.form.outputTransform.adjoint,
        corner: (0, 0), piece, to: outputs)
      let result = piecePartial ?? DeviceTensor(buffer: partial, type: .f32([partCount]))
      emitProduct(
        node.with(node.operation, node.operands, [result]),
        Product(
          a: ProductOperand(
            buffer: transformed, layout: .matrix(outer: 1, depth: shape.depth),
            outer: shape.depth, depth: piece.tiles, batchStride: piece.tiles * shape.depth),
          b: ProductOperand(
            buffer: outputs, layout: .matrix(outer: 1, depth: shape.columns),
            outer: shape.columns, depth: piece.tiles, batchStride: piece.tiles * shape.columns),
          batch: shape.pointCount, knownClass: .winograd), nil)
      if let piecePartial { keep(piecePartial, partial, index) }
    }
    return (partial, pieces.all.count)
  }

  /// partial[index] = the sums of a piece.
  private func keep(_ piece: DeviceTensor, _ partial: DeviceBuffer, _ index: Int) {
    var kernel = node.itemKernel("winograd_part", count: partCount)
    let from = kernel.input(piece)
    kernel.line("\(kernel.output(partial))[\(index * partCount)u + i] = \(from)[i];")
    node.each(partCount, kernel)
  }

  // MARK: One item a group

  private static let workspaceBytes = 24 << 20
  /// Bytes of the transforms of a chunk of tiles, in the last-level cache.
  private static let chunkBytes = 2 << 20

  func launchInTurn() -> (partial: DeviceBuffer, parts: Int) {
    let lanes = min(16, node.traits.vectorWidth)
    let parts = max(
      1, min(8, shape.batch, max(2, Self.workspaceBytes / (partCount * 4))))
    // Blocks of the products whose sums one group keeps.
    let wide = divisor(of: shape.depth, 128)
    let across = divisor(of: shape.columns, 128)
    let chunk = max(
      8, min(64, Self.chunkBytes / (shape.pointCount * (wide + across) * 4) / 8 * 8))
    let sourceStride = chunk * wide + 16
    let outputStride = chunk * across + 16
    let slice = shape.pointCount * (sourceStride + outputStride)
    let (down, right) = (shape.depth / wide, shape.columns / across)
    let workspace = node.temporary(floats: parts * down * right * slice)
    let partial = node.temporary(floats: parts * partCount)
    let tile = node.tiles.tile(.winograd, node.traits)
    let vectors = across % tile.itemColumns == 0 ? tile.itemColumns / lanes : 1
    var itemRows = tile.itemRows
    while wide % itemRows != 0 { itemRows -= 1 }

    var kernel = KernelText("winograd_gradient")
    let x = kernel.input(node.operands[0])
    let dy = kernel.input(node.operands[1])
    let sums = kernel.output(partial)
    kernel.line("const uint row0 = get_group_id(0) * \(wide)u;")
    kernel.line("const uint col0 = get_group_id(1) * \(across)u;")
    kernel.line("const uint part = get_group_id(2);")
    kernel.line(
      "__global float *transformed = \(kernel.output(workspace))"
        + " + ((part * \(right)u + get_group_id(1)) * \(down)u + get_group_id(0)) * \(slice)u;")
    kernel.line("__global float *outputs = transformed + \(shape.pointCount * sourceStride);")
    kernel.line(
      "const uint begin = part * \(shape.batch)u / \(parts)u * \(shape.tilesOfImage)u;")
    kernel.line(
      "const uint end = (part + 1u) * \(shape.batch)u / \(parts)u * \(shape.tilesOfImage)u;")
    kernel.block("for (uint first = begin; first < end; first += \(chunk)u)") { kernel in
      kernel.line("const int tiles = (int)min(\(chunk)u, end - first);")
      kernel.block("for (int t = 0; t < tiles; t++)") { kernel in
        kernel.lines(shape.tileSetup("first + (uint)t"))
        writeTransform(
          &kernel, shape, x, shape.source, shape.form.inputTransform,
          corner: (shape.top, shape.left), lanes: lanes, first: "row0", count: "\(wide)u",
          row: wide, to: "transformed", stride: sourceStride)
        writeTransform(
          &kernel, shape, dy, shape.target, shape.form.outputTransform.adjoint, corner: (0, 0),
          lanes: lanes, first: "col0", count: "\(across)u", row: across, to: "outputs",
          stride: outputStride)
      }
      kernel.block("for (int point = 0; point < \(shape.pointCount); point++)") { kernel in
        kernel.line(
          "__global float *block = \(sums) + (part * \(shape.pointCount)u + (uint)point)"
            + " * \(shape.depth * shape.columns)u + row0 * \(shape.columns)u + col0;")
        multiply(
          &kernel, RegisterTile(rows: itemRows, vectors: vectors, lanes: lanes), wide: wide,
          across: across, sourceStride: sourceStride, outputStride: outputStride)
      }
    }
    node.launch(kernel, global: [down, right, parts], local: [1])
    return (partial, parts)
  }

  /// block[c][:] (+)= Σ tiles  transformed[t, c] · outputs[t, :], at one point.
  private func multiply(
    _ kernel: inout KernelText, _ tile: RegisterTile, wide: Int, across: Int, sourceStride: Int,
    outputStride: Int
  ) {
    let itemColumns = tile.vectors * tile.lanes
    kernel.block("for (int p = 0; p < \(across); p += \(itemColumns))") { kernel in
      kernel.block("for (int r = 0; r < \(wide); r += \(tile.rows))") { kernel in
        kernel.line("__global const float *pa = transformed + point * \(sourceStride) + r;")
        kernel.line("__global const float *pb = outputs + point * \(outputStride) + p;")
        kernel.line("__global float *to = block + r * \(shape.columns) + p;")
        tile.begin(&kernel, "to", stride: shape.columns, isFirst: "first == begin")
        kernel.block("for (int t = 0; t < tiles; t++)") { kernel in
          tile.step(
            &kernel, a: { "pa[t * \(wide) + \($0)]" },
            b: { ElementAccess.vector("pb", "t * \(across) + \($0 * tile.lanes)", tile.lanes) })
        }
        tile.end(&kernel, "to", stride: shape.columns)
      }
    }
  }

  // MARK: Back to taps

  /// dw[ky, kx, c, o] = Σ over groups and points of the matrices · Σ over parts.
  func launchTaps(_ partial: DeviceBuffer, _ parts: Int, _ store: ProductStore) {
    let sizes = shape.sizes
    let (inputs, outputs) = (sizes.inputChannels, sizes.outputChannels)
    let (kh, kw, points) = (sizes.height.kernel, sizes.width.kernel, shape.points)
    let limit = node.traits.runsItemsInTurn ? min(16, node.traits.vectorWidth) : 1
    let width = store.width(upTo: limit, count: outputs)
    let type = cType(.f32, width)
    let count = inputs * outputs / width
    var kernel = node.itemKernel("winograd_taps", count: count)
    let from = kernel.input(partial)
    shape.filterMatrices(into: &kernel)
    kernel.line("const uint c = i / \(outputs / width)u;")
    kernel.line("const uint o = i % \(outputs / width)u * \(width)u;")
    kernel.line("\(type) taps[\(kh * kw)];")
    kernel.line("for (int tap = 0; tap < \(kh * kw); tap++) taps[tap] = 0.0f;")
    kernel.block("for (uint group = 0; group < \(shape.steps * shape.steps)u; group++)") { kernel in
      let isSource = shape.source.step > 1
      let k = isSource ? "(group * \(inputs)u + c)" : "c"
      let n = isSource ? "o" : "(group * \(outputs)u + o)"
      kernel.lines(shape.groupMatrices("group"))
      kernel.line("const uint first = \(k) * \(shape.columns)u + \(n);")
      kernel.block("for (int p = 0; p < \(points); p++)") { kernel in
        kernel.line("\(type) row[\(kw)];")
        kernel.line("for (int v = 0; v < \(kw); v++) row[v] = 0.0f;")
        kernel.block("for (int q = 0; q < \(points); q++)") { kernel in
          kernel.line(
            "const uint at = (uint)(p * \(points) + q) * \(shape.depth * shape.columns)u + first;")
          kernel.line("\(type) sum = \(ElementAccess.vector(from, "at", width));")
          if parts > 1 {
            let next = ElementAccess.vector(from, "at + part * \(partCount)u", width)
            kernel.line("for (uint part = 1; part < \(parts)u; part++) sum += \(next);")
          }
          kernel.line(
            "for (int v = 0; v < \(kw); v++) row[v] += sum * column_taps[q * \(kw) + v];")
        }
        kernel.line("for (int u = 0; u < \(kh); u++)")
        kernel.line("  for (int v = 0; v < \(kw); v++)")
        kernel.line("    taps[u * \(kw) + v] += row[v] * row_taps[p * \(kh) + u];")
      }
    }
    kernel.block("for (uint tap = 0; tap < \(kh * kw)u; tap++)") { kernel in
      kernel.line("const uint flat = (tap * \(inputs)u + c) * \(outputs)u + o;")
      kernel.line("const \(type) sum = taps[tap];")
      store.write(
        into: &kernel, "sum", at: ElementPlace(flat: "flat", column: ("o", outputs)), width: width)
    }
    node.each(count, kernel)
  }
}
