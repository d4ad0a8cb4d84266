// Which pictures a folder holds, by names alone: PNG files in it and in its sub-folders, in a fixed
// order, and the classes that the sub-folders are. Files are looked at by `PictureSurvey`.

import Basics
import Formats

package struct PictureFolder: Sendable {
  package struct ClassCount: Hashable, Sendable {
    package var name: String
    package var count: Int
  }

  package let path: String
  /// Relative to `path`; each folder's entries in the order of their bytes.
  package private(set) var files: [String] = []
  /// The sub-folders with pictures somewhere in them, in the order of their bytes.
  package private(set) var classes: [ClassCount] = []
  /// The class of each file; −1 for one that lies in the folder itself.
  package private(set) var labels: [Int32] = []
  /// Files of other kinds: the ending (`.jpg`) with how many there are, the most first.
  package private(set) var others: [(ending: String, count: Int)] = []
  /// Files and folders whose names begin with a point.
  package private(set) var hiddenCount = 0
  /// Links that lead back to a folder that holds them.
  package private(set) var loops: [String] = []
  /// What cannot be listed.
  package private(set) var bad: [String] = []

  /// Deeper folders are refused; no sensible data set has them.
  private static let mostDepth = 64

  /// Only a folder that cannot be listed at all fails.
  package init(_ path: String) throws(EnvironmentFailure) {
    self.path = path
    var endings: [String: Int] = [:]
    _ = try FileIO.list(path)
    walk("", [], &endings)
    others = endings.map { (ending: $0.key, count: $0.value) }
      .sorted { ($1.count, $0.ending) < ($0.count, $1.ending) }
  }

  private mutating func walk(
    _ folder: String, _ above: [FileIO.Identity], _ endings: inout [String: Int]
  ) {
    let place = folder.isEmpty ? path : "\(path)/\(folder)"
    guard let identity = FileIO.identity(of: place), !above.contains(identity) else {
      loops.append(place)
      return
    }
    let names: [String]
    do throws(EnvironmentFailure) {
      guard above.count < Self.mostDepth else {
        throw EnvironmentFailure("\(place): more than \(Self.mostDepth) folders deep")
      }
      names = try FileIO.list(place)
    } catch {
      bad.append(error.message)
      return
    }
    for name in names {
      let file = folder.isEmpty ? name : "\(folder)/\(name)"
      if name.hasPrefix(".") {
        hiddenCount += 1
      } else if FileIO.isDirectory("\(path)/\(file)") {
        let before = files.count
        if folder.isEmpty { classes.append(ClassCount(name: name, count: 0)) }
        walk(file, above + [identity], &endings)
        if folder.isEmpty { closeClass(files.count - before) }
      } else if Self.isPicture(name) {
        files.append(file)
        labels.append(folder.isEmpty ? -1 : Int32(clamping: classes.count - 1))
      } else {
        endings[Self.ending(name), default: 0] += 1
      }
    }
  }

  /// A sub-folder without pictures is no class.
  private mutating func closeClass(_ count: Int) {
    if count == 0 { classes.removeLast() } else { classes[classes.count - 1].count = count }
  }

  private static func isPicture(_ name: String) -> Bool { name.lowercased().hasSuffix(".png") }

  private static func ending(_ name: String) -> String {
    guard let point = name.lastIndex(of: ".") else { return "no ending" }
    return name[point...].lowercased()
  }

  /// The files' names without `.png`, which pair them with those of another folder.
  package var stems: [String] { files.map { String($0.dropLast(4)) } }

  /// Every picture must have a partner of the same name in the other folder, and none be left
  /// over. `what` begins the message.
  package func requirePartners(
    in other: PictureFolder, _ what: String
  ) throws(EnvironmentFailure) {
    guard stems != other.stems else { return }
    let lonely =
      withoutPartner(in: other).map { "\($0) has none in \(other.path)" }
      + other.withoutPartner(in: self).map { "\($0) has none in \(path)" }
    throw PictureSurvey.failure(
      "\(what), picture by picture of the same name, but \(lonely.count) have no partner", lonely,
      help: "partners have the same path within their folders, but for the ending")
  }

  /// The files whose name no file of another folder has, with their paths.
  private func withoutPartner(in other: PictureFolder) -> [String] {
    let names = Set(other.stems)
    return zip(files, stems).filter { !names.contains($0.1) }.map { "\(path)/\($0.0)" }
  }

  /// `12 others: .jpg 10, .txt 2`; nil where there are none.
  package var othersText: String? {
    guard !others.isEmpty else { return nil }
    let list = others.prefix(5).map { "\($0.ending) \($0.count)" }.joined(separator: ", ")
    return "\(others.reduce(0) { $0 + $1.count }) not PNG: \(list)"
      + (others.count > 5 ? ", …" : "")
  }

  /// There must be pictures and every sub-folder must be readable.
  package func requirePictures() throws(EnvironmentFailure) {
    if !bad.isEmpty {
      throw PictureSurvey.failure("of the folder '\(path)' not all can be read", bad)
    }
    guard files.isEmpty else { return }
    throw EnvironmentFailure(
      "the folder '\(path)' has no PNG files" + (othersText.map { "; it has \($0)" } ?? ""),
      help: others.contains {
        [".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif"].contains($0.ending)
      }
        ? "other kinds of pictures must be converted, such as by `mogrify -format png *.jpg`" : nil)
  }

  /// The class of each picture; every picture must have one.
  package func requireLabels() throws(EnvironmentFailure) {
    try requirePictures()
    guard let index = labels.firstIndex(of: -1) else { return }
    let count = labels.count { $0 < 0 }
    throw EnvironmentFailure(
      "\(count) of the \(files.count) pictures of '\(path)' lie in no sub-folder and so have no "
        + "class, such as \(files[index])",
      help: "labels are the sub-folders in the order of their names: \(path)/CLASS/picture.png")
  }
}
