// Command-line arguments as data: each command lists its options once; parsing, `--help` and "did
// you mean" come from that list. Wrong usage is a `UsageError`, exit code 2.

import Basics

package struct UsageError: Error, Sendable {
  package var message: String
  package var help: String?
  package init(_ message: String, help: String? = nil) {
    self.message = message
    self.help = help
  }
}

/// One option of a command.
package struct OptionSpec: Sendable {
  /// With its dashes, such as `--epochs`.
  package var name: String
  /// What its value is called in the help; nil for a flag.
  package var value: String?
  package var summary: String
  package init(_ name: String, _ value: String? = nil, _ summary: String) {
    self.name = name
    self.value = value
    self.summary = summary
  }
}

package struct CommandSpec: Sendable {
  package var name: String
  /// The positional arguments as the usage line shows them, such as `FILE NETWORK`.
  package var positionals: String
  package var summary: String
  package var options: [OptionSpec]
  /// How many positional arguments there may be.
  package var count: ClosedRange<Int>

  package init(
    _ name: String, _ positionals: String, count: ClosedRange<Int>, _ summary: String,
    options: [OptionSpec]
  ) {
    self.name = name
    self.positionals = positionals
    self.count = count
    self.summary = summary
    self.options = options
  }

  /// Options that every command takes.
  package static let common: [OptionSpec] = [
    OptionSpec("--set", "NAME=VALUE", "override a hyperparameter of the program (repeatable)"),
    OptionSpec("--threads", "N", "worker threads (default: the processors of this machine)"),
    OptionSpec(
      "--isa", "NAME", "instruction set of the kernels: base, v3 or v4 (default: the best)"),
    OptionSpec(
      "--backend", "NAME",
      "cpu (default), opencl or opencl:INDEX (gan-exec devices lists them)"),
    OptionSpec("-O0", nil, "no optimising passes: only what is needed to run"),
    OptionSpec("--math", "fast|exact", "whether passes may change roundings (default fast)"),
    OptionSpec("--data-dir", "DIR", "where named data sets are looked for first"),
    OptionSpec("--help", nil, "show this help"),
  ]

  package func helpText(program: String) -> String {
    let title = name.isEmpty ? program : "\(program) \(name)"
    var text = "usage: \(title) \(positionals) [options]\n\n\(summary)\n\noptions:\n"
    let all = options + Self.common
    let width = all.map { $0.name.count + ($0.value.map { $0.count + 1 } ?? 0) }.max() ?? 0
    for option in all {
      let head = option.name + (option.value.map { " " + $0 } ?? "")
      text += "  \(head)\(String(repeating: " ", count: width - head.count + 2))\(option.summary)\n"
    }
    return text
  }
}

/// Arguments after parsing.
package struct ParsedArguments: Sendable {
  package var positionals: [String] = []
  private var given: [(name: String, value: String)] = []

  /// Parses what follows the command's name. `--name=value` and `--name value` are the same; `--`
  /// ends the options.
  package init(_ arguments: [String], _ spec: CommandSpec) throws(UsageError) {
    let options = spec.options + CommandSpec.common
    var index = 0
    var onlyPositionals = false
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      if onlyPositionals || !argument.hasPrefix("-") || argument == "-" {
        positionals.append(argument)
        continue
      }
      if argument == "--" {
        onlyPositionals = true
        continue
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let name = String(parts[0])
      guard let option = options.first(where: { $0.name == name })
      else {
        throw UsageError(
          "unknown option \(name)", help: suggestion(for: name, in: options.map(\.name)))
      }
      guard option.value != nil else {
        guard parts.count == 1 else { throw UsageError("\(name) takes no value") }
        given.append((name, ""))
        continue
      }
      if parts.count == 2 {
        given.append((name, String(parts[1])))
      } else {
        guard index < arguments.count else {
          throw UsageError("\(name) needs a value: \(name) \(option.value ?? "")")
        }
        given.append((name, arguments[index]))
        index += 1
      }
    }
    guard !has("--help") else { return }
    guard spec.count.contains(positionals.count) else {
      let found = positionals.isEmpty ? "none" : positionals.joined(separator: " ")
      throw UsageError("expected \(spec.positionals), found \(found)")
    }
  }

  package func has(_ name: String) -> Bool { given.contains { $0.name == name } }
  package func values(_ name: String) -> [String] {
    given.filter { $0.name == name }.map(\.value)
  }
  /// All that was given of some options, in the order of the command line.
  package func inOrder(_ names: [String]) -> [(name: String, value: String)] {
    given.filter { names.contains($0.name) }
  }
  /// The last value given.
  package func value(_ name: String) -> String? { values(name).last }

  /// A whole number in a range.
  package func integer(_ name: String, in range: ClosedRange<Int>) throws(UsageError) -> Int? {
    guard let text = value(name) else { return nil }
    guard let number = Int(text), range.contains(number) else {
      let upper = range.upperBound == Int.max ? "" : " and at most \(range.upperBound)"
      throw UsageError(
        "\(name) takes a whole number of at least \(range.lowerBound)\(upper), not '\(text)'")
    }
    return number
  }

  package func seed() throws(UsageError) -> UInt64? {
    guard let text = value("--seed") else { return nil }
    guard let number = UInt64(text) else {
      throw UsageError("--seed takes a whole number from 0 to 2⁶⁴ − 1, not '\(text)'")
    }
    return number
  }

  /// `--set` in order, with `--batch N` as `--set batch=N`.
  package func settings() throws(UsageError) -> [(name: String, value: String)] {
    var settings: [(name: String, value: String)] = []
    for option in given {
      switch option.name {
      case "--batch": settings.append(("batch", option.value))
      case "--set":
        let parts = option.value.split(
          separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty else {
          throw UsageError("--set takes NAME=VALUE, not '\(option.value)'")
        }
        settings.append((String(parts[0]), String(parts[1])))
      default: break
      }
    }
    return settings
  }
}
