// From the options that every command takes to a backend, a compiler and a data resolver.

import Basics
import CPUBackend
import Elaboration
import Formats
import OpenCLBackend
import Passes
import Runtime
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// What a command works with, made of its options.
package struct Workplace {
  package let backend: any Backend
  package let compiler: GraphCompiler
  package let resolver: DatasetResolver

  /// `resumed` is the arithmetic of the run that goes on, if it is known; `threads` replaces what the
  /// options say.
  package init(
    _ arguments: ParsedArguments, resumed: Pipeline.Arithmetic? = nil, threads: Int? = nil
  ) throws {
    backend = try Self.makeBackend(arguments, threads: threads)
    compiler = GraphCompiler(try Self.arithmetic(arguments) ?? resumed ?? .fast)
    resolver = DatasetResolver(
      dataDirectory: arguments.value("--data-dir"), environment: processEnvironment())
  }

  static func makeBackend(
    _ arguments: ParsedArguments, threads replaced: Int? = nil
  ) throws -> any Backend {
    if case .opencl(let index) = try BackendChoice(arguments) {
      return try openCLBackend(try OpenCLBackend.device(at: index))
    }
    let asked = try arguments.integer("--threads", in: 1...256)
    let threads = replaced ?? asked
    let names = InstructionSet.allCases.map(\.rawValue)
    if let name = arguments.value("--isa"), !names.contains(name) {
      throw UsageError(
        "--isa takes \(names.joined(separator: ", ")), not '\(name)'",
        help: suggestion(for: name, in: names))
    }
    let set = try arguments.value("--isa").map(InstructionSet.named)
    return try CPUBackend(threads: threads, instructionSet: set)
  }

  /// A device with the tiles that were tuned for it, if any were.
  static func openCLBackend(_ device: OpenCLDevice) throws(EnvironmentFailure) -> OpenCLBackend {
    guard let tiles = try TileCache(device)?.read() else {
      return try OpenCLBackend(device: device)
    }
    return try OpenCLBackend(device: device, tiles: tiles)
  }

  /// What `-O0` or `--math` ask for; nil where neither is given.
  static func arithmetic(_ arguments: ParsedArguments) throws(UsageError) -> Pipeline.Arithmetic? {
    let math = arguments.value("--math")
    guard math == nil || math == "fast" || math == "exact" else {
      throw UsageError("--math takes fast or exact, not '\(math ?? "")'")
    }
    if arguments.has("-O0") { return .unoptimized }
    return math.flatMap(Pipeline.Arithmetic.init)
  }
}

/// The environment variables as a dictionary, for look-ups only.
package func processEnvironment() -> [String: String] {
  var found: [String: String] = [:]
  let names = [
    "GAN_DATA", "XDG_CACHE_HOME", "HOME", "NO_COLOR", "TERM", "LC_ALL", "LC_CTYPE", "LANG",
  ]
  for name in names {
    if let value = getenv(name) { found[name] = String(cString: value) }
  }
  return found
}

/// `--data SOURCE` and `--data NAME=SOURCE`, for these declarations.
package func dataReplacements(
  _ arguments: ParsedArguments, _ declarations: [DataDeclaration]
) throws(UsageError) -> [(name: String?, source: String)] {
  let replacements = parsedReplacements(arguments)
  let names = declarations.map(\.name)
  for (name, source) in replacements {
    if let name, !names.contains(name) {
      let list = names.isEmpty ? "none" : names.joined(separator: ", ")
      throw UsageError(
        "--data names the source '\(name)'; the program has \(list)",
        help: suggestion(for: name, in: names))
    }
    if name == nil, !declarations.contains(where: DataFeeder.isNamedSet) {
      throw UsageError(
        "--data \(source) replaces named sets, and the program uses none",
        help: names.first.map { "name a source: --data \($0)=\(source)" })
    }
  }
  return replacements
}

private func parsedReplacements(
  _ arguments: ParsedArguments
) -> [(name: String?, source: String)] {
  arguments.values("--data").map { text in
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    // A path may contain `=`; what stands before it must then not be a plain name.
    let isName =
      parts.count == 2 && !parts[0].isEmpty
      && parts[0].allSatisfy { $0.isLetter || $0.isNumber || $0 == "_" }
    return isName ? (String(parts[0]), String(parts[1])) : (nil, text)
  }
}

/// The program that the first argument names, with the settings given. Prints its warnings.
package func readProgram(_ arguments: ParsedArguments, _ console: Console) throws -> ProgramSource {
  let source = try ProgramSource(
    path: arguments.positionals[0], settings: try arguments.settings())
  showWarnings(source, on: console)
  return source
}

/// Prints the warnings of a program.
package func showWarnings(_ source: ProgramSource, on console: Console) {
  let warnings = source.program.warnings
  if !warnings.isEmpty { console.message(DiagnosticRenderer(source.source).render(warnings)) }
}
