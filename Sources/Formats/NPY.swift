// NPY, NumPy's format for one array: a magic number, a version, a header that is the text of a
// Python dictionary, then the elements. Versions 1 to 3 are read, in either byte order and either
// memory order; version 1 is written. Bytes in, an `NPYArray` out, and the reverse.

import Basics

/// An array as NumPy stores it, brought to little-endian bytes with the last dimension fastest.
package struct NPYArray: Hashable, Sendable {
  /// The raw value is NumPy's type code without the byte order.
  package enum Element: String, Sendable, CaseIterable {
    case f16 = "f2"
    case f32 = "f4"
    case f64 = "f8"
    case i8 = "i1"
    case i16 = "i2"
    case i32 = "i4"
    case i64 = "i8"
    case u8 = "u1"
    case u16 = "u2"
    case u32 = "u4"
    case bool = "b1"

    /// Bytes of one element.
    package var width: Int {
      switch self {
      case .i8, .u8, .bool: 1
      case .f16, .i16, .u16: 2
      case .f32, .i32, .u32: 4
      case .f64, .i64: 8
      }
    }
  }

  package var element: Element
  /// Empty for a single number.
  package var shape: [Int]
  package var bytes: [UInt8]

  package init(element: Element, shape: [Int], bytes: [UInt8]) {
    self.element = element
    self.shape = shape
    self.bytes = bytes
  }

  package init(shape: [Int], floats: [Float]) {
    self.init(element: .f32, shape: shape, bytes: floats.rawBytes)
  }

  package init(shape: [Int], doubles: [Double]) {
    self.init(element: .f64, shape: shape, bytes: doubles.rawBytes)
  }

  package init(shape: [Int], integers: [Int32]) {
    self.init(element: .i32, shape: shape, bytes: integers.rawBytes)
  }

  /// The number of elements.
  package var count: Int { bytes.count / element.width }

  /// The elements as 32-bit floats, rounded where they have more digits; booleans are 0 and 1.
  package var floats: [Float] {
    if element == .f32 { return bytes.withUnsafeBytes { [Float](copying: $0) } }
    return converted { Float($0) }
  }

  /// The elements as doubles; only 64-bit integers beyond 2⁵³ are rounded.
  package var doubles: [Double] {
    if element == .f64 { return bytes.withUnsafeBytes { [Double](copying: $0) } }
    return converted { $0 }
  }

  /// The elements as integers, or nil where they are not of an integer type.
  package var integers: [Int]? {
    switch element {
    case .f16, .f32, .f64: return nil
    case .i64: return bytes.withUnsafeBytes { [Int64](copying: $0) }.map { Int($0) }
    default: return converted { Int($0) }
    }
  }

  private func converted<T>(_ make: (Double) -> T) -> [T] {
    let n = count
    return bytes.withUnsafeBytes { source in
      func raw<R: BitwiseCopyable>(_ index: Int, _ type: R.Type) -> R {
        source.loadUnaligned(fromByteOffset: index * MemoryLayout<R>.size, as: type)
      }
      return (0..<n).map { i in
        switch element {
        case .f16: make(Double(floatFromHalf(raw(i, UInt16.self))))
        case .f32: make(Double(raw(i, Float.self)))
        case .f64: make(raw(i, Double.self))
        case .i8: make(Double(raw(i, Int8.self)))
        case .i16: make(Double(raw(i, Int16.self)))
        case .i32: make(Double(raw(i, Int32.self)))
        case .i64: make(Double(raw(i, Int64.self)))
        case .u8: make(Double(source[i]))
        case .u16: make(Double(raw(i, UInt16.self)))
        case .u32: make(Double(raw(i, UInt32.self)))
        case .bool: make(source[i] == 0 ? 0 : 1)
        }
      }
    }
  }

  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  // MARK: Writing

  /// The file's bytes, version 1.0, little-endian, the data aligned to 64 bytes as NumPy does.
  /// Fails where the shape does not fit the bytes.
  package func encode() throws(EnvironmentFailure) -> [UInt8] {
    guard checkedProduct(shape, times: element.width) == bytes.count else {
      throw EnvironmentFailure(
        "cannot write an array: the shape \(shapeText(shape)) of \(element.rawValue) does not fit "
          + "its \(bytes.count) bytes")
    }
    let order = element.width == 1 ? "|" : "<"
    let sizes = shape.map { "\($0)" }.joined(separator: ", ") + (shape.count == 1 ? "," : "")
    var header = Array(
      "{'descr': '\(order)\(element.rawValue)', 'fortran_order': False, 'shape': (\(sizes)), }".utf8
    )
    while (10 + header.count + 1) % 64 != 0 { header.append(0x20) }
    header.append(0x0A)
    guard let length = UInt16(exactly: header.count) else {
      throw EnvironmentFailure("cannot write an array of \(shape.count) dimensions")
    }
    var out = Self.magic + [1, 0]
    out.reserveCapacity(10 + header.count + bytes.count)
    out.appendLittleEndian(length)
    out.append(contentsOf: header)
    out.append(contentsOf: bytes)
    return out
  }

  // MARK: Reading

  /// Reads an NPY file. The file must be exactly as long as its header says. Arrays of objects,
  /// structures, texts, complex numbers and the like are "not yet".
  package static func decode(
    _ bytes: [UInt8], name: String
  ) throws(EnvironmentFailure) -> NPYArray {
    guard bytes.has(magic) else {
      throw EnvironmentFailure(
        "\(name): not an NPY file: expected \(hexText(magic)), found \(hexText(bytes.prefix(6)))")
    }
    guard bytes.count >= 10 else {
      throw EnvironmentFailure("\(name): truncated: the header of an NPY file is cut off")
    }
    let version = bytes[6]
    guard 1...3 ~= version, bytes[7] == 0, version == 1 || bytes.count >= 12 else {
      throw EnvironmentFailure(
        "\(name): NPY version \(version).\(bytes[7]) is not supported; 1.0, 2.0 and 3.0 are")
    }
    let textStart = version == 1 ? 10 : 12
    let length =
      version == 1 ? Int(bytes.littleEndian16(at: 8)) : Int(bytes.littleEndian32(at: 8))
    guard length <= bytes.count - textStart else {
      throw EnvironmentFailure(
        "\(name): truncated: a header of \(length) bytes is announced, "
          + "\(bytes.count - textStart) follow")
    }
    let dataStart = textStart + length
    let header = try NPYHeader.parse(Array(bytes[textStart..<dataStart]), name)
    guard let size = checkedProduct(header.shape, times: header.element.width) else {
      throw EnvironmentFailure("\(name): the shape \(shapeText(header.shape)) overflows")
    }
    let found = bytes.count - dataStart
    guard size == found else {
      throw EnvironmentFailure(
        "\(name): \(found < size ? "truncated" : "too long"): the shape "
          + "\(shapeText(header.shape)) of \(header.element.rawValue) needs \(size) bytes, "
          + "found \(found)")
    }
    var data = Array(bytes[dataStart...])
    if header.isBigEndian { data = swapped(data, width: header.element.width) }
    if header.isFortran { data = rowMajor(data, header.shape, width: header.element.width) }
    return NPYArray(element: header.element, shape: header.shape, bytes: data)
  }

  /// The bytes of every element reversed.
  private static func swapped(_ bytes: [UInt8], width: Int) -> [UInt8] {
    guard width > 1 else { return bytes }
    return [UInt8](unsafeUninitializedCapacity: bytes.count) { target, initialized in
      bytes.withUnsafeBufferPointer { source in
        var start = 0
        while start < source.count {
          for i in 0..<width { target[start + i] = source[start + width - 1 - i] }
          start += width
        }
      }
      initialized = bytes.count
    }
  }

  /// From the first dimension fastest to the last dimension fastest.
  private static func rowMajor(_ bytes: [UInt8], _ shape: [Int], width: Int) -> [UInt8] {
    guard shape.count > 1, !bytes.isEmpty else { return bytes }
    var strides: [Int] = []
    var stride = width
    for size in shape {
      strides.append(stride)
      stride *= size
    }
    var index = [Int](repeating: 0, count: shape.count)
    var place = 0
    return [UInt8](unsafeUninitializedCapacity: bytes.count) { target, initialized in
      bytes.withUnsafeBufferPointer { source in
        while initialized < source.count {
          for i in 0..<width { target[initialized + i] = source[place + i] }
          initialized += width
          // The next index, as an odometer counts.
          var d = shape.count - 1
          while d >= 0 {
            index[d] += 1
            place += strides[d]
            if index[d] < shape[d] { break }
            place -= strides[d] * shape[d]
            index[d] = 0
            d -= 1
          }
        }
      }
    }
  }
}
