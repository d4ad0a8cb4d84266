// Products for devices that run the items of a group in turn: each group is one item. It copies blocks of both operands
// to local memory, those of B in panels as wide as the registers' tile; multiplies tile by tile with all sums in
// registers; keeps the sums in local memory between blocks of the depth; and finishes row by row.

import Basics
import GraphIR

struct TurnProduct {
  private let node: NodeLowering
  private let product: Product
  /// Lanes of a vector, vectors of a register tile's row.
  private let lanes: Int
  private var vectors: Int
  /// Rows of a register tile, and the tiles and panels of a group.
  private let itemRows: Int
  private let groupRows: Int
  private var groupColumns: Int
  private let blockDepth: Int
  /// Few rows: neither operand is used often enough to be copied.
  private var streams = false
  private let parts: ProductParts

  private var itemColumns: Int { vectors * lanes }

  init(_ node: NodeLowering, _ product: Product) {
    self.node = node
    self.product = product
    lanes = node.traits.vectorWidth
    let tile = node.tiles.tile(product.productClass, node.traits)
    vectors = max(1, tile.itemColumns / lanes)
    if product.columns <= (vectors - 1) * lanes { vectors = (product.columns + lanes - 1) / lanes }
    itemRows = evenShare(product.rows, tile.itemRows)
    groupRows = roundUp(
      evenShare(product.rows, tile.rows / tile.itemRows * itemRows), itemRows)
    let wide = vectors * lanes
    groupColumns = min(max(tile.columns / wide, 1) * wide, roundUp(product.columns, wide))
    // Enough groups for the cores to be done together.
    let wanted = 16
    func groups(_ rows: Int, _ columns: Int) -> Int {
      product.batch * ((product.rows + rows - 1) / rows)
        * ((product.columns + columns - 1) / columns)
    }
    while groups(groupRows, groupColumns) < wanted, groupColumns >= 2 * wide {
      groupColumns = roundUp(groupColumns / 2, wide)
    }
    if product.rows <= tile.itemRows, !product.b.isPatches, !product.b.isDepthInner,
      product.columns % lanes == 0
    {
      streams = true
      vectors = divisor(of: product.columns / lanes, itemRows <= 6 ? 4 : 2)
      groupColumns = vectors * lanes
      // The sums are in local memory until they are finished.
      let most = min(
        1024, product.columns * product.batch / wanted, node.traits.localBytes / (4 * itemRows))
      while 2 * groupColumns <= most { groupColumns *= 2 }
    }
    parts = ProductParts(
      depth: product.depth, groups: groups(groupRows, groupColumns), wanted: wanted, least: 512)
    blockDepth = min(product.depth, roundUp(evenShare(parts.depth, tile.depth), 16))
  }

  func launch(_ store: ProductStore) {
    launchParts(node, product, parts, store) { store, parts in
      let across = (product.columns + groupColumns - 1) / groupColumns
      let down = (product.rows + groupRows - 1) / groupRows
      node.launch(
        kernel(store, parts), global: [across * down * product.batch * parts.count], local: [1])
    }
  }

  // MARK: Text

  private func kernel(_ store: ProductStore, _ parts: ProductParts) -> KernelText {
    var kernel = KernelText(streams ? "product_stream" : "product")
    if !streams {
      kernel.line("__local float block_a[\(groupRows * blockDepth)];")
      kernel.line("__local float block_b[\(groupColumns * blockDepth)];")
    }
    kernel.line("__local float sums[\(groupRows * groupColumns)];")
    beginGroup(&kernel, product, parts, rows: groupRows, columns: groupColumns)
    let a = kernel.input(product.a.buffer) + batchOffset(product.a)
    let b = kernel.input(product.b.buffer) + batchOffset(product.b)
    kernel.line("__global const float *a = \(a);")
    kernel.line("__global const float *b = \(b);")
    if streams {
      kernel.line("const uint k0 = first;")
      kernel.line("const int terms = (int)(last - first);")
      multiply(&kernel, isFirst: nil)
    } else {
      kernel.block("for (uint k0 = first; k0 < last; k0 += \(blockDepth)u)") { kernel in
        kernel.line("const int terms = (int)min(\(blockDepth)u, last - k0);")
        fillA(&kernel)
        fillB(&kernel)
        multiply(&kernel, isFirst: parts.depth <= blockDepth ? nil : "k0 == first")
      }
    }
    finish(&kernel, store, parts)
    return kernel
  }

