// ZIP archives as NumPy writes and reads them: members stored or deflated, ZIP64 where sizes ask for
// it. Members with names in, the archive's bytes out. Reading is in Zip+Read.swift. The format is
// PKWARE's APPNOTE.

import Basics

/// What the two halves share: the numbers of the format.
package enum Zip {
  /// One file of an archive, unpacked.
  package struct Member: Hashable, Sendable {
    package var name: String
    package var bytes: [UInt8]
    package init(name: String, bytes: [UInt8]) {
      self.name = name
      self.bytes = bytes
    }
  }

  package enum Method: UInt16, Sendable {
    case stored = 0
    case deflated = 8
  }

  enum Signature {
    static let local: UInt32 = 0x0403_4B50
    static let central: UInt32 = 0x0201_4B50
    static let end: UInt32 = 0x0605_4B50
    static let end64: UInt32 = 0x0606_4B50
    static let locator64: UInt32 = 0x0706_4B50
  }

  /// Bytes of the records without what varies in length.
  enum Length {
    static let local = 30
    static let central = 46
    static let end = 22
    static let end64 = 56
    static let locator64 = 20
  }

  enum Flag {
    static let encrypted: UInt16 = 1
    /// Sizes and checksum stand behind the data, not in the local header.
    static let descriptor: UInt16 = 1 << 3
    static let utf8: UInt16 = 1 << 11
  }

  /// A field that holds this has its value in the ZIP64 record.
  static let full32 = Int(UInt32.max)
  static let full16 = Int(UInt16.max)
  /// The identifier of the extra field with the 64-bit sizes.
  static let extra64: UInt16 = 1

  /// Why a name may not stand in an archive; nil where it may. Slashes are fine (parameters are
  /// called `generator/dense/kernel`), a way out of a folder is not: another program might unpack
  /// the archive.
  static func complaint(about name: String) -> String? {
    if name.isEmpty { return "it is empty" }
    if name.utf8.count > full16 { return "it has more than \(full16) bytes" }
    if name.unicodeScalars.contains(where: { $0.value < 32 || $0 == "\\" || $0.value == 127 }) {
      return "it has a backslash or control characters"
    }
    if name.hasPrefix("/") { return "it is an absolute path" }
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    if parts.contains(where: { $0 == ".." || $0 == "." || $0.isEmpty }) {
      return "it has '.', '..' or nothing between slashes"
    }
    return nil
  }

  // MARK: Writing

  /// The archive of the members in their order; equal members give equal bytes (all dates are that
  /// of the format's beginning). Fails where a name occurs twice or may not stand in an archive.
  package static func encode(
    _ members: [Member], method: Method = .stored
  ) throws -> [UInt8] {
    try encode(members, method: method, limits: Limits())
  }

  /// From which sizes and counts on ZIP64 is used; smaller ones are for tests.
  struct Limits {
    var size = full32
    var count = full16
  }

  static func encode(_ members: [Member], method: Method, limits: Limits) throws -> [UInt8] {
    var names: Set<String> = []
    var out: [UInt8] = []
    out.reserveCapacity(
      members.reduce(1 << 10) { $0 + $1.bytes.count + 2 * $1.name.utf8.count + 160 })
    var directory: [UInt8] = []
    for member in members {
      if let complaint = complaint(about: member.name) {
        throw EnvironmentFailure("cannot write the member '\(member.name)': \(complaint)")
      }
      guard names.insert(member.name).inserted else {
        throw EnvironmentFailure("cannot write an archive: '\(member.name)' occurs twice")
      }
      let packed = method == .stored ? member.bytes : try Deflate.compress(member.bytes)
      let entry = Entry(
        name: member.name, method: method.rawValue, crc: CRC32.of(member.bytes),
        packedSize: packed.count, size: member.bytes.count, offset: out.count)
      out.appendLocalHeader(entry, limits)
      out += packed
      directory.appendCentralHeader(entry, limits)
    }
    let start = out.count
    out += directory
    out.appendEnd(count: members.count, start: start, size: directory.count, limits)
    return out
  }

  /// What the directory says of one member.
  struct Entry: Hashable, Sendable {
    var name: String
    var flags: UInt16 = 0
    var method: UInt16
    var crc: UInt32
    var packedSize: Int
    var size: Int
    /// Where its local header begins.
    var offset: Int
  }
}

