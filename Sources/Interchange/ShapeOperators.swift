// Operators that move elements: other shapes, parts, joins, copies.

import Basics
import Formats
import GraphIR
import Operators

enum ShapeOperators {
  static let entries: [String: OperatorTable.Entry] = [
    "Reshape": .init(["allowzero"], reshape),
    "Flatten": .init(["axis"]) { node in
      let x = try node.input(0)
      let given = try node.int("axis", 1)
      // An axis equal to the rank is allowed, counted from the front only.
      let split = try node.axis(given, rank: x.rank, extra: given < 0 ? 0 : 1)
      let rows = x.shape[..<split].reduce(1, *)
      return [try reshaped(node, x, [rows, x.shape[split...].reduce(1, *)])]
    },
    "Squeeze": .init(["axes"]) { node in
      let x = try node.input(0)
      let listed = try node.integers(attribute: "axes", orInput: 1)
      let axes =
        try listed.map { try node.axes($0, rank: x.rank) }
        ?? x.shape.indices.filter { x.shape[$0] == 1 }
      if let axis = axes.first(where: { x.shape[$0] != 1 }) {
        throw Malformed(what: "squeezes the axis \(axis) of \(shapeText(x.shape))")
      }
      return [
        try reshaped(node, x, x.shape.indices.filter { !axes.contains($0) }.map { x.shape[$0] })
      ]
    },
    "Unsqueeze": .init(["axes"]) { node in
      let x = try node.input(0)
      guard let listed = try node.integers(attribute: "axes", orInput: 1) else {
        throw Malformed(what: "has no axes")
      }
      let axes = try node.axes(listed, rank: x.rank, extra: listed.count)
      var shape = x.shape
      for axis in axes { shape.insert(1, at: axis) }
      return [try reshaped(node, x, shape)]
    },
    "Identity": .init { node in [try node.input(0).renamed(node.outputName(0))] },
    "Dropout": .init(["ratio", "seed"], dropout),
    "Transpose": .init(["perm"], transpose),
    "Concat": .init(["axis"], concat),
    "Split": .init(["axis", "split", "num_outputs"], split),
    "Slice": .init(["axes", "ends", "starts"], slice),
    "Pad": .init(["mode", "pads", "value"], pad),
    "Tile": .init([], tile),
    "Expand": .init { node in
      let x = try node.input(0)
      let wanted = try node.knownIntegers(1, "shape")
      guard let shape = broadcastShapes(x.shape, wanted) else {
        throw Malformed(what: "expands \(shapeText(x.shape)) to \(shapeText(wanted))")
      }
      try node.checkSize(shape)
      return [node.result(try node.builder.broadcast(node.planar(x), to: shape), x.element)]
    },
    "DepthToSpace": .init(["blocksize", "mode"], depthToSpace),
    "SpaceToDepth": .init(["blocksize"], spaceToDepth),
  ]

  // MARK: The same elements in another shape

  /// A known value stays known, also where it has no elements.
  static func reshaped(
    _ node: NodeImport, _ x: ModelValue, _ shape: [Int]
  ) throws -> ModelValue {
    try node.checkSize(shape)
    if x.isKnown, x.count <= GraphImport.largestFolded, let values = x.values {
      guard shape.reduce(1, *) == values.count else {
        throw Malformed(what: "makes \(shapeText(shape)) of \(shapeText(x.shape))")
      }
      return try node.known(x.element, shape, values)
    }
    return node.result(try node.builder.reshape(node.planar(x), shape), x.element)
  }

  /// 0 keeps the size of the axis, −1 stands for what is left.
  @Sendable private static func reshape(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    var shape = try node.knownIntegers(1, "shape")
    let keepsZeros = try node.flag("allowzero")
    for axis in shape.indices where shape[axis] == 0 && !keepsZeros {
      guard axis < x.rank else { throw Malformed(what: "keeps the axis \(axis) that is not there") }
      shape[axis] = x.shape[axis]
    }
    let free = shape.indices.filter { shape[$0] == -1 }
    var product = 1
    for size in shape where size != -1 {
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      guard !overflow, size >= 0 else { throw Malformed(what: "makes \(shapeText(shape))") }
      product = next
    }
    if let axis = free.first {
      guard free.count == 1, product > 0, x.count % product == 0 else {
        throw Malformed(what: "makes \(shapeText(shape)) of \(shapeText(x.shape))")
      }
      shape[axis] = x.count / product
      product = x.count
    }
    guard product == x.count else {
      throw Malformed(what: "makes \(shapeText(shape)) of \(shapeText(x.shape))")
    }
    return [try reshaped(node, x, shape)]
  }