  private func batchOffset(_ operand: ProductOperand) -> String {
    operand.batchStride == 0 ? "" : " + batch * \(operand.batchStride)u"
  }

  /// block_a: [row][depth] where neighbours lie along the depth, else [depth][row]. What stands in
  /// rows beyond the last is multiplied, and not stored.
  private func fillA(_ kernel: inout KernelText) {
    let a = product.a
    if fillRuns(&kernel) { return }
    if a.isDepthInner {
      let width = a.widthAlongDepth(lanes)
      kernel.block("for (int r = 0; r < rows; r++)") { kernel in
        kernel.lines(a.outerSetup("row0 + (uint)r", "a"))
        kernel.block("for (int k = 0; k < terms; k += \(width))") { kernel in
          kernel.lines(a.depthSetup("k0 + (uint)k", "a"))
          let value = a.load("a", "a", width: width)
          kernel.line("const \(cType(.f32, width)) value = \(value);")
          kernel.line(
            ElementAccess.store("value", "block_a", "r * \(blockDepth) + k", width))
        }
      }
    } else {
      let width = divisor(
        of: product.rows <= groupRows ? product.rows : groupRows, a.widthAlongOuter(lanes))
      kernel.block("for (int k = 0; k < terms; k++)") { kernel in
        kernel.lines(a.depthSetup("k0 + (uint)k", "a"))
        kernel.block("for (int r = 0; r < rows; r += \(width))") { kernel in
          kernel.lines(a.outerSetup("row0 + (uint)r", "a"))
          let value = a.load("a", "a", width: width)
          kernel.line("const \(cType(.f32, width)) value = \(value);")
          kernel.line(ElementAccess.store("value", "block_a", "k * \(groupRows) + r", width))
        }
      }
    }
  }

  /// Patches of few channels, all of whose terms are in the block: rows of taps are runs in memory, and most lie inside
  /// the image.
  private func fillRuns(_ kernel: inout KernelText) -> Bool {
    guard case .patches(let patches, let pixelsAreOuter) = product.a.layout, patches.hasRuns,
      patches.channels % lanes != 0,
      pixelsAreOuter ? product.depth <= blockDepth : product.rows <= groupRows
    else { return false }
    let (count, pixel, stride) =
      pixelsAreOuter
      ? ("rows", "row0 + (uint)p", blockDepth) : ("terms", "k0 + (uint)p", groupRows)
    let run = patches.run
    kernel.block("for (int p = 0; p < \(count); p++)") { kernel in
      kernel.lines(patches.pixelSetup(pixel, "a"))
      kernel.line(
        "const bool inside = a_x >= 0 && a_x <= \(patches.width.size - patches.width.taps);")
      kernel.block("for (int u = 0; u < \(patches.height.taps); u++)") { kernel in
        kernel.line("__local float *to = block_a + p * \(stride) + u * \(run);")
        kernel.line("const bool there = (uint)(a_y + u) < \(patches.height.size)u;")
        kernel.line(
          "const int at = (int)a_n + ((a_y + u) * \(patches.width.size) + a_x) * \(patches.channels);"
        )
        kernel.block("if (there && inside)") { kernel in
          kernel.line("for (int e = 0; e < \(run); e++) to[e] = a[at + e];")
        }
        kernel.block("else") { kernel in
          kernel.block("for (int e = 0; e < \(run); e++)") { kernel in
            kernel.line("const int x = a_x + e / \(patches.channels);")
            kernel.line(
              "to[e] = there && (uint)x < \(patches.width.size)u ? a[at + e] : 0.0f;")
          }
        }
      }
    }
    return true
  }

