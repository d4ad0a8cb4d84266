// Convolution forward and its input gradient: dense convolutions on grids of pixels, as matrix
// products whose rows of A are pointers to the pixels under each tap (to zeros outside the image),
// with no copy of the image. The input gradient with strides is one such product for each phase of
// the stride.

import KernelTable

/// y[n, i, j, o] = Σ x[n, i·sh − top + u, j·sw − left + v, c] · w[u, v, c, o].
/// ConvolutionArguments.
func convolutionKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ConvolutionArguments.self)
  var phase = ConvolutionPhase(
    source: p.pointee.x!, sourceHeight: p.pointee.xHeight, sourceWidth: p.pointee.xWidth,
    sourceChannels: p.pointee.inChannels, target: p.pointee.y!, targetHeight: p.pointee.yHeight,
    targetWidth: p.pointee.yWidth, targetChannels: p.pointee.outChannels,
    packed: p.pointee.packed!)
  phase.rowScale = p.pointee.strideHeight
  phase.rowOffset = 0 &- p.pointee.top
  phase.columnScale = p.pointee.strideWidth
  phase.columnOffset = 0 &- p.pointee.left
  phase.tapRows = p.pointee.kernelHeight
  phase.tapColumns = p.pointee.kernelWidth
  convolutionShare(p, phase, false, scratch, index, count)
}

/// dx[n, i, j, c] = Σ dy[n, (i + top − u)/sh, (j + left − v)/sw, o] · w[u, v, c, o].
/// ConvolutionArguments.
func convolutionInputGradientKernel(
  _ arguments: UnsafeRawPointer, _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let p = arguments.assumingMemoryBound(to: ConvolutionArguments.self)
  var phase = ConvolutionPhase(
    source: p.pointee.y!, sourceHeight: p.pointee.yHeight, sourceWidth: p.pointee.yWidth,
    sourceChannels: p.pointee.outChannels, target: p.pointee.x!, targetHeight: p.pointee.xHeight,
    targetWidth: p.pointee.xWidth, targetChannels: p.pointee.inChannels,
    packed: p.pointee.packed!)
  phase.sign = -1
  convolutionShare(p, phase, true, scratch, index, count)
}

private func convolutionShare(
  _ p: UnsafePointer<ConvolutionArguments>, _ geometry: ConvolutionPhase, _ backward: Bool,
  _ scratch: UnsafeMutableRawPointer?, _ index: Int, _ count: Int
) {
  let unit = GemmUnit(rows: tileRows, columns: tileColumns)
  let height = geometry.targetHeight
  let blocks = convolutionBlocks(
    batch: p.pointee.batch, height: height, width: geometry.targetWidth,
    step: backward ? p.pointee.strideHeight : 1, unit)
  let end = shareStart(blocks.tasks, index &+ 1, count)
  var task = shareStart(blocks.tasks, index, count)
  guard task < end, let scratch else { return }
  let tiles = tileScratch(scratch)
  let memory = convolutionScratch(p, scratch + tileScratchBytes, unit)
  let zeros =
    geometry.sourceChannels > geometry.targetChannels
    ? geometry.sourceChannels : geometry.targetChannels
  fillElements(0, memory.zeros, zeros)
  var run: RegionRun?
  if let epilogue = p.pointee.epilogue {
    run = prepareRegion(epilogue, scratch + p.pointee.ownScratchBytes(unit))
  }
  while task < end {
    let block = task % blocks.blocksPerImage
    let n0 = task / blocks.blocksPerImage &* blocks.images
    let images = p.pointee.batch &- n0 < blocks.images ? p.pointee.batch &- n0 : blocks.images
    let i0 = block &* blocks.rows
    let rows = height &- i0 < blocks.rows ? height &- i0 : blocks.rows
    if backward {
      inputGradientBlock(p, geometry, n0, images, i0, rows, tiles, memory)
    } else {
      phaseBlock(geometry, n0, images, i0, rows, tiles, memory)
    }
    if let run {
      let row = geometry.targetWidth &* geometry.targetChannels
      runRegion(run, (n0 &* height &+ i0) &* row, images &* rows &* row)
    }
    task &+= 1
  }
}

