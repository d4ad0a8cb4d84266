// Winograd's convolutions for devices that run a group's items in turn: each group is one item, which takes blocks of tiles
// through all steps while they stay in its core's cache: the tiles' transform V [point][tile][channel]; for each panel
// of result channels the products M [point][tile][panel]; their transform back, and what follows, into the result.

import Basics
import GraphIR
import Operators

struct WinogradTurn {
  private let node: NodeLowering
  private let shape: WinogradShape
  private let method: ConvolutionMethod
  private let lanes: Int
  private let vectors: Int
  private let itemRows: Int
  /// Tiles of a block, and blocks of all. An adjoint's blocks are whole images.
  private let blockTiles: Int
  private let blocks: Int
  private let isAdjoint: Bool

  private var panel: Int { vectors * lanes }
  private var rows: Int { roundUp(blockTiles, itemRows) }
  /// Elements between points, off the powers of two.
  private var sourceStride: Int { rows * shape.depth + 16 }
  private var productStride: Int { rows * panel + 16 }
  private var sumRows: Int { (shape.form.tileRows - 1) * shape.tile + shape.points }
  private var sumColumns: Int { (shape.form.tileColumns - 1) * shape.tile + shape.points }
  /// Elements of a group's memory.
  private var slice: Int {
    shape.pointCount * (sourceStride + productStride)
      + (isAdjoint ? sumRows * sumColumns * lanes : 0)
  }

  /// Bytes of V that stay in a core's second-level cache beside the filters that pass through it.
  private static let cacheBytes = 640 << 10
  /// Bytes of all groups' memory.
  private static let workspaceBytes = 24 << 20

  init(_ node: NodeLowering, _ shape: WinogradShape, _ method: ConvolutionMethod) {
    self.node = node
    self.shape = shape
    self.method = method
    isAdjoint = shape.direction == .adjointInputGradient
    lanes = min(16, node.traits.vectorWidth)
    let tile = node.tiles.tile(.winograd, node.traits)
    vectors = shape.columns <= lanes ? 1 : max(1, tile.itemColumns / lanes)
    itemRows = tile.itemRows
    let all = shape.batch * shape.tilesOfImage
    let most = max(itemRows, Self.cacheBytes / (shape.pointCount * shape.depth * 4))
    if isAdjoint {
      let images = max(1, min(shape.batch, most / shape.tilesOfImage))
      blockTiles = images * shape.tilesOfImage
      blocks = (shape.batch + images - 1) / images
    } else {
      blockTiles = min(all, most / itemRows * itemRows)
      blocks = (all + blockTiles - 1) / blockTiles
    }
  }

  func launch(_ store: ProductStore) {
    let layout = WinogradFilterLayout(shape: shape, panel: panel)
    let filters = layout.filters(node, method: method)
    let groups = max(1, min(blocks, 64, Self.workspaceBytes / (slice * 4)))
    let workspace = node.temporary(floats: groups * slice)
    node.launch(
      kernel(store, layout, filters, workspace, groups), global: [groups], local: [1])
  }

  private func kernel(
    _ store: ProductStore, _ layout: WinogradFilterLayout, _ filters: DeviceBuffer,
    _ workspace: DeviceBuffer, _ groups: Int
  ) -> KernelText {
    var kernel = KernelText("winograd")
    let source = kernel.input(node.operands[0])
    let packed = kernel.input(filters)
    kernel.line(
      "__global float *transformed = \(kernel.output(workspace)) + get_group_id(0) * \(slice)u;")
    kernel.line(
      "__global float *products = transformed + \(shape.pointCount * sourceStride);")
    if isAdjoint {
      kernel.line(
        "__global float *sums = products + \(shape.pointCount * productStride);")
    }
    let all = shape.batch * shape.tilesOfImage
    kernel.block(
      "for (uint block = get_group_id(0); block < \(blocks)u; block += \(groups)u)"
    ) { kernel in
      kernel.line("const uint first = block * \(blockTiles)u;")
      kernel.line("const int tiles = (int)min(\(blockTiles)u, \(all)u - first);")
      kernel.block("for (int t = 0; t < tiles; t++)") { kernel in
        kernel.lines(shape.tileSetup("first + (uint)t"))
        writeTransform(
          &kernel, shape, source, shape.source,
          isAdjoint ? shape.form.outputTransform.adjoint : shape.form.inputTransform,
          corner: isAdjoint ? (0, 0) : (shape.top, shape.left), lanes: lanes,
          count: "\(shape.depth)u", row: shape.depth, to: "transformed", stride: sourceStride)
      }
      kernel.block("for (uint panel = 0; panel < \(layout.panels)u; panel++)") { kernel in
        multiply(&kernel, packed, layout)
        if isAdjoint { addTiles(&kernel, store) } else { place(&kernel, store) }
      }
    }
    return kernel
  }

