// What the transforms of tiles read comes from memory, a few pixels here and there: too irregular for a processor to
// foresee. Rows of tiles follow each other in memory, though, in an image and from image to image, so that while one is
// transformed the pixels of the next are asked for, a few lines in each step.

import KernelTable

/// The next line to ask for, and how many in each step.
typealias Stream = (at: Target, lines: Int)

/// A tile's share of the pixels that the next row of tiles will read and this one does not. Tile row r of `tileRows`
/// reads the image's rows up to `reach` + r · `apart`; `perRow` tiles of `steps` steps share the pixels.
@inline(__always) func streamBeside(
  _ image: WinogradImage, _ n: Int, _ row: Int, _ tileRows: Int, _ column: Int, _ perRow: Int,
  _ reach: Int, _ apart: Int, _ steps: Int
) -> Stream {
  let height = image.height
  let rowFloats = image.width &* image.channels
  let first = tileRows == 1 || reach > height ? height : reach
  var from = 0
  var to = first
  var next = n
  if row &+ 1 < tileRows {
    from = first &+ row &* apart
    to = row &+ 2 == tileRows || from &+ apart > height ? height : from &+ apart
    if from > to { from = to }
  } else {
    next = n &+ 1
  }
  let floats: Int = (to &- from) &* rowFloats
  let share: Int = (floats &+ perRow &- 1) / perRow
  let at: Int = (next &* height &+ from) &* rowFloats &+ column &* share
  let lines: Int = (share &+ 15) / 16
  return (image.pixels! + at, (lines &+ steps &- 1) / steps)
}

@inline(__always) func ask(_ stream: inout Stream) {
  var i = 0
  while i < stream.lines {
    prefetch(stream.at)
    stream.at += 16
    i &+= 1
  }
}
