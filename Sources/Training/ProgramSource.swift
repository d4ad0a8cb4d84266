// A program as the training side holds it: the text, the settings in force, and what they elaborate
// to. The same three travel in a checkpoint, so that sampling needs nothing else.

import Basics
import Elaboration
import Formats
import GraphSyntax

package struct ProgramSource: Sendable {
  package let source: SourceText
  /// `--set` and its short forms, in order.
  package let settings: [(name: String, value: String)]
  package let program: Program

  /// Reads and elaborates a file.
  package init(
    path: String, settings: [(name: String, value: String)], sampleCount: SampleCount? = nil,
    argumentShapes: [ArgumentShape] = []
  ) throws {
    let bytes = try FileIO.read(path, limit: 64 << 20)
    try self.init(
      SourceText(name: path, bytes: bytes), settings: settings, sampleCount: sampleCount,
      argumentShapes: argumentShapes)
  }

  /// The shape of one argument of a network that is to be run by itself.
  package typealias ArgumentShape = (network: String, argument: String, shape: [Int])

  /// Elaborates a text. Throws `ProgramErrors` where it has errors.
  package init(
    _ source: SourceText, settings: [(name: String, value: String)],
    sampleCount: SampleCount? = nil,
    argumentShapes: [ArgumentShape] = []
  ) throws {
    let parsed = parse(source)
    var diagnostics = parsed.diagnostics
    guard !diagnostics.contains(where: { $0.severity == .error }) else {
      throw ProgramErrors(source: source, diagnostics: diagnostics)
    }
    let options = ElaborationOptions(
      settings: settings, sampleCount: sampleCount, argumentShapes: argumentShapes)
    let elaborated = elaborate(parsed.file, source: source, options: options)
    diagnostics += elaborated.diagnostics
    guard let program = elaborated.program,
      !diagnostics.contains(where: { $0.severity == .error })
    else { throw ProgramErrors(source: source, diagnostics: diagnostics) }
    self.source = source
    self.settings = settings
    self.program = program
    hash = Self.hash(parsed.file, source, program)
  }

  /// Tells programs apart: the syntax tree, so without comments and layout, and the hyperparameters
  /// in force.
  package let hash: String

  private static func hash(_ file: SourceFile, _ source: SourceText, _ program: Program) -> String {
    var hash = StableHash()
    hash.combine(dumpSyntax(file, source: source, ranges: false))
    for setting in program.settings {
      hash.combine(setting.name)
      hash.combine(setting.value)
    }
    return String(hash.value, radix: 16)
  }
}

/// The diagnostics of a program that cannot be used. Exit code 1.
package struct ProgramErrors: Error, Sendable {
  package var source: SourceText
  package var diagnostics: [Diagnostic]

  package init(source: SourceText, diagnostics: [Diagnostic]) {
    self.source = source
    self.diagnostics = diagnostics
  }

  /// As the user sees them, with a count at the end.
  package var text: String {
    let rendered = DiagnosticRenderer(source).render(diagnostics)
    let errors = diagnostics.count { $0.severity == .error }
    return rendered + "\(errors) error\(errors == 1 ? "" : "s")\n"
  }
}
