// The operands of a product C[m, n] = Σ k  A(m, k) · B(k, n) and where its result goes, as C expressions: strided
// matrices, the patches of images that a convolution's windows read, and filters tap by tap.
// "Outer" is the index that the result keeps, m of A and n of B; "depth" is k.

import Basics
import GraphIR
import Operators

/// One axis of windows: position p reads at tap u the pixel t = p·step − before + u of the image with its pixels
/// spread or repeated `divisor` times: the pixel t / divisor, rounded down or, where `isExact`, only where it divides.
struct WindowReading: Hashable {
  var positions: Int
  var step: Int
  var before: Int
  var taps: Int
  var divisor = 1
  var isExact = false
  /// Pixels of the image.
  var size: Int

  /// Whether t is in the image; nil where all are.
  func condition(_ t: String) -> String? {
    let last = (positions - 1) * step - before + taps - 1
    let isInside = before <= 0 && last < size * divisor
    let range = "(uint)(\(t)) < \(size * divisor)u"
    if isExact && divisor > 1 { return "\(range) && (uint)(\(t)) % \(divisor)u == 0u" }
    return isInside ? nil : range
  }

  func index(_ t: String) -> String { divisor == 1 ? "(\(t))" : "((\(t)) / \(divisor))" }
}

/// The patches that windows read of images [n, height.size, width.size, channels]: pixel p = (n, y, x) over the
/// windows' positions, term t = (u, v, channel) over taps.
struct Patches: Hashable {
  var height: WindowReading
  var width: WindowReading
  var channels: Int

  var pixelsOfImage: Int { height.positions * width.positions }
  var terms: Int { height.taps * width.taps * channels }

  /// Whether a row of taps is a run in memory.
  var hasRuns: Bool { height.divisor == 1 && width.divisor == 1 }
  /// Elements of a row of taps.
  var run: Int { width.taps * channels }

  /// Declares where the window of a pixel begins: its image's first element, its row and column.
  func pixelSetup(_ pixel: String, _ name: String) -> [String] {
    let image = height.size * width.size * channels
    let count = pixelsOfImage
    return [
      "const uint \(name)_n = (\(pixel)) / \(count)u * \(image)u;",
      "const int \(name)_y = (int)((\(pixel)) % \(count)u / \(width.positions)u) * \(height.step)"
        + " - (\(height.before));",
      "const int \(name)_x = (int)((\(pixel)) % \(width.positions)u) * \(width.step)"
        + " - (\(width.before));",
    ]
  }

  func termSetup(_ term: String, _ name: String) -> [String] {
    [
      "const int \(name)_u = (int)((\(term)) / \(run)u);",
      "const int \(name)_v = (int)((\(term)) % \(run)u / \(channels)u);",
      "const uint \(name)_c = (\(term)) % \(channels)u;",
    ]
  }

  func condition(_ name: String) -> String? {
    let parts = [
      height.condition("\(name)_y + \(name)_u"), width.condition("\(name)_x + \(name)_v"),
    ].compactMap { $0 }
    return parts.isEmpty ? nil : parts.joined(separator: " && ")
  }

  func address(_ name: String) -> String {
    let row = height.index("\(name)_y + \(name)_u")
    let column = width.index("\(name)_x + \(name)_v")
    return "\(name)_n + (uint)(\(row) * \(width.size) + \(column)) * \(channels)u + \(name)_c"
  }
}

/// A filter [kh, kw, in, out] whose taps are read in another order: k = (u, v, channel), real tap (y0 + ys·u, x0 + xs·v).
struct FilterTaps: Hashable {
  var y0: Int
  var ys: Int
  var x0: Int
  var xs: Int
  /// Taps along a row of the order, and of the filter.
  var across: Int
  var kernelWidth: Int
  /// Channels of the depth, their stride, the outer channels' stride, elements of a tap.
  var channels: Int
  var channelStride: Int
  var outerStride: Int
  var tapStride: Int

  /// Where a tap begins.
  func tapAddress(_ tap: String) -> String {
    let row = "(\(y0) + \(ys) * (int)((\(tap)) / \(across)u))"
    let column = "\(x0) + \(xs) * (int)((\(tap)) % \(across)u)"
    return "(uint)(\(row) * \(kernelWidth) + \(column)) * \(tapStride)u"
  }
}

struct ProductOperand: Hashable {
  enum Layout: Hashable {
    case matrix(outer: Int, depth: Int)
    /// Pixels are the outer index and terms the depth, or the other way round.
    case patches(Patches, pixelsAreOuter: Bool)
    case taps(FilterTaps)
  }

  var buffer: DeviceBuffer
  var layout: Layout
  /// Sizes of both indices.
  var outer: Int
  var depth: Int
  /// Elements from one matrix of a batch to the next.
  var batchStride = 0

  var isPatches: Bool {
    if case .patches = layout { return true }
    return false
  }

  // MARK: Neighbours

  /// So many neighbours along an index, from a multiple of their number on, are neighbours in memory.
  func widthAlongOuter(_ limit: Int) -> Int {
    switch layout {
    case .matrix(let stride, _): stride == 1 ? divisor(of: outer, limit) : 1
    case .patches(let patches, let pixelsAreOuter):
      pixelsAreOuter ? 1 : divisor(of: patches.channels, limit)
    case .taps(let taps): taps.outerStride == 1 ? divisor(of: outer, limit) : 1
    }
  }

