// Winograd's convolutions for devices whose groups' items run at the same time: a launch each for the tiles' transform V
// [point][tile][channel], the products M [point][tile][column] and the transform back. Images are taken in as many
// pieces as the memory between needs.

import Basics
import GraphIR
import Operators

struct WinogradGroup {
  private let node: NodeLowering
  private let shape: WinogradShape
  private let method: ConvolutionMethod

  init(_ node: NodeLowering, _ shape: WinogradShape, _ method: ConvolutionMethod) {
    self.node = node
    self.shape = shape
    self.method = method
  }

  func launch(_ store: ProductStore) {
    let layout = WinogradFilterLayout(shape: shape, panel: shape.columns)
    let filters = layout.filters(node, method: method)
    let pieces = ImagePieces(shape)
    let tiles = pieces.tiles
    let transformed = node.temporary(floats: shape.pointCount * tiles * shape.depth)
    let products = node.temporary(.f32([shape.pointCount * tiles * shape.columns]))
    let isAdjoint = shape.direction == .adjointInputGradient
    for piece in pieces.all {
      launchTransform(
        node, shape, node.operands[0], shape.source,
        isAdjoint ? shape.form.outputTransform.adjoint : shape.form.inputTransform,
        corner: isAdjoint ? (0, 0) : (shape.top, shape.left), piece, to: transformed)
      emitProduct(
        node.with(node.operation, node.operands, [products]),
        Product(
          a: ProductOperand(
            buffer: transformed, layout: .matrix(outer: shape.depth, depth: 1),
            outer: piece.tiles, depth: shape.depth, batchStride: piece.tiles * shape.depth),
          b: ProductOperand(
            buffer: filters, layout: .matrix(outer: 1, depth: shape.columns),
            outer: shape.columns, depth: shape.depth, batchStride: layout.stride),
          batch: shape.pointCount, knownClass: .winograd), nil)
      if isAdjoint {
        launchPatches(piece, products.buffer)
        launchSums(piece, products.buffer, store)
      } else {
        launchPlacing(piece, products.buffer, store)
      }
    }
  }

  /// Aᵀ M A, into the result: an item a tile and column.
  private func launchPlacing(
    _ piece: ImagePieces.Piece, _ products: DeviceBuffer, _ store: ProductStore
  ) {
    let columns = shape.columns
    let (target, step) = (shape.target, shape.target.step)
    let count = piece.tiles * columns
    var kernel = node.itemKernel("winograd_output", count: count)
    let from = kernel.input(products)
    kernel.line("const uint column = i % \(columns)u;")
    kernel.line("const uint channel = column % \(target.channels)u;")
    kernel.line("const int group_y = (int)(column / \(target.channels * step)u);")
    kernel.line("const int group_x = (int)(column / \(target.channels)u % \(step)u);")
    kernel.lines(shape.tileSetup("\(piece.firstTile)u + i / \(columns)u"))
    kernel.line("const uint e = i;")
    kernel.line("float outputs[\(shape.tile * shape.tile)];")
    SquareTransform(axis: shape.form.outputTransform, width: 1, isUnrolled: true).write(
      into: &kernel, column: { _ in },
      value: { r in "\(from)[(uint)(\(r * shape.points) + j) * \(count)u + e]" },
      row: { kernel, names in
        for (q, name) in names.enumerated() {
          kernel.line("outputs[i * \(shape.tile) + \(q)] = \(name);")
        }
      })
    kernel.block("for (int p = 0; p < \(shape.tile * shape.tile); p++)") { kernel in
      kernel.line("const int y = (tile_y + p / \(shape.tile)) * \(step) + group_y;")
      kernel.line("const int x = (tile_x + p % \(shape.tile)) * \(step) + group_x;")
      kernel.line("if (y >= \(target.height) || x >= \(target.width)) continue;")
      kernel.line(
        "const uint flat = ((image_n * \(target.height)u + (uint)y) * \(target.width)u + (uint)x)"
          + " * \(target.channels)u + channel;")
      kernel.line("const float sum = outputs[p];")
      store.write(
        into: &kernel, "sum", at: ElementPlace(flat: "flat", column: ("channel", target.channels)),
        width: 1)
    }
    node.each(count, kernel)
  }

  /// M → B M Bᵀ in its place: the pixels of each tile, which overlap those of others.
  private func launchPatches(_ piece: ImagePieces.Piece, _ products: DeviceBuffer) {
    let count = piece.tiles * shape.columns
    var kernel = node.itemKernel("winograd_patch", count: count)
    let memory = kernel.output(products)
    kernel.line("const uint e = i;")
    SquareTransform(axis: shape.form.inputTransform.adjoint, width: 1, isUnrolled: true).write(
      into: &kernel, column: { _ in },
      value: { r in "\(memory)[(uint)(\(r * shape.points) + j) * \(count)u + e]" },
      row: { kernel, names in
        for (q, name) in names.enumerated() {
          kernel.line(
            "\(memory)[(uint)(i * \(shape.points) + \(q)) * \(count)u + e] = \(name);")
        }
      })
    node.each(count, kernel)
  }

