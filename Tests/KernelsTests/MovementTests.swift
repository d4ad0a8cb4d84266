// Copies, fills, gathers and rows by index.

import KernelTable
import Testing

/// All index tuples of a shape, in row-major order.
func indices(_ sizes: [Int]) -> [[Int]] {
  sizes.reduce([[]]) { all, size in all.flatMap { i in (0..<size).map { i + [$0] } } }
}

func dense(_ sizes: [Int]) -> [Int] {
  var strides = [Int](repeating: 1, count: sizes.count)
  for axis in stride(from: sizes.count - 2, through: 0, by: -1) {
    strides[axis] = strides[axis + 1] * sizes[axis + 1]
  }
  return strides
}

func dot(_ a: [Int], _ b: [Int]) -> Int { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }

struct CopyCase: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var sizes: [Int]
  var from: [Int]
  var to: [Int]
}

let copyCases: [CopyCase] = [
  .init(testDescription: "one", sizes: [], from: [], to: []),
  .init(testDescription: "flat", sizes: [9001], from: [1], to: [1]),
  .init(testDescription: "transpose", sizes: [67, 131], from: [1, 67], to: [131, 1]),
  .init(testDescription: "small transpose", sizes: [3, 5], from: [1, 3], to: [5, 1]),
  .init(
    testDescription: "permute", sizes: [2, 9, 5, 33], from: [1485, 1, 297, 9],
    to: [1485, 165, 33, 1]),
  .init(testDescription: "slice", sizes: [4, 3, 7], from: [100, 10, 1], to: [21, 7, 1]),
  .init(testDescription: "into part", sizes: [4, 5, 3], from: [15, 3, 1], to: [60, 6, 1]),
  .init(testDescription: "broadcast", sizes: [6, 5, 40], from: [0, 1, 0], to: [200, 40, 1]),
  .init(testDescription: "strided", sizes: [11, 13], from: [39, 3], to: [26, 2]),
  .init(
    testDescription: "unit axes", sizes: [1, 30, 1, 1], from: [0, 2, 7, 0], to: [30, 1, 1, 1]),
]

@Suite struct MovementTests {
  @Test(arguments: Isa.all, copyCases)
  func copies(isa: Isa, test: CopyCase) {
    let all = indices(test.sizes)
    let sourceCount = all.map { dot($0, test.from) }.max()! + 1
    let targetCount = all.map { dot($0, test.to) }.max()! + 1
    let source = Floats(sourceCount) { Float($0) }
    let target = Floats(targetCount) { _ in -1 }
    var expected = [Float](repeating: -1, count: targetCount)
    for i in all { expected[dot(i, test.to)] = Float(dot(i, test.from)) }
    test.sizes.withPointer { sizes in
      test.from.withPointer { from in
        test.to.withPointer { to in
          var a = CopyArguments()
          a.source = UnsafeRawPointer(source.raw)
          a.destination = target.raw
          a.rank = test.sizes.count
          a.sizes = sizes
          a.sourceStrides = from
          a.destinationStrides = to
          launchAll(isa.table.copy, a, outputs: [target])
        }
      }
    }
    #expect(target.values == expected)
  }

  @Test(arguments: Isa.all, [1, 63, 1000])
  func fillsAndCounts(isa: Isa, count: Int) {
    let target = Floats(count)
    var fill = FillArguments()
    fill.destination = target.raw
    fill.count = count
    fill.word = Float(2.5).bitPattern
    launchAll(isa.table.fill, fill, outputs: [target])
    #expect(target.values.allSatisfy { $0 == 2.5 })
    var iota = IotaArguments()
    iota.destination = target.integers
    iota.count = count
    iota.start = 3
    iota.step = -2
    launchAll(isa.table.iota, iota, outputs: [target])
    #expect(target.int32s == (0..<count).map { 3 - 2 * Int32($0) })
  }

