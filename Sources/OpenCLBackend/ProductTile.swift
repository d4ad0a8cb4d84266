// How products are cut: the tile of a work-group and that of a work-item, per kind of device and of product.

/// Sizes of one kind of product's kernel.
package struct ProductTile: Hashable, Sendable {
  /// Rows and columns of the result that a work-group computes.
  package var rows: Int
  package var columns: Int
  /// Terms of the sums that are in local memory at one time.
  package var depth: Int
  /// Rows and columns that a work-item holds in registers.
  package var itemRows: Int
  package var itemColumns: Int
  package init(rows: Int, columns: Int, depth: Int, itemRows: Int, itemColumns: Int) {
    self.rows = rows
    self.columns = columns
    self.depth = depth
    self.itemRows = itemRows
    self.itemColumns = itemColumns
  }

  /// Work-items of a group that share the tile, where they run at the same time.
  var items: Int { (rows / itemRows) * (columns / itemColumns) }

  /// Whether a device can run a kernel of this tile.
  package func fits(_ traits: DeviceTraits) -> Bool {
    guard rows > 0, columns > 0, depth > 0, itemRows > 0, itemColumns > 0,
      rows % itemRows == 0, columns % itemColumns == 0
    else { return false }
    if traits.runsItemsInTurn {
      // Both operands' blocks and the sums.
      let floats = rows * depth + columns * depth + rows * columns
      return itemColumns % traits.vectorWidth == 0 && depth % 16 == 0
        && 4 * floats <= traits.localBytes
    }
    return items <= traits.groupLimit && itemColumns % Self.groupVector == 0
      && 4 * depth * (rows + Self.rowPadding + columns) <= traits.localBytes
  }

  /// Neighbouring columns that an item of a group of many holds as one vector.
  static let groupVector = 4
  /// Words between the rows' blocks in local memory, against conflicts of banks.
  static let rowPadding = 4
}

/// What tiles are looked up by: products of one class have the same best tile, more or less.
package enum ProductClass: String, Hashable, Sendable, CaseIterable {
  /// Sizes beyond 96 each way with many terms; and the same of patches of images.
  case large, largePatches = "large-patches"
  /// One side at most 96.
  case narrow, narrowPatches = "narrow-patches"
  /// Too few tiles for a large device's groups.
  case small, smallPatches = "small-patches"
  /// The products at the points of Winograd's form.
  case winograd

  init(rows: Int, columns: Int, batch: Int, patches: Bool) {
    if min(rows, columns) <= 96 {
      self = patches ? .narrowPatches : .narrow
    } else if rows * columns * batch < 128 * 128 * 64 {
      self = patches ? .smallPatches : .small
    } else {
      self = patches ? .largePatches : .large
    }
  }
}

/// The tiles that lowering chooses from on one device: those that are there untuned, or those that `tune` has found.
package struct TileTable: Hashable, Sendable {
  /// In the order of the classes; those that are not there have the defaults.
  private var tiles: [ProductClass: ProductTile] = [:]

  package init() {}

  package subscript(key: ProductClass) -> ProductTile? {
    get { tiles[key] }
    set { tiles[key] = newValue }
  }

  /// What is used where nothing has been tuned.
  package static func defaults(for traits: DeviceTraits) -> TileTable {
    var table = TileTable()
    for key in ProductClass.allCases {
      table[key] = candidates(for: key, traits).first
    }
    return table
  }

  /// The tile of a class; a tile that the device cannot run is never chosen.
  func tile(_ key: ProductClass, _ traits: DeviceTraits) -> ProductTile {
    if let tile = tiles[key], tile.fits(traits) { return tile }
    return Self.candidates(for: key, traits).first ?? Self.least(traits)
  }

  /// What is tried for a class, the best guess first; all fit.
  package static func candidates(
    for key: ProductClass, _ traits: DeviceTraits
  ) -> [ProductTile] {
    let all =
      traits.runsItemsInTurn
      ? turnCandidates(2 * traits.vectorWidth) : groupCandidates(key)
    return all.filter { $0.fits(traits) }
  }

  /// The same for every class: items in turn have no occupancy to weigh against the size of a tile.
  private static func turnCandidates(_ wide: Int) -> [ProductTile] {
    // 24 sums of two vectors fill the registers of AVX-512, 12 those of AVX2.
    let high = wide >= 32 ? 12 : 6
    func tile(_ rows: Int, _ columns: Int, _ depth: Int) -> ProductTile {
      ProductTile(
        rows: rows * high, columns: columns * wide, depth: depth, itemRows: high,
        itemColumns: wide)
    }
    return [
      tile(16, 4, 256), tile(8, 4, 256), tile(8, 4, 128), tile(4, 2, 128), tile(2, 2, 64),
    ]
  }

  private static func groupCandidates(_ key: ProductClass) -> [ProductTile] {
    let wide = ProductTile(rows: 128, columns: 128, depth: 8, itemRows: 8, itemColumns: 8)
    let middle = ProductTile(rows: 64, columns: 64, depth: 16, itemRows: 4, itemColumns: 4)
    let high = ProductTile(rows: 128, columns: 64, depth: 8, itemRows: 8, itemColumns: 4)
    let low = ProductTile(rows: 32, columns: 32, depth: 16, itemRows: 2, itemColumns: 4)
    let few = ProductTile(rows: 32, columns: 32, depth: 8, itemRows: 4, itemColumns: 4)
    switch key {
    case .large, .largePatches, .winograd: return [wide, high, middle, low, few]
    case .narrow, .narrowPatches, .small, .smallPatches: return [middle, low, high, wide, few]
    }
  }

  /// Fits wherever OpenCL 1.2 runs.
  private static func least(_ traits: DeviceTraits) -> ProductTile {
    traits.runsItemsInTurn
      ? ProductTile(
        rows: 4, columns: traits.vectorWidth, depth: 16, itemRows: 4,
        itemColumns: traits.vectorWidth)
      : ProductTile(rows: 4, columns: 4, depth: 8, itemRows: 4, itemColumns: 4)
  }

  // MARK: Text

  /// One line a class: `KEY rows columns depth itemRows itemColumns`.
  package var text: String {
    ProductClass.allCases.compactMap { key in
      tiles[key].map {
        "\(key.rawValue) \($0.rows) \($0.columns) \($0.depth) \($0.itemRows) \($0.itemColumns)\n"
      }
    }.joined()
  }

  /// nil where a line is not one that `text` writes.
  package init?(text: String) {
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      let numbers = words.dropFirst().compactMap { Int($0) }
      guard words.count == 6, numbers.count == 5,
        let key = ProductClass(rawValue: String(words[0])),
        numbers.allSatisfy({ $0 > 0 && $0 <= 4096 })
      else { return nil }
      tiles[key] = ProductTile(
        rows: numbers[0], columns: numbers[1], depth: numbers[2], itemRows: numbers[3],
        itemColumns: numbers[4])
    }
  }
}
