// How products are cut: the tile of a work-group and that of a work-item.

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
}

/// The tiles that lowering chooses from on one device: those that are there untuned, or those that `tune` has found.
package struct TileTable: Hashable, Sendable {
  package init() {}
}