extension [UInt8] {
  /// 1 January 1980, 00:00: the format's first moment.
  private static let time: UInt16 = 0
  private static let date: UInt16 = 0x21
  /// A regular file that its owner writes and all read, as Unix says it.
  private static let permissions: UInt32 = 0o100644 << 16

  fileprivate mutating func appendLocalHeader(_ entry: Zip.Entry, _ limits: Zip.Limits) {
    let isLarge = entry.size >= limits.size || entry.packedSize >= limits.size
    appendLittleEndian(Zip.Signature.local)
    appendCommon(entry, isLarge: isLarge, hidesSizes: isLarge)
    appendLittleEndian(UInt16(entry.name.utf8.count))
    appendLittleEndian(UInt16(isLarge ? 20 : 0))
    append(contentsOf: entry.name.utf8)
    if isLarge { appendExtra([entry.size, entry.packedSize]) }
  }

  fileprivate mutating func appendCentralHeader(_ entry: Zip.Entry, _ limits: Zip.Limits) {
    let isLarge = entry.size >= limits.size || entry.packedSize >= limits.size
    let isFar = entry.offset >= limits.size
    var hidden: [Int] = isLarge ? [entry.size, entry.packedSize] : []
    if isFar { hidden.append(entry.offset) }
    appendLittleEndian(Zip.Signature.central)
    // Made on Unix, by the same version that is needed to read it.
    appendLittleEndian(UInt16(3 << 8 | (hidden.isEmpty ? 20 : 45)))
    appendCommon(entry, isLarge: !hidden.isEmpty, hidesSizes: isLarge)
    appendLittleEndian(UInt16(entry.name.utf8.count))
    appendLittleEndian(UInt16(hidden.isEmpty ? 0 : 4 + 8 * hidden.count))
    // No comment, the first disk, no internal attributes.
    for _ in 0..<3 { appendLittleEndian(UInt16(0)) }
    appendLittleEndian(Self.permissions)
    appendLittleEndian(UInt32(isFar ? Zip.full32 : entry.offset))
    append(contentsOf: entry.name.utf8)
    if !hidden.isEmpty { appendExtra(hidden) }
  }

  /// What both headers have: version, flags, method, time, checksum, sizes.
  private mutating func appendCommon(_ entry: Zip.Entry, isLarge: Bool, hidesSizes: Bool) {
    let isASCII = entry.name.utf8.allSatisfy { $0 < 128 }
    appendLittleEndian(UInt16(isLarge ? 45 : 20))
    appendLittleEndian(isASCII ? 0 : Zip.Flag.utf8)
    appendLittleEndian(entry.method)
    appendLittleEndian(Self.time)
    appendLittleEndian(Self.date)
    appendLittleEndian(entry.crc)
    appendLittleEndian(UInt32(hidesSizes ? Zip.full32 : entry.packedSize))
    appendLittleEndian(UInt32(hidesSizes ? Zip.full32 : entry.size))
  }

  private mutating func appendExtra(_ numbers: [Int]) {
    appendLittleEndian(Zip.extra64)
    appendLittleEndian(UInt16(8 * numbers.count))
    for number in numbers { appendLittleEndian(UInt64(number)) }
  }

  fileprivate mutating func appendEnd(count: Int, start: Int, size: Int, _ limits: Zip.Limits) {
    let isLarge = count >= limits.count || start >= limits.size || size >= limits.size
    if isLarge {
      let place = self.count
      appendLittleEndian(Zip.Signature.end64)
      appendLittleEndian(UInt64(Zip.Length.end64 - 12))
      appendLittleEndian(UInt16(3 << 8 | 45))
      appendLittleEndian(UInt16(45))
      // This disk, and that on which the directory begins.
      appendLittleEndian(UInt32(0))
      appendLittleEndian(UInt32(0))
      for number in [count, count, size, start] { appendLittleEndian(UInt64(number)) }
      appendLittleEndian(Zip.Signature.locator64)
      appendLittleEndian(UInt32(0))
      appendLittleEndian(UInt64(place))
      appendLittleEndian(UInt32(1))
    }
    appendLittleEndian(Zip.Signature.end)
    appendLittleEndian(UInt16(0))
    appendLittleEndian(UInt16(0))
    for _ in 0..<2 { appendLittleEndian(UInt16(isLarge ? Zip.full16 : count)) }
    appendLittleEndian(UInt32(isLarge ? Zip.full32 : size))
    appendLittleEndian(UInt32(isLarge ? Zip.full32 : start))
    appendLittleEndian(UInt16(0))
  }
}
