import Basics
import TestSupport
import Testing

@testable import Formats

@Suite struct ZipTests {
  /// `zipfile` with `ZipInfo("a.txt", (1980, 1, 1, 0, 0, 0))`, stored: the content "hi".
  static let known: [UInt8] =
    [
      0x50, 0x4B, 3, 4, 20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0xAC, 0x2A, 0x93, 0xD8, 2, 0, 0, 0, 2, 0,
      0,
      0, 5, 0, 0, 0,
    ] + Array("a.txthi".utf8) + [
      0x50, 0x4B, 1, 2, 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0, 0xAC, 0x2A, 0x93, 0xD8, 2, 0, 0, 0,
      2, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xA4, 0x81, 0, 0, 0, 0,
    ] + Array("a.txt".utf8) + [
      0x50, 0x4B, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, 0x33, 0, 0, 0, 0x25, 0, 0, 0, 0, 0,
    ]

  static let members = [
    Zip.Member(name: "a", bytes: []), Zip.Member(name: "dir/b.npy", bytes: randomBytes(300)),
    Zip.Member(name: "é", bytes: [UInt8](repeating: 7, count: 5000)),
  ]

  static func decode(_ bytes: [UInt8], limit: Int = 1 << 20) throws -> [Zip.Member] {
    let archive = try ZipArchive(bytes, name: "a file", limit: limit)
    return try archive.names.map {
      Zip.Member(name: $0, bytes: try #require(try archive.member($0)))
    }
  }

  /// The known archive with bytes replaced at places counted from the beginnings of its records.
  enum Record: Int {
    case local = 0
    case central = 37
    case end = 88
  }
  static func changed(_ record: Record, _ changes: [Int: UInt8]) -> [UInt8] {
    var bytes = known
    for (place, value) in changes { bytes[record.rawValue + place] = value }
    return bytes
  }

  @Test func writesKnownBytes() throws {
    let member = Zip.Member(name: "a.txt", bytes: Array("hi".utf8))
    #expect(try Zip.encode([member]) == Self.known)
    #expect(try Self.decode(Self.known) == [member])
  }

  @Test func roundTrips() throws {
    for method in [Zip.Method.stored, .deflated] {
      for limits in [Zip.Limits(), Zip.Limits(size: 100, count: 2), Zip.Limits(size: 1, count: 1)] {
        let bytes = try Zip.encode(Self.members, method: method, limits: limits)
        #expect(try Self.decode(bytes) == Self.members)
        #expect(try Zip.encode(Self.members, method: method, limits: limits) == bytes)
      }
    }
    #expect(try Self.decode(Zip.encode([])) == [])
    let packed = try Zip.encode(Self.members, method: .deflated)
    #expect(packed.count < 1000)
  }

  @Test func refusesNamesToWrite() {
    for (name, words) in [
      ("", "empty"), ("/a", "absolute"), ("a/../b", "'..'"), ("a\\b", "backslash"),
    ] {
      expectFailure("cannot write the member", words) {
        _ = try Zip.encode([Zip.Member(name: name, bytes: [])])
      }
    }
    expectFailure("'a' occurs twice") {
      _ = try Zip.encode([Zip.Member(name: "a", bytes: []), Zip.Member(name: "a", bytes: [1])])
    }
  }

  @Test func refusesTruncatedFiles() throws {
    expectAllTruncationsFail(Self.known) { _ = try Self.decode($0) }
    let large = try Zip.encode(Self.members, method: .deflated, limits: .init(size: 1, count: 1))
    expectAllTruncationsFail(large) { _ = try Self.decode($0) }
  }

  @Test func namesWhatIsWrong() throws {
    let cases: [(Record, [Int: UInt8], [String])] = [
      (.local, [0: 0], ["not a ZIP archive"]),
      (.local, [26: 4], ["its own header does not agree"]),
      (.local, [30: 0x62], ["its own header does not agree"]),
      (.local, [18: 1], ["its own header does not agree"]),
      (.local, [14: 0], ["its own header does not agree"]),
      (.local, [28: 200], ["beyond the directory"]),
      (.local, [35: 0x48], ["damaged", "checksum"]),
      (.central, [8: 1], ["'a.txt' is encrypted"]),
      (.central, [10: 12], ["method 12", "stored (0) and deflated (8)"]),
      (.central, [24: 3], ["2 bytes unpack to 3"]),
      (.central, [10: 8, 26: 1], ["2 bytes unpack to 65538"]),
      (.central, [20: 0xFF, 21: 0xFF, 22: 0xFF, 23: 0xFF], ["lacks its 64-bit sizes"]),
      (.central, [42: 1], ["not at byte 1"]),
      (.central, [42: 36], ["not at byte 36"]),
      (.central, [0: 0], ["member 0 of the directory is not at byte 37"]),
      (.central, [28: 99], ["member 0 reaches beyond"]),
      (.central, [28: 4], ["take 50 bytes, 51 are announced"]),
      (.central, [46: 0x2F], ["'/.txt' is refused", "absolute"]),
      (.central, [46: 0x2E, 47: 0x2E, 48: 0x2F], ["'../xt' is refused", "'..'"]),
      (.central, [46: 0xFF], ["member 0 is not UTF-8"]),
      (.end, [8: 2], ["several parts"]), (.end, [4: 1], ["several parts"]),
      (.end, [8: 2, 10: 2], ["2 members are announced in a directory of 51"]),
      (.end, [8: 0, 10: 0], ["take 0 bytes, 51 are announced"]),
      (.end, [12: 0x32], ["should end at byte 88", "50 bytes from 37"]),
      (.end, [16: 0x24], ["should end at byte 88"]),
      (.end, [8: 0xFF, 9: 0xFF], ["none is announced before it"]),
      (.end, [20: 1], ["no end record"]),
    ]
    for (record, changes, words) in cases {
      do {
        _ = try Self.decode(Self.changed(record, changes))
        Issue.record("accepted: \(record) \(changes)")
      } catch let failure as EnvironmentFailure {
        for word in ["a file"] + words {
          #expect(failure.message.contains(word), "\(record) \(changes)")
        }
      }
    }
  }

  /// Two directory entries of one stored member, under two names: the trick of archives that unpack
  /// to far more than they hold.
  @Test func refusesOverlapsAndDuplicates() throws {
    let twice = try Zip.encode([
      Zip.Member(name: "a", bytes: [1, 2]), Zip.Member(name: "b", bytes: [3, 4]),
    ])
    // Local headers of 33 bytes with their data, directory entries of 47.
    let directory = 66
    var duplicate = twice
    duplicate[33 + 30] = 0x61
    duplicate[directory + 47 + 46] = 0x61
    expectFailure("a file", "'a' is there twice") { _ = try Self.decode(duplicate) }
    // The first member's data reach into the second member.
    var overlap = twice
    for place in [18, 22, directory + 20, directory + 24] { overlap[place] = 5 }
    expectFailure("a file", "'b' overlaps") { _ = try Self.decode(overlap) }
  }

  @Test func limitsWhatIsUnpacked() throws {
    let zeros = Zip.Member(name: "z", bytes: [UInt8](repeating: 0, count: 100_000))
    let bytes = try Zip.encode([zeros], method: .deflated)
    #expect(try Self.decode(bytes) == [zeros])
    expectFailure("a file", "more than 1000 bytes") { _ = try Self.decode(bytes, limit: 1000) }
    // A size that is too small by one is seen, and so is one that is too large by one.
    for difference in [-1, 1] {
      var wrong = bytes
      for header in [0, bytes.count - 22 - 47 + 2] {
        let place = header + 22
        wrong[place] = UInt8(truncatingIfNeeded: Int(wrong[place]) + difference)
      }
      expectFailure("a file", "'z'", difference < 0 ? "more than" : "expected") {
        _ = try Self.decode(wrong)
      }
    }
  }

  /// An archive written to a pipe: sizes behind the data.
  @Test func readsDataDescriptors() throws {
    var bytes = Array(Self.known[..<37])
    bytes[6] = 8
    for place in 14..<26 { bytes[place] = 0 }
    bytes += [0x50, 0x4B, 7, 8, 0xAC, 0x2A, 0x93, 0xD8, 2, 0, 0, 0, 2, 0, 0, 0]
    var rest = Array(Self.known[37...])
    rest[8] = 8
    rest[rest.count - 6] = UInt8(bytes.count)
    #expect(try Self.decode(bytes + rest).first?.bytes == Array("hi".utf8))
  }

  @Test func survivesMutations() throws {
    let bytes = try Zip.encode(Self.members, method: .deflated)
    try fuzz(bytes, seed: 3, rounds: 4000) { _ = try Self.decode($0) }
    let large = try Zip.encode(Self.members, method: .stored, limits: .init(size: 1, count: 1))
    try fuzz(large, seed: 4, rounds: 4000) { _ = try Self.decode($0) }
  }
}

@Suite struct NPZTests {
  static let arrays: [(key: String, array: NPYArray)] = [
    ("generator/dense/kernel", NPYArray(shape: [2, 2], floats: [1, 2, 3, 4])),
    ("labels", NPYArray(shape: [3], integers: [0, 1, 2])),
  ]