  /// Inference: the identity, and a mask of ones.
  @Sendable private static func dropout(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let ratio = try node.optional(1) == nil ? 0.5 : node.knownScalar(1, "ratio")
    if node.optional(2) != nil, try node.knownScalar(2, "training_mode") != 0, ratio != 0 {
      throw Unsupported(what: "Dropout in training mode")
    }
    var results: [ModelValue?] = [x.renamed(node.outputName(0))]
    if node.wants(1) {
      let mask = try node.builder.constant(TensorType(.bool, x.shape), [1])
      results.append(node.result(mask, node.opset < 10 ? x.element : .bool, 1))
    }
    return results
  }

  @Sendable private static func transpose(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let order = try node.ints("perm") ?? x.shape.indices.reversed()
    // A turn to the order that the image has already.
    if order == AxisOrder.toChannelsLast, x.rank == 4, let turned = x.channelsLast {
      return [node.result(turned, x.element)]
    }
    if order == AxisOrder.toPlanar, x.rank == 4 {
      return [node.image(try node.planar(x), x.element)]
    }
    return [node.result(try node.builder.transpose(node.planar(x), order), x.element)]
  }

  // MARK: Parts and joins

  @Sendable private static func concat(_ node: NodeImport) throws -> [ModelValue?] {
    let all = try node.allInputs()
    guard let given = try node.int("axis") else { throw Malformed(what: "has no axis") }
    try ElementwiseOperators.checkSame(node, all)
    if let other = all.first(where: { $0.rank != all[0].rank }) {
      throw Malformed(what: "joins tensors of rank \(all[0].rank) and \(other.rank)")
    }
    let axis = try node.axis(given, rank: all[0].rank)
    // Shapes may be joined with empty parts of shapes.
    let parts = all.filter { $0.count > 0 }
    guard let first = parts.first else { return [all[0].renamed(node.outputName(0))] }
    if parts.count == 1 { return [first.renamed(node.outputName(0))] }
    if parts.contains(where: \.isTurned) {
      let turned = AxisOrder.toChannelsLast.firstIndex(of: axis)!
      return [
        node.image(
          try node.builder.concat(parts.map(node.channelsLast), axis: turned), first.element)
      ]
    }
    return [node.result(try node.builder.concat(parts.map(node.planar), axis: axis), first.element)]
  }

  @Sendable private static func split(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let axis = try node.axis(node.int("axis", 0), rank: x.rank)
    let size = x.shape[axis]
    let sizes: [Int]
    if let given = try node.integers(attribute: "split", orInput: 1) {
      sizes = given
    } else {
      let count = try node.int("num_outputs", node.node.outputs.count)
      guard count >= 1, count <= size, count == node.node.outputs.count else {
        throw Malformed(what: "makes \(count) parts of \(size)")
      }
      let part = (size + count - 1) / count
      sizes = (0..<count).map { min(part, size - min(size, $0 * part)) }
    }
    guard sizes.allSatisfy({ $0 >= 0 && $0 <= size }), sizes.reduce(0, +) == size,
      sizes.count == node.node.outputs.count
    else { throw Malformed(what: "splits \(size) into \(shapeText(sizes))") }
    if sizes.contains(0) { throw Unsupported(what: "tensors without elements") }
    let id = try node.planar(x)
    var start = 0
    return try sizes.enumerated().map { index, part in
      defer { start += part }
      guard node.wants(index) else { return nil }
      return node.result(
        try node.builder.slice(id, axis: axis, from: start, to: start + part), x.element, index)
    }
  }

