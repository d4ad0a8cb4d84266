// IDX, the format of MNIST and Fashion-MNIST: two zero bytes, an element code, the number of
// dimensions, the dimensions as big-endian 32-bit integers, then the elements, big-endian.
// Plain or gzipped, told apart by the first bytes. Bytes in, an `IDXArray` out, and the reverse.

import Basics

package struct IDXArray: Hashable, Sendable {
  package enum Element: UInt8, Sendable, CaseIterable {
    case u8 = 0x08
    case i8 = 0x09
    case i16 = 0x0B
    case i32 = 0x0C
    case f32 = 0x0D
    case f64 = 0x0E

    /// Bytes of one element.
    package var width: Int {
      switch self {
      case .u8, .i8: 1
      case .i16: 2
      case .i32, .f32: 4
      case .f64: 8
      }
    }
  }

  package var element: Element
  /// At least one dimension and at most eight.
  package var shape: [Int]
  /// The elements as the file has them: big-endian, the last dimension fastest.
  package var bytes: [UInt8]

  package init(element: Element, shape: [Int], bytes: [UInt8]) {
    self.element = element
    self.shape = shape
    self.bytes = bytes
  }

  /// The number of elements.
  package var count: Int { bytes.count / element.width }

  /// The elements as 32-bit floats; `i32` and `f64` are rounded.
  package var floats: [Float] {
    let n = count
    return bytes.withUnsafeBytes { source in
      [Float](unsafeUninitializedCapacity: n) { target, initialized in
        for i in 0..<n { target[i] = Self.float(source, i, element) }
        initialized = n
      }
    }
  }

  private static func float(
    _ source: UnsafeRawBufferPointer, _ index: Int, _ element: Element
  ) -> Float {
    func raw<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T {
      T(bigEndian: source.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: type))
    }
    return switch element {
    case .u8: Float(source[index])
    case .i8: Float(raw(Int8.self))
    case .i16: Float(raw(Int16.self))
    case .i32: Float(raw(Int32.self))
    case .f32: Float(bitPattern: raw(UInt32.self))
    case .f64: Float(Double(bitPattern: raw(UInt64.self)))
    }
  }

  /// Reads an IDX file, plain or gzipped. The file must be exactly as long as its header says.
  /// Nothing is allocated from the header before it was compared with the size of the file.
  package static func decode(
    _ bytes: [UInt8], name: String, limit: Int = defaultFileLimit
  ) throws(EnvironmentFailure) -> IDXArray {
    guard Gzip.isGzip(bytes) else {
      let header = try Header(bytes, name, fileSize: bytes.count)
      return try decode(bytes, header, name)
    }
    // The header alone is unpacked first; it bounds what the rest may unpack to.
    let start = try Gzip.prefix(bytes, count: Header.longest, name: name)
    let most = min(limit, bytes.count.multipliedOrMax(by: Gzip.largestRatio))
    let header = try Header(start, name, fileSize: most)
    let total = header.size + header.dataSize
    let plain = try Gzip.decompress(
      bytes, name: name, limit: min(total.multipliedOrMax(by: 2), most))
    return try decode(plain, header, name)
  }

  private static func decode(
    _ bytes: [UInt8], _ header: Header, _ name: String
  ) throws(EnvironmentFailure) -> IDXArray {
    let found = bytes.count - header.size
    guard found == header.dataSize else {
      throw EnvironmentFailure(
        "\(name): \(found < header.dataSize ? "truncated" : "too long"): the shape "
          + "\(shapeText(header.shape)) needs \(header.dataSize) bytes of elements, found \(found)")
    }
    return IDXArray(
      element: header.element, shape: header.shape, bytes: Array(bytes[header.size...]))
  }

  /// The file's bytes, not gzipped.
  package func encode() -> [UInt8] {
    var out: [UInt8] = [0, 0, element.rawValue, UInt8(truncatingIfNeeded: shape.count)]
    out.reserveCapacity(4 + 4 * shape.count + bytes.count)
    for size in shape { out.appendBigEndian(UInt32(truncatingIfNeeded: size)) }
    out.append(contentsOf: bytes)
    return out
  }

  /// The checked header of a file.
  private struct Header {
    /// Bytes of a header with eight dimensions.
    static let longest = 4 + 4 * 8

    var element: Element
    var shape: [Int]
    var dataSize: Int
    var size: Int { 4 + 4 * shape.count }

    /// `fileSize`: no file of ours has more content than this.
    init(_ bytes: [UInt8], _ name: String, fileSize: Int) throws(EnvironmentFailure) {
      guard bytes.count >= 4, bytes.has([0, 0]), let element = Element(rawValue: bytes[2]) else {
        throw EnvironmentFailure(
          "\(name): not an IDX file: expected 00 00, an element code (08, 09, 0b…0e) and a "
            + "number of dimensions, found \(hexText(bytes.prefix(4)))")
      }
      let rank = Int(bytes[3])
      guard 1...8 ~= rank else {
        throw EnvironmentFailure("\(name): \(rank) dimensions; an IDX file here has 1 to 8")
      }
      guard bytes.count >= 4 + 4 * rank else {
        throw EnvironmentFailure(
          "\(name): truncated: a header with \(rank) dimensions has \(4 + 4 * rank) bytes, "
            + "found \(bytes.count)")
      }
      let shape = (0..<rank).map { Int(bytes.bigEndian32(at: 4 + 4 * $0)) }
      guard let dataSize = checkedProduct(shape, times: element.width),
        dataSize <= Int.max / 4
      else {
        throw EnvironmentFailure("\(name): the shape \(shapeText(shape)) overflows")
      }
      guard dataSize <= fileSize else {
        throw EnvironmentFailure(
          "\(name): truncated: the shape \(shapeText(shape)) needs \(dataSize) bytes of elements, "
            + "the file can hold \(fileSize) at most")
      }
      self.element = element
      self.shape = shape
      self.dataSize = dataSize
    }
  }
}
