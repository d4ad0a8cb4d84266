// `gan-exec data SOURCE`: what a data source holds, and what becomes of its pictures.

import Basics
import CPUBackend
import Elaboration
import Formats
import GraphIR
import Training

package enum DataCommand {
  package static let spec = CommandSpec(
    "data", "SOURCE", count: 1...1,
    "Shows what a data source holds: counts, shape, range, mean, deviation; of a folder of pictures "
      + "also\nkinds, sizes and classes. Bad files are named.",
    options: [
      OptionSpec("--shape", "HxWxC", "bring pictures to this height, width and channels"),
      OptionSpec("--resize", "crop|pad|stretch", "how: the option of `data` in a program"),
      OptionSpec("--part", "PART", "labels, or the left or right half of each picture"),
      OptionSpec("--with", "FOLDER", "pair the pictures with another folder's, by name"),
      OptionSpec("--out", "F.png", "write the first 64 examples as a grid"),
      OptionSpec("--json", nil, "one JSON object"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let resolver = DatasetResolver(
      dataDirectory: arguments.value("--data-dir"), environment: processEnvironment())
    let source = arguments.positionals[0]
    let part = arguments.value("--part") ?? "images"
    guard DataDeclaration.parts.contains(part) else {
      throw UsageError(
        "--part takes \(DataDeclaration.parts.joined(separator: ", ")), not '\(part)'",
        help: suggestion(for: part, in: DataDeclaration.parts))
    }
    let form = try form(arguments)
    var folder: FolderFacts?
    let set: Dataset
    if FileIO.isDirectory(source), !DatasetResolver.isName(source), part != "labels" {
      let survey = try resolver.survey(source, half: PictureHalf(rawValue: part), form: form)
      let facts = FolderFacts(survey)
      // What is wrong is an error behind the facts; those of good pictures are of use all the same.
      if !arguments.has("--json") { console.print("\(source)\n\(facts.text)") }
      set = try survey.dataset()
      folder = facts
    } else {
      set = try resolver.resolve(source, part: part, form: form)
      if !arguments.has("--json") { console.print("\(set.name)\n") }
    }
    let facts = try ExampleFacts(set)
    if arguments.has("--json") {
      console.print(
        JSONValue.object(facts.pairs(set) + (folder?.pairs ?? [])).text() + "\n")
    } else {
      console.print(facts.text(set))
    }
    if let other = arguments.value("--with") { try pair(set, with: other, arguments, console) }
    if let out = arguments.value("--out") { try writeGrid(set, to: out) }
    return ExitCode.done
  }

  private static func form(_ arguments: ParsedArguments) throws(UsageError) -> PictureForm? {
    let words = DataDeclaration.Resize.allCases.map(\.rawValue)
    var resize: DataDeclaration.Resize?
    if let word = arguments.value("--resize") {
      resize = DataDeclaration.Resize(rawValue: word)
      guard resize != nil else {
        throw UsageError(
          "--resize takes \(words.joined(separator: ", ")), not '\(word)'",
          help: suggestion(for: word, in: words))
      }
    }
    guard let text = arguments.value("--shape") else {
      if resize != nil { throw UsageError("--resize needs --shape, such as --shape 64x64x3") }
      return nil
    }
    let sizes = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
    guard sizes.count == 3, sizes.allSatisfy({ 1...65_536 ~= $0 }), sizes[2] <= 4 else {
      throw UsageError(
        "--shape takes height, width and 1 to 4 channels, such as 64x64x3, not '\(text)'")
    }
    return PictureForm(height: sizes[0], width: sizes[1], channels: sizes[2], resize: resize)
  }

  private static func pair(
    _ set: Dataset, with other: String, _ arguments: ParsedArguments, _ console: Console
  ) throws {
    guard let pictures = set.pictures else {
      throw UsageError("--with pairs folders of pictures, and \(set.name) is none")
    }
    let partners = try PictureFolder(other)
    try partners.requirePictures()
    try pictures.requirePartners(in: partners, "'\(pictures.path)' walks with '\(other)'")
    if !arguments.has("--json") {
      console.print("  partners   each of the \(set.count) pictures has one in \(other)\n")
    }
  }

  private static func writeGrid(_ set: Dataset, to out: String) throws {
    let indices = Array(0..<min(64, set.count))
    var drawn = (shape: [indices.count] + set.shape, values: try ExampleFacts.values(set, indices))
    if drawn.shape.count == 4, [2, 4].contains(drawn.shape[3]) {
      // A grid has no alpha.
      let channels = drawn.shape[3]
      drawn.values = drawn.values.indices.filter { $0 % channels != channels - 1 }
        .map { drawn.values[$0] }
      drawn.shape[3] = channels - 1
    }
    let high = set.isScaled ? 255.0 : 1.0
    guard let grid = try SampleWriter.grid(drawn, low: set.isScaled ? 0 : -1, high: high) else {
      throw UsageError("examples of shape \(shapeText(set.shape)) are no pictures")
    }
    try FileIO.writeAtomically(try PNG.encode(grid), to: out)
  }
}

/// What the examples of any source are.
private struct ExampleFacts {
  private var low = Double.infinity
  private var high = -Double.infinity
  private var mean = 0.0
  private var deviation = 0.0

  static func values(_ set: Dataset, _ indices: [Int]) throws -> [Float] {
    var values = [Float](repeating: 0, count: indices.count * set.exampleCount)
    let scale = (0..<256).map { Float($0) }
    try values.withUnsafeMutableBytes {
      try set.copy(examples: indices, pass: 0, as: .f32, scale: scale, into: $0)
    }
    return values
  }

  /// Over all examples, or the first 1,000 of endless ones.
  init(_ set: Dataset) throws {
    var examined = set.count
    if case .garments = set.storage { examined = 1000 }
    var sum = 0.0
    var squares = 0.0
    for first in stride(from: 0, to: examined, by: 256) {
      for value in try Self.values(set, Array(first..<min(first + 256, examined))) {
        let number = Double(value)
        low = min(low, number)
        high = max(high, number)
        sum += number
        squares += number * number
      }
    }
    let count = Double(max(1, examined * set.exampleCount))
    mean = sum / count
    deviation = max(0, squares / count - mean * mean).squareRoot()
  }

  func text(_ set: Dataset) -> String {
    """
      examples   \(set.count)
      shape      \(shapeText(set.shape))
      range      \(low)...\(high)
      mean       \(shortNumber(mean))
      deviation  \(shortNumber(deviation))
      checksum   \(set.checksum)

    """
  }

  func pairs(_ set: Dataset) -> [(key: String, value: JSONValue)] {
    [
      ("name", .string(set.name)), ("examples", .int(set.count)),
      ("shape", .array(set.shape.map { .int($0) })), ("low", .double(low)),
      ("high", .double(high)), ("mean", .double(mean)), ("deviation", .double(deviation)),
      ("checksum", .string(set.checksum)),
    ]
  }
}

/// What the files of a folder are.
private struct FolderFacts {
  let survey: PictureSurvey

  init(_ survey: PictureSurvey) { self.survey = survey }

  private func fate(_ size: PictureSurvey.SizeCount) -> String? {
    survey.form.map { $0.description(width: size.width, height: size.height) }
  }

  private var skipped: [String] {
    let folder = survey.folder
    return [
      folder.othersText, folder.hiddenCount > 0 ? "\(folder.hiddenCount) hidden" : nil,
      folder.loops.isEmpty
        ? nil
        : "\(folder.loops.count) links that lead back, such as \(folder.loops[0])",
    ].compactMap(\.self)
  }

  var text: String {
    var lines = [("pictures", "\(survey.folder.files.count)")]
    lines += survey.kinds.map { ("kind", "\($0.name): \($0.count)") }
    lines += zip(survey.sizes, survey.sizesText).prefix(20).map { size, text in
      ("size", text + (fate(size).map { "; \($0)" } ?? ""))
    }
    if survey.sizes.count > 20 { lines.append(("size", "and \(survey.sizes.count - 20) more")) }
    lines += survey.folder.classes.enumerated().map {
      ("class", "\($0.offset)  \($0.element.name): \($0.element.count)")
    }
    lines += skipped.map { ("skipped", $0) }
    if !survey.bad.isEmpty { lines.append(("bad", "\(survey.bad.count)")) }
    return lines.map { key, value in
      "  \(key)\(String(repeating: " ", count: 11 - key.count))\(value)\n"
    }.joined()
  }

  var pairs: [(key: String, value: JSONValue)] {
    let kinds = survey.kinds.map { (key: $0.name, value: JSONValue.int($0.count)) }
    let sizes = survey.sizes.map { size -> JSONValue in
      var pairs: [(key: String, value: JSONValue)] = [
        ("width", .int(size.width)), ("height", .int(size.height)), ("count", .int(size.count)),
        ("example", .string(size.example)),
      ]
      if let fate = fate(size) { pairs.append(("becomes", .string(fate))) }
      return .object(pairs)
    }
    let classes = survey.folder.classes.map { item -> JSONValue in
      ["name": .string(item.name), "count": .int(item.count)]
    }
    return [
      ("kinds", .object(kinds)), ("sizes", .array(sizes)), ("classes", .array(classes)),
      ("skipped", .array(skipped.map { .string($0) })),
    ]
  }
}
