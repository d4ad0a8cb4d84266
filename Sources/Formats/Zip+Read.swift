// Reading ZIP archives. The directory at the end is read and checked as a whole: places in bounds,
// without overlaps, names that may stand there and occur once, sizes that deflate can reach. Members
// are unpacked one by one on demand, each against its size and checksum.

import Basics

/// An archive of which the directory was read and checked.
package struct ZipArchive: Sendable {
  private let bytes: [UInt8]
  /// The file's name, for messages.
  private let name: String
  private let entries: [Zip.Entry]
  /// Where the data of each entry begin.
  private let starts: [Int]

  /// Whether bytes begin as archives do that hold something, or are an empty one.
  package static func isZip(_ bytes: [UInt8]) -> Bool {
    bytes.has([0x50, 0x4B, 3, 4]) || bytes.has([0x50, 0x4B, 5, 6])
  }

  /// Fails where the archive is damaged or holds what is not supported (encryption, other methods
  /// than deflate, several disks), and where its members have more than `limit` bytes together.
  package init(
    _ bytes: [UInt8], name: String, limit: Int = defaultFileLimit
  ) throws(EnvironmentFailure) {
    self.bytes = bytes
    self.name = name
    guard Self.isZip(bytes) else {
      throw EnvironmentFailure(
        "\(name): not a ZIP archive: expected the bytes 50 4b 03 04 at the start, found "
          + hexText(bytes.prefix(4)))
    }
    let directory = try ZipDirectory(bytes, name)
    entries = try directory.entries()
    starts = try directory.checkedStarts(entries)
    var total = 0
    for entry in entries {
      let (sum, overflow) = total.addingReportingOverflow(entry.size)
      guard !overflow, sum <= limit else {
        throw EnvironmentFailure("\(name): its members have more than \(limit) bytes together")
      }
      total = sum
    }
  }

  /// The members in the directory's order.
  package var names: [String] { entries.map(\.name) }

  /// A member unpacked, its size and checksum compared; nil where there is none of this name.
  package func member(_ member: String) throws(EnvironmentFailure) -> [UInt8]? {
    guard let index = entries.firstIndex(where: { $0.name == member }) else { return nil }
    let entry = entries[index]
    let place = "\(name): the member '\(member)'"
    let packed = Array(bytes[starts[index]..<starts[index] + entry.packedSize])
    let content =
      entry.method == Zip.Method.stored.rawValue
      ? packed : try Deflate.decompress(packed, exactly: entry.size, name: place)
    let crc = CRC32.of(content)
    guard crc == entry.crc else {
      throw EnvironmentFailure(
        "\(place) is damaged: its content has the checksum \(String(crc, radix: 16)), "
          + "the directory says \(String(entry.crc, radix: 16))")
    }
    return content
  }
}

/// The directory's place, from the records at the end of the file.
private struct ZipDirectory {
  let bytes: [UInt8]
  let name: String
  /// Where it begins and how many bytes and entries it has.
  var start: Int
  var size: Int
  var count: Int

  init(_ bytes: [UInt8], _ name: String) throws(EnvironmentFailure) {
    self.bytes = bytes
    self.name = name
    let end = try Self.endRecord(bytes, name)
    let numbers = [4, 6, 8, 10].map { Int(bytes.littleEndian16(at: end + $0)) }
    size = Int(bytes.littleEndian32(at: end + 12))
    start = Int(bytes.littleEndian32(at: end + 16))
    count = numbers[3]
    var behind = end
    if numbers[2] == Zip.full16 || count == Zip.full16 || size == Zip.full32 || start == Zip.full32
    {
      behind = try readEnd64(before: end)
    } else {
      try checkDisks(numbers[0], numbers[1], numbers[2], count)
    }
    guard size <= behind, start == behind - size else {
      throw EnvironmentFailure(
        "\(name): the directory should end at byte \(behind), where its end record stands, "
          + "but \(size) bytes from \(start) on are announced")
    }
    guard count <= size / Zip.Length.central else {
      throw EnvironmentFailure(
        "\(name): \(count) members are announced in a directory of \(size) bytes")
    }
  }

  /// The end record is the last thing but a comment, whose length it says.
  private static func endRecord(
    _ bytes: [UInt8], _ name: String
  ) throws(EnvironmentFailure) -> Int {
    var place = bytes.count - Zip.Length.end
    let first = max(0, place - Zip.full16)
    while place >= first {
      if bytes.littleEndian32(at: place) == Zip.Signature.end,
        Int(bytes.littleEndian16(at: place + 20)) == bytes.count - Zip.Length.end - place
      {
        return place
      }
      place -= 1
    }
    throw EnvironmentFailure(
      "\(name): truncated: there is no end record of a ZIP archive at the end of the file")
  }

