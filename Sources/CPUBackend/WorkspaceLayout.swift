// Where kernels' own memory lies: temporaries of single nodes, and packed operands that several nodes read. It goes where
// the plan's arena is free at the time, and beyond its end where it is not.

import Planning

/// A stretch of memory and the positions of the plan's order at which it is held, both included.
struct HeldMemory {
  var offset: Int
  var bytes: Int
  var first: Int
  var last: Int

  func overlaps(_ other: HeldMemory) -> Bool { first <= other.last && other.first <= last }
}

struct WorkspaceLayout {
  /// The plan's arena and what lies beyond it.
  private(set) var byteCount: Int
  /// What is held: the plan's buffers, then what was placed.
  private(set) var held: [HeldMemory]

  init(_ held: [HeldMemory]) {
    self.held = held
    byteCount = held.map { $0.offset + $0.bytes }.max() ?? 0
  }

  init(_ plan: Plan) {
    self.init(
      plan.buffers.map {
        HeldMemory(offset: $0.offset, bytes: $0.bytes, first: $0.start, last: $0.end)
      })
    byteCount = max(byteCount, plan.arenaBytes)
  }

  /// The lowest offset at which so many bytes are free from position `first` to `last`.
  mutating func place(bytes: Int, first: Int, last: Int) -> Int {
    var new = HeldMemory(offset: 0, bytes: aligned(bytes), first: first, last: last)
    guard new.bytes > 0 else { return 0 }
    let others = held.filter { $0.bytes > 0 && $0.overlaps(new) }.sorted { $0.offset < $1.offset }
    for other in others {
      if new.offset + new.bytes <= other.offset { break }
      new.offset = max(new.offset, aligned(other.offset + other.bytes))
    }
    held.append(new)
    byteCount = max(byteCount, new.offset + new.bytes)
    return new.offset
  }
}

/// What the nodes of a plan ask for, as a first binding measures it.
struct WorkspaceRequests {
  private struct Pack {
    var bytes: Int
    var first: Int
    var last: Int
    var count: Int
    var lasts: Bool
  }
  private var packs: [Pack] = []
  /// For lookup only.
  private var packIndex: [PackKey: Int] = [:]
  /// By position: bytes that no pack is in, and the packs that were asked for.
  private var temporaries: [Int] = []
  private var asked: [[Int]] = []

  mutating func startNode() {
    temporaries.append(0)
    asked.append([])
  }

  mutating func addTemporary(bytes: Int) { temporaries[temporaries.count - 1] += aligned(bytes) }

  /// A packed operand that other nodes may ask for too; with `lasts`, it is kept from run to run.
  mutating func addPack(_ key: PackKey, bytes: Int, lasts: Bool) {
    let position = temporaries.count - 1
    let index = packIndex[key] ?? packs.count
    if index == packs.count {
      packIndex[key] = index
      packs.append(Pack(bytes: bytes, first: position, last: position, count: 0, lasts: lasts))
    }
    packs[index].last = position
    packs[index].count += 1
    asked[position].append(index)
  }

  /// Places by position of the order, and of packs that are read by more than one node.
  func layout(_ plan: Plan) -> Workspace {
    var layout = WorkspaceLayout(plan)
    let isShared = packs.map { $0.lasts || $0.count > 1 }
    // The largest are placed first.
    var items: [(bytes: Int, first: Int, last: Int, pack: Int?, position: Int)] = []
    for (index, pack) in packs.enumerated() where isShared[index] {
      let (first, last) = pack.lasts ? (-1, plan.order.count + 1) : (pack.first, pack.last)
      items.append((pack.bytes, first, last, index, 0))
    }
    for position in temporaries.indices {
      let packed = asked[position].filter { !isShared[$0] }.reduce(0) {
        $0 + aligned(packs[$1].bytes)
      }
      items.append((temporaries[position] + packed, position, position, nil, position))
    }
    var packOffsets = [Int](repeating: 0, count: packs.count)
    var own = temporaries.map { _ in
      HeldMemory(offset: 0, bytes: 0, first: 0, last: 0)
    }
    // Equal sizes in their own order: the layout is the same each time.
    let order = items.indices.sorted { (items[$1].bytes, $0) < (items[$0].bytes, $1) }
    for item in order.map({ items[$0] }) {
      let offset = layout.place(bytes: item.bytes, first: item.first, last: item.last)
      if let pack = item.pack {
        packOffsets[pack] = offset
      } else {
        own[item.position] = HeldMemory(
          offset: offset, bytes: item.bytes, first: item.first, last: item.last)
      }
    }
    return Workspace(
      layout: layout, temporaries: own,
      packs: packIndex.filter { isShared[$0.value] }.mapValues { packOffsets[$0] })
  }
}

/// Offsets into the arena for everything that kernels ask for.
struct Workspace {
  var layout: WorkspaceLayout
  /// What each node has for itself, by position of the plan's order.
  var temporaries: [HeldMemory]
  /// Packed operands that several nodes read. For lookup only.
  var packs: [PackKey: Int]
}
