// Event files of TensorBoard: records as TFRecord frames them, each an `Event` message of Protocol
// Buffers (event.proto and summary.proto of TensorBoard). Scalars, pictures and texts in, bytes out;
// the reader gives the records back, for tests and for files of others.
//
// A record is its length (8 bytes, little-endian), the masked CRC-32C of these 8 bytes, the data,
// and the masked CRC-32C of the data.

import Basics

/// The framing of records.
package enum TFRecord {
  package static func append(_ data: [UInt8], to out: inout [UInt8]) {
    var length: [UInt8] = []
    length.appendLittleEndian(UInt64(data.count))
    out += length
    out.appendLittleEndian(CRC32C.masked(CRC32C.of(length)))
    out += data
    out.appendLittleEndian(CRC32C.masked(CRC32C.of(data)))
  }

  /// The whole records of a file. A last one that is cut short, as a killed process leaves it, is no
  /// record and no error; wrong sums are errors.
  package static func read(
    _ bytes: [UInt8], name: String
  ) throws(EnvironmentFailure) -> (records: [ArraySlice<UInt8>], isCut: Bool) {
    var records: [ArraySlice<UInt8>] = []
    var at = 0
    while bytes.count - at >= 12 {
      guard
        CRC32C.masked(CRC32C.of(bytes[at..<at + 8])) == bytes.littleEndian32(at: at + 8)
      else {
        throw EnvironmentFailure("\(name): byte \(at): the length of a record is damaged")
      }
      let start = at + 12
      let length = bytes.littleEndian64(at: at)
      guard let count = Int(exactly: length), bytes.count - start >= 4,
        count <= bytes.count - start - 4
      else { return (records, true) }
      let data = bytes[start..<start + count]
      guard CRC32C.masked(CRC32C.of(data)) == bytes.littleEndian32(at: start + count) else {
        throw EnvironmentFailure("\(name): byte \(start): the data of a record are damaged")
      }
      records.append(data)
      at = start + count + 4
    }
    return (records, at < bytes.count)
  }
}

