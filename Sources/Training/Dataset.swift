// A data set: examples of one shape, as bytes that are scaled when a batch is made, as floats, as
// integers, as files that are read for each batch, or drawn by the program. What comes in is found by `DatasetResolver`; what
// goes out are batches.

import Basics
import Formats
import GraphIR

package final class Dataset: Sendable {
  package enum Storage: Sendable {
    /// Scaled linearly from 0...255 to the range of the declaration.
    case bytes([UInt8])
    /// Taken as they are.
    case floats([Float])
    /// Class labels and the like.
    case integers([Int32])
    /// Bytes too, read and decoded when they are asked for.
    case pictures(PictureFiles)
    /// Garments, drawn when they are asked for and brought to a form; labels of the same.
    case garments(PictureForm?)
    case garmentLabels

    fileprivate var name: String {
      switch self {
      // Whether the examples fit into memory must not matter when a run goes on elsewhere.
      case .bytes, .pictures: "bytes"
      case .floats: "floats"
      case .integers: "integers"
      case .garments: "garments"
      case .garmentLabels: "garmentLabels"
      }
    }
  }

  /// What it is called in messages: a path or a name.
  package let name: String
  package let storage: Storage
  /// Examples in one pass.
  package let count: Int
  /// The shape of one example; `[28, 28]` also fits a declaration of `[28, 28, 1]`.
  package let shape: [Int]
  /// Elements of one example.
  package let exampleCount: Int
  /// Tells changed data from unchanged when a run is resumed.
  package let checksum: String
  /// The folder of pictures that the examples are of, one each; nil for other sources.
  package let pictures: PictureFolder?

  /// The storage must hold `count` examples of `shape`. `checksum` is that of the examples, where
  /// they are not in memory.
  package init(
    name: String, storage: Storage, count: Int, shape: [Int], checksum: CRC32? = nil,
    pictures: PictureFolder? = nil
  ) {
    self.name = name
    self.pictures = pictures
    self.storage = storage
    self.count = count
    self.shape = shape
    exampleCount = shape.reduce(1, *)
    var crc = checksum ?? CRC32()
    switch storage {
    case _ where checksum != nil: break
    case .bytes(let values): crc.combine(values)
    case .floats(let values): values.withUnsafeBytes { crc.combine($0) }
    case .integers(let values): values.withUnsafeBytes { crc.combine($0) }
    case .pictures, .garments, .garmentLabels: break
    }
    let sizes = ([count] + shape).map(String.init).joined(separator: "x")
    self.checksum = "\(storage.name)-\(sizes)-\(String(crc.value, radix: 16))"
  }

  /// The number of examples that one pass over drawn garments has: that of the real set.
  package static let garmentCount = 60_000

  /// Whether byte scaling applies.
  package var isScaled: Bool {
    switch storage {
    case .bytes, .pictures, .garments: true
    default: false
    }
  }

  /// The first value that is no whole number of 32 bits; nil where all are.
  package var firstFraction: Float? {
    guard case .floats(let values) = storage else { return nil }
    return values.first { Int32(exactly: $0) == nil }
  }

  /// The first whole number that is not in 0..<count, and its example; nil where all are, and where
  /// pictures are drawn.
  package func firstID(outside count: Int) -> (example: Int, value: Int)? {
    func isOutside(_ value: Int) -> Bool { value < 0 || value >= count }
    func found(_ index: Int?, _ value: (Int) -> Int) -> (example: Int, value: Int)? {
      index.map { (example: $0 / max(1, exampleCount), value: value($0)) }
    }
    switch storage {
    case .bytes(let values):
      return found(values.firstIndex { isOutside(Int($0)) }) { Int(values[$0]) }
    case .integers(let values):
      return found(values.firstIndex { isOutside(Int($0)) }) { Int(values[$0]) }
    case .floats(let values):
      func whole(_ value: Float) -> Int { Int(InitialValues.whole(Double(value))) }
      return found(values.firstIndex { isOutside(whole($0)) }) { whole(values[$0]) }
    case .garmentLabels:
      return found((0..<self.count).first { isOutside(Garments.label($0)) }, Garments.label)
    case .pictures, .garments: return nil
    }
  }

  /// Writes the examples one after the other as elements of a type of four bytes; `scale` maps a
  /// byte to a float. Fails where a file that is read for the batch is not what it was.
  package func copy(
    examples: [Int], pass: Int, as element: ElementType, scale: [Float],
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    guard let base = buffer.baseAddress, buffer.count >= examples.count * exampleCount * 4 else {
      return
    }
    if element == .f32 {
      let target = base.assumingMemoryBound(to: Float.self)
      try copyFloats(examples, pass, scale, target)
    } else {
      let target = base.assumingMemoryBound(to: Int32.self)
      try copyIntegers(examples, pass, target)
      if element == .bool {
        for i in 0..<examples.count * exampleCount where target[i] != 0 { target[i] = 1 }
      }
    }
  }

  /// The garment that an example of a pass is: each pass brings new ones.
  private func garment(_ example: Int, _ pass: Int) -> Int { (pass &* count &+ example) & Int.max }

  /// The pixels of an example that is not in memory.
  private func pixels(_ example: Int, _ pass: Int) throws(EnvironmentFailure) -> [UInt8] {
    switch storage {
    case .pictures(let files): return try files.pixels(example)
    case .garments(let form):
      let pixels = Garments.draw(garment(example, pass))
      guard let form else { return pixels }
      return form.apply(Image(width: 28, height: 28, channels: 1, pixels: pixels)).pixels
    default: return []
    }
  }

  private func copyFloats(
    _ examples: [Int], _ pass: Int, _ scale: [Float], _ target: UnsafeMutablePointer<Float>
  ) throws(EnvironmentFailure) {
    let size = exampleCount
    switch storage {
    case .bytes(let values):
      Self.gather(values, examples, size, scale, target)
    case .floats(let values):
      values.withUnsafeBufferPointer { values in
        for (position, example) in examples.enumerated() {
          (target + position * size).update(from: values.baseAddress! + example * size, count: size)
        }
      }
    case .integers(let values):
      for (position, example) in examples.enumerated() {
        for i in 0..<size { target[position * size + i] = Float(values[example * size + i]) }
      }
    case .garments, .pictures:
      for (position, example) in examples.enumerated() {
        Self.gather(try pixels(example, pass), [0], size, scale, target + position * size)
      }
    case .garmentLabels:
      for (position, example) in examples.enumerated() {
        target[position] = Float(Garments.label(garment(example, pass)))
      }
    }
  }

  /// target[p · size + i] = scale[values[examples[p] · size + i]]. Raw pointers: this is all of a
  /// batch's cost.
  private static func gather(
    _ values: [UInt8], _ examples: [Int], _ size: Int, _ scale: [Float],
    _ target: UnsafeMutablePointer<Float>
  ) {
    values.withUnsafeBufferPointer { values in
      scale.withUnsafeBufferPointer { scale in
        guard let table = scale.baseAddress, let first = values.baseAddress else { return }
        for (position, example) in examples.enumerated() {
          let source = first + example * size
          let row = target + position * size
          var i = 0
          while i < size {
            row[i] = table[Int(source[i])]
            i &+= 1
          }
        }
      }
    }
  }

  private func copyIntegers(
    _ examples: [Int], _ pass: Int, _ target: UnsafeMutablePointer<Int32>
  ) throws(EnvironmentFailure) {
    let size = exampleCount
    for (position, example) in examples.enumerated() {
      let row = target + position * size
      switch storage {
      case .bytes(let values): for i in 0..<size { row[i] = Int32(values[example * size + i]) }
      case .floats(let values):
        for i in 0..<size { row[i] = InitialValues.whole(Double(values[example * size + i])) }
      case .integers(let values): for i in 0..<size { row[i] = values[example * size + i] }
      case .garments, .pictures:
        let pixels = try pixels(example, pass)
        for i in 0..<size { row[i] = Int32(pixels[i]) }
      case .garmentLabels: row[0] = Int32(Garments.label(garment(example, pass)))
      }
    }
  }
}
