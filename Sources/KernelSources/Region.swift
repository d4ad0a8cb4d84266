// The interpreter of element-wise regions. A program is decoded once a share: operands become slots
// of a pointer table, and results are stored straight to memory where no later instruction could
// see the difference. Then blocks of lanes run through it, one vector loop per instruction
// (RegionSteps.swift).

import KernelTable

/// Floats between blocks: a whole block, and room for vectors that begin in it.
@inline(__always) var blockStride: Int { 1024 &+ 64 }

/// Decodes a program into `scratch`.
func prepareRegion(
  _ program: UnsafePointer<RegionArguments>, _ scratch: UnsafeMutableRawPointer
) -> RegionRun {
  let p = program.pointee
  let slotCount = p.registerCount &+ p.inputCount &+ p.outputCount
  var at = scratch
  let steps = at.assumingMemoryBound(to: RegionStep.self)
  at += (p.instructionCount &* 64)
  let slots = at.assumingMemoryBound(to: RegionSlot.self)
  at += slotCount &* 16
  let copied = at.assumingMemoryBound(to: Int32.self)
  at += (p.outputCount &* 4 &+ 63) & ~63
  let blocks = UnsafeMutableRawPointer(
    bitPattern: (UInt(bitPattern: at) &+ 63) & ~63
  )!.assumingMemoryBound(to: Float.self)
  let inputBlocks = blocks + p.registerCount &* blockStride
  let outputBlocks = inputBlocks + 2 &* p.inputCount &* blockStride
  let run = RegionRun(
    program: program, steps: steps, slots: slots, copied: copied, inputBlocks: inputBlocks,
    outputBlocks: outputBlocks, spare: outputBlocks + p.outputCount &* blockStride,
    lanes: p.registerCount > 8 ? 512 : 1024)

  var r = 0
  while r < p.registerCount {
    slots[r] = RegionSlot(pointer: blocks + r &* blockStride, step: width)
    r &+= 1
  }
  var i = 0
  while i < p.inputCount {
    prepareInput(p.inputs! + i, run.inputBlocks + 2 &* i &* blockStride, slots + (r &+ i))
    i &+= 1
  }
  i = 0
  while i < p.outputCount {
    slots[r &+ p.inputCount &+ i] = RegionSlot(
      pointer: outputBlocks + i &* blockStride, step: width)
    i &+= 1
  }
  decode(p, run)
  return run
}

/// Fills the blocks of inputs that stay the same from block to block.
private func prepareInput(
  _ input: UnsafePointer<RegionInput>, _ block: Target, _ slot: UnsafeMutablePointer<RegionSlot>
) {
  slot.pointee = RegionSlot(pointer: block, step: width)
  guard let raw = input.pointee.pointer else { return }
  let source = raw.assumingMemoryBound(to: Float.self)
  switch input.pointee.access {
  case .scalar:
    fillElements(source[0], block, width)
    slot.pointee.step = 0
  case .trailing:
    // Whole periods, with one more, so that a block may begin anywhere in a period.
    let period = input.pointee.period
    if period <= 1024 {
      var at = 0
      while at < 1024 &+ period &+ width {
        let rest = 1024 &+ period &+ width &- at
        copyElements(source, block + at, rest < period ? rest : period)
        at &+= period
      }
    }
  case .words:
    slot.pointee = RegionSlot(
      pointer: UnsafeMutableRawPointer(mutating: raw).assumingMemoryBound(to: Float.self), step: 0)
  default: break
  }
}

/// The slot of an operand: register r, or input −1 − o.
@inline(__always) private func slotOf(_ operand: Int32, _ p: RegionArguments) -> Int32 {
  operand >= 0 ? operand : Int32(truncatingIfNeeded: p.registerCount) &- 1 &- operand
}

/// True if an operand is an input in the memory of `output`.
@inline(__always) private func reads(
  _ operand: Int32, _ p: RegionArguments, _ output: UnsafeMutableRawPointer
) -> Bool {
  guard operand < 0 else { return false }
  return (p.inputs! + Int(-1 &- operand)).pointee.pointer == UnsafeRawPointer(output)
}

