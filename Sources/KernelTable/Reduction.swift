// Arguments of the reductions, moments, argmax and softmax.

package enum ReduceOperation { case sum, maximum, minimum }

/// output[o, i] = scale · ⊕ᵣ input[o, r, i] for a tensor viewed as [outer, reduce, inner] (scale
/// only for f32 sums; 1/n makes a mean). NaN propagates through maximum and minimum. No scratch.
///
/// Where `splits` is above 1, `reduce` fills `partial` and `reduceCombine` with the same arguments
/// must follow.
package struct ReduceArguments {
  package var input: UnsafeRawPointer?
  package var output: UnsafeMutableRawPointer?
  package var partial: UnsafeMutableRawPointer?
  package var outer = 1
  package var reduce = 1
  package var inner = 1
  package var operation = ReduceOperation.sum
  /// True for i32 (and booleans), false for f32.
  package var isInteger = false
  package var scale: Float = 1
  package init() {}

  /// The chunks of `reduce` that are reduced apart: fixed by the shape.
  @inline(never)
  package func splits() -> Int { reductionSplits(outer: outer, reduce: reduce, inner: inner) }
  /// Elements of `partial` (4 bytes each); 0 where it is not needed.
  @inline(never)
  package func partialCount() -> Int {
    let splits = splits()
    return splits > 1 ? splits * outer * inner : 0
  }
  /// The largest useful number of shares of `reduce`.
  @inline(never)
  package func tasks() -> Int {
    reductionBlocks(outer: outer, inner: inner) * splits()
  }
  /// The largest useful number of shares of `reduceCombine`.
  @inline(never)
  package func combineTasks() -> Int { (outer * inner + 1023) / 1024 }
}

/// Blocks of outputs: one [outer] row of up to 256 [inner] lanes, or 16 outer rows where inner is
/// 1.
@inline(never)
package func reductionBlocks(outer: Int, inner: Int) -> Int {
  inner == 1 ? (outer + 15) / 16 : outer * ((inner + 255) / 256)
}

/// Enough chunks for 32 tasks, of at least 4,096 elements each.
@inline(never)
package func reductionSplits(outer: Int, reduce: Int, inner: Int) -> Int {
  let blocks = reductionBlocks(outer: outer, inner: inner)
  if blocks >= 16 || blocks == 0 { return 1 }
  var splits = 32 / blocks
  let lanes = inner > 256 ? 256 : inner * (inner == 1 ? (outer < 16 ? outer : 16) : 1)
  let most = reduce * lanes / 4096
  if splits > most { splits = most }
  if splits > reduce { splits = reduce }
  return splits < 1 ? 1 : splits
}

/// mean[o, c] = 1/R Σᵣ input[o, r, c] and the biased variance[o, c] = 1/R Σᵣ (input − mean)², in
/// two passes over chunks that stay in cache, combined by Chan's formula in a fixed order. Batch
/// norm: outer 1, rows n·h·w, channels c. Layer norm: outer = rows, rows = c, channels 1. No
/// scratch. `moments` fills `partial`; `momentsCombine` with the same arguments must always follow.
package struct MomentsArguments {
  package var input: UnsafePointer<Float>?
  package var mean: UnsafeMutablePointer<Float>?
  package var variance: UnsafeMutablePointer<Float>?
  package var partial: UnsafeMutablePointer<Float>?
  package var outer = 1
  package var rows = 1
  package var channels = 1
  package init() {}

  /// Chunks of rows: fixed by the shape.
  @inline(never)
  package func chunks() -> Int {
    // 64 KiB of a block of channels, at most.
    let lanes = channels > 64 ? 64 : channels
    var size = 16384 / (lanes < 1 ? 1 : lanes)
    if size < 1 { size = 1 }
    return rows == 0 ? 1 : (rows + size - 1) / size
  }
  /// Elements of `partial`.
  @inline(never)
  package func partialCount() -> Int { 2 * outer * chunks() * channels }
  /// The largest useful number of shares of `moments`.
  @inline(never)
  package func tasks() -> Int { outer * chunks() * ((channels + 63) / 64) }
  /// The largest useful number of shares of `momentsCombine`.
  @inline(never)
  package func combineTasks() -> Int { (outer * channels + 63) / 64 }
}

/// output[o, i] (i32) = the first r at which input[o, r, i] is largest; NaN counts as largest. No
/// scratch.
package struct ArgmaxArguments {
  package var input: UnsafePointer<Float>?
  package var output: UnsafeMutablePointer<Int32>?
  package var outer = 1
  package var reduce = 1
  package var inner = 1
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int { (outer * inner + 63) / 64 }
}

/// output[r, c] = e^x / Σ e^x, or x − log Σ e^x where `logarithm` is set, over each row. May work
/// in place. No scratch.
package struct SoftmaxArguments {
  package var input: UnsafePointer<Float>?
  package var output: UnsafeMutablePointer<Float>?
  package var rows = 1
  package var columns = 1
  package var logarithm = false
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int { rows }
}