  /// block_b: [panel][depth][column of the panel]; columns beyond the last are zero.
  private func fillB(_ kernel: inout KernelText) {
    let b = product.b
    let wide = itemColumns
    let isWhole = product.columns % wide == 0
    kernel.block("for (int p = 0; p * \(wide) < columns; p++)") { kernel in
      kernel.line("__local float *to = block_b + p * \(wide * blockDepth);")
      if b.isDepthInner {
        let width = b.widthAlongDepth(lanes)
        kernel.block("for (int c = 0; c < \(wide); c++)") { kernel in
          kernel.line("const uint n = col0 + (uint)(p * \(wide) + c);")
          if !isWhole {
            kernel.line("if (n >= \(product.columns)u)")
            kernel.line("  for (int k = 0; k < terms; k++) to[k * \(wide) + c] = 0.0f;")
            kernel.line("else")
          }
          kernel.block("") { kernel in
            kernel.lines(b.outerSetup("n", "b"))
            kernel.block("for (int k = 0; k < terms; k += \(width))") { kernel in
              kernel.lines(b.depthSetup("k0 + (uint)k", "b"))
              kernel.line(
                "const \(cType(.f32, width)) value = \(b.load("b", "b", width: width));")
              for lane in 0..<width {
                kernel.line(
                  "to[(k + \(lane)) * \(wide) + c] = value\(laneName(lane, width));")
              }
            }
          }
        }
      } else {
        let width = b.widthAlongOuter(lanes)
        kernel.block("for (int k = 0; k < terms; k++)") { kernel in
          kernel.lines(b.depthSetup("k0 + (uint)k", "b"))
          kernel.block("for (int c = 0; c < \(wide); c += \(width))") { kernel in
            kernel.line("const uint n = col0 + (uint)(p * \(wide) + c);")
            kernel.lines(b.outerSetup("n", "b"))
            let zero = "(\(cType(.f32, width)))(0.0f)"
            let load = b.load("b", "b", width: width)
            let value = isWhole ? load : "n < \(product.columns)u ? (\(load)) : \(zero)"
            kernel.line("const \(cType(.f32, width)) value = \(value);")
            kernel.line(ElementAccess.store("value", "to", "k * \(wide) + c", width))
          }
        }
      }
    }
  }

  /// All register tiles of the group. `isFirst` tells blocks that begin from zero; nil where there is one block.
  private func multiply(_ kernel: inout KernelText, isFirst: String?) {
    let (a, b) = (product.a, product.b)
    kernel.block("for (int p = 0; p * \(itemColumns) < columns; p++)") { kernel in
      if streams {
        kernel.lines(b.outerSetup("col0 + (uint)(p * \(itemColumns))", "b"))
        for r in 0..<itemRows { kernel.lines(a.outerSetup("\(r)u", "a\(r)")) }
      } else {
        kernel.line(
          "__local const float *pb = block_b + p * \(itemColumns * blockDepth);")
      }
      kernel.block("for (int i = 0; i * \(itemRows) < rows; i++)") { kernel in
        if !streams {
          kernel.line(
            "__local const float *pa = block_a + i * \(a.isDepthInner ? itemRows * blockDepth : itemRows);"
          )
        }
        let tile = RegisterTile(rows: itemRows, vectors: vectors, lanes: lanes)
        let from = "sums + i * \(itemRows * groupColumns) + p * \(itemColumns)"
        kernel.line("__local float *to = \(from);")
        tile.begin(&kernel, "to", stride: groupColumns, isFirst: isFirst)
        kernel.block("for (int k = 0; k < terms; k++)") { kernel in
          if streams {
            kernel.lines(b.depthSetup("k0 + (uint)k", "b"))
            // The depth's part of the address of A is the same for all rows.
            for r in 0..<itemRows { kernel.lines(a.depthSetup("k0 + (uint)k", "a\(r)")) }
          }
          tile.step(
            &kernel,
            a: { r in
              streams
                ? a.load("a", "a\(r)", width: 1)
                : a.isDepthInner ? "pa[\(r * blockDepth) + k]" : "pa[k * \(groupRows) + \(r)]"
            },
            b: { v in
              streams
                ? ElementAccess.vector("b", "\(b.address("b")) + \(v * lanes)u", lanes)
                : ElementAccess.vector("pb", "k * \(itemColumns) + \(v * lanes)", lanes)
            })
        }
        tile.end(&kernel, "to", stride: groupColumns)
      }
    }
  }

  private func finish(_ kernel: inout KernelText, _ store: ProductStore, _ parts: ProductParts) {
    let width = store.width(upTo: lanes, count: product.columns)
    kernel.block("for (int r = 0; r < rows; r++)") { kernel in
      let start = startOfRow("row0 + (uint)r", product, parts)
      kernel.line("const uint start = \(start);")
      kernel.block("for (int c = 0; c < columns; c += \(width))") { kernel in
        store.write(
          into: &kernel, of: "sums", at: "r * \(groupColumns) + c", column: "c",
          columns: product.columns, width: width)
      }
    }
  }
}

