import Basics
import Formats
import TestSupport
import Testing

@Suite struct NPYTests {
  /// A file with the given header text and data.
  static func file(_ header: String, _ data: [UInt8], version: UInt8 = 1) -> [UInt8] {
    let text = Array(header.utf8)
    let length: [UInt8] = [UInt8(text.count & 255), UInt8(text.count >> 8)]
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + (version == 1 ? [] : [0, 0])
      + text + data
  }

  static func header(_ descr: String, _ shape: String, fortran: String = "False") -> String {
    "{'descr': '\(descr)', 'fortran_order': \(fortran), 'shape': \(shape), }\n"
  }

  static func decode(_ bytes: [UInt8]) throws -> NPYArray {
    try NPYArray.decode(bytes, name: "a file")
  }

  /// `numpy.save` of `numpy.array([1, -2.5], dtype="f4")`.
  static let known: [UInt8] =
    [0x93] + Array("NUMPY".utf8) + [1, 0, 0x76, 0]
    + Array("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }".utf8)
    + [UInt8](repeating: 0x20, count: 60) + [0x0A, 0, 0, 0x80, 0x3F, 0, 0, 0x20, 0xC0]

  @Test func writesKnownBytes() throws {
    #expect(try NPYArray(shape: [2], floats: [1, -2.5]).encode() == Self.known)
    #expect(try Self.decode(Self.known).floats == [1, -2.5])
  }

  @Test func roundTrips() throws {
    let shapes = [[], [1], [0], [2, 3], [2, 0, 3], [1, 2, 3, 4]]
    for shape in shapes {
      let count = shape.reduce(1, *)
      for element in NPYArray.Element.allCases {
        let bytes = randomBytes(count * element.width)
        let array = NPYArray(element: element, shape: shape, bytes: bytes)
        #expect(try Self.decode(array.encode()) == array)
        #expect(array.doubles.count == count && array.floats.count == count)
      }
    }
    let doubles = NPYArray(shape: [2], doubles: [0.1, -7])
    #expect(try Self.decode(doubles.encode()).doubles == [0.1, -7])
    let integers = NPYArray(shape: [2], integers: [.min, 5])
    #expect(try Self.decode(integers.encode()).integers == [-2_147_483_648, 5])
  }

