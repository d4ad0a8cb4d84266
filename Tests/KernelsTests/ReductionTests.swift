// Reductions, moments, argmax and softmax against plain loops in Double.

import Glibc
import KernelTable
import Testing

struct Shape3: Sendable, CustomTestStringConvertible {
  var outer: Int
  var reduce: Int
  var inner: Int
  var testDescription: String { "[\(outer), \(reduce), \(inner)]" }
  var count: Int { outer * reduce * inner }
}

let reductionShapes: [Shape3] = [
  .init(outer: 1, reduce: 1, inner: 1), .init(outer: 1, reduce: 70_001, inner: 1),
  .init(outer: 17, reduce: 5, inner: 1), .init(outer: 3, reduce: 131, inner: 1),
  .init(outer: 1, reduce: 3000, inner: 3), .init(outer: 1, reduce: 777, inner: 67),
  .init(outer: 1, reduce: 65, inner: 300), .init(outer: 4, reduce: 9, inner: 16),
  .init(outer: 40, reduce: 3, inner: 7), .init(outer: 2, reduce: 1, inner: 129),
  .init(outer: 1, reduce: 1101, inner: 32), .init(outer: 3, reduce: 1, inner: 47),
]

@Suite struct ReductionTests {
  func runReduce(
    _ isa: Isa, _ input: Floats, _ shape: Shape3, _ set: (inout ReduceArguments) -> Void
  )
    -> Floats
  {
    let out = Floats(shape.outer * shape.inner)
    var a = ReduceArguments()
    a.input = UnsafeRawPointer(input.raw)
    a.output = out.raw
    a.outer = shape.outer
    a.reduce = shape.reduce
    a.inner = shape.inner
    set(&a)
    let partial = Floats(a.partialCount())
    a.partial = partial.raw
    if a.splits() > 1 {
      launchAll(isa.table.reduce, a, outputs: [partial])
      launchAll(isa.table.reduceCombine, a, outputs: [out])
    } else {
      launchAll(isa.table.reduce, a, outputs: [out])
    }
    return out
  }

  @Test(arguments: Isa.all, reductionShapes)
  func reductions(isa: Isa, shape: Shape3) {
    var random = Values(5)
    let values = random.floats(shape.count)
    let input = Floats(values)
    var sums: [Double] = []
    var maxima: [Float] = []
    for o in 0..<shape.outer {
      for i in 0..<shape.inner {
        let column = (0..<shape.reduce).map { values[(o * shape.reduce + $0) * shape.inner + i] }
        sums.append(column.reduce(0) { $0 + Double($1) })
        maxima.append(column.max()!)
      }
    }
    let sum = runReduce(isa, input, shape) { $0.scale = 0.5 }
    let magnitude = Double(shape.reduce)
    for (s, e) in zip(sum.values, sums) {
      #expect(abs(Double(s) - 0.5 * e) <= 1e-7 * magnitude)
    }
    let largest = runReduce(isa, input, shape) { $0.operation = .maximum }
    #expect(largest.values == maxima)
    let least = runReduce(isa, Floats(values.map { -$0 }), shape) { $0.operation = .minimum }
    #expect(least.values == maxima.map { -$0 })
    var poisoned = values
    poisoned[shape.count / 2] = .nan
    let nan = runReduce(isa, Floats(poisoned), shape) { $0.operation = .maximum }
    #expect(nan.values.filter(\.isNaN).count == 1)
  }

  @Test(arguments: Isa.all, reductionShapes)
  func integerReductions(isa: Isa, shape: Shape3) {
    let values = (0..<shape.count).map { Int32(($0 * 7919) % 2003 - 1000) }
    var sums: [Int32] = []
    var maxima: [Int32] = []
    var minima: [Int32] = []
    for o in 0..<shape.outer {
      for i in 0..<shape.inner {
        let column = (0..<shape.reduce).map { values[(o * shape.reduce + $0) * shape.inner + i] }
        sums.append(column.reduce(0, &+))
        maxima.append(column.max()!)
        minima.append(column.min()!)
      }
    }
    for (operation, expected) in [
      (ReduceOperation.sum, sums), (.maximum, maxima), (.minimum, minima),
    ] {
      let found = runReduce(isa, Floats(integers: values), shape) {
        $0.isInteger = true
        $0.operation = operation
      }
      #expect(found.int32s == expected)
    }
  }

