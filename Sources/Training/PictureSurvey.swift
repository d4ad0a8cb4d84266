// Every picture of a folder read once, before a run begins: which cannot be used, which sizes and
// kinds there are, the pixels where they fit into memory, and what tells later whether a file is
// still the same.

import Basics
import Formats

/// Reads the pictures of a folder one by one.
struct PictureReader: Sendable {
  let folder: PictureFolder
  let half: PictureHalf?

  struct Picture {
    var image: Image
    var header: PNG.Header
    /// Of the file's bytes.
    var sum: UInt32
  }

  func path(_ index: Int) -> String { "\(folder.path)/\(folder.files[index])" }

  func read(_ index: Int) throws(EnvironmentFailure) -> Picture {
    let name = path(index)
    let bytes = try FileIO.read(name)
    let image = try PNG.decode(bytes, name: name)
    let header = try PNG.header(of: bytes, name: name)
    let sum = CRC32.of(bytes)
    guard let half else { return Picture(image: image, header: header, sum: sum) }
    guard let part = image.half(half) else {
      throw EnvironmentFailure("\(name): its width of \(image.width) has no two equal halves")
    }
    return Picture(image: part, header: header, sum: sum)
  }

  /// The channels that all pictures have, without what tRNS adds; where they differ, 3 if one has
  /// colours, else 1. Bad files do not count.
  func commonChannels() -> Int {
    var found: Set<Int> = []
    for index in folder.files.indices {
      guard let bytes = try? FileIO.read(path(index)),
        let header = try? PNG.header(of: bytes, name: "")
      else { continue }
      found.insert(header.channels)
    }
    if found.count <= 1 { return found.first ?? 1 }
    return found.contains { $0 >= 3 } ? 3 : 1
  }
}