  /// Each pixel is the sum over the tiles that reach it, in order.
  private func launchSums(
    _ piece: ImagePieces.Piece, _ products: DeviceBuffer, _ store: ProductStore
  ) {
    let (target, step) = (shape.target, shape.target.step)
    let (m, points) = (shape.tile, shape.points)
    let form = shape.form
    let count = piece.images * target.count
    var kernel = node.itemKernel("winograd_sum", count: count)
    let from = kernel.input(products)
    kernel.line("const uint channel = i % \(target.channels)u;")
    kernel.line("const int x = (int)(i / \(target.channels)u % \(target.width)u);")
    kernel.line(
      "const int y = (int)(i / \(target.channels * target.width)u % \(target.height)u);")
    kernel.line("const uint image_n = i / \(target.count)u;")
    kernel.line("const int row = y / \(step) + \(shape.top);")
    kernel.line("const int column = x / \(step) + \(shape.left);")
    kernel.line(
      "const uint with_groups = (uint)(y % \(step) * \(step) + x % \(step)) * \(target.channels)u"
        + " + channel;")
    kernel.line("float sum = 0.0f;")
    // Tiles whose pixels t·m..<t·m + points hold the row.
    func tiles(_ name: String, _ at: String, _ limit: Int) -> String {
      let first = "max(0, (\(at) - \(points) + \(m)) / \(m))"
      return
        "for (int \(name) = \(first); \(name) < \(limit) && \(name) * \(m) <= \(at); \(name)++)"
    }
    kernel.block(tiles("down", "row", form.tileRows)) { kernel in
      kernel.block(tiles("across", "column", form.tileColumns)) { kernel in
        kernel.line(
          "const uint point = (uint)((row - down * \(m)) * \(points) + column - across * \(m));")
        kernel.line(
          "const uint tile = image_n * \(shape.tilesOfImage)u"
            + " + (uint)(down * \(form.tileColumns) + across);")
        kernel.line(
          "sum += \(from)[(point * \(piece.tiles)u + tile) * \(shape.columns)u + with_groups];")
      }
    }
    kernel.line("const uint flat = \(piece.firstImage * target.count)u + i;")
    store.write(
      into: &kernel, "sum", at: ElementPlace(flat: "flat", column: ("channel", target.channels)),
      width: 1)
    node.each(count, kernel)
  }
}

/// The images of a batch in pieces whose transforms and products fit a limit.
struct ImagePieces {
  struct Piece {
    var firstImage: Int
    var images: Int
    var firstTile: Int
    var tiles: Int
  }
  private(set) var all: [Piece] = []
  /// Tiles of the largest.
  var tiles: Int { all.map(\.tiles).max() ?? 0 }

  private static let limitBytes = 256 << 20

  init(_ shape: WinogradShape) {
    let each = shape.pointCount * shape.tilesOfImage * (shape.depth + shape.columns) * 4
    let images = max(1, min(shape.batch, Self.limitBytes / each))
    for first in stride(from: 0, to: shape.batch, by: images) {
      let here = min(images, shape.batch - first)
      all.append(
        Piece(
          firstImage: first, images: here, firstTile: first * shape.tilesOfImage,
          tiles: here * shape.tilesOfImage))
    }
  }
}

/// to[point][tile of the piece][channel with groups] = the transform of each tile of an image: an item a tile and channel.
func launchTransform(
  _ node: NodeLowering, _ shape: WinogradShape, _ tensor: DeviceTensor, _ image: WinogradImage,
  _ axis: LinearTransform, corner: (top: Int, left: Int), _ piece: ImagePieces.Piece,
  to: DeviceBuffer
) {
  let count = piece.tiles * image.depth
  var kernel = node.itemKernel("winograd_input", count: count)
  let from = kernel.input(tensor)
  let target = kernel.output(to)
  kernel.line("const uint e = i;")
  kernel.line("const uint channel = i % \(image.depth)u;")
  kernel.lines(shape.tileSetup("\(piece.firstTile)u + i / \(image.depth)u"))
  shape.transformTile(
    into: &kernel, from, image, axis, corner: corner, channel: "channel", width: 1,
    isUnrolled: true
  ) { kernel, names in
    for (q, name) in names.enumerated() {
      kernel.line(
        "\(target)[(uint)(i * \(shape.points) + \(q)) * \(count)u + e] = \(name);")
    }
  }
  node.each(count, kernel)
}
