// Memory for what kernels are given: argument structs, tables of sizes and indices. Written while a plan is
// bound, read by every step, freed with the executable.

import GraphIR
import KernelTable

/// Owns what it hands out. Not for tensors.
final class BindMemory {
  private var blocks: [UnsafeMutableRawPointer] = []

  deinit { for block in blocks { block.deallocate() } }

  /// A copy of a value that stays where it is. Only for trivial types.
  func store<T>(_ value: T) -> UnsafeMutablePointer<T> {
    let pointer = allocate(T.self, 1)
    pointer.initialize(to: value)
    return pointer
  }

  /// A copy of an array. Only for trivial types; never null, so that an empty table has an address.
  func store<T>(array: [T]) -> UnsafeMutablePointer<T> {
    let pointer = allocate(T.self, max(array.count, 1))
    for (index, element) in array.enumerated() { (pointer + index).initialize(to: element) }
    return pointer
  }

  private func allocate<T>(_ type: T.Type, _ count: Int) -> UnsafeMutablePointer<T> {
    let bytes = MemoryLayout<T>.stride * count
    let block = UnsafeMutableRawPointer.allocate(
      byteCount: bytes, alignment: max(64, MemoryLayout<T>.alignment))
    blocks.append(block)
    return block.bindMemory(to: T.self, capacity: count)
  }
}

/// Memory that each thread has for itself while it runs a launch: `stride` bytes from `base`, or none.
struct ThreadScratch {
  var base: UnsafeMutableRawPointer?
  var stride: Int
}

/// A kernel with everything resolved. Trivial, so that the step's loop touches no reference counts.
struct Launch {
  var kernel: Kernel
  var arguments: UnsafeRawPointer
  var scratch: ThreadScratch
  var shares: Int
  /// The node it belongs to; −1 for the end of the step.
  var node: Int32
  /// Index of the kernel's name among those of the executable.
  var name: Int32
  /// Whether its results stay right until a state changes.
  var isPreparation: Bool
  /// Whether it brings an operand into the form that a kernel of the node wants.
  var isPacking: Bool
}

/// A tensor as a binder sees it.
struct BoundTensor {
  var pointer: UnsafeMutableRawPointer
  var type: TensorType
  /// The value of a constant that has one value for all elements.
  var splat: Double?
  /// True where the memory holds one element for all.
  var isOneElement = false
  /// The same for all views of one value of the graph; nil for temporaries.
  var identity: Int?

  var floats: UnsafeMutablePointer<Float> { pointer.assumingMemoryBound(to: Float.self) }
  var integers: UnsafeMutablePointer<Int32> { pointer.assumingMemoryBound(to: Int32.self) }
  var shape: [Int] { type.shape }
  var count: Int { type.count }
}
