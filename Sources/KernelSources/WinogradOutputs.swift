// The transform of tiles of outputs, m×m pixels to n² points: the powers of the points along both axes. It is the
// adjoint of the last transform of a convolution, and takes dy into both gradients.

import KernelTable

/// For `count` tiles from tile `first` on, channels c0..<c0 + columns: to[point][tile][columns], points `stride` apart.
/// The tiles divide `outputs`, with the arguments' tile counts.
func transformOutputs(
  _ p: UnsafePointer<WinogradArguments>, _ outputs: WinogradImage, _ first: Int, _ count: Int,
  _ c0: Int, _ columns: Int, _ to: Target, _ stride: Int, _ memory: WinogradScratch
) {
  switch (p.pointee.points, p.pointee.tile) {
  case (6, 2): transformTiles(p, outputs, 6, 2, first, count, c0, columns, to, stride, memory)
  case (6, 3): transformTiles(p, outputs, 6, 3, first, count, c0, columns, to, stride, memory)
  case (6, 4): transformTiles(p, outputs, 6, 4, first, count, c0, columns, to, stride, memory)
  case (6, _): transformTiles(p, outputs, 6, 5, first, count, c0, columns, to, stride, memory)
  case (7, 3): transformTiles(p, outputs, 7, 3, first, count, c0, columns, to, stride, memory)
  case (7, 4): transformTiles(p, outputs, 7, 4, first, count, c0, columns, to, stride, memory)
  case (7, 5): transformTiles(p, outputs, 7, 5, first, count, c0, columns, to, stride, memory)
  case (7, _): transformTiles(p, outputs, 7, 6, first, count, c0, columns, to, stride, memory)
  case (_, 4): transformTiles(p, outputs, 8, 4, first, count, c0, columns, to, stride, memory)
  case (_, 5): transformTiles(p, outputs, 8, 5, first, count, c0, columns, to, stride, memory)
  default: transformTiles(p, outputs, 8, 6, first, count, c0, columns, to, stride, memory)
  }
}

/// `points` and `m` are p.points and p.tile as constants.
@inline(__always) private func transformTiles(
  _ p: UnsafePointer<WinogradArguments>, _ outputs: WinogradImage, _ points: Int, _ m: Int,
  _ first: Int, _ count: Int, _ c0: Int, _ columns: Int, _ to: Target, _ stride: Int,
  _ memory: WinogradScratch
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
    let row = inImage / perRow
    let column = inImage &- row &* perRow
    var stream = streamBeside(
      outputs, n, row, perImage / perRow, column, perRow, m &* step, m &* step,
      columns / width &* m)
    var c = 0
    var known = -1
    while c < columns {
      let group = (c0 &+ c) / channels
      if group != known {
        let a = group / step
        pointOutputs(
          outputs, m, image, row &* m &* step &+ a,
          column &* m &* step &+ (group &- a &* step), memory)
        known = group
      }
      transformPowers(
        points, m, c0 &+ c &- group &* channels, to + (t &* columns &+ c), stride, &stream, memory)
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
      memory.pixels[i &* m &+ j] =
        inside
        ? image + (r &* outputs.width &+ c) &* outputs.channels : UnsafePointer(memory.zeros)
      j &+= 1
    }
    i &+= 1
  }
}

/// The powers of the points along both axes for one vector of channels.
@inline(__always) private func transformPowers(
  _ points: Int, _ m: Int, _ c: Int, _ to: Target, _ stride: Int, _ stream: inout Stream,
  _ memory: WinogradScratch
) {
  let pixels = memory.pixels
  let spare = memory.spare
  var j = 0
  while j < m {
    ask(&stream)
    let d = powerTransform(points, m, loadPixels(m, pixels + j, m, c))
    storeLine(points, d, spare + j &* width, points &* width)
    j &+= 1
  }
  var i = 0
  while i < points {
    let d = powerTransform(points, m, loadLine(m, spare + i &* points &* width, width))
    storeLine(points, d, to + i &* points &* stride, stride)
    i &+= 1
  }
}
