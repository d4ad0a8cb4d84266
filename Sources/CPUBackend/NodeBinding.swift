// What a binder is given: the operands and results of one node as pointers, and where to put launches, argument
// structs and temporaries. What comes out are launches.

import Basics
import GraphIR
import KernelTable
import Planning

/// Binds one plan. Nodes ask for temporaries, which are theirs alone, and for packed right operands, which other nodes may
/// read too (a discriminator's weights, for real and for generated images); those of lasting values stay until a state
/// changes. A first pass over the plan measures what is asked for (`requests`), with addresses that are never used; from it
/// follows where everything lies (`Workspace`), and a second pass binds for good.
final class BindContext {
  let table: KernelTable
  let memory: BindMemory
  let threads: Int
  /// The start of the arena, and where in it everything lies; nil in the first pass.
  private let base: UnsafeMutableRawPointer
  private let workspace: Workspace?
  private(set) var requests = WorkspaceRequests()
  /// Values that change only when a state does; what is packed of them is made once and kept.
  private let lasting: BitSet
  private var isPreparing = false
  private var position = -1
  private var temporaryUsed = 0
  /// Packed operands that are there already. For lookup only.
  private var sharedPacks: [PackKey: UnsafeMutablePointer<Float>] = [:]
  private(set) var scratchBytes = 0
  private(set) var launches: [Launch] = []
  private(set) var kernelNames: [String] = []
  /// The node that is being bound.
  var node: Int32 = -1
  /// A kernel that was asked for and that the table does not have.
  private(set) var missingKernel: String?
  private static let unfilled = unsafeBitCast(KernelTable().region, to: Int.self)

  init(
    _ table: KernelTable, _ memory: BindMemory, threads: Int, lasting: BitSet,
    base: UnsafeMutableRawPointer, workspace: Workspace?
  ) {
    self.lasting = lasting
    self.table = table
    self.memory = memory
    self.threads = threads
    self.base = base
    self.workspace = workspace
  }

  /// Goes on to the next position of the order, and forgets the temporaries of the node before.
  func startNode(_ index: Int32) {
    node = index
    position += 1
    temporaryUsed = 0
    requests.startNode()
  }

  /// A temporary until the end of the node.
  func temporary(bytes: Int) -> UnsafeMutableRawPointer {
    requests.addTemporary(bytes: bytes)
    return ownMemory(bytes: bytes)
  }

  private func ownMemory(bytes: Int) -> UnsafeMutableRawPointer {
    let place = workspace?.temporaries[position]
    let pointer = base + (place?.offset ?? 0) + temporaryUsed
    temporaryUsed += aligned(bytes)
    // Beyond its place lies what other nodes hold.
    if let place {
      precondition(temporaryUsed <= place.bytes, "a node asks for more memory than when measured")
    }
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
    if let known = sharedPacks[key] { return known }
    let lasts = key.identity.map { lasting.contains($0) } ?? false
    if key.identity == nil {
      requests.addTemporary(bytes: floats * 4)
    } else {
      requests.addPack(key, bytes: floats * 4, lasts: lasts)
    }
    let target: UnsafeMutablePointer<Float>
    if key.identity != nil, let offset = workspace?.packs[key] {
      target = (base + offset).assumingMemoryBound(to: Float.self)
      sharedPacks[key] = target
    } else {
      target = ownMemory(bytes: floats * 4).assumingMemoryBound(to: Float.self)
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