  func widthAlongDepth(_ limit: Int) -> Int {
    switch layout {
    case .matrix(_, let stride): stride == 1 ? divisor(of: depth, limit) : 1
    case .patches(let patches, let pixelsAreOuter):
      pixelsAreOuter ? divisor(of: patches.channels, limit) : 1
    case .taps(let taps): taps.channelStride == 1 ? divisor(of: taps.channels, limit) : 1
    }
  }

  /// Which index is the inner one in memory.
  var isDepthInner: Bool {
    switch layout {
    case .matrix(let outerStride, _): outerStride != 1
    case .patches(_, let pixelsAreOuter): pixelsAreOuter
    case .taps(let taps): taps.outerStride != 1
    }
  }

  // MARK: Expressions

  /// Statements that declare what follows from an outer index, and from a depth; names begin with `name`.
  func outerSetup(_ index: String, _ name: String) -> [String] {
    switch layout {
    case .matrix(let stride, _): ["const uint \(name)_o = (\(index)) * \(stride)u;"]
    case .patches(let patches, let pixelsAreOuter):
      pixelsAreOuter ? patches.pixelSetup(index, name) : patches.termSetup(index, name)
    case .taps(let taps): ["const uint \(name)_o = (\(index)) * \(taps.outerStride)u;"]
    }
  }

  func depthSetup(_ index: String, _ name: String) -> [String] {
    switch layout {
    case .matrix(_, let stride): return ["const uint \(name)_d = (\(index)) * \(stride)u;"]
    case .patches(let patches, let pixelsAreOuter):
      return pixelsAreOuter ? patches.termSetup(index, name) : patches.pixelSetup(index, name)
    case .taps(let taps):
      let tap = taps.tapAddress("(\(index)) / \(taps.channels)u")
      return [
        "const uint \(name)_d = \(tap) + (\(index)) % \(taps.channels)u * \(taps.channelStride)u;"
      ]
    }
  }

  /// When the element is there at all; nil for always. What is not there is zero.
  func condition(_ name: String) -> String? {
    if case .patches(let patches, _) = layout { return patches.condition(name) }
    return nil
  }

  func address(_ name: String) -> String {
    if case .patches(let patches, _) = layout { return patches.address(name) }
    return "\(name)_o + \(name)_d"
  }

  /// The element, or `width` neighbours, at what was set up.
  func load(_ pointer: String, _ name: String, width: Int) -> String {
    let value = ElementAccess.vector(pointer, address(name), width)
    guard let condition = condition(name) else { return value }
    return "(\(condition)) ? \(value) : \(width == 1 ? "0.0f" : "(float\(width))(0.0f)")"
  }
}

/// The largest power of two up to a limit that divides a count.
func divisor(of count: Int, _ limit: Int) -> Int {
  var width = limit
  while width > 1, count % width != 0 { width /= 2 }
  return width
}

/// Where the rows of a product lie in the result; columns are neighbours.
enum ProductTarget: Hashable {
  /// One after the other, batch after batch.
  case rows
  /// Last row first: taps of a filter that were read backwards.
  case backwards
  /// Rows are positions (n, y, x) of a grid [positions], and stand for the pixels y·step + offset of images of a size.
  case pixels(positions: [Int], step: [Int], offset: [Int], size: [Int])

  /// The flat index of a row's first column; `rows` and `columns` are the product's.
  func start(_ row: String, batch: String?, rows: Int, columns: Int) -> String {
    switch self {
    case .rows:
      let before = batch.map { "\($0) * \(rows)u + " } ?? ""
      return "(\(before)\(row)) * \(columns)u"
    case .backwards: return "(\(rows - 1)u - (\(row))) * \(columns)u"
    case .pixels(let positions, let step, let offset, let size):
      let count = positions[0] * positions[1]
      let y = "((\(row)) % \(count)u / \(positions[1])u * \(step[0])u + \(offset[0])u)"
      let x = "(\(row)) % \(positions[1])u * \(step[1])u + \(offset[1])u"
      return "(((\(row)) / \(count)u * \(size[0])u + \(y)) * \(size[1])u + \(x)) * \(columns)u"
    }
  }

  /// Whether neighbouring rows of one column are neighbours in the result.
  var isDense: Bool { self == .rows }
}

/// What becomes of finished sums: the epilogue at their place, or they are stored as they are.
struct ProductStore {
  let node: NodeLowering
  let epilogue: RegionCode?

  init(_ node: NodeLowering, _ epilogue: RegionCode?) {
    self.node = node
    self.epilogue = epilogue
  }

  /// The widest vector up to a limit for `count` neighbours.
  func width(upTo limit: Int, count: Int) -> Int {
    epilogue?.width(upTo: limit, count: count) ?? divisor(of: count, limit)
  }

  /// Finishes `width` sums of an array `block` from `index` on: those of the column `n`, in a row that begins at `start`.
  func write(
    into kernel: inout KernelText, of block: String, at index: String, column: String,
    columns: Int, width: Int
  ) {
    kernel.line("const uint n = col0 + (uint)\(column);")
    kernel.line("const uint flat = start + n;")
    let sum = ElementAccess.vector(block, index, width)
    kernel.line("const \(cType(.f32, width)) sum = \(sum);")
    write(
      into: &kernel, "sum", at: ElementPlace(flat: "flat", column: ("n", columns)), width: width)
  }

  /// Finishes `value`, the name of a vector of `width`, at a place.
  func write(into kernel: inout KernelText, _ value: String, at place: ElementPlace, width: Int) {
    if let epilogue {
      epilogue.write(into: &kernel, at: place, width: width, register: value)
    } else {
      let target = kernel.output(node.results[0])
      kernel.line(ElementAccess.store(value, target, place.flat, width))
    }
  }
}