  @Test(arguments: Isa.all, reductionShapes)
  func moments(isa: Isa, shape: Shape3) {
    var random = Values(9)
    // A mean far from zero, where the difference of squares would lose everything.
    let values = random.floats(shape.count).map { $0 * 0.01 + 100 }
    let input = Floats(values)
    let mean = Floats(shape.outer * shape.inner)
    let variance = Floats(shape.outer * shape.inner)
    var a = MomentsArguments()
    a.input = UnsafePointer(input.pointer)
    a.mean = mean.pointer
    a.variance = variance.pointer
    a.outer = shape.outer
    a.rows = shape.reduce
    a.channels = shape.inner
    let partial = Floats(a.partialCount())
    a.partial = partial.pointer
    launchAll(isa.table.moments, a, outputs: [partial])
    launchAll(isa.table.momentsCombine, a, outputs: [mean, variance])
    for o in 0..<shape.outer {
      for i in 0..<shape.inner {
        let column = (0..<shape.reduce).map {
          Double(values[(o * shape.reduce + $0) * shape.inner + i])
        }
        let m = column.reduce(0, +) / Double(shape.reduce)
        let v = column.reduce(0) { $0 + ($1 - m) * ($1 - m) } / Double(shape.reduce)
        let at = o * shape.inner + i
        #expect(abs(Double(mean.pointer[at]) - m) <= 3e-5)
        #expect(abs(Double(variance.pointer[at]) - v) <= 3e-4 * v + 1e-9)
      }
    }
  }

  @Test(arguments: Isa.all, reductionShapes)
  func argmax(isa: Isa, shape: Shape3) {
    // Few different values, so that ties occur.
    let values = (0..<shape.count).map { Float(($0 * 7919) % 13) }
    let input = Floats(values)
    let out = Floats(shape.outer * shape.inner)
    var a = ArgmaxArguments()
    a.input = UnsafePointer(input.pointer)
    a.output = out.integers
    a.outer = shape.outer
    a.reduce = shape.reduce
    a.inner = shape.inner
    launchAll(isa.table.argmax, a, outputs: [out])
    for o in 0..<shape.outer {
      for i in 0..<shape.inner {
        let column = (0..<shape.reduce).map { values[(o * shape.reduce + $0) * shape.inner + i] }
        #expect(Int(out.int32s[o * shape.inner + i]) == column.firstIndex(of: column.max()!)!)
      }
    }
  }

  @Test(arguments: Isa.all, [1, 2, 10, 16, 33, 130])
  func softmax(isa: Isa, columns: Int) {
    var random = Values(11)
    let rows = 7
    let values = random.floats(rows * columns).map { $0 * 30 }
    let input = Floats(values)
    let out = Floats(rows * columns)
    var a = SoftmaxArguments()
    a.input = UnsafePointer(input.pointer)
    a.output = out.pointer
    a.rows = rows
    a.columns = columns
    for logarithm in [false, true] {
      a.logarithm = logarithm
      launchAll(isa.table.softmax, a, outputs: [out])
      for r in 0..<rows {
        let row = values[r * columns..<(r + 1) * columns].map { Double($0) }
        let most = row.max()!
        let sum = row.reduce(0) { $0 + Glibc.exp($1 - most) }
        for c in 0..<columns {
          let log = row[c] - most - Glibc.log(sum)
          let found = Double(out.pointer[r * columns + c])
          let exact = logarithm ? log : Glibc.exp(log)
          #expect(abs(found - exact) <= 6e-6 * max(abs(exact), logarithm ? 1 : 1e-30))
        }
      }
    }
  }
}