/// One record of an event file.
package struct TensorBoardEvent: Hashable, Sendable {
  package enum Content: Hashable, Sendable {
    /// The first record of every file.
    case fileVersion
    /// The session goes on from here: what earlier files hold of this step and later ones does not
    /// count any more.
    case sessionStart
    case scalars([Scalar])
    /// A picture as a PNG file.
    case image(tag: String, width: Int, height: Int, channels: Int, png: [UInt8])
    /// Markdown.
    case text(tag: String, String)
  }
  package struct Scalar: Hashable, Sendable {
    package var tag: String
    package var value: Float
    package init(_ tag: String, _ value: Float) {
      self.tag = tag
      self.value = value
    }
  }

  /// Seconds since 1970.
  package var wallTime: Double
  package var step: Int
  package var content: Content

  package init(wallTime: Double, step: Int, _ content: Content) {
    self.wallTime = wallTime
    self.step = step
    self.content = content
  }

  // Numbers of fields and of enumerations, from event.proto, summary.proto, plugin_data.proto,
  // tensor.proto and types.proto.
  private enum Field {
    static let wallTime = 1
    static let step = 2
    static let fileVersion = 3
    static let summary = 5
    static let sessionLog = 7
    static let sessionStatus = 1
    static let summaryValue = 1
    static let tag = 1
    static let simpleValue = 2
    static let image = 4
    static let tensor = 8
    static let metadata = 9
  }
  private static let version = "brain.Event:2"
  private static let statusStart: UInt64 = 1
  private static let typeString: UInt64 = 7
  private static let dataClassTensor: UInt64 = 2

  // MARK: Writing

  /// The `Event` message, not yet framed.
  package func encode() -> [UInt8] {
    var event = ProtobufWriter()
    event.double(Field.wallTime, wallTime)
    // Fields that have their default are left out, as other writers do.
    if step != 0 { event.integer(Field.step, Int64(step)) }
    switch content {
    case .fileVersion: event.string(Field.fileVersion, Self.version)
    case .sessionStart:
      event.message(Field.sessionLog) { $0.unsigned(Field.sessionStatus, Self.statusStart) }
    case .scalars(let scalars):
      event.message(Field.summary) { summary in
        for scalar in scalars {
          summary.message(Field.summaryValue) { value in
            value.string(Field.tag, scalar.tag)
            value.float(Field.simpleValue, scalar.value)
          }
        }
      }
    case .image(let tag, let width, let height, let channels, let png):
      event.message(Field.summary) { summary in
        summary.message(Field.summaryValue) { value in
          value.string(Field.tag, tag)
          value.message(Field.image) { image in
            image.unsigned(1, UInt64(height))
            image.unsigned(2, UInt64(width))
            image.unsigned(3, UInt64(channels))
            image.bytes(4, png)
          }
        }
      }
    case .text(let tag, let text):
      event.message(Field.summary) { summary in
        summary.message(Field.summaryValue) { Self.write(text, tag, to: &$0) }
      }
    }
    return event.bytes
  }

  /// A text is a tensor of one string that names the plugin for texts.
  private static func write(_ text: String, _ tag: String, to value: inout ProtobufWriter) {
    value.string(Field.tag, tag)
    value.message(Field.metadata) { metadata in
      metadata.message(1) { $0.string(1, "text") }
      metadata.unsigned(4, dataClassTensor)
    }
    value.message(Field.tensor) { tensor in
      tensor.unsigned(1, typeString)
      // The shape: one dimension of size 1.
      tensor.message(2) { shape in shape.message(2) { $0.integer(1, 1) } }
      tensor.string(8, text)
    }
  }

  // MARK: Reading

  /// The events of a file. Kinds that are not written here are left out; so is a record that was cut
  /// short.
  package static func read(
    _ bytes: [UInt8], name: String
  ) throws(EnvironmentFailure) -> [TensorBoardEvent] {
    var events: [TensorBoardEvent] = []
    for record in try TFRecord.read(bytes, name: name).records {
      if let event = try decode(record, name: name) { events.append(event) }
    }
    return events
  }

  private static func decode(
    _ record: ArraySlice<UInt8>, name: String
  ) throws(EnvironmentFailure) -> TensorBoardEvent? {
    var reader = ProtobufReader(Array(record), name: name, what: "Event")
    var wallTime = 0.0
    var step = 0
    var content: Content?
    while let field = try reader.next() {
      switch field.number {
      case Field.wallTime: wallTime = try reader.double(field)
      case Field.step: step = Int(try reader.integer(field))
      case Field.fileVersion: content = .fileVersion
      case Field.sessionLog: content = .sessionStart
      case Field.summary: content = try summary(reader.message(field, "Summary"))
      default: break
      }
    }
    return content.map { TensorBoardEvent(wallTime: wallTime, step: step, $0) }
  }

  private static func summary(
    _ summary: ProtobufReader
  ) throws(EnvironmentFailure) -> Content? {
    var summary = summary
    var scalars: [Scalar] = []
    var other: Content?
    while let field = try summary.next() {
      guard field.number == Field.summaryValue else { continue }
      switch try value(summary.message(field, "Summary.Value")) {
      case .scalars(let found): scalars += found
      case let found: other = found ?? other
      }
    }
    return scalars.isEmpty ? other : .scalars(scalars)
  }

  private static func value(_ value: ProtobufReader) throws(EnvironmentFailure) -> Content? {
    var value = value
    var tag = ""
    var content: ((String) -> Content)?
    while let field = try value.next() {
      switch field.number {
      case Field.tag: tag = try value.string(field)
      case Field.simpleValue:
        let number = try value.float(field)
        content = { .scalars([Scalar($0, number)]) }
      case Field.image: content = try image(value.message(field, "Summary.Image"))
      case Field.tensor: content = try text(value.message(field, "TensorProto"))
      default: break
      }
    }
    return content?(tag)
  }

  private static func image(
    _ image: ProtobufReader
  ) throws(EnvironmentFailure) -> (String) -> Content {
    var image = image
    var sizes = [0, 0, 0]
    var png: [UInt8] = []
    while let field = try image.next() {
      switch field.number {
      case 1...3: sizes[field.number - 1] = Int(truncatingIfNeeded: try image.integer(field))
      case 4: png = Array(try image.bytes(field))
      default: break
      }
    }
    return {
      .image(tag: $0, width: sizes[1], height: sizes[0], channels: sizes[2], png: png)
    }
  }

  private static func text(
    _ tensor: ProtobufReader
  ) throws(EnvironmentFailure) -> ((String) -> Content)? {
    var tensor = tensor
    var text: String?
    while let field = try tensor.next() {
      if field.number == 8 { text = try tensor.string(field) }
    }
    return text.map { text in { .text(tag: $0, text) } }
  }
}
