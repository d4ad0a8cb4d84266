// The header of an NPY file: the text of a Python dictionary with the keys descr, fortran_order
// and shape. Only strings, booleans, whole numbers and tuples of them occur, so a strict little
// parser is enough, and nothing is ever evaluated.

import Basics

struct NPYHeader {
  var element: NPYArray.Element
  var isBigEndian: Bool
  var isFortran: Bool
  var shape: [Int]

  /// More dimensions than NumPy has.
  static let mostDimensions = 64

  static func parse(_ text: [UInt8], _ name: String) throws(EnvironmentFailure) -> NPYHeader {
    var parser = Parser(text: text, name: name)
    return try parser.header()
  }

  private struct Parser {
    let text: [UInt8]
    let name: String
    var at = 0

    init(text: [UInt8], name: String) {
      self.text = text
      self.name = name
    }

    mutating func header() throws(EnvironmentFailure) -> NPYHeader {
      var descr: String?
      var fortran: Bool?
      var shape: [Int]?
      try expect("{")
      while !take("}") {
        let key = try string()
        try expect(":")
        switch key {
        case "descr" where descr == nil: descr = try typeCode()
        case "fortran_order" where fortran == nil: fortran = try boolean()
        case "shape" where shape == nil: shape = try tuple()
        default: throw failure("the key '\(key)' is unknown or occurs twice")
        }
        if take("}") { break }
        try expect(",")
      }
      skipSpace()
      guard at == text.count else { throw failure("expected the end of the header") }
      guard let descr, let fortran, let shape else {
        throw failure("expected the keys descr, fortran_order and shape")
      }
      guard let order = descr.first, "<>|=".contains(order),
        let element = NPYArray.Element(rawValue: String(descr.dropFirst())),
        order != "|" || element.width == 1
      else {
        throw EnvironmentFailure(
          "\(name): arrays of the type '\(descr)' are not supported yet; supported are f2 f4 f8, "
            + "i1 i2 i4 i8, u1 u2 u4 and b1")
      }
      return NPYHeader(
        element: element, isBigEndian: order == ">", isFortran: fortran, shape: shape)
    }

    private mutating func typeCode() throws(EnvironmentFailure) -> String {
      skipSpace()
      if at < text.count, text[at] == UInt8(ascii: "[") {
        throw EnvironmentFailure("\(name): structured arrays are not supported yet")
      }
      return try string()
    }

    private mutating func string() throws(EnvironmentFailure) -> String {
      skipSpace()
      guard at < text.count, text[at] == 0x27 || text[at] == 0x22 else {
        throw failure("expected a string")
      }
      let quote = text[at]
      let start = at + 1
      guard let end = text[start...].firstIndex(of: quote),
        text[start..<end].allSatisfy({ 0x20..<0x7F ~= $0 && $0 != 0x5C })
      else { throw failure("expected a string without escapes") }
      at = end + 1
      return String(decoding: text[start..<end], as: UTF8.self)
    }

    private mutating func boolean() throws(EnvironmentFailure) -> Bool {
      skipSpace()
      for (word, value) in [("True", true), ("False", false)] {
        if text.has(Array(word.utf8), at: at) {
          at += word.utf8.count
          return value
        }
      }
      throw failure("expected True or False")
    }

    private mutating func tuple() throws(EnvironmentFailure) -> [Int] {
      try expect("(")
      var sizes: [Int] = []
      while !take(")") {
        sizes.append(try number())
        guard sizes.count <= NPYHeader.mostDimensions else {
          throw failure("more than \(NPYHeader.mostDimensions) dimensions")
        }
        if take(")") {
          // `(3)` is a number in Python; a tuple of one has a comma.
          if sizes.count == 1 { throw failure("expected ',' in a tuple of one") }
          break
        }
        try expect(",")
      }
      return sizes
    }

    private mutating func number() throws(EnvironmentFailure) -> Int {
      skipSpace()
      let start = at
      while at < text.count, 0x30...0x39 ~= text[at] { at += 1 }
      let digits = String(decoding: text[start..<at], as: UTF8.self)
      // Python 2 wrote long integers with an L behind them.
      if at < text.count, text[at] == UInt8(ascii: "L"), at > start { at += 1 }
      guard let value = Int(digits) else {
        throw failure("expected a dimension between 0 and 2^63 - 1")
      }
      return value
    }

    private mutating func skipSpace() {
      while at < text.count, [0x20, 0x0A, 0x0D, 0x09].contains(text[at]) { at += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
      skipSpace()
      guard at < text.count, text[at] == UInt8(ascii: character) else { return false }
      at += 1
      return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(EnvironmentFailure) {
      if !take(character) { throw failure("expected '\(character)'") }
    }

    private func failure(_ message: String) -> EnvironmentFailure {
      EnvironmentFailure("\(name): bad NPY header at its byte \(at): \(message)")
    }
  }
}
