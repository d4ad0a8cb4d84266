// Packs buffers with known lifetimes into one block of memory. In: sizes and times. Out: offsets and the height of
// the block. The problem is NP-hard; greedy best fit over a few orders, with the highest buffer moved to the front
// when it does not reach the bound, comes within a few percent on the graphs of this project.

/// What is to be placed: `bytes` (a multiple of the alignment) during `start...end`.
struct PackingItem {
  var bytes: Int
  var start: Int
  var end: Int
}

struct Packing {
  var offsets: [Int]
  var height: Int

  /// The largest sum of bytes held at one time.
  static func lowerBound(_ items: [PackingItem]) -> Int {
    var changes: [Int: Int] = [:]
    for item in items {
      changes[item.start, default: 0] += item.bytes
      changes[item.end + 1, default: 0] -= item.bytes
    }
    var current = 0
    var highest = 0
    for time in changes.keys.sorted() {
      current += changes[time]!
      highest = max(highest, current)
    }
    return highest
  }

  /// Comparisons that may be spent on looking for a better packing.
  private static let work = 200_000_000
  /// Beyond so many items even one try of O(n²) is too long.
  private static let manyItems = 14_000

  /// The best packing found. O(tries · n²); with very many items O(n · gaps).
  static func pack(_ items: [PackingItem]) -> Packing {
    if items.count > manyItems { return placeInTime(items) }
    let bound = lowerBound(items)
    let indices = Array(items.indices)
    func duration(_ i: Int) -> Int { items[i].end - items[i].start + 1 }
    let orders: [[Int]] = [
      indices.sorted { (items[$1].bytes, $0) < (items[$0].bytes, $1) },
      indices.sorted {
        (items[$1].bytes * duration($1), $0) < (items[$0].bytes * duration($0), $1)
      },
      indices.sorted { (duration($1), items[$1].bytes, $0) < (duration($0), items[$0].bytes, $1) },
      indices.sorted {
        (items[$0].start, items[$1].bytes, $0) < (items[$1].start, items[$0].bytes, $1)
      },
    ]
    var best = Packing(offsets: [], height: Int.max)
    var triesLeft = max(1, work / max(1, items.count * items.count))
    for first in orders {
      var order = first
      for _ in 0..<6 where triesLeft > 0 {
        triesLeft -= 1
        let packing = place(items, order)
        if packing.height < best.height { best = packing }
        if best.height <= bound { return best }
        // What ends up on top was placed too late.
        let top = order.firstIndex { packing.offsets[$0] + items[$0].bytes == packing.height }!
        if top == 0 { break }
        order.insert(order.remove(at: top), at: 0)
      }
    }
    return best
  }

  /// Places the items in the given order, each in the smallest gap that holds it, else on top.
  private static func place(_ items: [PackingItem], _ order: [Int]) -> Packing {
    var offsets = [Int](repeating: 0, count: items.count)
    // Sorted by offset, so that one walk finds the gaps.
    var placed: [Int] = []
    var height = 0
    for index in order {
      let item = items[index]
      var top = 0
      var bestGap = Int.max
      var bestOffset = -1
      for other in placed {
        let occupant = items[other]
        guard occupant.start <= item.end, item.start <= occupant.end else { continue }
        let gap = offsets[other] - top
        if gap >= item.bytes, gap < bestGap {
          bestGap = gap
          bestOffset = top
        }
        top = max(top, offsets[other] + occupant.bytes)
      }
      let offset = bestOffset >= 0 ? bestOffset : top
      offsets[index] = offset
      height = max(height, offset + item.bytes)
      // Binary search: the walk above needs ascending offsets.
      var low = 0
      var high = placed.count
      while low < high {
        let middle = (low + high) / 2
        if offsets[placed[middle]] <= offset { low = middle + 1 } else { high = middle }
      }
      placed.insert(index, at: low)
    }
    return Packing(offsets: offsets, height: height)
  }

  /// Places the items as they come to life, each in the smallest gap that holds it: what an allocator would do.
  static func placeInTime(_ items: [PackingItem]) -> Packing {
    let starts = items.indices.sorted { (items[$0].start, $0) < (items[$1].start, $1) }
    let ends = items.indices.sorted { (items[$0].end, $0) < (items[$1].end, $1) }
    var offsets = [Int](repeating: 0, count: items.count)
    var height = 0
    // Ascending by offset, no two adjacent.
    var gaps: [(offset: Int, bytes: Int)] = []
    var nextEnd = 0
    func release(_ item: Int) {
      let (offset, bytes) = (offsets[item], items[item].bytes)
      let place = gaps.firstIndex { $0.offset > offset } ?? gaps.count
      let joinsLeft = place > 0 && gaps[place - 1].offset + gaps[place - 1].bytes == offset
      let joinsRight = place < gaps.count && offset + bytes == gaps[place].offset
      switch (joinsLeft, joinsRight) {
      case (true, true):
        gaps[place - 1].bytes += bytes + gaps[place].bytes
        gaps.remove(at: place)
      case (true, false): gaps[place - 1].bytes += bytes
      case (false, true):
        gaps[place] = (offset, gaps[place].bytes + bytes)
      case (false, false): gaps.insert((offset, bytes), at: place)
      }
    }
    for item in starts {
      while nextEnd < ends.count, items[ends[nextEnd]].end < items[item].start {
        release(ends[nextEnd])
        nextEnd += 1
      }
      let bytes = items[item].bytes
      var best = -1
      for (index, gap) in gaps.enumerated()
      where gap.bytes >= bytes && (best < 0 || gap.bytes < gaps[best].bytes) {
        best = index
      }
      if best >= 0 {
        offsets[item] = gaps[best].offset
        gaps[best].offset += bytes
        gaps[best].bytes -= bytes
        if gaps[best].bytes == 0 { gaps.remove(at: best) }
        continue
      }
      // On top; a gap that ends there is used up first.
      var offset = height
      if let last = gaps.last, last.offset + last.bytes == height {
        offset = last.offset
        gaps.removeLast()
      }
      offsets[item] = offset
      height = offset + bytes
    }
    return Packing(offsets: offsets, height: height)
  }
}