/// Turns operands into slots, and redirects the last write of each result to its output where no
/// later instruction, nor the copy of another result, reads an input in the same memory.
private func decode(_ p: RegionArguments, _ run: RegionRun) {
  let instructions = p.instructions
  var k = 0
  while k < p.instructionCount {
    let i = instructions![k]
    run.steps[k] = RegionStep(
      opcode: i.opcode, d: i.destination, a: slotOf(i.a, p), b: slotOf(i.b, p), c: slotOf(i.c, p),
      x: i.x, y: i.y, integer: i.integer)
    k &+= 1
  }
  var o = 0
  while o < p.outputCount {
    let output = p.outputs![o]
    let slot = Int32(truncatingIfNeeded: p.registerCount &+ p.inputCount &+ o)
    run.copied[o] = slotOf(output.source, p)
    if output.source >= 0, let memory = output.pointer {
      var last = p.instructionCount &- 1
      while last >= 0 && run.steps[last].d != output.source { last &-= 1 }
      var safe = last >= 0
      var j = last &+ 1
      while safe && j < p.instructionCount {
        let i = instructions![j]
        if reads(i.a, p, memory) || reads(i.b, p, memory) || reads(i.c, p, memory) { safe = false }
        j &+= 1
      }
      j = 0
      while safe && j < p.outputCount {
        if reads(p.outputs![j].source, p, memory) { safe = false }
        j &+= 1
      }
      if safe {
        run.steps[last].d = slot
        j = last &+ 1
        while j < p.instructionCount {
          if run.steps[j].a == output.source { run.steps[j].a = slot }
          if run.steps[j].b == output.source { run.steps[j].b = slot }
          if run.steps[j].c == output.source { run.steps[j].c = slot }
          j &+= 1
        }
        // Another output of the same register is copied from here.
        j = 0
        while j < p.outputCount {
          if j > o && p.outputs![j].source == output.source { run.copied[j] = slot }
          j &+= 1
        }
        run.copied[o] = -1
      }
    }
    // A second output of one register finds no instruction left that writes it, and is copied.
    if run.copied[o] != -1 {
      var j = 0
      while j < o {
        if p.outputs![j].source == output.source && run.copied[j] == -1 {
          run.copied[o] = Int32(truncatingIfNeeded: p.registerCount &+ p.inputCount &+ j)
        }
        j &+= 1
      }
    }
    o &+= 1
  }
}

/// Runs the program over the flat indices start ..< start + count.
func runRegion(_ run: RegionRun, _ start: Int, _ count: Int) {
  var at = start
  let whole = start &+ count / width &* width
  while at < whole {
    let n = whole &- at < run.lanes ? whole &- at : run.lanes
    runBlock(run, at, n, n)
    at &+= n
  }
  if at < start &+ count { runBlock(run, at, start &+ count &- at, width) }
}

/// One block of n elements in `lanes` lanes (whole vectors). Where n is less, nothing is read or
/// written beyond it.
private func runBlock(_ run: RegionRun, _ start: Int, _ n: Int, _ lanes: Int) {
  let p = run.program
  let inputs = p.pointee.inputCount
  let firstInput = p.pointee.registerCount
  var i = 0
  while i < inputs {
    placeInput(
      p.pointee.inputs! + i, i == 0 ? run.made : nil, run.inputBlocks + 2 &* i &* blockStride,
      run.slots + (firstInput &+ i), start, n, lanes)
    i &+= 1
  }
  let firstOutput = firstInput &+ inputs
  let outputs = p.pointee.outputCount
  if n == lanes {
    i = 0
    while i < outputs {
      let memory = p.pointee.outputs![i].pointer!.assumingMemoryBound(to: Float.self)
      run.slots[firstOutput &+ i].pointer = memory + start
      i &+= 1
    }
  } else {
    i = 0
    while i < outputs {
      run.slots[firstOutput &+ i].pointer = run.outputBlocks + i &* blockStride
      i &+= 1
    }
  }
  var k = 0
  while k < p.pointee.instructionCount {
    executeStep(run, k, start, lanes)
    if run.asksAhead && n == lanes { askAhead(run, start &+ lanes, k) }
    k &+= 1
  }
  storeCopied(run, start, n, firstOutput)
}