/// Lays out the scratch of a block.
private func convolutionScratch(
  _ p: UnsafePointer<ConvolutionArguments>, _ at: UnsafeMutableRawPointer, _ unit: GemmUnit
) -> ConvolutionScratch {
  let pixels = p.pointee.blockPixels(unit)
  let taps = p.pointee.kernelHeight &* p.pointee.kernelWidth
  let channels =
    p.pointee.inChannels > p.pointee.outChannels ? p.pointee.inChannels : p.pointee.outChannels
  let target = at.assumingMemoryBound(to: Target.self)
  let image = (at + pixels &* 8).assumingMemoryBound(to: Source.self)
  let row = (at + pixels &* 16).assumingMemoryBound(to: Int32.self)
  let table = (at + pixels &* 24).assumingMemoryBound(to: Source.self)
  let floats = (at + pixels &* (24 &+ taps &* 8)).assumingMemoryBound(to: Float.self)
  return ConvolutionScratch(
    target: target, image: image, row: row, column: row + pixels, taps: table,
    gathered: floats + (channels &+ 32), zeros: floats)
}

/// All phases of a block of rows. Phase (a, b) holds the taps u ≡ a, v ≡ b of the stride, and the
/// pixels with i + top ≡ a, j + left ≡ b.
private func inputGradientBlock(
  _ p: UnsafePointer<ConvolutionArguments>, _ geometry: ConvolutionPhase, _ n0: Int,
  _ images: Int, _ i0: Int, _ rows: Int, _ tiles: TileScratch, _ memory: ConvolutionScratch
) {
  let sh = p.pointee.strideHeight
  let sw = p.pointee.strideWidth
  let k = geometry.sourceChannels
  let perTap = packedColumns(geometry.targetChannels) &* k
  var phase = geometry
  phase.rowStep = sh
  phase.columnStep = sw
  var taps = 0
  var a = 0
  while a < sh {
    phase.tapRows = phaseTaps(p.pointee.kernelHeight, a, sh)
    phase.rowFirst = residue(a &- p.pointee.top, sh)
    phase.rowOffset = (phase.rowFirst &+ p.pointee.top &- a) / sh
    var b = 0
    while b < sw {
      phase.tapColumns = phaseTaps(p.pointee.kernelWidth, b, sw)
      phase.columnFirst = residue(b &- p.pointee.left, sw)
      phase.columnOffset = (phase.columnFirst &+ p.pointee.left &- b) / sw
      phase.packed = geometry.packed + taps &* perTap
      phaseBlock(phase, n0, images, i0, rows, tiles, memory)
      taps &+= phase.tapRows &* phase.tapColumns
      b &+= 1
    }
    a &+= 1
  }
}

/// The taps of a kernel axis that are ≡ a modulo the stride.
@inline(__always) func phaseTaps(_ kernel: Int, _ a: Int, _ stride: Int) -> Int {
  a < kernel ? (kernel &- a &+ stride &- 1) / stride : 0
}

/// x modulo m, not negative.
@inline(__always) private func residue(_ x: Int, _ m: Int) -> Int {
  let r = x % m
  return r < 0 ? r &+ m : r
}

/// Columns of a packed operand for n real ones.
@inline(__always) func packedColumns(_ n: Int) -> Int {
  n < 8 ? n : (n &+ tileColumns &- 1) / tileColumns &* tileColumns
}

/// One phase over a block: lists its pixels, then multiplies.
private func phaseBlock(
  _ phase: ConvolutionPhase, _ n0: Int, _ images: Int, _ i0: Int, _ rows: Int,
  _ tiles: TileScratch, _ memory: ConvolutionScratch
) {
  let pixels = listPixels(phase, n0, images, i0, rows, memory)
  guard pixels > 0 else { return }
  let taps = phase.tapRows &* phase.tapColumns
  if taps == 0 {
    var i = 0
    while i < pixels {
      fillElements(0, memory.target[i], phase.targetChannels)
      i &+= 1
    }
    return
  }
  var segments = taps
  var length = phase.sourceChannels
  if length < 8 {
    gatherPatches(phase, pixels, memory)
    segments = 1
    length &*= taps
  } else {
    pointTaps(phase, pixels, memory)
  }
  if phase.targetChannels < 8 {
    narrowBlock(phase, pixels, segments, length, memory)
  } else {
    multiplyBlock(phase, pixels, segments, length, tiles, memory)
  }
}

