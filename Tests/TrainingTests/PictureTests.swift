// Folders of pictures: classes, sizes, resizing, halves, partners, and files that are read for each
// batch because all of them would not fit into memory.

import Basics
import CommandSupport
import Elaboration
import Formats
import Foundation
import GraphIR
import Testing
import Training

@Suite struct PictureTests {
  private let resolver = DatasetResolver(environment: [:])
  /// Keeps no pixels of folders.
  private let frugal = DatasetResolver(environment: [:], pictureMemory: 0)

  /// A picture with a pattern that `seed` tells apart.
  static func picture(_ width: Int, _ height: Int, _ channels: Int = 3, seed: Int = 0) -> Image {
    let count = width * height * channels
    let pixels = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 5 + $0 / 7 + seed * 31) }
    return Image(width: width, height: height, channels: channels, pixels: pixels)
  }

  @discardableResult
  static func save(_ image: Image, _ folder: TemporaryFolder, _ name: String) throws -> Image {
    let path = folder.file(name)
    try FileIO.createDirectory((path as NSString).deletingLastPathComponent)
    try FileIO.writeAtomically(try PNG.encode(image), to: path)
    return image
  }

  private func bytes(_ set: Dataset, _ examples: [Int]) throws -> [UInt8] {
    var values = [Int32](repeating: 0, count: examples.count * set.exampleCount)
    try values.withUnsafeMutableBytes {
      try set.copy(examples: examples, pass: 0, as: .i32, scale: [], into: $0)
    }
    return values.map { UInt8($0) }
  }

  private func failure(_ body: () throws -> Void) -> EnvironmentFailure? {
    #expect(throws: EnvironmentFailure.self) { try body() }
  }

  // MARK: Classes

  @Test func subfoldersAreClasses() throws {
    let folder = try TemporaryFolder()
    // `a-b` sorts before `a` as text of paths, but behind it as a name.
    for (seed, name) in ["b/1.png", "a-b/x.png", "a/2.PNG", "a/10.png", "a/deep/er/0.png"]
      .enumerated()
    {
      try Self.save(Self.picture(4, 3, seed: seed), folder, name)
    }
    try folder.write("", to: ".DS_Store")
    try folder.write("", to: "a/.hidden.png")
    try folder.write("", to: "notes.txt")
    try folder.write("", to: "a/photo.jpg")
    try FileIO.createDirectory(folder.file("empty/inside"))
    let pictures = try PictureFolder(folder.path)
    #expect(pictures.files == ["a/10.png", "a/2.PNG", "a/deep/er/0.png", "a-b/x.png", "b/1.png"])
    #expect(pictures.classes.map(\.name) == ["a", "a-b", "b"])
    #expect(pictures.classes.map(\.count) == [3, 1, 1])
    #expect(pictures.labels == [0, 0, 0, 1, 2])
    #expect(pictures.hiddenCount == 2)
    #expect(pictures.othersText == "2 not PNG: .jpg 1, .txt 1")
    let images = try resolver.resolve(folder.path)
    #expect(images.shape == [3, 4, 3] && images.count == 5)
    #expect(try bytes(images, [4]) == Self.picture(4, 3, seed: 0).pixels)
    let labels = try resolver.resolve(folder.path, part: "labels")
    #expect(labels.shape == [] && labels.count == 5)
    #expect(try bytes(labels, [0, 4, 3]) == [0, 2, 1])
    let told = exec("data", folder.path)
    #expect(told.code == 0, "\(told.messages)")
    for words in ["class      1  a-b: 1", "skipped    2 hidden", "kind       RGB, 8 bits: 5"] {
      #expect(told.output.contains(words), "\(told.output)")
    }
    // A picture outside of all classes.
    try Self.save(Self.picture(4, 3), folder, "lost.png")
    #expect(try resolver.resolve(folder.path).count == 6)
    let lost = failure { _ = try resolver.resolve(folder.path, part: "labels") }
    #expect(lost?.message.contains("1 of the 6") == true)
    #expect(lost?.message.contains("lost.png") == true)
  }

  @Test func linksAndFoldersThatCannotBeRead() throws {
    let folder = try TemporaryFolder()
    try Self.save(Self.picture(2, 2), folder, "a/1.png")
    let manager = FileManager.default
    try manager.createSymbolicLink(atPath: folder.file("a/loop"), withDestinationPath: "..")
    try manager.createSymbolicLink(atPath: folder.file("b"), withDestinationPath: "a")
    let pictures = try PictureFolder(folder.path)
    #expect(pictures.files == ["a/1.png", "b/1.png"])
    #expect(pictures.loops.count == 2)
    #expect(exec("data", folder.path).output.contains("lead back"))
    try manager.createSymbolicLink(
      atPath: folder.file("a/gone.png"), withDestinationPath: "nowhere.png")
    let gone = failure { _ = try resolver.resolve(folder.path) }
    #expect(gone?.message.contains("a/gone.png") == true)
    try manager.removeItem(atPath: folder.file("a/gone.png"))
    // Root may read anything; then there is nothing to see.
    try FileIO.createDirectory(folder.file("c"))
    try manager.setAttributes([.posixPermissions: 0], ofItemAtPath: folder.file("c"))
    defer { try? manager.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder.file("c")) }
    if (try? FileIO.list(folder.file("c"))) == nil {
      let closed = failure { _ = try resolver.resolve(folder.path) }
      #expect(closed?.message.contains("/c'") == true)
    }
  }

  @Test func foldersOfOtherKinds() throws {
    let folder = try TemporaryFolder()
    try folder.write("", to: "a.jpg")
    let other = failure { _ = try resolver.resolve(folder.path) }
    #expect(other?.message.contains("no PNG files; it has 1 not PNG: .jpg 1") == true)
    #expect(other?.help?.contains("mogrify") == true)
  }

  @Test func atMostTwentyBadFilesAreShown() throws {
    let folder = try TemporaryFolder()
    for number in 10..<35 { try folder.write("no picture", to: "bad\(number).png") }
    let result = exec("data", folder.path)
    #expect(result.code == 3)
    #expect(result.messages.contains("25 of 25"), "\(result.messages)")
    #expect(result.messages.contains("bad29.png") && !result.messages.contains("bad30.png"))
    #expect(result.messages.contains("and 5 more"))
  }

  // MARK: Sizes

  @Test func sizesThatDiffer() throws {
    let folder = try TemporaryFolder()
    try Self.save(Self.picture(6, 4), folder, "a.png")
    try Self.save(Self.picture(6, 4), folder, "b.png")
    try Self.save(Self.picture(4, 6), folder, "c.png")
    let told = failure { _ = try resolver.resolve(folder.path) }
    let message = told?.message ?? ""
    #expect(message.contains("2 sizes"))
    #expect(message.contains("6×4  2 pictures, such as \(folder.file("a.png"))"), "\(message)")
    #expect(message.contains("4×6  1 picture, such as \(folder.file("c.png"))"), "\(message)")
    #expect(told?.help?.contains("resize: crop") == true)
    let form = PictureForm(height: 2, width: 2, channels: 3, resize: .crop)
    #expect(try resolver.resolve(folder.path, form: form).shape == [2, 2, 3])
    let shown = exec("data", folder.path, "--shape", "2x2x3", "--resize", "crop")
    #expect(shown.code == 0, "\(shown.messages)")
    #expect(shown.output.contains("the centre of 4×4 scaled to 2×2"), "\(shown.output)")
    #expect(exec("data", folder.path).code == 3)
    #expect(exec("data", folder.path, "--resize", "crop").code == 2)
    #expect(exec("data", folder.path, "--shape", "2x2", "--resize", "crop").code == 2)
    #expect(exec("data", folder.path, "--shape", "2x2x3", "--resize", "cut").code == 2)
  }

  /// The program says what its pictures become, and a size that does not fit is told with its mend.
  @Test func theDeclaredForm() throws {
    let folder = try TemporaryFolder()
    for seed in 0..<5 { try Self.save(Self.picture(9, 6, seed: seed), folder, "p/\(seed).png") }
    func train(_ option: String) throws -> CommandResult {
      let text = Tiny.program(data: folder.file("p"))
        .replacingOccurrences(
          of: "\"\(folder.file("p"))\"", with: "\"\(folder.file("p"))\"\(option)")
      let path = try folder.write(text, to: "p.gan")
      return exec("train", path, "--steps", "2", "--quiet", "--out", folder.file("run" + option))
    }
    let plain = try train("")
    #expect(plain.code == 3)
    #expect(plain.messages.contains("[6, 9, 1]"), "\(plain.messages)")
    #expect(plain.messages.contains("resize: crop"), "\(plain.messages)")
    for mode in ["crop", "pad", "stretch"] {
      let result = try train(", resize: \(mode)")
      #expect(result.code == 0, "\(result.messages)")
    }
  }

  @Test func whatResizingDoes() {
    let image = Self.picture(10, 6, 1)
    func form(_ height: Int, _ width: Int, _ mode: DataDeclaration.Resize) -> PictureForm {
      PictureForm(height: height, width: width, channels: 1, resize: mode)
    }
    #expect(
      form(3, 3, .crop).apply(image)
        == image.cropped(x: 2, y: 0, width: 6, height: 6).resampled(width: 3, height: 3))
    #expect(form(3, 3, .stretch).apply(image) == image.resampled(width: 3, height: 3))
    #expect(
      form(5, 5, .pad).apply(image)
        == image.resampled(width: 5, height: 3).padded(x: 0, y: 1, width: 5, height: 5))
    // Proportions that fit are scaled whole by all three.
    for mode in DataDeclaration.Resize.allCases {
      #expect(form(3, 5, mode).apply(image) == image.resampled(width: 5, height: 3))
      #expect(form(6, 10, mode).apply(image) == image)
      // Extreme sizes keep at least a pixel.
      for (width, height) in [(1, 500), (500, 1), (1, 1)] {
        let result = form(4, 7, mode).apply(Self.picture(width, height, 1))
        #expect(result.isConsistent && result.width == 7 && result.height == 4)
      }
    }
    #expect(
      form(3, 3, .crop).description(width: 10, height: 6)
        == "the centre of 6×6 scaled to 3×3")
    #expect(
      form(5, 5, .pad).description(width: 10, height: 6)
        == "scaled to 5×3, black around it to 5×5")
  }

  @Test func greyAndColourMeet() throws {
    let folder = try TemporaryFolder()
    let colored = try Self.save(Self.picture(3, 3, 3), folder, "a.png")
    let grey = try Self.save(Self.picture(3, 3, 1), folder, "b.png")
    let clear = try Self.save(Self.picture(3, 3, 4), folder, "c.png")
    for channels in 1...4 {
      let form = PictureForm(height: 3, width: 3, channels: channels)
      let set = try resolver.resolve(folder.path, form: form)
      let wanted = [colored, grey, clear].flatMap { $0.converted(toChannels: channels).pixels }
      #expect(try bytes(set, [0, 1, 2]) == wanted)
    }
    #expect(try resolver.resolve(folder.path).shape == [3, 3, 3])
  }

  /// Other sources of pictures are resized too: arrays and drawn garments.
  @Test func resizingOfArrays() throws {
    let folder = try TemporaryFolder()
    let array = Tiny.pictures(3)
    try FileIO.writeAtomically(try array.encode(), to: folder.file("x.npy"))
    let form = PictureForm(height: 4, width: 3, channels: 1, resize: .stretch)
    let set = try resolver.resolve(folder.file("x.npy"), form: form)
    let second = Image(width: 6, height: 6, channels: 1, pixels: Array(array.bytes[36..<72]))
    #expect(set.shape == [4, 3, 1])
    #expect(try bytes(set, [1]) == second.resampled(width: 3, height: 4).pixels)
    let garments = try resolver.resolve("synthetic", form: form)
    let drawn = Image(width: 28, height: 28, channels: 1, pixels: Garments.draw(5))
    #expect(try bytes(garments, [5]) == drawn.resampled(width: 3, height: 4).pixels)
    #expect(failure { _ = try resolver.resolve("synthetic", part: "left") } != nil)
    try FileIO.writeAtomically(
      try NPYArray(shape: [2, 6, 6], floats: (0..<72).map(Float.init)).encode(),
      to: folder.file("f.npy"))
    let floats = failure { _ = try resolver.resolve(folder.file("f.npy"), form: form) }
    #expect(floats?.message.contains("only pictures of bytes") == true)
  }

  // MARK: Pairs

  private func feeder(
    _ text: String, resolver: DatasetResolver? = nil
  ) throws -> DataFeeder {
    let program = try ProgramSource(
      SourceText(name: "test.gan", text + "\nnetwork f(x: [n, 1]) -> [n, 1] { x |> dense(1) }"),
      settings: []
    ).program
    return try DataFeeder(
      program.data, replacements: [], resolver: resolver ?? self.resolver, seed: 3)
  }

  private func floats(_ feeder: DataFeeder, _ source: String, _ batch: Int, _ count: Int) throws
    -> [Float]
  {
    var values = [Float](repeating: 0, count: count)
    try values.withUnsafeMutableBytes { try feeder.fill(source: source, batch: batch, into: $0) }
    return values
  }

  @Test func partnersByName() throws {
    let folder = try TemporaryFolder()
    for seed in 0..<6 {
      try Self.save(Self.picture(3, 3, 1, seed: seed), folder, "photos/s\(seed % 2)/\(seed).png")
      try Self.save(Self.picture(3, 3, 1, seed: seed), folder, "maps/s\(seed % 2)/\(seed).PNG")
    }
    let text = """
      data photos: [2, 3, 3, 1] from "\(folder.file("photos"))"
      data maps: [2, 3, 3, 1] from "\(folder.file("maps"))", with: photos
      """
    let feeder = try feeder(text)
    for batch in 0..<7 {
      #expect(try floats(feeder, "photos", batch, 18) == floats(feeder, "maps", batch, 18))
    }
    let shown = exec("data", folder.file("photos"), "--with", folder.file("maps"))
    #expect(shown.code == 0 && shown.output.contains("each of the 6"), "\(shown.messages)")
    try FileManager.default.moveItem(
      atPath: folder.file("maps/s0/4.PNG"), toPath: folder.file("maps/s0/five.png"))
    let lonely = failure { _ = try self.feeder(text) }
    let message = lonely?.message ?? ""
    #expect(message.contains("2 have no partner"), "\(message)")
    #expect(message.contains("photos/s0/4.png has none") && message.contains("maps/s0/five.png"))
    #expect(exec("data", folder.file("photos"), "--with", folder.file("maps")).code == 3)
  }

  @Test func halvesOfPictures() throws {
    let folder = try TemporaryFolder()
    let pictures = try (0..<4).map {
      try Self.save(Self.picture(8, 4, 1, seed: $0), folder, "p/\($0).png")
    }
    let text = """
      data pairs: [4, 4, 8, 1] from "\(folder.file("p"))", order: sequential
      data photos: [4, 4, 4, 1] from pairs.left
      data maps: [4, 2, 2, 1] from pairs.right, resize: stretch
      """
    for resolver in [resolver, frugal] {
      let feeder = try feeder(text, resolver: resolver)
      let left = pictures.flatMap { $0.cropped(x: 0, y: 0, width: 4, height: 4).pixels }
      let right = pictures.flatMap {
        $0.cropped(x: 4, y: 0, width: 4, height: 4).resampled(width: 2, height: 2).pixels
      }
      #expect(try floats(feeder, "photos", 0, 64) == left.map(Float.init))
      #expect(try floats(feeder, "maps", 0, 16) == right.map(Float.init))
    }
    // A part is resized as its source is, where it says nothing itself.
    let inherited = try feeder(
      """
      data pairs: [4, 2, 4, 1] from "\(folder.file("p"))", resize: crop
      data photos: [4, 2, 2, 1] from pairs.left
      """)
    #expect(try floats(inherited, "photos", 0, 16).count == 16)
    try Self.save(Self.picture(7, 4, 1), folder, "p/odd.png")
    let odd = failure { _ = try feeder(text) }
    #expect(odd != nil)
    #expect(exec("data", folder.file("p"), "--part", "left").messages.contains("width of 7"))
  }

  // MARK: Folders that do not fit into memory

  @Test func filesBringTheSameBits() throws {
    let folder = try TemporaryFolder()
    for seed in 0..<7 {
      try Self.save(Self.picture(5 + seed % 3, 6, 3, seed: seed), folder, "p/\(seed).png")
    }
    let text = """
      data x: [3, 4, 4, 3] in -1...1 from "\(folder.file("p"))", resize: crop
      """
    let kept = try feeder(text)
    let read = try feeder(text, resolver: frugal)
    guard case .bytes = kept.sources[0].dataset.storage,
      case .pictures = read.sources[0].dataset.storage
    else {
      Issue.record("the storages are not what they should be")
      return
    }
    for batch in 0..<6 {
      #expect(try floats(kept, "x", batch, 144) == floats(read, "x", batch, 144))
    }
    #expect(kept.sources[0].dataset.checksum == read.sources[0].dataset.checksum)
    // The checksum covers every pixel.
    var changed = Self.picture(5, 6, 3, seed: 0)
    changed.pixels[44] ^= 1
    try Self.save(changed, folder, "p/0.png")
    let later = try feeder(text, resolver: frugal)
    #expect(later.sources[0].dataset.checksum != read.sources[0].dataset.checksum)
    // What was opened before sees that the file is another, and one that is gone.
    let told = failure { for batch in 0..<12 { _ = try floats(read, "x", batch, 144) } }
    #expect(told?.message.contains("p/0.png: it has changed") == true)
    for seed in 0..<7 { try FileIO.remove(folder.file("p/\(seed).png")) }
    let gone = failure { _ = try floats(read, "x", 0, 144) }
    #expect(gone?.message.contains(".png") == true)
    #expect(gone?.message.contains("when the run began") == true)
  }

  @Test func theCommandSaysItAsJSON() throws {
    let folder = try TemporaryFolder()
    try Self.save(Self.picture(6, 4), folder, "cats/a.png")
    try Self.save(Self.picture(6, 4, 1), folder, "dogs/b.png")
    let out = folder.file("grid.png")
    let result = exec(
      "data", folder.path, "--json", "--shape", "2x2x3", "--resize", "pad", "--out", out)
    #expect(result.code == 0, "\(result.messages)")
    let facts = try JSONValue.parse(result.output, name: "output")
    #expect(facts["examples"]?.intValue == 2)
    #expect(facts["sizes"]?.arrayValue?.first?["count"]?.intValue == 2)
    #expect(
      facts["sizes"]?.arrayValue?.first?["becomes"]?.stringValue
        == "scaled to 2×1, black around it to 2×2")
    #expect(facts["classes"]?.arrayValue?.last?["name"]?.stringValue == "dogs")
    #expect(facts["kinds"]?["grey, 8 bits"]?.intValue == 1)
    let grid = try PNG.decode(try FileIO.read(out), name: out)
    #expect(grid.channels == 3)
  }
}
