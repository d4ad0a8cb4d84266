// What the parser accepts at most. Each limit is a diagnostic, never a trap.

package enum Limits {
  /// A file's size in bytes.
  package static let fileSize = 4 << 20
  /// How deep brackets, bodies, unary operators and operator chains may nest, taken together. It is also
  /// the height of any expression's tree, so that whoever walks it may recurse. A chain of `|>` counts
  /// once, however long it is.
  package static let nesting = 200
  /// Errors shown in one run.
  package static let errors = 50
  /// Characters of one number.
  package static let numeral = 400
}