/// Fills in the targets and source places of a phase's pixels in a block; returns their number. A
/// last tile is completed with the last pixel.
private func listPixels(
  _ phase: ConvolutionPhase, _ n0: Int, _ images: Int, _ i0: Int, _ rows: Int,
  _ memory: ConvolutionScratch
) -> Int {
  let sourceImage = phase.sourceHeight &* phase.sourceWidth &* phase.sourceChannels
  let targetImage = phase.targetHeight &* phase.targetWidth &* phase.targetChannels
  // The first t with rowFirst + rowStep·t ≥ i0.
  let t0 =
    i0 <= phase.rowFirst ? 0 : (i0 &- phase.rowFirst &+ phase.rowStep &- 1) / phase.rowStep
  var at = 0
  var n = n0
  while n < n0 &+ images {
    var t = t0
    while phase.rowFirst &+ phase.rowStep &* t < i0 &+ rows {
      let i = phase.rowFirst &+ phase.rowStep &* t
      let sourceRow = Int32(truncatingIfNeeded: t &* phase.rowScale &+ phase.rowOffset)
      let targetRow =
        phase.target + (n &* targetImage &+ i &* phase.targetWidth &* phase.targetChannels)
      var q = 0
      var j = phase.columnFirst
      while j < phase.targetWidth {
        memory.target[at] = targetRow + j &* phase.targetChannels
        memory.image[at] = phase.source + n &* sourceImage
        memory.row[at] = sourceRow
        memory.column[at] = Int32(
          truncatingIfNeeded: q &* phase.columnScale &+ phase.columnOffset)
        at &+= 1
        q &+= 1
        j &+= phase.columnStep
      }
      t &+= 1
    }
    n &+= 1
  }
  if at > 0 {
    var extra = at
    while extra % tileRows != 0 {
      memory.target[extra] = memory.target[at &- 1]
      memory.image[extra] = memory.image[at &- 1]
      memory.row[extra] = memory.row[at &- 1]
      memory.column[extra] = memory.column[at &- 1]
      extra &+= 1
    }
  }
  return at
}

/// The source pixel under tap (u, v), or zeros.
@inline(__always) private func tapPointer(
  _ phase: ConvolutionPhase, _ pixel: Int, _ u: Int, _ v: Int, _ memory: ConvolutionScratch
) -> Source {
  let row = Int(memory.row[pixel]) &+ phase.sign &* u
  let column = Int(memory.column[pixel]) &+ phase.sign &* v
  let inside =
    UInt(bitPattern: row) < UInt(bitPattern: phase.sourceHeight)
    && UInt(bitPattern: column) < UInt(bitPattern: phase.sourceWidth)
  return inside
    ? memory.image[pixel] + (row &* phase.sourceWidth &+ column) &* phase.sourceChannels
    : UnsafePointer(memory.zeros)
}

/// Fills in memory.taps.
private func pointTaps(_ phase: ConvolutionPhase, _ pixels: Int, _ memory: ConvolutionScratch) {
  var to = memory.taps
  var tile = 0
  while tile < pixels {
    var u = 0
    while u < phase.tapRows {
      var v = 0
      while v < phase.tapColumns {
        var r = 0
        while r < tileRows {
          to[r] = tapPointer(phase, tile &+ r, u, v, memory)
          r &+= 1
        }
        to += tileRows
        v &+= 1
      }
      u &+= 1
    }
    tile &+= tileRows
  }
}

/// True where tap `tap` of a tile lies outside the image for all its pixels.
@inline(__always) private func isDead(
  _ table: UnsafeMutablePointer<Source>, _ tap: Int, _ zeros: Target
) -> Bool {
  let at = table + tap &* tileRows
  var r = 0
  while r < tileRows && at[r] == UnsafePointer(zeros) { r &+= 1 }
  return r == tileRows
}