/// Whether a region that goes through memory in order should ask ahead: where it does not stay in
/// the second-level cache.
@inline(__always) func asksAhead(_ program: UnsafePointer<RegionArguments>) -> Bool {
  program.pointee.count >= 1 << 16
}

/// Asks for a share of the inputs of the block that begins at `next`, after instruction k: all at
/// once would wait for each other.
@inline(__always) private func askAhead(_ run: RegionRun, _ next: Int, _ k: Int) {
  let p = run.program
  let line = 16
  let piece = (run.lanes / p.pointee.instructionCount &+ line) & ~(line &- 1)
  let first = next &+ k &* piece
  var end = first &+ piece
  if end > next &+ run.lanes { end = next &+ run.lanes }
  if end > p.pointee.count { end = p.pointee.count }
  var i = run.made == nil ? 0 : 1
  while i < p.pointee.inputCount {
    let input = p.pointee.inputs! + i
    if case .full = input.pointee.access, let source = inputMemory(input) {
      var at = first
      while at < end {
        prefetch(source + at)
        at &+= line
      }
    }
    i &+= 1
  }
}

/// Stores the results that no instruction stored. Those that are inputs go to their own blocks
/// first, because the memory they come from may be that of another result.
private func storeCopied(_ run: RegionRun, _ start: Int, _ n: Int, _ firstOutput: Int) {
  let firstInput = run.program.pointee.registerCount
  let outputs = run.program.pointee.outputCount
  var i = 0
  while i < outputs {
    let source = Int(run.copied[i])
    if source >= firstInput && source < firstOutput {
      let block = run.outputBlocks + i &* blockStride
      storeSlot(run.slots[source], block, n)
      run.slots[firstOutput &+ i].pointer = block
    }
    i &+= 1
  }
  i = 0
  while i < outputs {
    let memory = run.program.pointee.outputs![i].pointer!.assumingMemoryBound(to: Float.self)
    let source = Int(run.copied[i])
    let own = firstOutput &+ i
    if source < 0 || (source >= firstInput && source < firstOutput) {
      // Stored directly, except in a ragged block.
      if run.slots[own].pointer != memory + start {
        copyElements(run.slots[own].pointer, memory + start, n)
      }
    } else {
      storeSlot(run.slots[source], memory + start, n)
    }
    i &+= 1
  }
}

@inline(__always) private func storeSlot(_ slot: RegionSlot, _ to: Target, _ n: Int) {
  if slot.step == 0 {
    fillElements(slot.pointer[0], to, n)
  } else {
    copyElements(slot.pointer, to, n)
  }
}

@inline(__always) func inputMemory(_ input: UnsafePointer<RegionInput>) -> Target? {
  UnsafeMutableRawPointer(mutating: input.pointee.pointer)?.assumingMemoryBound(to: Float.self)
}

/// Points an input's slot at its lanes for the block, straight into memory where they lie there as
/// needed. `made` replaces the input's memory.
@inline(__always) private func placeInput(
  _ input: UnsafePointer<RegionInput>, _ made: Target?, _ block: Target,
  _ slot: UnsafeMutablePointer<RegionSlot>, _ start: Int, _ n: Int, _ lanes: Int
) {
  guard let source = made ?? inputMemory(input) else { return }
  switch input.pointee.access {
  case .scalar, .words: break
  case .full:
    if n == lanes {
      slot.pointee.pointer = source + start
    } else {
      copyElements(source + start, block, n)
      slot.pointee.pointer = block
    }
  case .trailing:
    let period = input.pointee.period
    let offset = start % period
    if period <= 1024 {
      slot.pointee.pointer = block + offset
    } else if offset &+ lanes <= period {
      slot.pointee.pointer = source + offset
    } else {
      let first = period &- offset < n ? period &- offset : n
      copyElements(source + offset, block, first)
      copyElements(source, block + first, n &- first)
      slot.pointee.pointer = block
    }
  case .leading: spreadLeading(source, input.pointee.period, block, start, n)
  case .strided: gatherStrided(input, source, block, start, n)
  }
}