  /// Reads the numbers from the ZIP64 end record; returns where that begins.
  private mutating func readEnd64(before end: Int) throws(EnvironmentFailure) -> Int {
    let locator = end - Zip.Length.locator64
    guard locator >= 0, bytes.littleEndian32(at: locator) == Zip.Signature.locator64 else {
      throw EnvironmentFailure(
        "\(name): the end record points to a ZIP64 record, and none is announced before it")
    }
    let place = bytes.littleEndian64(at: locator + 8)
    guard locator >= Zip.Length.end64, place == UInt64(locator - Zip.Length.end64),
      bytes.littleEndian32(at: Int(place)) == Zip.Signature.end64
    else {
      throw EnvironmentFailure(
        "\(name): the ZIP64 end record should stand at byte \(locator - Zip.Length.end64), "
          + "\(place) is announced")
    }
    let record = Int(place)
    let numbers = [24, 32, 40, 48].map { bytes.littleEndian64(at: record + $0) }
    guard numbers.allSatisfy({ $0 <= UInt64(bytes.count) }) else {
      throw EnvironmentFailure("\(name): the ZIP64 end record announces more than the file has")
    }
    count = Int(numbers[1])
    size = Int(numbers[2])
    start = Int(numbers[3])
    try checkDisks(
      Int(bytes.littleEndian32(at: record + 16)), Int(bytes.littleEndian32(at: record + 20)),
      Int(numbers[0]), count)
    return record
  }

  private func checkDisks(
    _ disk: Int, _ first: Int, _ here: Int, _ all: Int
  ) throws(EnvironmentFailure) {
    guard disk == 0, first == 0, here == all else {
      throw EnvironmentFailure("\(name): ZIP archives of several parts are not supported")
    }
  }

  // MARK: Entries

  /// All entries, checked one by one.
  func entries() throws(EnvironmentFailure) -> [Zip.Entry] {
    var entries: [Zip.Entry] = []
    var names: Set<String> = []
    var place = start
    for number in 0..<count {
      let entry = try entry(number, at: &place)
      guard names.insert(entry.name).inserted else {
        throw EnvironmentFailure("\(name): the member '\(entry.name)' is there twice")
      }
      entries.append(entry)
    }
    guard place == start + size else {
      throw EnvironmentFailure(
        "\(name): the directory's \(count) members take \(place - start) bytes, "
          + "\(size) are announced")
    }
    return entries
  }

  private func entry(_ number: Int, at place: inout Int) throws(EnvironmentFailure) -> Zip.Entry {
    let end = start + size
    let here = place
    guard end - here >= Zip.Length.central, bytes.littleEndian32(at: here) == Zip.Signature.central
    else {
      throw EnvironmentFailure(
        "\(name): truncated or damaged: member \(number) of the directory is not at byte \(here)")
    }
    let lengths = [28, 30, 32].map { Int(bytes.littleEndian16(at: here + $0)) }
    let body = here + Zip.Length.central
    guard lengths.reduce(0, +) <= end - body else {
      throw EnvironmentFailure("\(name): member \(number) reaches beyond the end of the directory")
    }
    place = body + lengths.reduce(0, +)
    let title = try memberName(Array(bytes[body..<body + lengths[0]]), number)
    var entry = Zip.Entry(
      name: title, flags: bytes.littleEndian16(at: here + 8),
      method: bytes.littleEndian16(at: here + 10), crc: bytes.littleEndian32(at: here + 16),
      packedSize: Int(bytes.littleEndian32(at: here + 20)),
      size: Int(bytes.littleEndian32(at: here + 24)),
      offset: Int(bytes.littleEndian32(at: here + 42)))
    try resolve(&entry, extra: body + lengths[0]..<body + lengths[0] + lengths[1])
    try check(entry)
    return entry
  }

  private func memberName(
    _ text: [UInt8], _ number: Int
  ) throws(EnvironmentFailure) -> String {
    guard let title = String(validating: text, as: UTF8.self) else {
      throw EnvironmentFailure("\(name): the name of member \(number) is not UTF-8")
    }
    // What stands in a message must not be endless.
    if let complaint = Zip.complaint(about: title) {
      throw EnvironmentFailure(
        "\(name): the member '\(title.prefix(80))' is refused: \(complaint)")
    }
    return title
  }