  /// Reflection by 2 of the middle axes of [3, 5, 6, 4]; then the adjoint: ⟨gather(x), y⟩ = ⟨x,
  /// adjoint(y)⟩ for unit weights, element by element.
  @Test(arguments: Isa.all)
  func gathersAndAdjoint(isa: Isa) {
    let inner = [3, 5, 6, 4]
    let outer = [3, 9, 10, 4]
    func reflected(_ n: Int) -> [Int32] {
      (0..<n + 4).map { i in
        let j = abs(i - 2)
        return Int32(j >= n ? 2 * (n - 1) - j : j)
      }
    }
    let rows = reflected(5)
    let columns = reflected(6)
    // The last axis reversed.
    let channels: [Int32] = [3, 2, 1, 0]
    var random = Values(21)
    let x = Floats(random.floats(3 * 5 * 6 * 4))
    let y = Floats(3 * 9 * 10 * 4)
    let dense4 = dense(inner)
    func place(_ i: [Int]) -> Int {
      dot([i[0], Int(rows[i[1]]), Int(columns[i[2]]), Int(channels[i[3]])], dense4)
    }
    rows.withPointer { rows in
      columns.withPointer { columns in
        channels.withPointer { channels in
          let tables: [UnsafePointer<Int32>?] = [nil, rows, columns, channels]
          tables.withPointer { tables in
            outer.withPointer { sizes in
              dense4.withPointer { strides in
                var a = GatherArguments()
                a.source = UnsafeRawPointer(x.raw)
                a.destination = y.raw
                a.rank = 4
                a.sizes = sizes
                a.tables = tables
                a.sourceStrides = strides
                launchAll(isa.table.gather, a, outputs: [y])
              }
            }
          }
        }
      }
    }
    #expect(y.values == indices(outer).map { x.pointer[place($0)] })

    func inverse(_ table: [Int32], _ n: Int) -> (starts: [Int32], list: [Int32]) {
      var starts: [Int32] = [0]
      var list: [Int32] = []
      for i in 0..<n {
        for j in table.indices where table[j] == Int32(i) { list.append(Int32(j)) }
        starts.append(Int32(list.count))
      }
      return (starts, list)
    }
    let (rowStarts, rowList) = inverse(rows, 5)
    let (columnStarts, columnList) = inverse(columns, 6)
    let (channelStarts, channelList) = inverse(channels, 4)
    let dx = Floats(x.count)
    var expected = [Double](repeating: 0, count: x.count)
    for (at, i) in indices(outer).enumerated() { expected[place(i)] += Double(y.pointer[at]) }
    rowStarts.withPointer { rs in
      rowList.withPointer { rl in
        columnStarts.withPointer { cs in
          columnList.withPointer { cl in
            channelStarts.withPointer { hs in
              channelList.withPointer { hl in
                let starts: [UnsafePointer<Int32>?] = [nil, rs, cs, hs]
                let lists: [UnsafePointer<Int32>?] = [nil, rl, cl, hl]
                starts.withPointer { starts in
                  lists.withPointer { lists in
                    inner.withPointer { sizes in
                      dense(outer).withPointer { strides in
                        var a = GatherAdjointArguments()
                        a.source = UnsafePointer(y.pointer)
                        a.destination = dx.pointer
                        a.rank = 4
                        a.sizes = sizes
                        a.starts = starts
                        a.lists = lists
                        a.sourceStrides = strides
                        launchAll(isa.table.gatherAdjoint, a, outputs: [dx])
                      }
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
    #expect(worst(dx.values, expected) < 1e-6)
  }

  @Test(arguments: Isa.all, [1, 5, 16, 19])
  func rowsByIndex(isa: Isa, width: Int) {
    let ids: [Int32] = [3, 0, 3, 6, -1, 2, 7, 3]
    let table = Floats(7 * width) { Float($0) }
    let rows = Floats(8 * width)
    ids.withPointer { pointer in
      var a = RowsArguments()
      a.table = table.pointer
      a.ids = pointer
      a.rows = rows.pointer
      a.idCount = 8
      a.tableRows = 7
      a.width = width
      launchAll(isa.table.gatherRows, a, outputs: [rows])
      for (i, id) in ids.enumerated() {
        for c in 0..<width {
          let found = rows.pointer[i * width + c]
          let inside = id >= 0 && id < 7
          #expect(inside ? found == Float(Int(id) * width + c) : found == 0)
        }
      }
      rows.refill((0..<8 * width).map { Float($0) })
      launchAll(isa.table.scatterAddRows, a, outputs: [table])
      for t in 0..<7 {
        for c in 0..<width {
          let sum = ids.indices.filter { ids[$0] == Int32(t) }.reduce(Float(0)) {
            $0 + Float($1 * width + c)
          }
          #expect(table.pointer[t * width + c] == sum)
        }
      }
      launchAll(isa.table.oneHot, a, outputs: [rows])
      for (i, id) in ids.enumerated() {
        for c in 0..<width { #expect(rows.pointer[i * width + c] == (Int(id) == c ? 1 : 0)) }
      }
    }
  }
}
