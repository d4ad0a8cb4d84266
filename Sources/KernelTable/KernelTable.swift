// The interface of the vector kernels: one struct of function pointers, filled by a kernel module
// that was compiled for one instruction set. Nothing here is generic or inlinable, so that no code
// of a newer instruction set can be linked in place of the baseline's; only pointers and plain
// values cross over.

/// A launch runs a kernel `count` times, with `index` 0..<count, in any order or at once on any
/// threads; each call does its share. Shares split the outputs at places that the shapes alone fix,
/// so results have the same bits for every `count`. `arguments` points to the argument struct that
/// the table names; `scratch` to memory of the share's own, at least as large as the argument's
/// `scratchBytes` (64-byte aligned; nil where that is 0). More shares than `tasks` are allowed and
/// do nothing.
package typealias Kernel =
  @convention(c) (
    _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
  ) -> Void

/// The register tile of the matrix kernels: packed layouts and the division into tasks depend on
/// it.
package struct GemmUnit {
  package var rows: Int
  package var columns: Int
  package init(rows: Int, columns: Int) {
    self.rows = rows
    self.columns = columns
  }
}

/// What a table holds where nothing has been filled in.
package func unfilledKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {}

/// All kernels of one instruction set. Each kernel module exposes
/// `fillKernelTable(_ table: UnsafeMutablePointer<KernelTable>)`.
package struct KernelTable {
  /// Lanes of f32 in one vector: 4, 8 or 16.
  package var vectorWidth = 0
  /// Rows of the register tile.
  package var gemmRows = 0
  /// Columns of the register tile: the width of a packed panel.
  package var gemmColumns = 0
  /// Independent vectors that a round of `multiplyAdd` advances.
  package var multiplyAddChains = 0
  package var unit: GemmUnit { GemmUnit(rows: gemmRows, columns: gemmColumns) }

  // Element-wise regions. RegionArguments, RegionsArguments.
  package var region: Kernel = unfilledKernel
  package var regions: Kernel = unfilledKernel

  // Matrices. PackArguments, then MatmulArguments.
  package var pack: Kernel = unfilledKernel
  package var matmul: Kernel = unfilledKernel

  // Convolutions. ConvolutionArguments each.
  package var packFilter: Kernel = unfilledKernel
  package var convolution: Kernel = unfilledKernel
  package var packFilterTransposed: Kernel = unfilledKernel
  package var convolutionInputGradient: Kernel = unfilledKernel
  package var convolutionFilterGradient: Kernel = unfilledKernel
  package var convolutionFilterGradientCombine: Kernel = unfilledKernel

  // The end of convolutions to few channels. CollectArguments.
  package var collect: Kernel = unfilledKernel

  // Convolutions in Winograd's form. WinogradArguments each.
  package var winogradFilter: Kernel = unfilledKernel
  package var winogradConvolution: Kernel = unfilledKernel
  package var winogradAdjoint: Kernel = unfilledKernel
  package var winogradFilterGradient: Kernel = unfilledKernel
  package var winogradFilterGradientCombine: Kernel = unfilledKernel

  // Reductions. ReduceArguments (both), MomentsArguments (both), ArgmaxArguments, SoftmaxArguments.
  package var reduce: Kernel = unfilledKernel
  package var reduceCombine: Kernel = unfilledKernel
  package var moments: Kernel = unfilledKernel
  package var momentsCombine: Kernel = unfilledKernel
  package var argmax: Kernel = unfilledKernel
  package var softmax: Kernel = unfilledKernel

  // Data movement. CopyArguments, FillArguments, GatherArguments, GatherAdjointArguments,
  // RowsArguments (three), IotaArguments.
  package var copy: Kernel = unfilledKernel
  package var fill: Kernel = unfilledKernel
  package var gather: Kernel = unfilledKernel
  package var gatherAdjoint: Kernel = unfilledKernel
  package var gatherRows: Kernel = unfilledKernel
  package var scatterAddRows: Kernel = unfilledKernel
  package var oneHot: Kernel = unfilledKernel
  package var iota: Kernel = unfilledKernel

  // Images. ScaleArguments (four), PoolArguments (five).
  package var upsampleNearest: Kernel = unfilledKernel
  package var blockSum: Kernel = unfilledKernel
  package var upsampleBilinear: Kernel = unfilledKernel
  package var upsampleBilinearAdjoint: Kernel = unfilledKernel
  package var maxPool: Kernel = unfilledKernel
  package var maxPoolGradient: Kernel = unfilledKernel
  package var maxPoolGather: Kernel = unfilledKernel
  package var averagePool: Kernel = unfilledKernel
  package var averagePoolGradient: Kernel = unfilledKernel

  // The machine's limits. MultiplyAddArguments, TriadArguments.
  package var multiplyAdd: Kernel = unfilledKernel
  package var triad: Kernel = unfilledKernel

  package init() {}
}
