// Gathers by index tables, and rows by index.

import KernelTable

/// destination[i₀, i₁, …] = source[Σ tables[a][iₐ]·strides[a]], a run of the last axis at a time.
/// GatherArguments.
func gatherKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: GatherArguments.self).pointee
  let source = p.source!.assumingMemoryBound(to: Float.self)
  let target = p.destination!.assumingMemoryBound(to: Float.self)
  guard p.rank > 0, let sizes = p.sizes, let strides = p.sourceStrides, let tables = p.tables else {
    if index == 0 { target[0] = source[0] }
    return
  }
  let last = p.rank &- 1
  let run = sizes[last]
  var units = 1
  var axis = 0
  while axis < last {
    units &*= sizes[axis]
    axis &+= 1
  }
  let end = shareStart(units, index &+ 1, count)
  var unit = shareStart(units, index, count)
  while unit < end {
    var rest = unit
    var offset = 0
    axis = last &- 1
    while axis >= 0 {
      let next = rest / sizes[axis]
      let i = rest &- next &* sizes[axis]
      offset &+= (tables[axis].map { Int($0[i]) } ?? i) &* strides[axis]
      rest = next
      axis &-= 1
    }
    let to = target + unit &* run
    if let table = tables[last] {
      var i = 0
      while i < run {
        to[i] = source[offset &+ Int(table[i]) &* strides[last]]
        i &+= 1
      }
    } else {
      moveRun(source + offset, strides[last], to, 1, run)
    }
    unit &+= 1
  }
}

/// destination[i₀, …] = Σ source over the indices whose tables lead to i, a row of the last axis at
/// a time: for each choice of outer indices, in row-major order, the row of the source is added.
/// GatherAdjointArguments.
func gatherAdjointKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: GatherAdjointArguments.self)
  guard p.pointee.rank > 0, let sizes = p.pointee.sizes else {
    if index == 0 { p.pointee.destination![0] = p.pointee.source![0] }
    return
  }
  let last = p.pointee.rank &- 1
  let run = sizes[last]
  var units = 1
  var axis = 0
  while axis < last {
    units &*= sizes[axis]
    axis &+= 1
  }
  let end = shareStart(units, index &+ 1, count)
  var unit = shareStart(units, index, count)
  while unit < end {
    let row = p.pointee.destination! + unit &* run
    fillElements(0, row, run)
    addSources(p, unit, row)
    unit &+= 1
  }
}

private func addSources(
  _ p: UnsafePointer<GatherAdjointArguments>, _ unit: Int, _ row: Target
) {
  let last = p.pointee.rank &- 1
  let sizes = p.pointee.sizes!
  let strides = p.pointee.sourceStrides!
  let starts = p.pointee.starts!
  let lists = p.pointee.lists!
  // For each outer axis the next place in its list, and where the list begins and ends.
  var at = SIMD8<Int>(repeating: 0)
  var low = SIMD8<Int>(repeating: 0)
  var high = SIMD8<Int>(repeating: 0)
  var rest = unit
  var axis = last &- 1
  while axis >= 0 {
    let next = rest / sizes[axis]
    let i = rest &- next &* sizes[axis]
    rest = next
    if let s = starts[axis] {
      low[axis] = Int(s[i])
      high[axis] = Int(s[i &+ 1])
      if low[axis] == high[axis] { return }
    } else {
      low[axis] = i
      high[axis] = i &+ 1
    }
    at[axis] = low[axis]
    axis &-= 1
  }
  while true {
    var offset = 0
    axis = 0
    while axis < last {
      let j = starts[axis] == nil ? at[axis] : Int(lists[axis]![at[axis]])
      offset &+= j &* strides[axis]
      axis &+= 1
    }
    addRow(p, offset, row)
    axis = last &- 1
    while axis >= 0 {
      at[axis] = at[axis] &+ 1
      if at[axis] < high[axis] { break }
      at[axis] = low[axis]
      axis &-= 1
    }
    if axis < 0 { return }
  }
}

/// row[i] += Σ source[offset + j·stride] over the j of i.
private func addRow(_ p: UnsafePointer<GatherAdjointArguments>, _ offset: Int, _ row: Target) {
  let last = p.pointee.rank &- 1
  let run = p.pointee.sizes![last]
  let stride = p.pointee.sourceStrides![last]
  let source = p.pointee.source! + offset
  var i = 0
  if let starts = p.pointee.starts![last], let list = p.pointee.lists![last] {
    while i < run {
      var k = Int(starts[i])
      let end = Int(starts[i &+ 1])
      while k < end {
        row[i] += source[Int(list[k]) &* stride]
        k &+= 1
      }
      i &+= 1
    }
  } else {
    while i < run {
      row[i] += source[i &* stride]
      i &+= 1
    }
  }
}

/// rows[i, :] = table[ids[i], :]; zeros where ids[i] is out of range. RowsArguments.
func gatherRowsKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: RowsArguments.self).pointee
  let end = shareStart(p.idCount, index &+ 1, count)
  var i = shareStart(p.idCount, index, count)
  while i < end {
    let id = Int(p.ids![i])
    let row = p.rows! + i &* p.width
    if id >= 0 && id < p.tableRows {
      copyElements(p.table! + id &* p.width, row, p.width)
    } else {
      fillElements(0, row, p.width)
    }
    i &+= 1
  }
}

/// table[t, :] = Σ rows[i, :] over ids[i] = t. Shares own rows of the table and read all ids.
/// RowsArguments.
func scatterAddRowsKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: RowsArguments.self).pointee
  let first = shareStart(p.tableRows, index, count)
  let end = shareStart(p.tableRows, index &+ 1, count)
  guard first < end else { return }
  fillElements(0, p.table! + first &* p.width, (end &- first) &* p.width)
  var i = 0
  while i < p.idCount {
    let id = Int(p.ids![i])
    if id >= first && id < end {
      let row = p.rows! + i &* p.width
      let to = p.table! + id &* p.width
      var j = 0
      while j < p.width {
        to[j] += row[j]
        j &+= 1
      }
    }
    i &+= 1
  }
}

/// rows[i, c] = 1 where ids[i] = c, else 0. RowsArguments.
func oneHotKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: RowsArguments.self).pointee
  let end = shareStart(p.idCount, index &+ 1, count)
  var i = shareStart(p.idCount, index, count)
  while i < end {
    let row = p.rows! + i &* p.width
    fillElements(0, row, p.width)
    let id = Int(p.ids![i])
    if id >= 0 && id < p.width { row[id] = 1 }
    i &+= 1
  }
}