  /// Starts and ends are attributes before version 10, then inputs with steps.
  @Sendable private static func slice(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    guard let starts = try node.integers(attribute: "starts", orInput: 1),
      let ends = try node.integers(attribute: "ends", orInput: 2)
    else { throw Malformed(what: "has no starts or ends") }
    let listed = try node.integers(attribute: "axes", orInput: 3) ?? Array(starts.indices)
    let steps =
      node.optional(4) == nil
      ? [Int](repeating: 1, count: starts.count) : try node.knownIntegers(4, "steps")
    guard ends.count == starts.count, listed.count == starts.count, steps.count == starts.count
    else { throw Malformed(what: "has starts, ends, axes and steps of different lengths") }
    _ = try node.axes(listed, rank: x.rank)
    var selections: [(axis: Int, places: Places)] = []
    for (index, given) in listed.enumerated() {
      let axis = try node.axis(given, rank: x.rank)
      guard steps[index] != 0 else { throw Malformed(what: "has a step of 0") }
      selections.append(
        (axis, places(starts[index], ends[index], steps[index], x.shape[axis])))
    }
    if selections.contains(where: \.places.isEmpty) {
      guard x.isKnown else { throw Unsupported(what: "tensors without elements") }
      var shape = x.shape
      for (axis, places) in selections { shape[axis] = places.count }
      return [try node.known(x.element, shape, [])]
    }
    var id = try node.planar(x)
    for (axis, places) in selections {
      if places.step == 1 {
        id = try node.builder.slice(
          id, axis: axis, from: places.start, to: places.start + places.count)
      } else {
        id = try node.take(id, axis: axis, places.all)
      }
    }
    return [node.result(id, x.element)]
  }

  /// Places along an axis, at equal distances.
  private struct Places {
    var start: Int
    var step: Int
    var count: Int
    var isEmpty: Bool { count == 0 }
    var all: some Sequence<Int> { (0..<count).lazy.map { [start, step] in start + $0 * step } }
  }

  /// The places that `start..<end` with a step names, as Python's slices do.
  private static func places(_ start: Int, _ end: Int, _ given: Int, _ size: Int) -> Places {
    // A longer step than the axis takes one element as well.
    let step = min(max(given, -size - 1), size + 1)
    let (low, high) = step > 0 ? (0, size) : (-1, size - 1)
    func clamped(_ place: Int) -> Int {
      min(max(place < 0 ? max(place, -size - 1) + size : place, low), high)
    }
    let (first, last) = (clamped(start), clamped(end))
    let distance = step > 0 ? last - first : first - last
    let count = distance > 0 ? (distance - 1) / abs(step) + 1 : 0
    return Places(start: first, step: step, count: count)
  }

  // MARK: Borders and copies

  @Sendable private static func pad(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    guard let pads = try node.integers(attribute: "pads", orInput: 1) else {
      throw Malformed(what: "has no pads")
    }
    let listed =
      node.optional(3) == nil ? Array(0..<x.rank) : try node.knownIntegers(3, "axes")
    guard pads.count == 2 * listed.count else {
      throw Malformed(what: "has \(pads.count) pads for \(listed.count) axes")
    }
    var (before, after) = ([Int](repeating: 0, count: x.rank), [Int](repeating: 0, count: x.rank))
    for (index, given) in listed.enumerated() {
      let axis = try node.axis(given, rank: x.rank)
      (before[axis], after[axis]) = (pads[index], pads[index + listed.count])
      guard abs(clamping(before[axis])) < 1 << 31, abs(clamping(after[axis])) < 1 << 31 else {
        throw Malformed(what: "has the pads \(shapeText(pads))")
      }
    }
    let builder = node.builder
    // Negative pads cut.
    let starts = before.map { max(0, -$0) }
    let ends = x.shape.indices.map { x.shape[$0] - max(0, -after[$0]) }
    var id = try builder.slice(node.planar(x), starts: starts, ends: ends)
    (before, after) = (before.map { max(0, $0) }, after.map { max(0, $0) })
    switch try node.string("mode", "constant") {
    case "constant":
      let value =
        try node.float("value")
        ?? (node.optional(2) == nil ? 0 : node.knownScalar(2, "constant_value"))
      id = try padded(builder, id, before, after, value)
    case "reflect": id = try builder.pad(id, before: before, after: after, mode: .reflect)
    case "edge": id = try builder.pad(id, before: before, after: after, mode: .edge)
    case "wrap":
      for (axis, size) in builder.shape(of: id).enumerated() where before[axis] + after[axis] > 0 {
        let length = before[axis] + size + after[axis]
        try node.checkSize([length])
        let places = (0..<length).lazy.map { [before] in (($0 - before[axis]) % size + size) % size
        }
        id = try node.take(id, axis: axis, places)
      }
    case let mode: throw Malformed(what: "has the unknown mode '\(mode)'")
    }
    return [node.result(id, x.element)]
  }

