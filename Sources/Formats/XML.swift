// Text in XML and HTML: what the writers of SVG and of pages share.

/// Text as XML has it; characters that XML forbids become the replacement character.
package func xmlEscaped(_ text: String) -> String {
  var out = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "&": out += "&amp;"
    case "<": out += "&lt;"
    case ">": out += "&gt;"
    case "\"": out += "&quot;"
    case "\t", "\n", "\r": out += " "
    case "\0"..<" ", "\u{FFFE}", "\u{FFFF}": out += "\u{FFFD}"
    default: out.unicodeScalars.append(scalar)
    }
  }
  return out
}

/// JSON to stand in a page's script element: no parser of HTML sees an end or a comment in it. These
/// characters stand only in strings.
package func scriptEmbedded(_ json: String) -> String {
  var out: [UInt8] = []
  out.reserveCapacity(json.utf8.count)
  for byte in json.utf8 {
    switch byte {
    case UInt8(ascii: "<"): out += Array("\\u003c".utf8)
    case UInt8(ascii: ">"): out += Array("\\u003e".utf8)
    case UInt8(ascii: "&"): out += Array("\\u0026".utf8)
    default: out.append(byte)
    }
  }
  return String(decoding: out, as: UTF8.self)
}