  @Test func roundTrips() throws {
    for method in [Zip.Method.stored, .deflated] {
      let bytes = try NPZ.encode(Self.arrays, method: method)
      let read = try NPZArchive(bytes, name: "a file")
      #expect(read.keys == Self.arrays.map(\.key))
      #expect(try read.arrays().map(\.array) == Self.arrays.map(\.array))
    }
    let one = try NPZArchive(NPZ.encode([Self.arrays[1]]), name: "a file")
    #expect(try one.onlyArray() == Self.arrays[1].array)
  }

  @Test func namesWhatIsWrong() throws {
    let bytes = try NPZ.encode(Self.arrays)
    let archive = try NPZArchive(bytes, name: "a file")
    expectFailure("a file", "no array 'label'", "generator/dense/kernel, labels") {
      _ = try archive.array("label")
    }
    expectFailure("a file", "one array is expected", "labels") { _ = try archive.onlyArray() }
    let other = try Zip.encode([Zip.Member(name: "x.txt", bytes: [])])
    expectFailure("a file", "'x.txt' is no array") { _ = try NPZArchive(other, name: "a file") }
    let bad = try Zip.encode([Zip.Member(name: "x.npy", bytes: [1, 2])])
    expectFailure("a file", "the array 'x'", "not an NPY file") {
      _ = try NPZArchive(bad, name: "a file").array("x")
    }
    expectAllTruncationsFail(bytes) { _ = try NPZArchive($0, name: "a file").arrays() }
    expectFailure("cannot write", "occurs twice") {
      _ = try NPZ.encode([Self.arrays[0], Self.arrays[0]])
    }
  }

