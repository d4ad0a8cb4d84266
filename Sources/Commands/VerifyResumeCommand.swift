// `gan-exec verify-resume`: whether a run of the user's own program that was stopped goes on as if it
// had not been.

import Basics
import Elaboration
import Formats
import Runtime
import Training

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum VerifyResumeCommand {
  static let spec = CommandSpec(
    "verify-resume", "FILE", count: 1...1,
    "Trains a few steps straight, and again stopped on the way, saved, and resumed by a fresh "
      + "session from the\nfiles. Compares every logged value and every state bit for bit; exits "
      + "with 4 if any differs.",
    options: [
      OptionSpec("--steps", "N", "steps of each run (default 6)"),
      OptionSpec("--at", "K", "the second run stops after K of them (default half)"),
      OptionSpec("--data", "SOURCE", "replace the named data sets, or one source by NAME=SOURCE"),
      OptionSpec("--batch", "N", "the same as --set batch=N"),
      OptionSpec("--seed", "N", "the seed of the runs (default 0)"),
      OptionSpec("--resumed-threads", "N", "go on with another number of threads"),
    ])

  static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    Interruption.deferSignals()
    let steps = try arguments.integer("--steps", in: 2...1_000_000) ?? 6
    let stop = try arguments.integer("--at", in: 1...1_000_000) ?? steps / 2
    guard stop < steps else {
      throw UsageError("--at \(stop) is not before the end of \(steps) steps")
    }
    let threads = try arguments.integer("--resumed-threads", in: 1...256)
    let seed = try arguments.seed() ?? 0
    let source = try readProgram(arguments, console)
    guard source.program.train != nil else {
      throw ProgramErrors(
        source: source.source,
        diagnostics: [
          Diagnostic("train.missing", "the program has no train block, so nothing can be resumed")
        ])
    }
    let replacements = try dataReplacements(arguments, source.program.data)
    let workplace = try Workplace(arguments)
    let other = try threads.map { try Workplace(arguments, threads: $0) } ?? workplace
    let folder = try TemporaryDirectory()
    defer { folder.remove() }
    let check = ResumeCheck(source, steps: steps, stop: stop, folder: folder.path) {
      source, isResumed in
      let place = isResumed ? other : workplace
      let feeder = try DataFeeder(
        source.program.data, replacements: replacements,
        limits: ClassLimit.ofData(source.program.dataGraphs), resolver: place.resolver, seed: seed)
      let session = try Session(
        program: source.program, backend: place.backend, seed: seed, compiler: place.compiler)
      return (session, feeder)
    }
    return show(try check.run(), steps, stop, other.backend.summary, console)
  }

  private static func show(
    _ report: ResumeCheck.Report, _ steps: Int, _ stop: Int, _ backend: String, _ console: Console
  ) -> Int32 {
    if report.isInterrupted {
      console.message("interrupted; nothing is proved and nothing was kept\n")
      return ExitCode.interrupted
    }
    if let death = report.death {
      console.message(
        "error: training died at step \(death.step): \(death.name) is \(death.value)\n"
          + "help: choose fewer steps, or mend the program first\n")
      return ExitCode.died
    }
    let place = "\(steps) steps, stopped and resumed after \(stop), on \(backend)"
    if let difference = report.difference {
      console.print("resuming is not exact (\(place))\n  \(difference)\n")
      return ExitCode.checkFailed
    }
    console.print(
      "OK: \(report.states) states and \(report.logged) logged values are the same bits\n"
        + "  \(place)\n")
    return ExitCode.done
  }
}

/// A folder of its own for temporary files.
struct TemporaryDirectory {
  let path: String

  init() throws(EnvironmentFailure) {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/gan-exec-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw EnvironmentFailure(
        "cannot create a folder in '\(parent)': \(String(cString: strerror(errno)))",
        help: "set TMPDIR to a folder that can be written to")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// With all that is in it; what cannot be removed stays.
  func remove() { Self.remove(path) }

  private static func remove(_ path: String) {
    for name in (try? FileIO.list(path)) ?? [] {
      let entry = "\(path)/\(name)"
      if FileIO.isDirectory(entry) { remove(entry) } else { try? FileIO.remove(entry) }
    }
    rmdir(path)
  }
}
