// Products for devices whose groups' items run at the same time: the items copy a block of each operand to local memory, wait
// for each other, and each adds its share of the tile in registers.

import Basics
import GraphIR

struct GroupProduct {
  private let node: NodeLowering
  private let product: Product
  private let tile: ProductTile
  private let parts: ProductParts

  private static let lanes = ProductTile.groupVector
  private var itemsAcross: Int { tile.columns / tile.itemColumns }
  private var vectors: Int { tile.itemColumns / Self.lanes }
  /// Words of a term's rows in local memory.
  private var rowStride: Int { tile.rows + ProductTile.rowPadding }

  init(_ node: NodeLowering, _ product: Product) {
    self.node = node
    self.product = product
    let tile = node.tiles.tile(product.productClass, node.traits)
    self.tile = tile
    let groups =
      product.batch * ((product.rows + tile.rows - 1) / tile.rows)
      * ((product.columns + tile.columns - 1) / tile.columns)
    parts = ProductParts(depth: product.depth, groups: groups, wanted: 256, least: 128)
  }

  func launch(_ store: ProductStore) {
    launchParts(node, product, parts, store) { store, parts in
      let across = (product.columns + tile.columns - 1) / tile.columns
      let down = (product.rows + tile.rows - 1) / tile.rows
      node.launch(
        kernel(store, parts),
        global: [across * down * product.batch * parts.count * tile.items], local: [tile.items])
    }
  }

  // MARK: Text

  private func kernel(_ store: ProductStore, _ parts: ProductParts) -> KernelText {
    var kernel = KernelText("product")
    kernel.line("__local float block_a[\(tile.depth * rowStride)];")
    kernel.line("__local float block_b[\(tile.depth * tile.columns)];")
    beginGroup(&kernel, product, parts, rows: tile.rows, columns: tile.columns)
    kernel.line("const int item = get_local_id(0);")
    kernel.line("const int my_row = item / \(itemsAcross) * \(tile.itemRows);")
    kernel.line("const int my_column = item % \(itemsAcross) * \(Self.lanes);")
    func pointer(_ name: String, _ operand: ProductOperand) {
      let offset = operand.batchStride == 0 ? "" : " + batch * \(operand.batchStride)u"
      kernel.line("__global const float *\(name) = \(kernel.input(operand.buffer))\(offset);")
    }
    pointer("a", product.a)
    pointer("b", product.b)
    let registers = RegisterTile(rows: tile.itemRows, vectors: vectors, lanes: Self.lanes)
    registers.begin(&kernel, "", stride: 0, isFirst: nil)
    kernel.block("for (uint k0 = first; k0 < last; k0 += \(tile.depth)u)") { kernel in
      kernel.line("const int terms = (int)min(\(tile.depth)u, last - k0);")
      fill(&kernel, "a", product.a, tile.rows, "rows", "row0", rowStride)
      fill(&kernel, "b", product.b, tile.columns, "columns", "col0", tile.columns)
      kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
      kernel.block("for (int k = 0; k < \(tile.depth); k++)") { kernel in
        registers.step(
          &kernel, a: { "block_a[k * \(rowStride) + my_row + \($0)]" },
          b: {
            ElementAccess.vector(
              "block_b", "k * \(tile.columns) + my_column + \(columnOffset($0))", Self.lanes)
          })
      }
      kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
    }
    finish(&kernel, registers, store, parts)
    return kernel
  }

  /// Vectors of an item stand as far apart as those of all items of a row together.
  private func columnOffset(_ vector: Int) -> Int { vector * itemsAcross * Self.lanes }

  /// block[depth][outer]: the items take elements in the order in which they lie in memory; zero outside.
  private func fill(
    _ kernel: inout KernelText, _ name: String, _ operand: ProductOperand, _ size: Int,
    _ limit: String, _ origin: String, _ stride: Int
  ) {
    let isDepthInner = operand.isDepthInner
    let inner = isDepthInner ? tile.depth : size
    kernel.block("for (int e = item; e < \(size * tile.depth); e += \(tile.items))") { kernel in
      let (high, low) = ("e / \(inner)", "e % \(inner)")
      kernel.line("const int k = \(isDepthInner ? low : high);")
      kernel.line("const int o = \(isDepthInner ? high : low);")
      kernel.lines(operand.outerSetup("\(origin) + (uint)o", name))
      kernel.lines(operand.depthSetup("k0 + (uint)k", name))
      let inside = "o < \(limit) && k < terms" + (operand.condition(name).map { " && \($0)" } ?? "")
      let value = "\(name)[\(operand.address(name))]"
      kernel.line("block_\(name)[k * \(stride) + o] = \(inside) ? \(value) : 0.0f;")
    }
  }

  private func finish(
    _ kernel: inout KernelText, _ registers: RegisterTile, _ store: ProductStore,
    _ parts: ProductParts
  ) {
    let width = store.width(upTo: Self.lanes, count: product.columns)
    kernel.line("float finished[\(tile.itemRows * tile.itemColumns)];")
    registers.end(&kernel, "finished", stride: tile.itemColumns)
    kernel.block("for (int r = 0; r < \(tile.itemRows) && my_row + r < rows; r++)") { kernel in
      let start = startOfRow("row0 + (uint)(my_row + r)", product, parts)
      kernel.line("const uint start = \(start);")
      kernel.block("for (int c = 0; c < \(tile.itemColumns); c += \(width))") { kernel in
        let vector = "c / \(Self.lanes) * \(itemsAcross * Self.lanes) + c % \(Self.lanes)"
        kernel.line("const int column = my_column + \(vector);")
        kernel.block("if (column < columns)") { kernel in
          store.write(
            into: &kernel, of: "finished", at: "r * \(tile.itemColumns) + c", column: "column",
            columns: product.columns, width: width)
        }
      }
    }
  }
}
