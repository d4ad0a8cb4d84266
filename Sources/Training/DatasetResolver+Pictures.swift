// Folders of pictures as data sets, and other sources of pictures brought to the declared form.

import Basics
import Formats

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension DatasetResolver {
  /// The parts that a folder has: its pictures, their halves, the sub-folders they lie in.
  func folder(
    _ path: String, part: String, form: PictureForm?
  ) throws(EnvironmentFailure) -> Dataset {
    if part == "labels" { return try labels(path) }
    let half = PictureHalf(rawValue: part)
    guard part == "images" || half != nil else {
      throw EnvironmentFailure("the folder '\(path)' has no part named '\(part)'")
    }
    return try survey(path, half: half, form: form).dataset()
  }

  /// Reads every picture of a folder, good or bad. Without a form they keep their sizes.
  package func survey(
    _ path: String, half: PictureHalf? = nil, form: PictureForm?
  ) throws(EnvironmentFailure) -> PictureSurvey {
    let folder = try PictureFolder(path)
    try folder.requirePictures()
    return try PictureSurvey(
      PictureReader(folder: folder, half: half), form: form, keeping: pictureMemory)
  }

  private func labels(_ path: String) throws(EnvironmentFailure) -> Dataset {
    let folder = try PictureFolder(path)
    try folder.requireLabels()
    return Dataset(
      name: path, storage: .integers(folder.labels), count: folder.files.count, shape: [],
      pictures: folder)
  }

  /// A source that is no folder, its pictures brought to a form where they are to be resized.
  func fitted(_ set: Dataset, _ form: PictureForm?) throws(EnvironmentFailure) -> Dataset {
    guard let form, let resize = form.resize, set.shape != form.shape, set.shape + [1] != form.shape
    else { return set }
    guard let old = PictureForm(shape: set.shape, resize: nil), set.isScaled else {
      throw EnvironmentFailure(
        "\(set.name): only pictures of bytes are resized; its examples have the shape "
          + "\(set.shape)\(set.isScaled ? "" : " and are no bytes")",
        help: "leave out `resize: \(resize.rawValue)`")
    }
    guard case .bytes(let bytes) = set.storage else {
      return Dataset(name: set.name, storage: .garments(form), count: set.count, shape: form.shape)
    }
    let size = form.byteCount.multipliedReportingOverflow(by: set.count)
    guard !size.overflow, size.partialValue <= defaultFileLimit else {
      throw EnvironmentFailure(
        "\(set.name): \(set.count) pictures of \(form.width)×\(form.height) exceed the limit of "
          + "\(defaultFileLimit) bytes")
    }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(size.partialValue)
    for start in stride(from: 0, to: bytes.count, by: old.byteCount) {
      let image = Image(
        width: old.width, height: old.height, channels: old.channels,
        pixels: Array(bytes[start..<start + old.byteCount]))
      pixels += form.apply(image).pixels
    }
    return Dataset(name: set.name, storage: .bytes(pixels), count: set.count, shape: form.shape)
  }

  /// An eighth of the machine's memory, or of what the process's group may have: a program may have
  /// several sources.
  package static var sensiblePictureMemory: Int {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let (physical, overflow) = pages.multipliedReportingOverflow(
      by: sysconf(Int32(_SC_PAGESIZE)))
    let all = pages > 0 && !overflow ? physical : 8 << 30
    return min(all, groupLimit ?? all) / 8
  }

  /// The memory limit of a container on Linux; nil where there is none.
  private static var groupLimit: Int? {
    guard let bytes = try? FileIO.read("/sys/fs/cgroup/memory.max", limit: 64) else { return nil }
    return Int(String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self))
  }
}
