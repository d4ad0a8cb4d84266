// A matrix times a vector where both lie along the sums: each row is a dot product. One item a group takes several rows, in
// vectors; groups of many items take a row's terms in turn and add them in a tree.

import Basics
import GraphIR

struct DotProduct {
  private let node: NodeLowering
  private let product: Product
  private let store: ProductStore

  init(_ node: NodeLowering, _ product: Product, _ store: ProductStore) {
    self.node = node
    self.product = product
    self.store = store
  }

  func launch() {
    if node.traits.runsItemsInTurn { launchInTurn() } else { launchGroups() }
  }

  private func begin(_ family: String, rows: Int) -> KernelText {
    var kernel = KernelText(family)
    // All groups along the first dimension, because drivers limit the others.
    let groups = (product.rows + rows - 1) / rows
    kernel.line("const uint group = get_group_id(0)\(product.batch > 1 ? " % \(groups)u" : "");")
    if product.batch > 1 { kernel.line("const uint batch = get_group_id(0) / \(groups)u;") }
    func offset(_ operand: ProductOperand) -> String {
      operand.batchStride == 0 ? "" : " + batch * \(operand.batchStride)u"
    }
    let a = kernel.input(product.a.buffer)
    let b = kernel.input(product.b.buffer)
    kernel.line("__global const float *a = \(a)\(offset(product.a));")
    kernel.line("__global const float *b = \(b)\(offset(product.b));")
    return kernel
  }

  private func flat(_ row: String) -> String {
    product.target.start(
      row, batch: product.batch > 1 ? "batch" : nil, rows: product.rows, columns: 1)
  }

  // MARK: One item a group

  private func launchInTurn() {
    let lanes = node.traits.vectorWidth
    let groupRows = max(1, min(64, product.rows * product.batch / 32 / lanes * lanes))
    var kernel = begin("dot", rows: groupRows)
    kernel.line("__local float sums[\(groupRows)];")
    kernel.line("const uint row0 = group * \(groupRows)u;")
    kernel.line("const int rows = (int)min(\(groupRows)u, \(product.rows)u - row0);")
    kernel.block("for (int r = 0; r < rows; r++)") { kernel in
      kernel.lines(product.a.outerSetup("row0 + (uint)r", "a"))
      sumRow(&kernel, lanes)
    }
    finish(&kernel, groupRows, lanes)
    node.launch(
      kernel, global: [(product.rows + groupRows - 1) / groupRows * product.batch], local: [1])
  }

  /// sums[r] = Σ terms, piece by piece of what are neighbours in both operands.
  private func sumRow(_ kernel: inout KernelText, _ lanes: Int) {
    let (a, b) = (product.a, product.b)
    kernel.lines(b.outerSetup("0u", "b"))
    if case .patches(let patches, _) = a.layout {
      let width = divisor(of: patches.channels, lanes)
      let pieces = pieceWidth(patches.channels, width)
      declareSums(&kernel, pieces, width)
      kernel.block("for (uint tap = 0; tap < \(product.depth / patches.channels)u; tap++)") {
        kernel in
        kernel.line("const uint k = tap * \(patches.channels)u;")
        kernel.lines(a.depthSetup("k", "a"))
        kernel.lines(b.depthSetup("k", "b"))
        let condition = a.condition("a")
        kernel.block(condition.map { "if (\($0))" } ?? "") { kernel in
          addRun(&kernel, patches.channels, pieces, width)
        }
      }
      reduceSums(&kernel, pieces, width)
    } else {
      var length = product.depth
      if case .taps(let taps) = b.layout { length = taps.channels }
      let width = divisor(of: length, lanes)
      let pieces = pieceWidth(length, width)
      declareSums(&kernel, pieces, width)
      kernel.block("for (uint k = 0; k < \(product.depth)u; k += \(length)u)") { kernel in
        kernel.lines(a.depthSetup("k", "a"))
        kernel.lines(b.depthSetup("k", "b"))
        addRun(&kernel, length, pieces, width)
      }
      reduceSums(&kernel, pieces, width)
    }
  }

  /// Vectors that are summed apart: up to four.
  private func pieceWidth(_ length: Int, _ width: Int) -> Int { divisor(of: length / width, 4) }

  private func declareSums(_ kernel: inout KernelText, _ pieces: Int, _ width: Int) {
    for piece in 0..<pieces { kernel.line("\(cType(.f32, width)) s_\(piece) = 0.0f;") }
  }