/// Declares row0, col0, batch, rows, columns, and first and last of the terms.
func beginGroup(
  _ kernel: inout KernelText, _ product: Product, _ parts: ProductParts, rows: Int, columns: Int
) {
  // All groups along the first dimension, because drivers limit the others to 65,535.
  let across = (product.columns + columns - 1) / columns
  let down = (product.rows + rows - 1) / rows
  kernel.line("const uint group = get_group_id(0);")
  kernel.line("const uint col0 = group % \(across)u * \(columns)u;")
  kernel.line("const uint row0 = group / \(across)u % \(down)u * \(rows)u;")
  let third = "group / \(across * down)u"
  if product.batch > 1 {
    kernel.line("const uint batch = \(third)\(parts.count > 1 ? " / \(parts.count)u" : "");")
  }
  kernel.line("const int rows = (int)min(\(rows)u, \(product.rows)u - row0);")
  kernel.line("const int columns = (int)min(\(columns)u, \(product.columns)u - col0);")
  if parts.count > 1 {
    kernel.line("const uint part = \(third)\(product.batch > 1 ? " % \(parts.count)u" : "");")
    kernel.line("const uint first = part * \(parts.depth)u;")
    kernel.line("const uint last = min(first + \(parts.depth)u, \(product.depth)u);")
  } else {
    kernel.line("const uint first = 0u;")
    kernel.line("const uint last = \(product.depth)u;")
  }
}

/// The flat index of a row's first column; parts lie one after the other, densely.
func startOfRow(_ row: String, _ product: Product, _ parts: ProductParts) -> String {
  let target = parts.count > 1 ? ProductTarget.rows : product.target
  let start = target.start(
    row, batch: product.batch > 1 ? "batch" : nil, rows: product.rows, columns: product.columns)
  return parts.count > 1 ? "part * \(product.count)u + \(start)" : start
}

func laneName(_ lane: Int, _ width: Int) -> String {
  width == 1 ? "" : ".s" + String(lane, radix: 16)
}

func roundUp(_ count: Int, _ unit: Int) -> Int { (count + unit - 1) / unit * unit }

/// The size of pieces that divide a count as evenly as pieces of at most `limit` can.
private func evenShare(_ count: Int, _ limit: Int) -> Int {
  let pieces = (count + limit - 1) / limit
  return (count + pieces - 1) / pieces
}

/// Sums of a tile in registers, as statements: `rows` by `vectors` of `lanes`.
struct RegisterTile {
  var rows: Int
  var vectors: Int
  var lanes: Int

  private var type: String { cType(.f32, lanes) }

  private func name(_ r: Int, _ v: Int) -> String { "c_\(r)_\(v)" }

  private func forEach(_ body: (_ row: Int, _ vector: Int) -> Void) {
    for r in 0..<rows {
      for v in 0..<vectors { body(r, v) }
    }
  }

  /// Sums from zero, or from where `end` left them.
  func begin(_ kernel: inout KernelText, _ from: String, stride: Int, isFirst: String?) {
    for r in 0..<rows {
      kernel.line(
        "\(type) " + (0..<vectors).map { "\(name(r, $0)) = 0.0f" }.joined(separator: ", ") + ";")
    }
    guard let isFirst else { return }
    kernel.block("if (!(\(isFirst)))") { kernel in
      forEach { r, v in
        let value = ElementAccess.vector(from, "\(r * stride + v * lanes)", lanes)
        kernel.line("\(name(r, v)) = \(value);")
      }
    }
  }

  /// Adds the products of one term: `a` of a row, `b` of a vector of columns.
  func step(_ kernel: inout KernelText, a: (Int) -> String, b: (Int) -> String) {
    for v in 0..<vectors { kernel.line("const \(type) b_\(v) = \(b(v));") }
    for r in 0..<rows {
      kernel.line("const float a_\(r) = \(a(r));")
      for v in 0..<vectors {
        let splat = lanes == 1 ? "a_\(r)" : "(\(type))(a_\(r))"
        kernel.line("\(name(r, v)) = fma(\(splat), b_\(v), \(name(r, v)));")
      }
    }
  }

  func end(_ kernel: inout KernelText, _ to: String, stride: Int) {
    forEach { r, v in
      kernel.line(
        ElementAccess.store(name(r, v), to, "\(r * stride + v * lanes)", lanes))
    }
  }
}