  private static func clamping(_ number: Int) -> Int { max(number, -Int.max) }

  /// A border of any value: zeros where it is 0, else chosen by a mask of the inner part.
  private static func padded(
    _ builder: GraphBuilder, _ x: ValueID, _ before: [Int], _ after: [Int], _ value: Double
  ) throws -> ValueID {
    let y = try builder.pad(x, before: before, after: after)
    guard value != 0, y != x else { return y }
    let ones = try builder.constant(.f32(builder.shape(of: x)), [1])
    let isInner = try builder.compare(.ne, builder.pad(ones, before: before, after: after), 0)
    return try builder.select(isInner, y, builder.scalar(value, like: x))
  }

  @Sendable private static func tile(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let repeats = try node.knownIntegers(1, "repeats")
    guard repeats.count == x.rank, repeats.allSatisfy({ $0 >= 0 && $0 <= TensorType.maximumCount })
    else {
      throw Malformed(what: "repeats \(shapeText(x.shape)) \(shapeText(repeats)) times")
    }
    var id = try node.planar(x)
    for (axis, times) in repeats.enumerated() where times != 1 {
      guard times > 0 else { throw Unsupported(what: "tensors without elements") }
      let shape = node.builder.shape(of: id)
      let outer = shape[..<axis].reduce(1, *)
      let inner = shape[axis...].reduce(1, *)
      let copies = try node.builder.broadcast(
        node.builder.reshape(id, [outer, 1, inner]), to: [outer, times, inner])
      id = try node.builder.reshape(
        copies, Array(shape[..<axis]) + [shape[axis] * times] + shape[(axis + 1)...])
    }
    return [node.result(id, x.element)]
  }

  // MARK: Blocks of pixels

  private static func blockSize(_ node: NodeImport, _ x: ModelValue) throws -> Int {
    guard x.rank == 4, let size = try node.int("blocksize"), size >= 1, size <= 1 << 15 else {
      throw Malformed(what: "needs an image [n, c, h, w] and a block size")
    }
    return size
  }

  @Sendable private static func depthToSpace(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let b = try blockSize(node, x)
    let (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    guard c % (b * b) == 0 else {
      throw Malformed(what: "divides \(c) channels into blocks of \(b)")
    }
    let builder = node.builder
    let parts: ValueID
    switch try node.string("mode", "DCR") {
    case "DCR":
      parts = try builder.transpose(
        builder.reshape(node.planar(x), [n, b, b, c / (b * b), h, w]), [0, 3, 4, 1, 5, 2])
    case "CRD":
      parts = try builder.transpose(
        builder.reshape(node.planar(x), [n, c / (b * b), b, b, h, w]), [0, 1, 4, 2, 5, 3])
    case let mode: throw Malformed(what: "has the unknown mode '\(mode)'")
    }
    return [node.result(try builder.reshape(parts, [n, c / (b * b), h * b, w * b]), x.element)]
  }

  @Sendable private static func spaceToDepth(_ node: NodeImport) throws -> [ModelValue?] {
    let x = try node.input(0)
    let b = try blockSize(node, x)
    let (n, c, h, w) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
    guard h % b == 0, w % b == 0 else {
      throw Malformed(what: "divides \(h)×\(w) into blocks of \(b)")
    }
    let builder = node.builder
    let parts = try builder.transpose(
      builder.reshape(node.planar(x), [n, c, h / b, b, w / b, b]), [0, 3, 5, 1, 2, 4])
    return [node.result(try builder.reshape(parts, [n, c * b * b, h / b, w / b]), x.element)]
  }
}
