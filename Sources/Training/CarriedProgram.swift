// The program that travels in the metadata of checkpoints and weights files, so that sampling and
// evaluating need nothing else: its text, its name and its settings.

import Basics
import Elaboration
import Formats

package struct CarriedProgram: Sendable {
  /// What diagnostics call it: the path it was read from, or the last part of that.
  package var name: String
  package var text: String
  /// `--set` and its short forms; of those of one name the last, because it is the one in force and
  /// a resumed run may give them again.
  package var settings: [(name: String, value: String)] = []

  package init(_ source: ProgramSource) {
    name = source.source.name
    text = String(decoding: source.source.bytes, as: UTF8.self)
    for setting in source.settings {
      if let index = settings.firstIndex(where: { $0.name == setting.name }) {
        settings[index] = setting
      } else {
        settings.append(setting)
      }
    }
  }

  /// The same under the name of its file alone: what is shipped does not tell where it was made.
  var withoutFolder: CarriedProgram {
    var program = self
    program.name = name.split(separator: "/").last.map(String.init) ?? name
    return program
  }

  // MARK: Metadata

  var metadata: [(String, String)] {
    let settings = JSONValue.object(self.settings.map { (key: $0.name, value: .string($0.value)) })
    return [("program_name", name), ("program", text), ("settings", settings.text())]
  }

  init(_ file: TensorFile, path: String) throws(EnvironmentFailure) {
    name = try Self.required("program_name", file, path)
    text = try Self.required("program", file, path)
    settings = try Self.pairs("settings", file, path).map { (name: $0.0, value: $0.1) }
  }

  /// The text of a metadata key that must be there.
  static func required(
    _ key: String, _ file: TensorFile, _ path: String
  ) throws(EnvironmentFailure) -> String {
    guard let value = file.metadata(key) else {
      throw EnvironmentFailure("\(path): its metadata have no \(key)")
    }
    return value
  }

  /// The texts by name of a metadata key that holds a JSON object.
  static func pairs(
    _ key: String, _ file: TensorFile, _ path: String
  ) throws(EnvironmentFailure) -> [(String, String)] {
    let text = try required(key, file, path)
    guard let object = try JSONValue.parse(text, name: path).objectValue else {
      throw EnvironmentFailure("\(path): its metadata are damaged: \(key) is no JSON object")
    }
    return object.compactMap { pair in pair.value.stringValue.map { (pair.key, $0) } }
  }

  // MARK: Use

  /// The program with its settings and further ones. Throws `ProgramErrors` where it has errors.
  package func elaborated(
    adding further: [(name: String, value: String)] = [], sampleCount: SampleCount? = nil,
    argumentShapes: [ProgramSource.ArgumentShape] = []
  ) throws -> ProgramSource {
    try ProgramSource(
      SourceText(name: name, text), settings: settings + further, sampleCount: sampleCount,
      argumentShapes: argumentShapes)
  }
}