/// block[i] = source[(start + i) / period], in runs.
func spreadLeading(_ source: Target, _ period: Int, _ block: Target, _ start: Int, _ n: Int) {
  var row = start / period
  var left = period &- start % period
  var i = 0
  while i < n {
    let run = left < n &- i ? left : n &- i
    fillElements(source[row], block + i, run)
    i &+= run
    row &+= 1
    left = period
  }
}

/// A broadcast of any kind, in runs of the last axis.
func gatherStrided(
  _ input: UnsafePointer<RegionInput>, _ source: Target, _ block: Target, _ start: Int, _ n: Int
) {
  let rank = input.pointee.rank
  guard rank > 0, let sizes = input.pointee.sizes, let strides = input.pointee.strides else {
    fillElements(source[0], block, n)
    return
  }
  let inner = sizes[rank &- 1]
  let innerStride = strides[rank &- 1]
  var at = start
  var i = 0
  while i < n {
    var rest = at / inner
    let column = at &- rest &* inner
    var offset = column &* innerStride
    var axis = rank &- 2
    while axis >= 0 {
      let next = rest / sizes[axis]
      offset &+= (rest &- next &* sizes[axis]) &* strides[axis]
      rest = next
      axis &-= 1
    }
    let run = inner &- column < n &- i ? inner &- column : n &- i
    if innerStride == 0 {
      fillElements(source[offset], block + i, run)
    } else if innerStride == 1 {
      copyElements(source + offset, block + i, run)
    } else {
      var j = 0
      while j < run {
        block[i &+ j] = source[offset &+ j &* innerStride]
        j &+= 1
      }
    }
    i &+= run
    at &+= run
  }
}

/// out_o[i] = program(in₀[i], in₁[i], …). RegionArguments. Shares are cut at multiples of 64
/// elements.
func regionKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let program = arguments.assumingMemoryBound(to: RegionArguments.self)
  let units = unitCount(program)
  runUnits(program, scratch, shareStart(units, index, count), shareStart(units, index &+ 1, count))
}

/// Several regions as if their elements stood one behind the other. RegionsArguments. Shares are
/// cut at multiples of 64 elements of a program.
func regionsKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: RegionsArguments.self)
  let units = p.pointee.units()
  let start = shareStart(units, index, count)
  let end = shareStart(units, index &+ 1, count)
  var first = 0
  var k = 0
  while k < p.pointee.programCount {
    let program = p.pointee.programs! + k
    let own = unitCount(program)
    let from = start > first ? start &- first : 0
    let to = end &- first < own ? end &- first : own
    if from < to { runUnits(program, scratch, from, to) }
    first &+= own
    k &+= 1
  }
}

@inline(__always) private func unitCount(_ program: UnsafePointer<RegionArguments>) -> Int {
  (program.pointee.count &+ 63) / 64
}

/// The elements 64·first ..< 64·end of a region, as far as there are any.
private func runUnits(
  _ program: UnsafePointer<RegionArguments>, _ scratch: UnsafeMutableRawPointer?, _ first: Int,
  _ end: Int
) {
  let total = program.pointee.count
  let start = first &* 64
  let last = end &* 64 > total ? total : end &* 64
  guard start < last, let scratch else { return }
  var run = prepareRegion(program, scratch)
  run.asksAhead = asksAhead(program)
  runRegion(run, start, last &- start)
}
