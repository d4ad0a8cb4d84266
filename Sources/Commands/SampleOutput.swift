// Where `gan-exec sample` writes to, and in what form: one grid, a file an image, numbers, or a walk.

import Basics
import Formats
import GraphIR
import Training

/// Images of one or several classes: of each class the same numbers, so from the same noise.
struct SampleSeries {
  let drawer: SampleDrawer
  /// One after the other; nil is the program's own class.
  let classes: [Int?]
  /// Nil is the program's.
  let seed: UInt64?

  var count: Int { drawer.count * classes.count }
  var shape: [Int] { [count] + drawer.imageShape }

  /// All images, class by class.
  func all(_ images: (Range<Int>, Int?) throws -> [Float]) throws -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(shape.reduce(1, *))
    for label in classes { values += try images(0..<drawer.count, label) }
    return values
  }

  func all() throws -> [Float] {
    try all { try drawer.images($0, seed: seed, class: $1) }
  }
}

struct SampleOutput {
  enum Form: Equatable {
    case grid, numbers, animation
    /// Before and behind the number, and how many digits it has at least.
    case files(before: String, digits: Int, behind: String)
  }
  let form: Form
  let path: String

  var isGrid: Bool { form == .grid || form == .animation }

  init(_ path: String, walks: Bool) throws(UsageError) {
    self.path = path
    guard path.hasSuffix(".gif") == walks else {
      throw walks
        ? UsageError("--interpolate makes a .gif file, not '\(path)'")
        : UsageError("a .gif file shows a walk between seeds; add --interpolate")
    }
    if walks {
      form = .animation
    } else if path.contains("%") {
      form = try Self.pattern(path)
    } else if path.hasSuffix(".png") {
      form = .grid
    } else if path.hasSuffix(".npy") {
      form = .numbers
    } else if path.hasSuffix("/") || FileIO.isDirectory(path)
      || !path.isEmpty && path.split(separator: "/").last?.contains(".") == false
    {
      let folder = path.hasSuffix("/") ? path : path + "/"
      form = .files(before: folder, digits: 5, behind: ".png")
    } else {
      throw UsageError(
        "--out takes a name that ends in .png, .npy or .gif, a folder, or a pattern such as "
          + "faces/%05d.png, not '\(path)'")
    }
  }

  /// `faces/%05d.png`
  private static func pattern(_ path: String) throws(UsageError) -> Form {
    let wrong = UsageError(
      "--out takes a pattern with one number, such as faces/%05d.png, not '\(path)'")
    let parts = path.split(separator: "%", omittingEmptySubsequences: false)
    guard parts.count == 2, let end = parts[1].firstIndex(of: "d"), path.hasSuffix(".png") else {
      throw wrong
    }
    let width = parts[1][..<end]
    guard let digits = width.isEmpty ? 1 : Int(width), 0...20 ~= digits,
      width.allSatisfy(\.isNumber), width.isEmpty || width.hasPrefix("0")
    else { throw wrong }
    return .files(
      before: String(parts[0]), digits: digits, behind: String(parts[1][end...].dropFirst()))
  }

  // MARK: Writing

  /// Returns the shape of what was written.
  func write(_ series: SampleSeries, columns: Int?) throws -> [Int] {
    switch form {
    case .files(let before, let digits, let behind):
      try writeFiles(series) { "\(before)\(RunFolder.padded($0, digits))\(behind)" }
    case .numbers:
      let array = NPYArray(shape: series.shape, floats: try series.all())
      try FileIO.writeAtomically(try array.encode(), to: path)
    case .grid, .animation:
      let grid = try grid(series, try series.all(), columns)
      try FileIO.writeAtomically(try PNG.encode(grid), to: path)
    }
    return series.shape
  }

  /// A walk through the seeds and back to the first, `frames` pictures from one to the next. What
  /// does not walk is that of the first seed.
  func write(
    _ series: SampleSeries, from seeds: [UInt64], frames: Int, columns: Int?
  ) throws -> [Int] {
    // Twelve pictures a second.
    var animation = AnimatedGIFWriter(path: path, delay: 8)
    for (index, seed) in seeds.enumerated() {
      let next = seeds[(index + 1) % seeds.count]
      for frame in 0..<frames {
        let values = try series.all { range, label in
          try series.drawer.images(
            range, from: seed, to: next, at: Double(frame) / Double(frames), base: seeds[0],
            class: label)
        }
        try animation.append(try grid(series, values, columns))
      }
    }
    return [seeds.count * frames] + series.shape
  }

  private func grid(_ series: SampleSeries, _ values: [Float], _ columns: Int?) throws -> Image {
    let sample = series.drawer.sample
    // A row for each class.
    let columns = series.classes.count > 1 ? series.drawer.count : columns
    guard
      let grid = try SampleWriter.grid(
        (series.shape, values), low: sample.low, high: sample.high, columns: columns)
    else { throw noPictures(series) }
    return grid
  }

  /// Chunk by chunk, so that memory does not grow with the count.
  private func writeFiles(_ series: SampleSeries, name: (Int) -> String) throws {
    let shape = series.drawer.imageShape
    guard shape.count == 2 || shape.count == 3 && [1, 3].contains(shape[2]) else {
      throw noPictures(series)
    }
    if let slash = name(0).lastIndex(of: "/"), slash != name(0).startIndex {
      try FileIO.createDirectory(String(name(0)[..<slash]))
    }
    let sample = series.drawer.sample
    let size = shape.reduce(1, *)
    var number = 0
    for label in series.classes {
      for start in stride(from: 0, to: series.drawer.count, by: series.drawer.chunk) {
        let end = min(series.drawer.count, start + series.drawer.chunk)
        let values = try series.drawer.images(start..<end, seed: series.seed, class: label)
        let levels = ImageGrid.levels(values, Float(sample.low), Float(sample.high))
        for place in stride(from: 0, to: levels.count, by: size) {
          let image = Image(
            width: shape[1], height: shape[0], channels: shape.count == 3 ? shape[2] : 1,
            pixels: Array(levels[place..<place + size]))
          try FileIO.writeAtomically(try PNG.encode(image), to: name(number))
          number += 1
        }
      }
    }
  }

  private func noPictures(_ series: SampleSeries) -> UsageError {
    UsageError(
      "the sample's shape \(shapeText(series.shape)) is no list of pictures; "
        + "write it to a .npy file")
  }
}