  /// Takes from the extra field what does not fit 32 bits: those of size, packed size and offset
  /// whose fields are full, in this order.
  private func resolve(
    _ entry: inout Zip.Entry, extra: Range<Int>
  ) throws(EnvironmentFailure) {
    let fields: [WritableKeyPath<Zip.Entry, Int>] = [\.size, \.packedSize, \.offset]
    let full = fields.filter { entry[keyPath: $0] == Zip.full32 }
    if full.isEmpty { return }
    guard let numbers = numbers64(extra), numbers.count >= full.count else {
      throw EnvironmentFailure("\(name): the member '\(entry.name)' lacks its 64-bit sizes")
    }
    for (field, number) in zip(full, numbers) { entry[keyPath: field] = Int(clamping: number) }
  }

  /// The numbers of the extra field for ZIP64; nil where there is none.
  private func numbers64(_ extra: Range<Int>) -> [UInt64]? {
    var place = extra.lowerBound
    while extra.upperBound - place >= 4 {
      let length = Int(bytes.littleEndian16(at: place + 2))
      guard length <= extra.upperBound - place - 4 else { return nil }
      if bytes.littleEndian16(at: place) == Zip.extra64 {
        return (0..<length / 8).map { bytes.littleEndian64(at: place + 4 + 8 * $0) }
      }
      place += 4 + length
    }
    return nil
  }

  private func check(_ entry: Zip.Entry) throws(EnvironmentFailure) {
    let place = "\(name): the member '\(entry.name)'"
    guard entry.flags & Zip.Flag.encrypted == 0 else {
      throw EnvironmentFailure("\(place) is encrypted, which is not supported")
    }
    guard let method = Zip.Method(rawValue: entry.method) else {
      throw EnvironmentFailure(
        "\(place) is packed by method \(entry.method); only stored (0) and deflated (8) ones "
          + "are supported")
    }
    let most =
      method == .stored
      ? entry.packedSize : entry.packedSize.multipliedOrMax(by: Gzip.largestRatio)
    guard entry.size <= most, method == .deflated || entry.size == entry.packedSize else {
      throw EnvironmentFailure(
        "\(place) says that \(entry.packedSize) bytes unpack to \(entry.size), which cannot be")
    }
  }

  // MARK: Data

  /// Where the data of each entry begin: behind a local header that agrees with the directory, before
  /// the directory, and apart from all others.
  func checkedStarts(_ entries: [Zip.Entry]) throws(EnvironmentFailure) -> [Int] {
    var starts: [Int] = []
    for entry in entries { starts.append(try dataStart(entry)) }
    var end = 0
    for index in entries.indices.sorted(by: { entries[$0].offset < entries[$1].offset }) {
      let entry = entries[index]
      guard entry.offset >= end else {
        throw EnvironmentFailure(
          "\(name): the member '\(entry.name)' overlaps another: it begins at byte "
            + "\(entry.offset), the one before it ends at \(end)")
      }
      end = starts[index] + entry.packedSize
    }
    return starts
  }

  private func dataStart(_ entry: Zip.Entry) throws(EnvironmentFailure) -> Int {
    let place = "\(name): the member '\(entry.name)'"
    guard entry.offset >= 0, entry.offset <= start - Zip.Length.local,
      bytes.littleEndian32(at: entry.offset) == Zip.Signature.local
    else {
      throw EnvironmentFailure("\(place) is not at byte \(entry.offset), where it is announced")
    }
    let lengths = [26, 28].map { Int(bytes.littleEndian16(at: entry.offset + $0)) }
    let title = entry.offset + Zip.Length.local
    let data = title + lengths[0] + lengths[1]
    guard data <= start, entry.packedSize <= start - data else {
      throw EnvironmentFailure(
        "\(place) has \(entry.packedSize) bytes from \(data) on, beyond the directory at \(start)")
    }
    guard Array(bytes[title..<title + lengths[0]]) == Array(entry.name.utf8),
      bytes.littleEndian16(at: entry.offset + 8) == entry.method, agrees(entry, title, lengths)
    else {
      throw EnvironmentFailure(
        "\(place) is damaged: its own header does not agree with the directory")
    }
    return data
  }

  /// Whether the local header has the directory's sizes and checksum, unless it leaves them to a
  /// record behind the data.
  private func agrees(_ entry: Zip.Entry, _ title: Int, _ lengths: [Int]) -> Bool {
    if entry.flags & Zip.Flag.descriptor != 0 { return true }
    var local = entry
    local.packedSize = Int(bytes.littleEndian32(at: entry.offset + 18))
    local.size = Int(bytes.littleEndian32(at: entry.offset + 22))
    local.crc = bytes.littleEndian32(at: entry.offset + 14)
    let extra = title + lengths[0]..<title + lengths[0] + lengths[1]
    return (try? resolve(&local, extra: extra)) != nil && local == entry
  }
}