  @Test func findsReferencedArrays() throws {
    try withFolder { folder in
      let path = "\(folder)/a.npz"
      try FileIO.writeAtomically(try NPZ.encode(Self.arrays), to: path)
      #expect(try ArrayReference("\(path):labels").read() == Self.arrays[1].array)
      #expect(
        try ArrayReference("\(path):generator/dense/kernel").read() == Self.arrays[0].array)
      expectFailure(path, "one array is expected") { _ = try ArrayReference(path).read() }
      let single = "\(folder)/b.npz:c.npy"
      try FileIO.writeAtomically(try Self.arrays[1].array.encode(), to: single)
      #expect(ArrayReference(single).key == nil)
      #expect(try ArrayReference(single).read() == Self.arrays[1].array)
      try FileIO.writeAtomically([1, 2], to: "\(folder)/c.npz")
      expectFailure("c.npz", "not an NPZ file") {
        _ = try ArrayReference("\(folder)/c.npz:x").read()
      }
    }
  }

  @Test func becomesTensors() throws {
    for (_, array) in Self.arrays {
      let tensor = try NamedTensor(name: "x", array, file: "a file")
      #expect(NPYArray(tensor) == array)
    }
    let half = NPYArray(element: .f16, shape: [2], bytes: [0x00, 0x3C, 0x00, 0xC1])
    #expect(try NamedTensor(name: "x", half, file: "a file").floats == [1, -2.5])
    let short = NPYArray(element: .i16, shape: [1], bytes: [1, 0])
    expectFailure("a file", "'x' is of type i2") {
      _ = try NamedTensor(name: "x", short, file: "a file")
    }
  }
}
