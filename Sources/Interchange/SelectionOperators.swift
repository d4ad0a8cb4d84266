// Operators that choose elements by number: gathering, one-hot rows, triangles.

import Basics
import Formats
import GraphIR
import Operators

enum SelectionOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "Gather": .init(["axis"], gather),
    "OneHot": .init(["axis"], oneHot),
    "Trilu": .init(["upper"], triangle),
  ]

  @Sendable private static func gather(_ node: NodeImport) throws -> [ModelValue?] {
    let (x, ids) = (try node.input(0), try node.input(1))
    let axis = try node.axis(node.int("axis", 0), rank: x.rank)
    let size = x.shape[axis]
    let shape = Array(x.shape[..<axis]) + ids.shape + x.shape[(axis + 1)...]
    let builder = node.builder
    if let places = ids.values {
      let places = try places.map { place -> Int in
        let whole = Int(clamping: place)
        guard whole >= -size, whole < size else {
          throw Malformed(what: "gathers \(whole) from an axis of \(size)")
        }
        return whole < 0 ? whole + size : whole
      }
      guard !places.isEmpty else { return [try node.known(x.element, shape, [])] }
      // Parts of shapes stay exact, also beyond 32 bits.
      if x.rank == 1, x.isKnown, x.count <= GraphImport.largestFolded, let values = x.values {
        return [try node.known(x.element, shape, places.map { values[$0] })]
      }
      let taken = try node.take(node.planar(x), axis: axis, places)
      return [node.result(try builder.reshape(taken, shape), x.element)]
    }
    guard x.element.isReal else {
      throw Unsupported(what: "Gather of \(x.element.text) with computed indices")
    }
    let numbers = try node.planar(ids)
    let isNegative = try builder.compare(.lt, numbers, 0)
    let places = try builder.select(isNegative, builder.add(numbers, Double(size)), numbers)
    let order = [axis] + x.shape.indices.filter { $0 != axis }
    let rows = try builder.gatherRows(builder.transpose(node.planar(x), order), places)
    // [ids…, the other axes] -> the ids where the axis was.
    let back =
      (0..<axis).map { ids.rank + $0 } + Array(0..<ids.rank)
      + (axis..<x.rank - 1).map { ids.rank + $0 }
    return [node.result(try builder.transpose(rows, back), x.element)]
  }

  @Sendable private static func oneHot(_ node: NodeImport) throws -> [ModelValue?] {
    let (ids, choice) = (try node.input(0), try node.input(2))
    let depth = try Int(clamping: node.knownScalar(1, "depth"))
    guard choice.count == 2, choice.element.computed != nil else {
      throw Malformed(what: "needs the two values off and on")
    }
    let builder = node.builder
    let numbers = try builder.convert(node.planar(ids), to: .i32)
    let isNegative = try builder.compare(.lt, numbers, 0)
    let places = try builder.select(isNegative, builder.add(numbers, Double(depth)), numbers)
    let hot = try builder.compare(.ne, builder.oneHot(places, count: depth), 0)
    let values = try node.planar(choice)
    let off = try builder.reshape(builder.slice(values, starts: [0], ends: [1]), [])
    let on = try builder.reshape(builder.slice(values, starts: [1], ends: [2]), [])
    let row = try builder.select(hot, on, off)
    let axis = try node.axis(node.int("axis", -1), rank: ids.rank, extra: 1)
    var order = Array(0..<ids.rank)
    order.insert(ids.rank, at: axis)
    return [node.result(try builder.transpose(row, order), choice.element)]
  }

  /// The upper or lower triangle of the last two axes, zeros elsewhere.
  @Sendable private static func triangle(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    guard x.rank >= 2 else { throw Malformed(what: "needs a matrix") }
    let (rows, columns) = (x.shape[x.rank - 2], x.shape[x.rank - 1])
    let diagonal = try node.optional(1) == nil ? 0 : Int(clamping: node.knownScalar(1, "k"))
    let isUpper = try node.flag("upper", true)
    guard rows * columns <= GraphImport.largestFolded else {
      throw Unsupported(what: "Trilu of more than \(GraphImport.largestFolded) elements")
    }
    let distance = max(-rows - columns, min(diagonal, rows + columns))
    var mask: [Double] = []
    for row in 0..<rows {
      for column in 0..<columns {
        let isIn = isUpper ? column - row >= distance : column - row <= distance
        mask.append(isIn ? 1 : 0)
      }
    }
    let builder = node.builder
    let chosen = try builder.compare(.ne, node.table("triangle", [rows, columns], mask), 0)
    let id = try ElementwiseOperators.asNumber(builder, node.planar(x))
    let y = try builder.select(chosen, id, builder.scalar(0, like: id))
    return [node.result(try builder.convert(y, to: x.element.computed ?? .f32), x.element)]
  }
}

extension NodeImport {
  /// The elements at known places of an axis. Runs of places that follow each other become slices;
  /// many scattered ones of reals a gather.
  func take(
    _ x: ValueID, axis: Int, _ places: some Sequence<Int>
  ) throws -> ValueID {
    var runs: [Range<Int>] = []
    var all: [Double] = []
    for place in places {
      guard all.count < 1 << 20 else { throw Unsupported(what: "a choice of more than 2²⁰ places") }
      all.append(Double(place))
      if let last = runs.last, last.upperBound == place {
        runs[runs.count - 1] = last.lowerBound..<place + 1
      } else {
        runs.append(place..<place + 1)
      }
    }
    if runs.count > 4, builder.type(of: x).element == .f32 {
      return try gather(x, axis: axis, all)
    }
    guard runs.count <= 1024 else {
      throw Unsupported(what: "more than 1024 parts of whole numbers or booleans")
    }
    let parts = try runs.map {
      try builder.slice(x, axis: axis, from: $0.lowerBound, to: $0.upperBound)
    }
    return parts.count == 1 ? parts[0] : try builder.concat(parts, axis: axis)
  }

  private func gather(_ x: ValueID, axis: Int, _ places: [Double]) throws -> ValueID {
    var order = Array(builder.shape(of: x).indices)
    order.swapAt(0, axis)
    let ids = try table("places_\(axis)", [places.count], places, .int32)
    return try builder.transpose(builder.gatherRows(builder.transpose(x, order), ids), order)
  }
}
