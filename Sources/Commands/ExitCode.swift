// The exit codes, and the one place that turns an error into words and a code.

import Basics
import Formats
import Training

package enum ExitCode {
  package static let done: Int32 = 0
  package static let programErrors: Int32 = 1
  package static let usage: Int32 = 2
  package static let environment: Int32 = 3
  package static let checkFailed: Int32 = 4
  package static let died: Int32 = 5
  package static let internalError: Int32 = 70
  package static let interrupted: Int32 = 130
}

/// Says what went wrong and returns the exit code. The graph that a pass broke is saved in `folder`.
package func report(
  _ error: any Error, program: String, on console: Console, savingTo folder: String = "."
) -> Int32 {
  func say(_ message: String, help: String?) {
    console.message("\(program): \(message)\n")
    if let help { console.message("  help: \(help)\n") }
  }
  switch error {
  case let error as ProgramErrors:
    console.message(error.text)
    // A wrong --set is wrong usage, whatever the program.
    let errors = error.diagnostics.filter { $0.severity == .error }
    let areSettings = !errors.isEmpty && errors.allSatisfy { $0.code.hasPrefix("setting.") }
    return areSettings ? ExitCode.usage : ExitCode.programErrors
  case let error as Diagnostic:
    say("error: \(error.message) [\(error.code)]", help: error.help)
    return ExitCode.programErrors
  case let error as UsageError:
    say(error.message, help: error.help)
    return ExitCode.usage
  case let error as EnvironmentFailure:
    say(error.message, help: error.help)
    return ExitCode.environment
  case let error as InternalError:
    say(
      "internal error: \(error.message)",
      help: "this is a bug of the program; `-O0` or `--pass-limit` may get around it")
    if let graph = error.lastGood { save(graph, to: folder, console) }
    return ExitCode.internalError
  default:
    say("internal error: \(error)", help: nil)
    return ExitCode.internalError
  }
}

private func save(_ graph: InternalError.LastGood, to folder: String, _ console: Console) {
  let path = folder == "." ? graph.fileName : "\(folder)/\(graph.fileName)"
  do {
    try FileIO.writeAtomically(graph.text, to: path)
  } catch {
    console.message("  the graph before that pass cannot be saved: \(error.message)\n")
    return
  }
  console.message(
    "  the graph before that pass is in \(path); it happens again with\n"
      + "    gan-compile \(path) --pipeline \(graph.pass) --verify-each\n")
}

/// One command of a program.
package struct Command: Sendable {
  package var spec: CommandSpec
  package var run: @Sendable (ParsedArguments, Console) throws -> Int32
  package init(
    _ spec: CommandSpec, _ run: @escaping @Sendable (ParsedArguments, Console) throws -> Int32
  ) {
    self.spec = spec
    self.run = run
  }
}

/// Finds the command, parses, runs, and reports. `fallback` is taken where the first argument names
/// no command. A command whose results could not be written is not done.
package func dispatch(
  _ arguments: [String], program: String, summary: String, commands: [Command], fallback: Command?,
  console: Console
) -> Int32 {
  let code = run(
    arguments, program: program, summary: summary, commands: commands, fallback: fallback,
    console: console)
  guard let failure = console.outputFailure else { return code }
  let lost = report(failure, program: program, on: console)
  return code == ExitCode.done ? lost : code
}

private func run(
  _ arguments: [String], program: String, summary: String, commands: [Command], fallback: Command?,
  console: Console
) -> Int32 {
  do {
    guard let first = arguments.first else {
      console.message(overview(program, summary, commands))
      return ExitCode.usage
    }
    if first == "--version" {
      console.print("\(program) \(version)\n")
      return ExitCode.done
    }
    if first == "--help" || first == "-h" || first == "help" {
      console.print(overview(program, summary, commands))
      return ExitCode.done
    }
    let named = commands.first { $0.spec.name == first }
    guard let command = named ?? fallback else {
      throw UsageError(
        "unknown command '\(first)'", help: suggestion(for: first, in: commands.map(\.spec.name)))
    }
    let rest = named == nil ? arguments : Array(arguments.dropFirst())
    let parsed = try ParsedArguments(rest, command.spec)
    if parsed.has("--help") {
      console.print(command.spec.helpText(program: program))
      return ExitCode.done
    }
    return try command.run(parsed, console)
  } catch {
    return report(error, program: program, on: console)
  }
}

package let version = "0.1.0"

private func overview(_ program: String, _ summary: String, _ commands: [Command]) -> String {
  var text = "\(program): \(summary)\n\n"
  for command in commands {
    text += "  \(program) \(command.spec.name) \(command.spec.positionals)\n"
    // The first paragraph; the rest is for the command's own help.
    let lines = command.spec.summary.split(separator: "\n", omittingEmptySubsequences: false)
    text += "      \(lines.prefix { !$0.isEmpty }.joined(separator: "\n"))\n"
  }
  return text + "\n`\(program) COMMAND --help` shows a command's options.\n"
}
