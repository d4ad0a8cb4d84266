// The transform of tiles of outputs, m×m pixels to 36 points: the powers of the points along both axes. It is the
// adjoint of the last transform of a convolution, and takes dy into both gradients.

import KernelTable

/// For `count` tiles from tile `first` on, channels c0..<c0 + columns: to[point][tile][columns], points `stride` apart.
/// The tiles divide `outputs`, with the arguments' tile counts.
func transformOutputs(
  _ p: UnsafePointer<WinogradArguments>, _ outputs: WinogradImage, _ first: Int, _ count: Int,
  _ c0: Int, _ columns: Int, _ to: Target, _ stride: Int, _ memory: WinogradScratch
) {
  switch p.pointee.tile {
  case 2: transformTiles(p, outputs, 2, first, count, c0, columns, to, stride, memory)
  case 3: transformTiles(p, outputs, 3, first, count, c0, columns, to, stride, memory)
  case 4: transformTiles(p, outputs, 4, first, count, c0, columns, to, stride, memory)
  default: transformTiles(p, outputs, 5, first, count, c0, columns, to, stride, memory)
  }
}

/// `m` is p.tile as a constant.
@inline(__always) private func transformTiles(
  _ p: UnsafePointer<WinogradArguments>, _ outputs: WinogradImage, _ m: Int, _ first: Int,
  _ count: Int, _ c0: Int, _ columns: Int, _ to: Target, _ stride: Int, _ memory: WinogradScratch
) {
  let perRow = p.pointee.tileColumns
  let perImage = p.pointee.tileRows &* perRow
  let step = outputs.step
  let channels = outputs.channels
  let imageFloats = outputs.height &* outputs.width &* channels
  var t = 0
  while t < count {
    let n = (first &+ t) / perImage
    let inImage = first &+ t &- n &* perImage
    let image = UnsafePointer(outputs.pixels!) + n &* imageFloats
    var c = 0
    var known = -1
    while c < columns {
      let group = (c0 &+ c) / channels
      if group != known {
        let a = group / step
        pointOutputs(
          outputs, m, image, inImage / perRow &* m &* step &+ a,
          inImage % perRow &* m &* step &+ (group &- a &* step), memory)
        known = group
      }
      transformPowers(m, c0 &+ c &- group &* channels, to + (t &* columns &+ c), stride, memory)
      c &+= width
    }
    t &+= 1
  }
}

/// The m×m pixels of a tile; zeros outside the image.
@inline(__always) private func pointOutputs(
  _ outputs: WinogradImage, _ m: Int, _ image: Source, _ row: Int, _ column: Int,
  _ memory: WinogradScratch
) {
  var i = 0
  while i < m {
    let r = row &+ outputs.step &* i
    var j = 0
    while j < m {
      let c = column &+ outputs.step &* j
      let inside = r < outputs.height && c < outputs.width
      memory.pixels[i &* 6 &+ j] =
        inside
        ? image + (r &* outputs.width &+ c) &* outputs.channels : UnsafePointer(memory.zeros)
      j &+= 1
    }
    i &+= 1
  }
}

/// The powers of the points along both axes for one vector of channels.
@inline(__always) private func transformPowers(
  _ m: Int, _ c: Int, _ to: Target, _ stride: Int, _ memory: WinogradScratch
) {
  let pixels = memory.pixels
  let spare = memory.spare
  let zero = splat(0)
  var j = 0
  while j < m {
    let at = pixels + j
    let d0 = load(at[0] + c)
    let d1 = load(at[6] + c)
    let d2 = m > 2 ? load(at[12] + c) : zero
    let d3 = m > 3 ? load(at[18] + c) : zero
    let d4 = m > 4 ? load(at[24] + c) : zero
    let last = m == 2 ? d1 : m == 3 ? d2 : m == 4 ? d3 : d4
    storeSix(powerTransform((d0, d1, d2, d3, d4), last), spare + j &* width, 6 &* width)
    j &+= 1
  }
  var i = 0
  while i < 6 {
    let at = spare + i &* 6 &* width
    let d0 = load(at)
    let d1 = load(at + width)
    let d2 = m > 2 ? load(at + 2 &* width) : zero
    let d3 = m > 3 ? load(at + 3 &* width) : zero
    let d4 = m > 4 ? load(at + 4 &* width) : zero
    let last = m == 2 ? d1 : m == 3 ? d2 : m == 4 ? d3 : d4
    storeSix(powerTransform((d0, d1, d2, d3, d4), last), to + i &* 6 &* stride, stride)
    i &+= 1
  }
}
