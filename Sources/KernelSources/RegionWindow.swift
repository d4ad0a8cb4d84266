// Epilogues: a region over a block of C that a matrix kernel has in its scratch. Where the block's
// rows are short, several are gathered into one block of lanes, because an instruction costs about as
// much as ten vectors.

import KernelTable

/// Runs the region over `rows` × `columns` elements of C from flat index `first`, whose rows are
/// `stride` apart; made[r·columns + j] is the product there. No block of the run is wider than
/// `widest`.
func runEpilogue(
  _ run: inout RegionRun, _ first: Int, _ rows: Int, _ columns: Int, _ widest: Int, _ stride: Int,
  _ made: Target
) {
  if columns == stride {
    run.made = made - first
    run.asksAhead = asksAhead(run.program)
    runRegion(run, first, rows &* columns)
    return
  }
  if widest > 256 {
    var r = 0
    while r < rows {
      let start = first &+ r &* stride
      run.made = made + r &* columns - start
      runRegion(run, start, columns)
      r &+= 1
    }
    return
  }
  let atOnce = run.lanes / columns
  var r = 0
  while r < rows {
    let n = rows &- r < atOnce ? rows &- r : atOnce
    runWindow(run, first &+ r &* stride, n, columns, stride, made + r &* columns)
    r &+= n
  }
}

/// One block of lanes of a few short rows.
private func runWindow(
  _ run: RegionRun, _ first: Int, _ rows: Int, _ columns: Int, _ stride: Int, _ made: Target
) {
  let p = run.program
  let firstInput = p.pointee.registerCount
  let inputs = p.pointee.inputCount
  let firstOutput = firstInput &+ inputs
  let outputs = p.pointee.outputCount
  let lanes = (rows &* columns &+ width &- 1) / width &* width
  if inputs > 0 { run.slots[firstInput].pointer = made }
  var i = 1
  while i < inputs {
    gatherInput(
      p.pointee.inputs! + i, run.inputBlocks + 2 &* i &* blockStride, run.slots + (firstInput &+ i),
      first, rows, columns, stride)
    i &+= 1
  }
  i = 0
  while i < outputs {
    run.slots[firstOutput &+ i].pointer = run.outputBlocks + i &* blockStride
    i &+= 1
  }
  var k = 0
  while k < p.pointee.instructionCount {
    let step = run.steps[k]
    switch step.opcode {
    case .uniform, .normal:
      // Each row begins at a place of its own.
      var r = 0
      while r < rows {
        executeDraw(step, run.slots, first &+ r &* stride, columns, run.spare, r &* columns)
        r &+= 1
      }
    default: executeStep(run, k, first, lanes)
    }
    k &+= 1
  }
  i = 0
  while i < outputs {
    let memory = p.pointee.outputs![i].pointer!.assumingMemoryBound(to: Float.self)
    let source = run.copied[i] < 0 ? firstOutput &+ i : Int(run.copied[i])
    scatterRows(run.slots[source], memory + first, rows, columns, stride)
    i &+= 1
  }
}

/// The lanes of an input other than the product, row after row.
@inline(__always) private func gatherInput(
  _ input: UnsafePointer<RegionInput>, _ block: Target, _ slot: UnsafeMutablePointer<RegionSlot>,
  _ first: Int, _ rows: Int, _ columns: Int, _ stride: Int
) {
  guard let source = inputMemory(input) else { return }
  var r = 0
  switch input.pointee.access {
  case .scalar, .words: return
  case .full:
    while r < rows {
      copyElements(source + (first &+ r &* stride), block + r &* columns, columns)
      r &+= 1
    }
  case .trailing:
    let period = input.pointee.period
    let isAligned = stride % period == 0
    var offset = first % period
    while r < rows {
      if !isAligned { offset = (first &+ r &* stride) % period }
      copyPeriodic(source, period, offset, block + r &* columns, columns)
      r &+= 1
    }
  case .leading:
    while r < rows {
      spreadLeading(
        source, input.pointee.period, block + r &* columns, first &+ r &* stride, columns)
      r &+= 1
    }
  case .strided:
    while r < rows {
      gatherStrided(input, source, block + r &* columns, first &+ r &* stride, columns)
      r &+= 1
    }
  }
  // This overwrites what was laid out for blocks of lanes in order; a run has one kind of blocks.
  slot.pointee.pointer = block
}

/// to[i] = source[(offset + i) mod period] for i < n.
@inline(__always) private func copyPeriodic(
  _ source: Target, _ period: Int, _ offset: Int, _ to: Target, _ n: Int
) {
  var at = offset
  var i = 0
  while i < n {
    let run = period &- at < n &- i ? period &- at : n &- i
    copyElements(source + at, to + i, run)
    i &+= run
    at = 0
  }
}

@inline(__always) private func scatterRows(
  _ slot: RegionSlot, _ to: Target, _ rows: Int, _ columns: Int, _ stride: Int
) {
  var r = 0
  while r < rows {
    if slot.step == 0 {
      fillElements(slot.pointer[0], to + r &* stride, columns)
    } else {
      copyElements(slot.pointer + r &* columns, to + r &* stride, columns)
    }
    r &+= 1
  }
}
