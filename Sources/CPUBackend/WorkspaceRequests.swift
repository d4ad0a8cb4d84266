// What kernels ask for beside operands and results: temporaries of single nodes, packed operands that several nodes read,
// scratch of threads. In: the requests of a first binding. Out: workspaces for the plan; then their offsets, as a second
// binding makes the same requests again.

import Planning

struct WorkspaceRequests {
  /// In the order in which they were asked for.
  private(set) var workspaces: [Workspace] = []
  /// Of each workspace; nil in a first binding.
  private var offsets: [Int]?
  /// How many workspaces this binding has asked for.
  private var asked = 0
  private var position = -1
  /// After all that a step does.
  private let end: Int
  /// Packed operands by what they hold. For lookup only.
  private var packs: [PackKey: Int] = [:]
  /// The scratch that many nodes share, and that of the node that is being bound.
  private var commonScratch: Int?
  private var nodeScratch: Int?

  /// Of a first binding.
  init(for plan: Plan) { end = plan.order.count + 1 }

  /// The plan with all workspaces in its arena, and the requests for the binding that uses them.
  func reserved(in plan: Plan) -> (plan: Plan, requests: WorkspaceRequests) {
    let reserved = plan.reserving(workspaces)
    var requests = WorkspaceRequests(for: plan)
    requests.workspaces = workspaces
    requests.offsets = reserved.workspaceOffsets(count: workspaces.count)
    return (reserved, requests)
  }

  /// Goes on to the next position of the order.
  mutating func startNode() {
    position += 1
    nodeScratch = nil
  }

  // MARK: Requests. All answer with an offset in the arena; 0 in a first binding

  /// Memory until the end of the node.
  mutating func temporary(bytes: Int) -> Int { next(bytes: bytes, lasts: false).offset }

  /// Memory for a packed operand, which later nodes may read; with `lasts`, it is kept from run to run.
  mutating func pack(_ key: PackKey, bytes: Int, lasts: Bool) -> Int {
    let next = next(bytes: bytes, lasts: lasts)
    packs[key] = next.index
    return next.offset
  }

  /// The node that is being bound reads an operand that is packed already.
  mutating func readAgain(_ key: PackKey) {
    guard let pack = packs[key], offsets == nil else { return }
    workspaces[pack].end = max(workspaces[pack].end, position)
  }

  /// Scratch for one launch of the node: the same memory for all launches of the node, or, where it is common, of all
  /// nodes.
  mutating func scratch(bytes: Int, isCommon: Bool) -> Int {
    if let known = isCommon ? commonScratch : nodeScratch {
      if offsets == nil { workspaces[known].bytes = max(workspaces[known].bytes, bytes) }
      return offset(of: known, bytes: bytes)
    }
    let next = next(bytes: bytes, lasts: isCommon)
    if isCommon { commonScratch = next.index } else { nodeScratch = next.index }
    return next.offset
  }

  /// A workspace that was not asked for yet.
  private mutating func next(bytes: Int, lasts: Bool) -> (index: Int, offset: Int) {
    if offsets == nil {
      workspaces.append(
        Workspace(bytes: bytes, start: lasts ? 0 : position, end: lasts ? end : position))
    }
    defer { asked += 1 }
    return (asked, offset(of: asked, bytes: bytes))
  }

  private func offset(of index: Int, bytes: Int) -> Int {
    guard let offsets else { return 0 }
    // Behind its end lies what others hold.
    precondition(
      index < offsets.count && bytes <= workspaces[index].bytes,
      "a node asks for more memory than when measured")
    return offsets[index]
  }
}
