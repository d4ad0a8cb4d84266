// What a product's epilogue will read and write, asked for while the product is made.

import KernelTable

/// What a product asks for ahead of its epilogue: the first three inputs as large as C with rows of n, where they do not
/// stay in the second-level cache. An optimiser's update reads a parameter and two averages.
func readByEpilogue(_ epilogue: UnsafePointer<RegionArguments>, _ n: Int) -> TileAhead? {
  guard asksAhead(epilogue) else { return nil }
  var found: TileAhead?
  var count = 0
  var i = 1
  while i < epilogue.pointee.inputCount && count < 3 {
    let input = epilogue.pointee.inputs! + i
    i &+= 1
    guard case .full = input.pointee.access, let memory = inputMemory(input) else { continue }
    if count == 0 { found = (memory, memory, memory, n) }
    if count == 1 { found!.1 = memory }
    found!.2 = memory
    count &+= 1
  }
  return found
}

/// Where the table of an epilogue's matrices lies in a product's scratch: behind its pointers to rows of A, of which a product
/// has one segment.
private let matricesOffset = 8192

/// What an epilogue reads and writes at the places of C besides the product, each matrix once.
func touchedByEpilogue(
  _ epilogue: UnsafePointer<RegionArguments>, _ n: Int, _ scratch: UnsafeMutableRawPointer
) -> EpilogueRows {
  let most = 16
  var rows = EpilogueRows(
    matrices: (scratch + matricesOffset).assumingMemoryBound(to: Target.self), count: 0, stride: n)
  var i = 1
  while i < epilogue.pointee.inputCount && rows.count < most {
    let input = epilogue.pointee.inputs! + i
    if case .full = input.pointee.access, let memory = inputMemory(input) { add(memory, &rows) }
    i &+= 1
  }
  i = 0
  while i < epilogue.pointee.outputCount && rows.count < most {
    let output = epilogue.pointee.outputs![i].pointer
    if let output { add(output.assumingMemoryBound(to: Float.self), &rows) }
    i &+= 1
  }
  return rows
}

private func add(_ matrix: Target, _ rows: inout EpilogueRows) {
  var i = 0
  while i < rows.count {
    if rows.matrices[i] == matrix { return }
    i &+= 1
  }
  rows.matrices[rows.count] = matrix
  rows.count &+= 1
}

/// Asks for `rows` × `columns` elements of the block from its row r0 on, of this time's share of the matrices. A few lines for
/// each tile: many at once would wait for each other.
@inline(__always) func ask(_ touched: EpilogueRows, _ r0: Int, _ rows: Int, _ columns: Int) {
  var i = touched.time
  while i < touched.count {
    var row = touched.matrices[i] + (touched.first &+ r0 &* touched.stride)
    var r = 0
    while r < rows {
      var c = 0
      while c < columns {
        prefetch(row + c)
        c &+= 16
      }
      row += touched.stride
      r &+= 1
    }
    i &+= touched.times
  }
}
