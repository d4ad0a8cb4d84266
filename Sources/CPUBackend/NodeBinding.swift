// What a binder is given: the operands and results of one node as pointers, and where to put launches, argument
// structs and temporaries. What comes out are launches.

import Basics
import GraphIR
import KernelTable
import Planning

/// Binds one plan. Nodes ask for temporaries, which are theirs alone, and for packed right operands, which other nodes may
/// read too (a discriminator's weights, for real and for generated images); those of lasting values stay until a state
/// changes. A first pass over the plan notes what is asked for (`requests`), with addresses that are never used; the plan
/// then finds a place for it all, and a second pass, which asks for the same in the same order, binds for good.
final class BindContext {
  let table: KernelTable
  let memory: BindMemory
  let threads: Int
  /// The start of the arena.
  private let base: UnsafeMutableRawPointer
  private(set) var requests: WorkspaceRequests
  /// Values that change only when a state does; what is packed of them is made once and kept.
  private let lasting: BitSet
  private var isPreparing = false
  private var isPacking = false
  /// Packed operands that are there already. For lookup only.
  private var sharedPacks: [PackKey: UnsafeMutablePointer<Float>] = [:]
  private(set) var launches: [Launch] = []
  private(set) var kernelNames: [String] = []
  /// The node that is being bound.
  var node: Int32 = -1
  /// A kernel that was asked for and that the table does not have.
  private(set) var missingKernel: String?
  private static let unfilled = unsafeBitCast(KernelTable().region, to: Int.self)

  init(
    _ table: KernelTable, _ memory: BindMemory, threads: Int, lasting: BitSet,
    base: UnsafeMutableRawPointer, requests: WorkspaceRequests
  ) {
    self.lasting = lasting
    self.table = table
    self.memory = memory
    self.threads = threads
    self.base = base
    self.requests = requests
  }

  /// Goes on to the next position of the order.
  func startNode(_ index: Int32) {
    node = index
    requests.startNode()
  }

  /// A temporary until the end of the node.
  func temporary(bytes: Int) -> UnsafeMutableRawPointer { base + requests.temporary(bytes: bytes) }

  func temporary(floats count: Int) -> UnsafeMutablePointer<Float> {
    temporary(bytes: count * 4).assumingMemoryBound(to: Float.self)
  }

  /// Whether what is packed of an operand is kept between runs.
  func isLasting(_ operand: BoundTensor) -> Bool {
    operand.identity.map { lasting.contains($0) } ?? false
  }

  /// A packed operand of so many floats: made by `pack`, or by an earlier node that packed the same value in the same
  /// way. Values never change, so a packed one stays right for the whole step, and one of a lasting value until a state
  /// changes.
  func packed(_ key: PackKey, floats: Int, pack: (UnsafeMutablePointer<Float>) -> Void)
    -> UnsafeMutablePointer<Float>
  {
    if let known = sharedPacks[key] {
      requests.readAgain(key)
      return known
    }
    isPacking = true
    defer { isPacking = false }
    guard let identity = key.identity else {
      let target = temporary(floats: floats)
      pack(target)
      return target
    }
    let lasts = lasting.contains(identity)
    let offset = requests.pack(key, bytes: floats * 4, lasts: lasts)
    let target = (base + offset).assumingMemoryBound(to: Float.self)
    sharedPacks[key] = target
    isPreparing = lasts
    pack(target)
    isPreparing = false
    return target
  }

  func temporary(_ type: TensorType) -> BoundTensor {
    BoundTensor(pointer: temporary(bytes: type.byteCount), type: type)
  }

  /// Appends a launch. `tasks` is the largest useful number of shares; more than a few for each thread cost more to
  /// hand out than they even out.
  func launch<T>(
    _ name: String, _ kernel: Kernel, _ arguments: T, tasks: Int, scratch: Int = 0
  ) {
    launch(name, kernel, stored: memory.store(arguments), tasks: tasks, scratch: scratch)
  }

  func launch<T>(
    _ name: String, _ kernel: Kernel, stored: UnsafeMutablePointer<T>, tasks: Int,
    scratch: Int = 0
  ) {
    if unsafeBitCast(kernel, to: Int.self) == BindContext.unfilled, missingKernel == nil {
      missingKernel = name
    }
    let shares = threads == 1 ? 1 : max(1, min(tasks, threads * 4))
    let index = kernelNames.firstIndex(of: name) ?? kernelNames.count
    if index == kernelNames.count { kernelNames.append(name) }
    launches.append(
      Launch(
        kernel: kernel, arguments: UnsafeRawPointer(stored), scratch: threadScratch(scratch),
        shares: shares, node: node, name: Int32(index), isPreparation: isPreparing,
        isPacking: isPacking))
  }

  /// Bytes of scratch that are worth keeping in a core's own cache from kernel to kernel. What is larger does not fit
  /// there anyway.
  private static let cachedScratch = 512 << 10

  /// So many bytes for each thread. The parts do not start at equal places of a page, so that threads do not compete for
  /// cache sets.
  private func threadScratch(_ bytes: Int) -> ThreadScratch {
    guard bytes > 0 else { return ThreadScratch(base: nil, stride: 0) }
    var stride = aligned(bytes) + 256
    if stride % 4096 == 0 { stride += 256 }
    let offset = requests.scratch(
      bytes: stride * threads, isCommon: bytes <= BindContext.cachedScratch)
    return ThreadScratch(base: base + offset, stride: stride)
  }
}

/// What is packed, and how: equal keys give equal bytes.
struct PackKey: Hashable {
  /// Of the tensor; nil for temporaries, which are never shared.
  var identity: Int?
  var kernel: String
  /// All numbers that the layout may depend on.
  var layout: [Int]
}

/// One node to bind.
struct NodeBinding {
  let context: BindContext
  let operation: any Operation
  let operands: [BoundTensor]
  let results: [BoundTensor]

  var table: KernelTable { context.table }
  var memory: BindMemory { context.memory }

  /// The same node with another operation, operands or results: the root of a fused node.
  func with(
    _ operation: any Operation, _ operands: [BoundTensor], _ results: [BoundTensor]
  ) -> NodeBinding {
    NodeBinding(context: context, operation: operation, operands: operands, results: results)
  }

  /// Thrown where no kernel can run the operation on these types.
  func unsupported(_ reason: String) -> EnvironmentFailure {
    let types = operands.map { $0.type.description }.joined(separator: ", ")
    return EnvironmentFailure(
      "the CPU backend has no kernel for \(operation.mnemonic)(\(types)): \(reason)")
  }

  /// Throws unless every operand and result has 4-byte elements, which is all that vector kernels know.
  func expectLanes() throws(EnvironmentFailure) {
    for tensor in operands + results where tensor.type.element.byteCount != 4 {
      throw unsupported("only element-wise operations on scalars take f64")
    }
  }
}

/// Binds one kind of operation: checks nothing that type inference has checked, appends launches.
typealias Binder = @Sendable (_ node: NodeBinding) throws(EnvironmentFailure) -> Void