  /// products[point][t][:] = Σₖ transformed[point][t, k] · packed[point][panel][k, :]; rows beyond the tiles are multiplied
  /// too, and not used.
  private func multiply(
    _ kernel: inout KernelText, _ packed: String, _ layout: WinogradFilterLayout
  ) {
    kernel.block("for (int point = 0; point < \(shape.pointCount); point++)") { kernel in
      kernel.line(
        "__global const float *pb = \(packed) + (uint)point * \(layout.stride)u"
          + " + panel * \(shape.depth * panel)u;")
      kernel.block("for (int t = 0; t < tiles; t += \(itemRows))") { kernel in
        kernel.line(
          "__global const float *pa = transformed + point * \(sourceStride) + t * \(shape.depth);")
        kernel.line(
          "__global float *to = products + point * \(productStride) + t * \(panel);")
        let tile = RegisterTile(rows: itemRows, vectors: vectors, lanes: lanes)
        tile.begin(&kernel, "to", stride: panel, isFirst: nil)
        kernel.block("for (int k = 0; k < \(shape.depth); k++)") { kernel in
          tile.step(
            &kernel, a: { "pa[\($0 * shape.depth) + k]" },
            b: { ElementAccess.vector("pb", "k * \(panel) + \($0 * lanes)", lanes) })
        }
        tile.end(&kernel, "to", stride: panel)
      }
    }
  }

  /// Declares the channel of the result: its first with groups, and where the group's pixels begin.
  private func channelSetup(_ kernel: inout KernelText) {
    let (step, channels) = (shape.target.step, shape.target.channels)
    kernel.line("const uint with_groups = panel * \(panel)u + (uint)lane;")
    if shape.columns % panel != 0 {
      kernel.line("if (with_groups >= \(shape.columns)u) break;")
    }
    kernel.line("const uint channel = with_groups % \(channels)u;")
    kernel.line("const int group_y = (int)(with_groups / \(channels * step)u);")
    kernel.line("const int group_x = (int)(with_groups / \(channels)u % \(step)u);")
  }

  private func finish(_ kernel: inout KernelText, _ store: ProductStore, _ value: String) {
    let target = shape.target
    // Channels fill vectors, so that the widest is always there, but for what follows.
    let width = store.width(upTo: lanes, count: target.channels)
    kernel.line(
      "const uint start = ((image_n * \(target.height)u + (uint)y) * \(target.width)u + (uint)x)"
        + " * \(target.channels)u + channel;")
    if width == lanes {
      store.write(
        into: &kernel, value, at: ElementPlace(flat: "start", column: ("channel", target.channels)),
        width: width)
      return
    }
    kernel.line("float single[\(lanes)];")
    kernel.line(ElementAccess.store(value, "single", "0", lanes))
    kernel.block("for (uint part = 0; part < \(lanes)u; part += \(width)u)") { kernel in
      kernel.line("const uint flat = start + part;")
      kernel.line(
        "const \(cType(.f32, width)) piece = \(ElementAccess.vector("single", "part", width));")
      store.write(
        into: &kernel, "piece", at: ElementPlace(flat: "flat", column: nil), width: width)
    }
  }

