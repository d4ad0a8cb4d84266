// Synthetic data: garments drawn by the program itself, 28×28 grey, ten classes as in
// Fashion-MNIST, endless and seeded by their number, so that everything runs on a fresh machine.
// Shapes are unions of a few soft-edged polygons and ellipses whose proportions, grey and texture
// vary from garment to garment.

import Basics

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum Garments {
  package static let side = 28
  private static let seed: UInt64 = 0x6761_726D_656E_7473

  /// The class of garment `number`: 0 T-shirt, 1 trousers, 2 pullover, 3 dress, 4 coat, 5 sandal, 6
  /// shirt, 7 sneaker, 8 bag, 9 ankle boot.
  package static func label(_ number: Int) -> Int {
    Int(Philox.word(seed: seed, step: 1, stream: 0, index: number) % 10)
  }

  /// The 784 pixels of garment `number`, rows from the top, black background.
  package static func draw(_ number: Int) -> [UInt8] {
    var canvas = Canvas(number)
    switch label(number) {
    case 0: canvas.top(sleeve: 0.22, length: 0.8, collar: 0.1)
    case 1: canvas.trousers()
    case 2: canvas.top(sleeve: 0.72, length: 0.82, collar: 0.06)
    case 3: canvas.dress()
    case 4: canvas.top(sleeve: 0.78, length: 0.96, collar: 0.12, opening: true)
    case 5: canvas.sandal()
    case 6: canvas.top(sleeve: 0.66, length: 0.88, collar: 0.1, buttons: true)
    case 7: canvas.shoe(shaft: 0.16)
    case 8: canvas.bag()
    default: canvas.shoe(shaft: 0.5)
    }
    return canvas.pixels()
  }

  /// Coordinates run from 0 to 1, y down.
  private struct Canvas {
    private var random: PhiloxSequence
    private var grey: [Float]
    private var shade: Float
    private var stripes: Float
    private var stripeWidth: Float

    init(_ number: Int) {
      random = PhiloxSequence(
        seed: Garments.seed, step: UInt32(truncatingIfNeeded: number >> 32 &+ 2),
        stream: UInt32(truncatingIfNeeded: number))
      grey = [Float](repeating: 0, count: Garments.side * Garments.side)
      shade = 0
      stripes = 0
      stripeWidth = 1
      shade = vary(0.72, 0.24)
      stripes = random.nextUniform() < 0.3 ? vary(0.14, 0.08) : 0
      stripeWidth = vary(4, 1.5)
    }

    /// A number in centre ± spread.
    mutating func vary(_ centre: Float, _ spread: Float) -> Float {
      centre + spread * Float(2 * random.nextUniform() - 1)
    }

    // MARK: Shapes

    mutating func top(
      sleeve: Float, length: Float, collar: Float, opening: Bool = false, buttons: Bool = false
    ) {
      let half = vary(0.2, 0.03)
      let bottom = 0.1 + vary(length, 0.05) * 0.85
      let reach = vary(sleeve, 0.04)
      let thick = vary(0.075, 0.012)
      let drop = vary(0.2, 0.05)
      polygon([(0.5 - half, 0.1), (0.5 + half, 0.1), (0.5 + half, bottom), (0.5 - half, bottom)])
      for side in [Float(-1), 1] {
        let shoulder = (x: 0.5 + side * (half - 0.02), y: Float(0.11))
        let hand = (x: 0.5 + side * (half + drop * 0.9), y: 0.11 + reach)
        stroke(from: shoulder, to: hand, width: thick)
      }
      ellipse((0.5, 0.08), collar, collar * 0.9, value: 0)
      if opening { line(from: (0.5, 0.1), to: (0.5, bottom), width: 0.015, factor: 0.35) }
      if buttons {
        for row in 0..<4 { ellipse((0.5, 0.26 + 0.15 * Float(row)), 0.022, 0.022, factor: 0.3) }
      }
    }

    mutating func trousers() {
      let waist = vary(0.14, 0.02)
      let foot = vary(0.1, 0.02)
      let spread = vary(0.1, 0.04)
      polygon([
        (0.5 - waist, 0.05), (0.5 + waist, 0.05), (0.5 + waist + 0.03, 0.3),
        (0.5 - waist - 0.03, 0.3),
      ])
      for side in [Float(-1), 1] {
        let inner = 0.5 + side * 0.012
        let outer = 0.5 + side * (waist + 0.03)
        let end = 0.5 + side * spread
        polygon([
          (inner, 0.26), (outer, 0.26), (end + side * foot, 0.96), (end - side * foot * 0.5, 0.96),
        ])
      }
    }

    mutating func dress() {
      let bust = vary(0.11, 0.02)
      let waist = vary(0.085, 0.015)
      let hem = vary(0.2, 0.06)
      let middle = vary(0.42, 0.05)
      polygon([
        (0.5 - bust, 0.05), (0.5 + bust, 0.05), (0.5 + waist, middle), (0.5 + hem, 0.96),
        (0.5 - hem, 0.96), (0.5 - waist, middle),
      ])
      ellipse((0.5, 0.04), bust * 0.6, 0.07, value: 0)
      if random.nextUniform() < 0.5 {
        for side in [Float(-1), 1] {
          stroke(
            from: (0.5 + side * bust, 0.08), to: (0.5 + side * (bust + 0.12), 0.34), width: 0.04)
        }
      }
    }

    mutating func shoe(shaft: Float) {
      let sole = vary(0.8, 0.02)
      let toe = vary(0.56, 0.04)
      let height = sole - vary(shaft, 0.05) - 0.12
      polygon([
        (0.08, height), (0.42, height), (0.46, toe), (0.9, toe + 0.1), (0.95, sole), (0.06, sole),
      ])
      ellipse((0.8, toe + 0.13), 0.15, 0.11)
      line(from: (0.05, sole), to: (0.95, sole), width: 0.035, factor: 1.5)
      if shaft < 0.3 {
        for lace in 0..<3 {
          let x = 0.46 + 0.08 * Float(lace)
          line(from: (x, toe - 0.03), to: (x + 0.07, toe + 0.09), width: 0.012, factor: 0.35)
        }
      }
    }

    mutating func sandal() {
      let sole = vary(0.74, 0.03)
      let heel = random.nextUniform() < 0.5 ? vary(0.14, 0.05) : 0.02
      stroke(from: (0.08, sole - heel), to: (0.9, sole + 0.04), width: 0.035)
      line(from: (0.12, sole - heel), to: (0.1, sole + 0.1), width: 0.03, factor: nil)
      for strap in 0..<3 {
        let x = 0.25 + 0.2 * Float(strap) + vary(0, 0.03)
        stroke(
          from: (x, sole - heel * (1 - x)), to: (x + 0.14, sole - vary(0.26, 0.05)), width: 0.022)
      }
      stroke(from: (0.36, sole - 0.24), to: (0.8, sole - 0.2), width: 0.022)
    }

    mutating func bag() {
      let half = vary(0.34, 0.06)
      let topEdge = vary(0.42, 0.05)
      let taper = vary(0.04, 0.04)
      ellipse((0.5, topEdge), half * 0.6, vary(0.24, 0.05))
      ellipse((0.5, topEdge), half * 0.6 - 0.05, 0.17, value: 0)
      polygon([
        (0.5 - half + taper, topEdge), (0.5 + half - taper, topEdge), (0.5 + half, 0.86),
        (0.5 - half, 0.86),
      ])
      line(
        from: (0.5 - half, topEdge + 0.14), to: (0.5 + half, topEdge + 0.14), width: 0.014,
        factor: 0.5)
    }

    // MARK: Painting

    /// A rectangle that holds all of a shape.
    private struct Bounds {
      var left: Float
      var top: Float
      var right: Float
      var bottom: Float

      init(_ corners: [(Float, Float)], margin: Float = 0) {
        left = (corners.map(\.0).min() ?? 0) - margin
        right = (corners.map(\.0).max() ?? 0) + margin
        top = (corners.map(\.1).min() ?? 0) - margin
        bottom = (corners.map(\.1).max() ?? 0) + margin
      }
    }

    /// The pixels that a stretch touches, one more to each side for the soft edge.
    private static func pixels(_ low: Float, _ high: Float) -> Range<Int> {
      let side = Garments.side
      let first = min(max(Int(low * Float(side)) - 1, 0), side)
      return first..<max(first, min(Int(high * Float(side)) + 2, side))
    }

    /// Paints where `distance` (negative inside, in units of the picture) says so, with an edge one
    /// pixel wide. Only pixels within `bounds` are looked at, which is most of the speed.
    private mutating func paint(
      _ bounds: Bounds, value: Float?, factor: Float?, _ distance: (Float, Float) -> Float
    ) {
      let side = Garments.side
      let columns = Self.pixels(bounds.left, bounds.right)
      for row in Self.pixels(bounds.top, bounds.bottom) {
        let y = (Float(row) + 0.5) / Float(side)
        let isStriped = stripes > 0 && sin(y * Float(side) * 2 / stripeWidth * 3.14159) > 0
        let cloth = shade - (isStriped ? stripes : 0)
        for column in columns {
          let x = (Float(column) + 0.5) / Float(side)
          let cover = min(max(0.5 - distance(x, y) * Float(side), 0), 1)
          guard cover > 0 else { continue }
          let old = grey[row * side + column]
          let new: Float
          if let factor {
            new = min(old * factor, 1)
          } else {
            new = value ?? max(old, cloth - 0.12 * abs(x - 0.5))
          }
          grey[row * side + column] = old + (new - old) * cover
        }
      }
    }

    private mutating func ellipse(
      _ centre: (Float, Float), _ a: Float, _ b: Float, value: Float? = nil, factor: Float? = nil
    ) {
      // The distance is measured with the shorter axis, so the edge is softer along the longer one.
      let edge = 0.5 / Float(Garments.side) * max(a, b) / min(a, b)
      let corners = [(centre.0 - a, centre.1 - b), (centre.0 + a, centre.1 + b)]
      paint(Bounds(corners, margin: edge), value: value, factor: factor) { x, y in
        let dx = (x - centre.0) / a
        let dy = (y - centre.1) / b
        return (sqrt(dx * dx + dy * dy) - 1) * min(a, b)
      }
    }

    private mutating func stroke(from: (x: Float, y: Float), to: (x: Float, y: Float), width: Float)
    {
      line(from: from, to: to, width: width, factor: nil)
    }

    private mutating func line(
      from: (x: Float, y: Float), to: (x: Float, y: Float), width: Float, factor: Float?
    ) {
      let dx = to.x - from.x
      let dy = to.y - from.y
      let square = max(dx * dx + dy * dy, 1e-6)
      let bounds = Bounds([(from.x, from.y), (to.x, to.y)], margin: width)
      paint(bounds, value: nil, factor: factor) { x, y in
        let along = min(max(((x - from.x) * dx + (y - from.y) * dy) / square, 0), 1)
        let ex = x - from.x - along * dx
        let ey = y - from.y - along * dy
        return sqrt(ex * ex + ey * ey) - width
      }
    }

    /// A simple polygon by even-odd rule, with the distance to its nearest edge.
    private mutating func polygon(_ corners: [(Float, Float)]) {
      paint(Bounds(corners), value: nil, factor: nil) { x, y in
        var inside = false
        var nearest = Float.greatestFiniteMagnitude
        var previous = corners[corners.count - 1]
        for corner in corners {
          if (corner.1 > y) != (previous.1 > y),
            x < (previous.0 - corner.0) * (y - corner.1) / (previous.1 - corner.1) + corner.0
          {
            inside.toggle()
          }
          let dx = corner.0 - previous.0
          let dy = corner.1 - previous.1
          let square = max(dx * dx + dy * dy, 1e-9)
          let along = min(max(((x - previous.0) * dx + (y - previous.1) * dy) / square, 0), 1)
          let ex = x - previous.0 - along * dx
          let ey = y - previous.1 - along * dy
          nearest = min(nearest, ex * ex + ey * ey)
          previous = corner
        }
        return inside ? -sqrt(nearest) : sqrt(nearest)
      }
    }

    /// The finished picture with a little noise in the cloth.
    mutating func pixels() -> [UInt8] {
      grey.indices.map { index in
        let noise = grey[index] > 0.05 ? Float(random.nextUniform() - 0.5) * 0.06 : 0
        return UInt8(min(max((grey[index] + noise) * 255, 0), 255))
      }
    }
  }
}