  private func addRun(_ kernel: inout KernelText, _ length: Int, _ pieces: Int, _ width: Int) {
    kernel.line("__global const float *pa = a + \(product.a.address("a"));")
    kernel.line("__global const float *pb = b + \(product.b.address("b"));")
    kernel.block("for (int e = 0; e < \(length); e += \(pieces * width))") { kernel in
      for piece in 0..<pieces {
        let (x, y) = (
          ElementAccess.vector("pa", "e + \(piece * width)", width),
          ElementAccess.vector("pb", "e + \(piece * width)", width)
        )
        kernel.line("s_\(piece) = fma(\(x), \(y), s_\(piece));")
      }
    }
  }

  private func reduceSums(_ kernel: inout KernelText, _ pieces: Int, _ width: Int) {
    var names = (0..<pieces).map { "s_\($0)" }
    while names.count > 1 {
      names = stride(from: 0, to: names.count, by: 2).map { "(\(names[$0]) + \(names[$0 + 1]))" }
    }
    var last = names[0]
    var lanes = width
    while lanes > 1 {
      kernel.line("const \(cType(.f32, lanes)) w_\(lanes) = \(last);")
      last = "w_\(lanes).lo + w_\(lanes).hi"
      lanes /= 2
    }
    kernel.line("sums[r] = \(last);")
  }

  private func finish(_ kernel: inout KernelText, _ groupRows: Int, _ lanes: Int) {
    let isDense = product.target.isDense
    let limit = isDense && product.rows % lanes == 0 ? divisor(of: groupRows, lanes) : 1
    let width = store.width(upTo: limit, count: product.rows)
    kernel.block("for (int r = 0; r < rows; r += \(width))") { kernel in
      kernel.line("const uint flat = \(flat("(row0 + (uint)r)"));")
      let sum = ElementAccess.vector("sums", "r", width)
      kernel.line("const \(cType(.f32, width)) sum = \(sum);")
      store.write(
        into: &kernel, "sum", at: ElementPlace(flat: "flat", column: nil), width: width)
    }
  }

  // MARK: Many items a group

  private func launchGroups() {
    var items = 64
    while items * 2 <= min(256, node.traits.groupLimit) { items *= 2 }
    items = min(items, node.traits.groupLimit)
    // Few long rows take all items each, many rows a warp's worth.
    var lanes = product.rows * product.batch < 2048 && product.depth > 512 ? items : 32
    while lanes > 1, lanes > items || lanes / 2 >= product.depth { lanes /= 2 }
    let rows = items / lanes
    var kernel = begin("dot", rows: rows)
    kernel.line("__local float sums[\(items)];")
    kernel.line("const uint item = get_local_id(0);")
    kernel.line("const uint lane = item % \(lanes)u;")
    kernel.line("const uint row = group * \(rows)u + item / \(lanes)u;")
    kernel.line("float sum_here = 0.0f;")
    kernel.block("if (row < \(product.rows)u)") { kernel in
      kernel.lines(product.a.outerSetup("row", "a"))
      kernel.lines(product.b.outerSetup("0u", "b"))
      kernel.block("for (uint k = lane; k < \(product.depth)u; k += \(lanes)u)") { kernel in
        kernel.lines(product.a.depthSetup("k", "a"))
        kernel.lines(product.b.depthSetup("k", "b"))
        kernel.line("const float value = \(product.a.load("a", "a", width: 1));")
        let other = product.b.load("b", "b", width: 1)
        kernel.line("sum_here = fma(value, \(other), sum_here);")
      }
    }
    kernel.line("sums[item] = sum_here;")
    kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
    kernel.block("for (uint half_lanes = \(lanes / 2)u; half_lanes > 0; half_lanes /= 2)") {
      kernel in
      kernel.line("if (lane < half_lanes) sums[item] += sums[item + half_lanes];")
      kernel.line("barrier(CLK_LOCAL_MEM_FENCE);")
    }
    kernel.block("if (lane == 0u && row < \(product.rows)u)") { kernel in
      kernel.line("const uint flat = \(flat("row"));")
      kernel.line("const float sum = sums[item];")
      store.write(into: &kernel, "sum", at: ElementPlace(flat: "flat", column: nil), width: 1)
    }
    let groups = (product.rows + rows - 1) / rows
    node.launch(kernel, global: [groups * product.batch * items], local: [items])
  }
}