package struct PictureSurvey: Sendable {
  package struct SizeCount: Hashable, Sendable {
    package var width: Int
    package var height: Int
    package var count: Int
    /// The path of the first.
    package var example: String
  }

  private let reader: PictureReader
  package var folder: PictureFolder { reader.folder }
  package let form: PictureForm?
  /// Sizes of the files' pictures (of their halves, where halves are taken), the most frequent
  /// first.
  package private(set) var sizes: [SizeCount] = []
  /// `RGB, 8 bits` and the like, the most frequent first.
  package private(set) var kinds: [(name: String, count: Int)] = []
  /// A line for each picture that cannot be used.
  package private(set) var bad: [String] = []
  /// The shape of the examples; nil where the pictures differ.
  package private(set) var shape: [Int]?
  /// CRC-32 of all examples one after the other.
  package private(set) var checksum = CRC32()
  /// All examples, where they were to be kept.
  private(set) var pixels: [UInt8] = []
  /// Whether `pixels` has them.
  private(set) var isKept = true
  /// CRC-32 of each file.
  private(set) var sums: [UInt32] = []

  /// Fails where the user interrupts. Without `form` the pictures stay as they are but for the number of channels, which is the same
  /// for all. At most `mostKept` bytes of pixels are kept.
  init(
    _ reader: PictureReader, form: PictureForm?, keeping mostKept: Int
  ) throws(EnvironmentFailure) {
    self.reader = reader
    self.form = form
    let channels = form?.channels ?? reader.commonChannels()
    // For look-up only.
    var placeOfSize: [[Int]: Int] = [:]
    var placeOfKind: [String: Int] = [:]
    sums.reserveCapacity(folder.files.count)
    for index in folder.files.indices {
      // Reading a large folder takes minutes, and signals are looked for between steps only.
      if Interruption.isPending {
        throw EnvironmentFailure(
          "interrupted after reading \(index) of the \(folder.files.count) pictures of "
            + "'\(folder.path)'; no step was done")
      }
      do throws(EnvironmentFailure) {
        let picture = try reader.read(index)
        let image = picture.image
        count([image.width, image.height], reader.path(index), &placeOfSize)
        count(picture.header.kind, &placeOfKind)
        sums.append(picture.sum)
        add(
          form?.resize == nil
            ? image.converted(toChannels: channels) : form?.apply(image) ?? image,
          keeping: mostKept)
      } catch {
        bad.append(error.message)
      }
    }
    sizes.sort { ($1.count, $0.width, $0.height) < ($0.count, $1.width, $1.height) }
    kinds.sort { ($1.count, $0.name) < ($0.count, $1.name) }
    if sizes.count != 1, form?.resize == nil { shape = nil }
  }

  private mutating func count(_ size: [Int], _ path: String, _ places: inout [[Int]: Int]) {
    if let place = places[size] {
      sizes[place].count += 1
    } else {
      places[size] = sizes.count
      sizes.append(SizeCount(width: size[0], height: size[1], count: 1, example: path))
    }
  }

  private mutating func count(_ kind: String, _ places: inout [String: Int]) {
    if let place = places[kind] {
      kinds[place].count += 1
    } else {
      places[kind] = kinds.count
      kinds.append((kind, 1))
    }
  }

  private mutating func add(_ image: Image, keeping mostKept: Int) {
    if shape == nil {
      shape = [image.height, image.width, image.channels]
      let all = image.pixels.count.multipliedReportingOverflow(by: folder.files.count)
      isKept = !all.overflow && all.partialValue <= mostKept
      if isKept { pixels.reserveCapacity(all.partialValue) }
    }
    checksum.combine(image.pixels)
    // Of pictures that differ in size no examples are made; bad ones end the run.
    guard isKept, sizes.count == 1 || form?.resize != nil, bad.isEmpty else { return }
    pixels += image.pixels
  }

  // MARK: What is wrong

  /// All pictures must be good and become examples of one shape.
  private func check() throws(EnvironmentFailure) {
    guard bad.isEmpty else {
      throw Self.failure("\(bad.count) of \(folder.files.count) pictures cannot be used", bad)
    }
    guard shape == nil else { return }
    let size = form.map { "\($0.width)×\($0.height)" } ?? "the declared size"
    throw Self.failure(
      "the pictures of '\(folder.path)' have \(sizes.count) sizes", sizesText,
      help: "`, resize: crop` behind the source (or pad, or stretch) brings them to \(size); "
        + "`gan-exec data` shows what that does")
  }

  /// The pictures as a data set, if all are good and become examples of one shape.
  package func dataset() throws(EnvironmentFailure) -> Dataset {
    try check()
    guard let shape else {
      throw EnvironmentFailure("the folder '\(folder.path)' has no PNG files")
    }
    let known = PictureForm(
      height: shape[0], width: shape[1], channels: shape[2], resize: form?.resize)
    return Dataset(
      name: folder.path + (reader.half.map { ", \($0.rawValue) halves" } ?? ""),
      storage: isKept ? .bytes(pixels) : .pictures(PictureFiles(reader, known, sums)),
      count: folder.files.count, shape: shape, checksum: checksum, pictures: folder)
  }

  /// A line for each size.
  package var sizesText: [String] {
    sizes.map { size in
      "\(size.width)×\(size.height)  \(size.count) picture\(size.count == 1 ? "" : "s"), such as "
        + size.example
    }
  }

  /// At most 20 lines are shown.
  static func failure(_ what: String, _ lines: [String], help: String? = nil) -> EnvironmentFailure
  {
    let shown = lines.prefix(20).map { "  " + $0 }.joined(separator: "\n")
    let rest = lines.count > 20 ? "\n  and \(lines.count - 20) more" : ""
    return EnvironmentFailure("\(what):\n\(shown)\(rest)", help: help)
  }
}

/// The pictures of a folder too large for memory: each is read again when a batch needs it.
package final class PictureFiles: Sendable {
  private let reader: PictureReader
  private let form: PictureForm
  private let sums: [UInt32]

  /// All pictures were good when they were surveyed, and became examples of `shape`.
  init(_ reader: PictureReader, _ form: PictureForm, _ sums: [UInt32]) {
    self.reader = reader
    self.form = form
    self.sums = sums
  }

  /// The pixels of an example. A file that is not the one that was surveyed is an error.
  func pixels(_ index: Int) throws(EnvironmentFailure) -> [UInt8] {
    let picture: PictureReader.Picture
    do throws(EnvironmentFailure) {
      picture = try reader.read(index)
    } catch {
      throw EnvironmentFailure(
        "\(error.message); it could be read when the run began", help: Self.help)
    }
    guard picture.sum == sums[index] else {
      throw EnvironmentFailure(
        "\(reader.path(index)): it has changed since the run began", help: Self.help)
    }
    return form.apply(picture.image).pixels
  }

  private static let help =
    "the pictures of a run must stay as they are while it goes on; put it back, then go on with "
    + "gan-exec train --resume"
}