  /// Aᵀ M A of one panel, into the result.
  private func place(_ kernel: inout KernelText, _ store: ProductStore) {
    let (points, m, step) = (shape.points, shape.tile, shape.target.step)
    kernel.block("for (int lane = 0; lane < \(panel); lane += \(lanes))") { kernel in
      channelSetup(&kernel)
      kernel.block("for (int t = 0; t < tiles; t++)") { kernel in
        kernel.lines(shape.tileSetup("first + (uint)t"))
        kernel.line("__global const float *from = products + t * \(panel) + lane;")
        SquareTransform(axis: shape.form.outputTransform, width: lanes, isUnrolled: false).write(
          into: &kernel, column: { _ in },
          value: { r in
            ElementAccess.vector(
              "from", "(\(r * points) + j) * \(productStride)", lanes)
          },
          row: { kernel, names in
            kernel.line("const int y = (tile_y + i) * \(step) + group_y;")
            kernel.line("if (y >= \(shape.target.height)) break;")
            kernel.line(
              "const \(cType(.f32, lanes)) line[\(m)] = {\(names.joined(separator: ", "))};")
            kernel.block("for (int q = 0; q < \(m); q++)") { kernel in
              kernel.line("const int x = (tile_x + q) * \(step) + group_x;")
              kernel.line("if (x >= \(shape.target.width)) break;")
              kernel.line("const \(cType(.f32, lanes)) sum = line[q];")
              finish(&kernel, store, "sum")
            }
          })
      }
    }
  }

  /// For each image: the sums of B M Bᵀ over its tiles, which overlap, in order; then the pixels inside, into the result.
  private func addTiles(_ kernel: inout KernelText, _ store: ProductStore) {
    let (points, step) = (shape.points, shape.target.step)
    let type = cType(.f32, lanes)
    let each = shape.tilesOfImage
    kernel.block("for (int lane = 0; lane < \(panel); lane += \(lanes))") { kernel in
      channelSetup(&kernel)
      kernel.block("for (int begin = 0; begin < tiles; begin += \(each))") { kernel in
        kernel.line(
          "for (int e = 0; e < \(sumRows * sumColumns * lanes); e += \(lanes)) "
            + ElementAccess.store(cLiteral(0, .f32, lanes), "sums", "e", lanes))
        kernel.block("for (int t = begin; t < begin + \(each); t++)") { kernel in
          kernel.lines(shape.tileSetup("(uint)t"))
          kernel.line("__global const float *from = products + t * \(panel) + lane;")
          SquareTransform(
            axis: shape.form.inputTransform.adjoint, width: lanes, isUnrolled: false
          ).write(
            into: &kernel, column: { _ in },
            value: { r in
              ElementAccess.vector("from", "(\(r * points) + j) * \(productStride)", lanes)
            },
            row: { kernel, names in
              kernel.line(
                "__global float *to = sums + ((tile_y + i) * \(sumColumns) + tile_x) * \(lanes);")
              for (q, name) in names.enumerated() {
                let old = ElementAccess.vector("to", "\(q * lanes)", lanes)
                kernel.line(ElementAccess.store("\(old) + \(name)", "to", "\(q * lanes)", lanes))
              }
            })
        }
        kernel.line("const uint image_n = (first + (uint)begin) / \(each)u;")
        kernel.block("for (int y = group_y; y < \(shape.target.height); y += \(step))") { kernel in
          kernel.line("const int row = y / \(step) + \(shape.top);")
          kernel.block("for (int x = group_x; x < \(shape.target.width); x += \(step))") { kernel in
            kernel.line("const int column = x / \(step) + \(shape.left);")
            let at = "(row * \(sumColumns) + column) * \(lanes)"
            kernel.line("\(type) sum = 0.0f;")
            kernel.line("if (row < \(sumRows) && column < \(sumColumns))")
            kernel.line("  sum = \(ElementAccess.vector("sums", at, lanes));")
            finish(&kernel, store, "sum")
          }
        }
      }
    }
  }
}

/// The transform of a tile after `tileSetup`, of `count` channels with groups from `first` on, all lanes at once, to
/// to[point · stride + t · count + channel − first].
func writeTransform(
  _ kernel: inout KernelText, _ shape: WinogradShape, _ pointer: String, _ image: WinogradImage,
  _ axis: LinearTransform, corner: (top: Int, left: Int), lanes: Int, first: String = "0u",
  count: String, row: Int, to: String, stride: Int
) {
  kernel.block("for (uint c = 0; c < \(count); c += \(lanes)u)") { kernel in
    kernel.line("const uint channel = \(first) + c;")
    shape.transformTile(
      into: &kernel, pointer, image, axis, corner: corner, channel: "channel", width: lanes,
      isUnrolled: false
    ) { kernel, names in
      kernel.line(
        "__global float *out = \(to) + i * \(shape.points * stride) + t * \(row) + c;")
      for (q, name) in names.enumerated() {
        kernel.line(ElementAccess.store(name, "out", "\(q * stride)", lanes))
      }
    }
  }
}
