// Products of matrices on a device, whatever their operands are: chooses the form of the kernel, the tile and the parts
// that long sums are cut into, and launches. Sizes alone decide, with the device's traits and tiles.

import Basics
import GraphIR
import Operators

/// C[m, n] = Σ k  A(m, k) · B(k, n), for each matrix of a batch.
struct Product {
  var a: ProductOperand
  var b: ProductOperand
  var batch = 1
  var target = ProductTarget.rows
  /// Where the sizes do not tell which tile is best.
  var knownClass: ProductClass?

  var rows: Int { a.outer }
  var columns: Int { b.outer }
  var depth: Int { a.depth }
  /// Elements of the result that come from this product; more than these where rows stand apart.
  var count: Int { batch * rows * columns }

  var productClass: ProductClass {
    knownClass
      ?? ProductClass(rows: rows, columns: columns, batch: batch, patches: a.isPatches)
  }

  /// The same with rows and columns exchanged; right where either is one.
  var exchanged: Product {
    var product = self
    (product.a, product.b) = (b, a)
    return product
  }

  /// Strides along indices of one element mean nothing; they are set so that the others show their neighbours.
  func normalised() -> Product {
    var product = self
    product.a = a.normalised
    product.b = b.normalised
    return product
  }
}

extension ProductOperand {
  fileprivate var normalised: ProductOperand {
    guard case .matrix(let outerStride, let depthStride) = layout else { return self }
    var operand = self
    if depth == 1, outer > 1 {
      operand.layout = .matrix(outer: outerStride, depth: 0)
    } else if outer == 1 {
      operand.layout = .matrix(outer: 0, depth: depthStride)
    }
    return operand
  }
}

/// Terms that one part of a cut sum has, and how many parts there are.
struct ProductParts {
  var count: Int
  var depth: Int

  /// As many parts as it takes to have `wanted` groups, of at least `least` terms each.
  init(depth: Int, groups: Int, wanted: Int, least: Int) {
    let most = max(1, depth / least)
    let parts = max(1, min(most, wanted / max(1, groups)))
    let each = (depth + parts - 1) / parts
    // Whole blocks of local memory.
    self.depth = (each + 15) / 16 * 16
    count = (depth + self.depth - 1) / self.depth
  }
}

/// Lowers a product and what follows on it.
func emitProduct(
  _ node: NodeLowering, _ given: Product, _ epilogue: RegionCode?
) {
  var product = given.normalised()
  guard product.count > 0 else { return }
  let isVector = product.rows == 1 || product.columns == 1
  // A matrix times a vector: dot products where the matrix lies along the sums, else sums of rows.
  if isVector, product.target == .rows || product.columns == 1 {
    if product.rows == 1, product.columns > 1, product.b.isDepthInner {
      product = product.exchanged
    }
    if product.columns == 1, product.a.isDepthInner, product.b.hasDotSums {
      return DotProduct(node, product, ProductStore(node, epilogue)).launch()
    }
    if product.columns == 1, product.rows > 1, product.target == .rows {
      product = product.exchanged
    }
  }
  let store = ProductStore(node, epilogue)
  if node.traits.runsItemsInTurn {
    TurnProduct(node, product).launch(store)
  } else {
    GroupProduct(node, product).launch(store)
  }
}

extension ProductOperand {
  /// Whether the terms of the one column are neighbours in memory, at least those of a tap.
  fileprivate var hasDotSums: Bool {
    switch layout {
    case .matrix(_, let depthStride): depthStride == 1
    case .taps(let taps): taps.channelStride == 1
    case .patches: false
    }
  }
}

// MARK: Parts

/// Launches a product whole, or in parts whose sums a second kernel adds in their order.
func launchParts(
  _ node: NodeLowering, _ product: Product, _ parts: ProductParts, _ store: ProductStore,
  _ launch: (_ store: ProductStore, _ parts: ProductParts) -> Void
) {
  guard parts.count > 1 else { return launch(store, parts) }
  let partial = node.temporary(.f32([parts.count, product.count]))
  launch(ProductStore(node.with(node.operation, node.operands, [partial]), nil), parts)
  // Parts lie densely; a target whose rows stand apart is reached by the sum.
  emitPartSum(node, partial, parts.count, product, store)
}

/// result = Σ over parts, in order, and the epilogue.
private func emitPartSum(
  _ node: NodeLowering, _ partial: DeviceTensor, _ parts: Int, _ product: Product,
  _ store: ProductStore
) {
  let columns = product.columns
  let count = product.count
  let dense = product.target.isDense
  let width = store.width(upTo: node.traits.vectorWidth, count: dense ? count : columns)
  var kernel = node.itemKernel("part_sum", count: count / width)
  let from = kernel.input(partial)
  let type = cType(.f32, width)
  kernel.line("const uint place = i * \(width)u;")
  kernel.line("\(type) sum = \(ElementAccess.vector(from, "place", width));")
  kernel.block("for (uint part = 1; part < \(parts)u; part++)") { kernel in
    kernel.line("sum += \(ElementAccess.vector(from, "part * \(count)u + place", width));")
  }
  var flat = "place"
  if !dense {
    let start = product.target.start(
      "place / \(columns)u", batch: nil, rows: product.rows, columns: columns)
    kernel.line("const uint flat = \(start) + place % \(columns)u;")
    flat = "flat"
  }
  store.write(
    into: &kernel, "sum", at: ElementPlace(flat: flat, column: nil), width: width)
  node.each(count / width, kernel)
}
