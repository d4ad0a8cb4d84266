// The commands of gan-compile. Without a command name, its first argument is the file to show.

import Basics
import Formats
import GraphIR
import GraphSyntax
import Operators
import Training

package func ganCompile(_ arguments: [String], console: Console = .standard()) -> Int32 {
  dispatch(
    arguments, program: "gan-compile",
    summary: "shows what a program of the graph language becomes",
    commands: [
      Command(CompileCommand.spec, CompileCommand.run),
      Command(FormatCommand.spec, FormatCommand.run),
      Command(CompileCheckCommand.spec, CompileCheckCommand.run),
      Command(ExplainCommand.spec, ExplainCommand.run),
      Command(OpsCommand.spec, OpsCommand.run),
      Command(PassesCommand.spec, PassesCommand.run),
      Command(DiffCommand.spec, DiffCommand.run),
    ],
    fallback: Command(CompileCommand.spec, CompileCommand.run), console: console)
}

/// `gan-compile format FILE`
enum FormatCommand {
  static let spec = CommandSpec(
    "format", "FILE", count: 1...1, "Prints a program in the canonical layout.",
    options: [
      OptionSpec("--in-place", nil, "rewrite the file instead of printing"),
      OptionSpec("--check", nil, "change nothing; exit with 4 if the file is not formatted"),
    ])

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let path = arguments.positionals[0]
    let source = SourceText(name: path, bytes: try FileIO.read(path, limit: 64 << 20))
    let text: String
    do throws(Diagnostics) {
      text = try format(source)
    } catch {
      throw ProgramErrors(source: source, diagnostics: error.all)
    }
    let isFormatted = Array(text.utf8) == source.bytes
    if arguments.has("--check") {
      if !isFormatted { console.message("\(path): not formatted\n") }
      return isFormatted ? ExitCode.done : ExitCode.checkFailed
    }
    if arguments.has("--in-place") {
      if !isFormatted { try FileIO.writeAtomically(Array(text.utf8), to: path) }
    } else {
      console.print(text)
    }
    return ExitCode.done
  }
}

/// `gan-compile check FILE`
enum CompileCheckCommand {
  static let spec = CommandSpec(
    "check", "FILE", count: 1...1,
    "Reports the errors and warnings of a program, and nothing else.",
    options: [OptionSpec("--batch", "N", "the same as --set batch=N")])

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    _ = try readProgram(arguments, console)
    return ExitCode.done
  }
}

/// `gan-compile explain FILE`
enum ExplainCommand {
  static let spec = CommandSpec(
    "explain", "FILE", count: 1...1,
    "Lists every default that a program relies on, with its place, and what is probably a slip.",
    options: [OptionSpec("--batch", "N", "the same as --set batch=N")])

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let source = try readProgram(arguments, console)
    for setting in source.program.settings {
      console.print("\(setting.name) = \(setting.value)\n")
    }
    for item in source.program.defaults {
      let place = "\(source.source.name):\(item.origin.line):\(item.origin.column)"
      console.print("\(place): \(item.text)\n")
    }
    console.print(DiagnosticRenderer(source.source).render(source.program.slips))
    return ExitCode.done
  }
}

/// `gan-compile ops [NAME]`
enum OpsCommand {
  static let spec = CommandSpec(
    "ops", "[NAME]", count: 0...1, "Lists the operations of the IR, or describes one.", options: [])

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let set = OperatorSet.standard
    guard let name = arguments.positionals.first else {
      let width = set.names.map(\.count).max() ?? 0
      for type in set.all {
        let gap = String(repeating: " ", count: width - type.mnemonic.count + 2)
        console.print("\(type.mnemonic)\(gap)\(type.summary)\n")
      }
      return ExitCode.done
    }
    guard let type = set.type(named: name) else {
      throw UsageError(
        "there is no operation '\(name)'", help: suggestion(for: name, in: set.names))
    }
    console.print(describe(type))
    return ExitCode.done
  }

  private static func describe(_ type: any Operation.Type) -> String {
    let operands = type.signature.map { $0.arity == .variadic ? "\($0.name)…" : $0.name }
    var text = "\(type.mnemonic)(\(operands.joined(separator: ", ")))\n  \(type.summary)\n"
    var operation = type.init()
    var visitor = AttributeNames()
    try? operation.visitAttributes(&visitor)
    if !visitor.lines.isEmpty { text += "attributes:\n" + visitor.lines.joined() }
    return text
  }

  private struct AttributeNames: AttributeVisitor {
    var lines: [String] = []
    mutating func attribute<T: AttributeConvertible>(
      _ name: String, _ value: inout T, default: T?
    ) throws(Diagnostic) {
      let standard = `default`.map { "default \(GraphPrinter.text($0.attribute))" } ?? "required"
      lines.append("  \(name): \(standard)\n")
    }
  }
}

/// `gan-compile passes`
enum PassesCommand {
  static let spec = CommandSpec(
    "passes", "", count: 0...0, "Lists the passes and the standard pipeline.", options: [])

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    console.print(PassList.text())
    return ExitCode.done
  }
}