  @Test func readsEveryElementInEitherByteOrder() throws {
    let cases: [(String, [UInt8], [Double])] = [
      ("f2", [0x00, 0x3C, 0x00, 0xC1], [1, -2.5]), ("f4", [0, 0, 0x80, 0x3F], [1]),
      ("f8", [0, 0, 0, 0, 0, 0, 0x04, 0xC0], [-2.5]), ("i1", [0x80, 5], [-128, 5]),
      ("i2", [0xFE, 0xFF, 0, 1], [-2, 256]), ("i4", [0xFF, 0xFF, 0xFF, 0xFF], [-1]),
      ("i8", [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [-2]), ("u1", [200, 1], [200, 1]),
      ("u2", [0, 0xFF], [65280]), ("u4", [0, 0, 0, 0xFF], [4_278_190_080]),
      ("b1", [1, 0], [1, 0]),
    ]
    for (code, data, values) in cases {
      let width = data.count / values.count
      let reversed = values.indices.flatMap { data[$0 * width..<$0 * width + width].reversed() }
      for (order, data) in [("<", data), (">", reversed), ("|", data)] {
        if order == "|", width > 1 { continue }
        let bytes = Self.file(Self.header(order + code, "(\(values.count),)"), data)
        let array = try Self.decode(bytes)
        #expect(array.doubles == values, "\(order)\(code)")
        #expect(array.floats == values.map { Float($0) })
        #expect(array.integers == (code.hasPrefix("f") ? nil : values.map { Int($0) }))
      }
    }
  }

  @Test func convertsFortranOrder() throws {
    // The 2×3 matrix 0 1 2 / 3 4 5, its columns one after the other.
    let matrix = Self.file(Self.header("|u1", "(2, 3)", fortran: "True"), [0, 3, 1, 4, 2, 5])
    #expect(try Self.decode(matrix).bytes == [0, 1, 2, 3, 4, 5])
    let wide = Self.file(Self.header(">i2", "(2, 2)", fortran: "True"), [0, 0, 0, 2, 0, 1, 0, 3])
    #expect(try Self.decode(wide).doubles == [0, 1, 2, 3])
    var data = [UInt8](repeating: 0, count: 24)
    for i in 0..<24 { data[i / 12 + (i / 4 % 3) * 2 + (i % 4) * 6] = UInt8(i) }
    let cube = Self.file(Self.header("|u1", "(2, 3, 4)", fortran: "True"), data)
    #expect(try Self.decode(cube).bytes == (0..<24).map { UInt8($0) })
  }

  @Test func readsAllVersionsAndSpellings() throws {
    for version in [1, 2, 3] as [UInt8] {
      let bytes = Self.file(Self.header("|u1", "(1,)"), [7], version: version)
      #expect(try Self.decode(bytes).bytes == [7])
      expectAllTruncationsFail(bytes) { _ = try Self.decode($0) }
    }
    for text in [
      "{\"shape\":(1,),\"fortran_order\":False,\"descr\":\"|u1\"}",
      " { 'descr' : '|u1' , 'fortran_order' : False , 'shape' : ( 1L , ) , } \n",
    ] { #expect(try Self.decode(Self.file(text, [7])).shape == [1]) }
    #expect(try Self.decode(Self.file(Self.header("|b1", "()"), [1])).shape == [])
  }

  @Test func refusesDamage() throws {
    expectAllTruncationsFail(Self.known) { _ = try Self.decode($0) }
    expectFailure("too long", "needs 8 bytes, found 9") { _ = try Self.decode(Self.known + [0]) }
    expectFailure("not an NPY file", "found 50 4b") { _ = try Self.decode([0x50, 0x4B, 3, 4]) }
    var version = Self.known
    version[6] = 4
    expectFailure("version 4.0") { _ = try Self.decode(version) }
    let bad: [(String, String)] = [
      ("'O'", Self.header("O", "(1,)")), ("'<c8'", Self.header("<c8", "(1,)")),
      ("'|f4'", Self.header("|f4", "(1,)")), ("'f4'", Self.header("f4", "(1,)")),
      ("'<U5'", Self.header("<U5", "(1,)")), ("structured", "{'descr': [('a', '<f4')], "),
      ("tuple of one", Self.header("|u1", "(1)")), ("dimension", Self.header("|u1", "(-1,)")),
      ("expected ','", Self.header("|u1", "(1.5,)")), ("dimension", Self.header("|u1", "(1,,)")),
      ("dimension", Self.header("|u1", "(99999999999999999999,)")),
      ("True or False", Self.header("|u1", "(1,)", fortran: "1")), ("expected '{'", "[]"),
      ("expected '{'", ""), ("expected '('", Self.header("|u1", "[1]")),
      ("expected the keys", "{'descr': '|u1', 'shape': (1,)}"),
      ("unknown or occurs twice", "{'descr': '|u1', 'descr': '|u1'}"),
      ("unknown or occurs twice", "{'x': '|u1'}"),
      ("end of the header", Self.header("|u1", "(1,)") + "x"),
      ("expected a string", "{descr: 1}"), ("expected ','", "{'descr': '|u1' 'shape': (1,)}"),
      ("without escapes", "{'des\\x63r': '|u1'}"), ("without escapes", "{'descr"),
      ("expected a string", "{'descr': __import__('os')"),
      ("64 dimensions", Self.header("|u1", "(" + String(repeating: "1,", count: 65) + ")")),
    ]
    for (words, header) in bad {
      expectFailure("a file", words) { _ = try Self.decode(Self.file(header, [7])) }
    }
  }

  @Test func refusesSizesThatOverflow() throws {
    for (descr, shape) in [
      ("|u1", "(4294967296, 4294967296)"), ("<f8", "(2305843009213693952,)"),
      ("<f4", "(9223372036854775807,)"),
    ] {
      expectFailure("overflows") { _ = try Self.decode(Self.file(Self.header(descr, shape), [])) }
    }
    expectFailure("truncated", "needs 9223372036854775807 bytes") {
      _ = try Self.decode(Self.file(Self.header("|u1", "(9223372036854775807,)"), [1]))
    }
    // Nothing of nothing is fine, however large the other sizes are.
    let empty = Self.file(
      Self.header("<f8", "(9223372036854775807, 0, 9223372036854775807)", fortran: "True"), [])
    #expect(try Self.decode(empty).floats.isEmpty)
    expectFailure("does not fit") {
      _ = try NPYArray(element: .f32, shape: [2], bytes: [1]).encode()
    }
  }

  @Test func neverTraps() throws {
    let text = Self.header(">f4", "(2, 2)", fortran: "True")
    try fuzz(Self.file(text, randomBytes(16)), seed: 51, rounds: 5000) {
      _ = try Self.decode($0).doubles
    }
  }
}
