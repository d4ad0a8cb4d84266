// Arguments of the kernels that move 4-byte elements about: copies, fills, gathers, rows by index.

/// Elements of a tensor of these sizes.
@inline(never)
private func elementCount(_ sizes: UnsafePointer<Int>?, rank: Int) -> Int {
  var count = 1
  var axis = 0
  while axis < rank {
    count *= sizes![axis]
    axis += 1
  }
  return count
}

/// destination[Σ iₐ·destinationStrides[a]] = source[Σ iₐ·sourceStrides[a]] for all i in `sizes`;
/// strides in elements, also 0 (broadcast) or negative in the source. Transpose, concat (one copy
/// an operand), slice, the inside of a pad, broadcast and tile are all this. rank ≤ 8, 0 for one
/// element. No scratch.
package struct CopyArguments {
  package var source: UnsafeRawPointer?
  package var destination: UnsafeMutableRawPointer?
  package var rank = 0
  package var sizes: UnsafePointer<Int>?
  package var sourceStrides: UnsafePointer<Int>?
  package var destinationStrides: UnsafePointer<Int>?
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int {
    (elementCount(sizes, rank: rank) + 4095) / 4096
  }
}

/// destination[0..<count] = word. No scratch.
package struct FillArguments {
  package var destination: UnsafeMutableRawPointer?
  package var count = 0
  /// The bits of one element: f32 or i32.
  package var word: UInt32 = 0
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int { (count + 16383) / 16384 }
}

/// destination[i₀, i₁, …] (dense) = source[Σ tables[a][iₐ]·sourceStrides[a]]: one table of source
/// indices an axis, nil for the identity. Reflect and edge padding. rank ≤ 8. No scratch.
package struct GatherArguments {
  package var source: UnsafeRawPointer?
  package var destination: UnsafeMutableRawPointer?
  package var rank = 0
  /// Of the destination.
  package var sizes: UnsafePointer<Int>?
  package var tables: UnsafePointer<UnsafePointer<Int32>?>?
  package var sourceStrides: UnsafePointer<Int>?
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int {
    (elementCount(sizes, rank: rank) + 4095) / 4096
  }
}

/// The adjoint of `gather` (f32): destination[i₀, …] (dense) = Σ source[Σ jₐ·sourceStrides[a]] over
/// all j with jₐ ∈ lists[a][starts[a][iₐ] ..< starts[a][iₐ + 1]]: the indices whose table entry was
/// iₐ, ascending. starts[a] nil stands for the identity. The sum runs in row-major order of j. rank
/// ≤ 8. No scratch.
package struct GatherAdjointArguments {
  package var source: UnsafePointer<Float>?
  package var destination: UnsafeMutablePointer<Float>?
  package var rank = 0
  /// Of the destination.
  package var sizes: UnsafePointer<Int>?
  package var starts: UnsafePointer<UnsafePointer<Int32>?>?
  package var lists: UnsafePointer<UnsafePointer<Int32>?>?
  package var sourceStrides: UnsafePointer<Int>?
  package init() {}
  /// The largest useful number of shares.
  @inline(never)
  package func tasks() -> Int {
    (elementCount(sizes, rank: rank) + 1023) / 1024
  }
}

/// Rows by index. No scratch.
/// - `gatherRows`: rows[i, :] = table[ids[i], :], zeros where the index is out of range.
/// - `scatterAddRows`: table[t, :] = Σ rows[i, :] over i with ids[i] = t, ascending; others are
///   ignored. The whole table is written.
/// - `oneHot`: rows[i, c] = (ids[i] = c) as f32, width = classes; `table` is not used.
package struct RowsArguments {
  package var table: UnsafeMutablePointer<Float>?
  package var ids: UnsafePointer<Int32>?
  package var rows: UnsafeMutablePointer<Float>?
  package var idCount = 0
  package var tableRows = 0
  package var width = 0
  package init() {}
  /// The largest useful number of shares of `gatherRows` and `oneHot`.
  @inline(never)
  package func tasks() -> Int { (idCount * width + 1023) / 1024 }
  /// The largest useful number of shares of `scatterAddRows`.
  @inline(never)
  package func scatterTasks() -> Int { tableRows < 64 ? tableRows : 64 }
}

/// destination[i] = start + i·step, as i32. No scratch; one share is enough.
package struct IotaArguments {
  package var destination: UnsafeMutablePointer<Int32>?
  package var count = 0
  package var start: Int32 = 0
  package var step: Int32 = 1
  package init() {}
}
