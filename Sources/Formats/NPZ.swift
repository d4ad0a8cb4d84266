// NPZ, NumPy's archive of arrays: a ZIP archive whose members are NPY files, `KEY.npy` for the array
// KEY. Bytes in, arrays by name out, and the reverse; and which array of which file a text names.

import Basics

/// The arrays of an archive that is read, unpacked one by one on demand.
package struct NPZArchive: Sendable {
  private let archive: ZipArchive
  private let name: String
  /// The arrays' names in the order of the archive.
  package let keys: [String]
  private static let suffix = ".npy"

  /// Reads the archive's directory. Members that are no `.npy` files are a failure; arrays beyond
  /// `limit` bytes together too.
  package init(
    _ bytes: [UInt8], name: String, limit: Int = defaultFileLimit
  ) throws(EnvironmentFailure) {
    archive = try ZipArchive(bytes, name: name, limit: limit)
    self.name = name
    if let other = archive.names.first(where: { !$0.hasSuffix(Self.suffix) }) {
      throw EnvironmentFailure(
        "\(name): the member '\(other)' is no array; the members of an NPZ file end in .npy")
    }
    keys = archive.names.map { String($0.dropLast(Self.suffix.count)) }
  }

  package func array(_ key: String) throws(EnvironmentFailure) -> NPYArray {
    guard let bytes = try archive.member(key + Self.suffix) else {
      throw EnvironmentFailure(
        "\(name): there is no array '\(key)'; it has \(list)", help: suggestion(for: key, in: keys))
    }
    return try NPYArray.decode(bytes, name: "\(name): the array '\(key)'")
  }

  /// The one array of the file. Several are a failure that says how to name one.
  package func onlyArray() throws(EnvironmentFailure) -> NPYArray {
    guard keys.count == 1, let key = keys.first else {
      throw EnvironmentFailure(
        "\(name): one array is expected, and it has \(list)",
        help: keys.first.map { "name one: \(name):\($0)" })
    }
    return try array(key)
  }

  /// Every array, in the order of the archive.
  package func arrays() throws(EnvironmentFailure) -> [(key: String, array: NPYArray)] {
    try keys.map { (key) throws(EnvironmentFailure) in (key, try array(key)) }
  }

  private var list: String {
    if keys.isEmpty { return "none" }
    let rest = keys.count > 8 ? " and \(keys.count - 8) more" : ""
    return keys.prefix(8).joined(separator: ", ") + rest
  }
}

package enum NPZ {
  /// The archive of the arrays in their order; equal arrays give equal bytes. Fails where a name
  /// occurs twice or cannot be that of a member.
  package static func encode(
    _ arrays: [(key: String, array: NPYArray)], method: Zip.Method = .stored
  ) throws -> [UInt8] {
    try Zip.encode(
      arrays.map { Zip.Member(name: $0.key + ".npy", bytes: try $0.array.encode()) },
      method: method)
  }
}

/// `FILE.npy`, `FILE.npz` with one array in it, or `FILE.npz:KEY`.
package struct ArrayReference: Hashable, Sendable {
  package var path: String
  /// Which array of an archive.
  package var key: String?

  /// A text is a path as a whole where it does not say `.npz:`, or where there is such a file.
  package init(_ text: String) {
    path = text
    guard !FileIO.exists(text) else { return }
    let mark = Array(".npz:".utf8)
    let bytes = Array(text.utf8)
    guard
      let place = (0..<max(0, bytes.count - mark.count + 1)).first(where: {
        bytes.has(mark, at: $0)
      })
    else { return }
    path = String(decoding: bytes[..<(place + mark.count - 1)], as: UTF8.self)
    key = String(decoding: bytes[(place + mark.count)...], as: UTF8.self)
  }

  /// Reads the array.
  package func read() throws(EnvironmentFailure) -> NPYArray {
    let bytes = try FileIO.read(path)
    guard ZipArchive.isZip(bytes) else {
      if let key {
        throw EnvironmentFailure("\(path): not an NPZ file, so that it has no array '\(key)'")
      }
      return try NPYArray.decode(bytes, name: path)
    }
    let archive = try NPZArchive(bytes, name: path)
    if let key { return try archive.array(key) }
    return try archive.onlyArray()
  }
}

extension NamedTensor {
  /// An array as a tensor. 16-bit floats become 32-bit ones, as in safetensors; types that have no
  /// place there are a failure with the file's name.
  package init(name: String, _ array: NPYArray, file: String) throws(EnvironmentFailure) {
    let element: Element
    switch array.element {
    case .f32: element = .f32
    case .f64: element = .f64
    case .i32: element = .i32
    case .i64: element = .i64
    case .u8: element = .u8
    case .bool: element = .bool
    case .f16:
      self.init(name: name, shape: array.shape, floats: array.floats)
      return
    case .i8, .i16, .u16, .u32:
      throw EnvironmentFailure(
        "\(file): the array '\(name)' is of type \(array.element.rawValue); "
          + "expected a float, i4, i8, u1 or bool")
    }
    self.init(name: name, dtype: element, shape: array.shape, data: array.bytes)
  }
}

extension NPYArray {
  /// A tensor as an array.
  package init(_ tensor: NamedTensor) {
    let element: Element =
      switch tensor.dtype {
      case .f32: .f32
      case .f64: .f64
      case .i32: .i32
      case .i64: .i64
      case .u8: .u8
      case .bool: .bool
      }
    self.init(element: element, shape: tensor.shape, bytes: tensor.data)
  }
}
