// What a binder is given: the operands and results of one node as pointers, and where to put launches, argument
// structs and temporaries. What comes out are launches.

import Basics
import GraphIR
import KernelTable

/// Binds one plan. The workspace has two parts. First packed right operands that several nodes read (a discriminator's
/// weights, for real and for generated images), which stay for the step, and those of lasting values, which stay until a
/// state changes; behind them the temporaries inside one node (other packed matrices, partial sums), where every node
/// starts at the beginning again. Both are measured in a first pass over the plan with a base that is never used, then
/// bound for good in a second.
final class BindContext {
  let table: KernelTable
  let memory: BindMemory
  let threads: Int
  private let workspace: UnsafeMutableRawPointer
  private let measured: BindContext?
  /// Values that change only when a state does; what is packed of them is made once and kept.
  private let lasting: BitSet
  private var isPreparing = false
  private var workspaceUsed = 0
  /// How often each packing was asked for, and where shared ones are. For lookup only.
  private var packUses: [PackKey: Int] = [:]
  private var sharedPacks: [PackKey: UnsafeMutablePointer<Float>] = [:]
  private var sharedUsed = 0
  /// Bytes of the packed operands that several nodes read.
  private(set) var sharedBytes = 0
  private(set) var workspaceBytes = 0
  private(set) var scratchBytes = 0
  private(set) var launches: [Launch] = []
  private(set) var kernelNames: [String] = []
  /// The node that is being bound.
  var node: Int32 = -1
  /// A kernel that was asked for and that the table does not have.
  private(set) var missingKernel: String?
  private static let unfilled = unsafeBitCast(KernelTable().region, to: Int.self)

  /// `measured` is the context of the first pass.
  init(
    _ table: KernelTable, _ memory: BindMemory, threads: Int, lasting: BitSet,
    workspace: UnsafeMutableRawPointer, measured: BindContext?
  ) {
    self.measured = measured
    self.lasting = lasting
    self.table = table
    self.memory = memory
    self.threads = threads
    self.workspace = workspace
  }

  /// Forgets the temporaries of the node before.
  func startNode(_ index: Int32) {
    node = index
    workspaceUsed = 0
  }

  /// A temporary until the end of the node.
  func temporary(bytes: Int) -> UnsafeMutableRawPointer {
    let pointer = workspace + (measured?.sharedBytes ?? 0) + workspaceUsed
    workspaceUsed += (bytes + 63) / 64 * 64
    workspaceBytes = max(workspaceBytes, workspaceUsed)
    return pointer
  }

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
    let bytes = (floats * 4 + 63) / 64 * 64
    if let known = sharedPacks[key] { return known }
    packUses[key, default: 0] += 1
    let lasts = key.identity.map { lasting.contains($0) } ?? false
    var target: UnsafeMutablePointer<Float>
    if key.identity != nil, let measured, lasts || measured.packUses[key, default: 0] > 1 {
      target = (workspace + sharedUsed).assumingMemoryBound(to: Float.self)
      sharedUsed += bytes
      sharedPacks[key] = target
    } else {
      target = temporary(floats: floats)
      if key.identity != nil, packUses[key] == (lasts ? 1 : 2) { sharedBytes += bytes }
    }
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
    scratchBytes = max(scratchBytes, (scratch + 63) / 64 * 64)
    let shares = threads == 1 ? 1 : max(1, min(tasks, threads * 4))
    let index = kernelNames.firstIndex(of: name) ?? kernelNames.count
    if index == kernelNames.count { kernelNames.append(name) }
    launches.append(
      Launch(
        kernel: kernel, arguments: UnsafeRawPointer(stored), shares: shares, node: node,
        name: Int32(index), isPreparation: isPreparing))
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