/// Few channels: copies each pixel's patch into one row, and points memory.taps to the rows.
private func gatherPatches(_ phase: ConvolutionPhase, _ pixels: Int, _ memory: ConvolutionScratch) {
  let channels = phase.sourceChannels
  let run = phase.tapColumns &* channels
  var to = memory.gathered
  var pixel = 0
  while pixel < pixels || pixel % tileRows != 0 {
    memory.taps[pixel] = UnsafePointer(to)
    let column = Int(memory.column[pixel])
    let together =
      phase.sign > 0 && column >= 0 && column &+ phase.tapColumns <= phase.sourceWidth
    var u = 0
    while u < phase.tapRows {
      let row = Int(memory.row[pixel]) &+ phase.sign &* u
      if together && row >= 0 && row < phase.sourceHeight {
        // The taps of this row lie one after the other.
        copyShort(memory.image[pixel] + (row &* phase.sourceWidth &+ column) &* channels, to, run)
        to += run
      } else {
        var v = 0
        while v < phase.tapColumns {
          let from = tapPointer(phase, pixel, u, v, memory)
          var c = 0
          while c < channels {
            to[c] = from[c]
            c &+= 1
          }
          to += channels
          v &+= 1
        }
      }
      u &+= 1
    }
    pixel &+= 1
  }
}

/// Copies a few numbers, four at a time; the last four may overlap those before.
@inline(__always) private func copyShort(_ from: Source, _ to: Target, _ n: Int) {
  if n < 4 {
    var i = 0
    while i < n {
      to[i] = from[i]
      i &+= 1
    }
    return
  }
  let (source, target) = (UnsafeRawPointer(from), UnsafeMutableRawPointer(to))
  var i = 0
  while i &+ 4 < n {
    let part = source.loadUnaligned(fromByteOffset: i &* 4, as: SIMD4<Float>.self)
    target.storeBytes(of: part, toByteOffset: i &* 4, as: SIMD4<Float>.self)
    i &+= 4
  }
  let last = (n &- 4) &* 4
  let part = source.loadUnaligned(fromByteOffset: last, as: SIMD4<Float>.self)
  target.storeBytes(of: part, toByteOffset: last, as: SIMD4<Float>.self)
}

/// The product of a block. Order: a piece of taps, panel, tile of pixels: the piece of the panel
/// stays in the first-level cache while the tiles pass. Taps that lie outside the image for a
/// whole tile are left out: in the input gradient of an unpadded convolution, up to half of them.
private func multiplyBlock(
  _ phase: ConvolutionPhase, _ pixels: Int, _ segments: Int, _ length: Int, _ tiles: TileScratch,
  _ memory: ConvolutionScratch
) {
  let columns = phase.targetChannels
  let k = segments &* length
  let wanted = reductionBlock / length
  let piece = wanted < 1 ? 1 : wanted
  // The first tap of each tile that counts (the source rows are not needed any more).
  var tile = 0
  while tile < pixels {
    let table = memory.taps + tile &* segments
    var tap = 0
    while tap < segments && isDead(table, tap, memory.zeros) { tap &+= 1 }
    memory.row[tile] = tap == segments ? 0 : Int32(truncatingIfNeeded: tap)
    tile &+= tileRows
  }
  var first = 0
  while first < segments {
    let end = segments &- first < piece ? segments : first &+ piece
    var c0 = 0
    while c0 < columns {
      let wide = columns &- c0 < tileColumns ? columns &- c0 : tileColumns
      let panel = phase.packed + c0 &* k
      var p0 = 0
      while p0 < pixels {
        let high = pixels &- p0 < tileRows ? pixels &- p0 : tileRows
        let table = memory.taps + p0 &* segments
        let live = Int(memory.row[p0])
        var r = 0
        while r < tileRows {
          tiles.c[r] = memory.target[p0 &+ r] + c0
          r &+= 1
        }
        var tap = first
        while tap < end {
          if tap != live && isDead(table, tap, memory.zeros) {
            tap &+= 1
            continue
          }
          let from = tap
          tap &+= 1
          while tap < end && !isDead(table, tap, memory.zeros) { tap &+= 1 }
          placeRowsTile(
            high, wide, table + from &* tileRows, tap &- from, length,
            panel + from &* length &* tileColumns, tiles.c, from != live, tiles.edge,
            tiles.edgeRows)
        }
        p0 &+= tileRows
      }
      c0 &+= tileColumns
    }
    first = end
  }
}
