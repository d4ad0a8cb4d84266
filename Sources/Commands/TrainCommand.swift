// `gan-exec train`: from a program and data to a run's folder.

import Basics
import Elaboration
import Formats
import Passes
import Training

package enum TrainCommand {
  package static let spec = CommandSpec(
    "train", "FILE", count: 0...1,
    "Trains a program on its data and leaves samples, losses, checkpoints and weights in a folder. "
      + "With --resume,\nFILE, --data, --set, --math, --every, --keep-last and --keep-every may be left out: the run's "
      + "own are used.",
    options: [
      OptionSpec("--data", "SOURCE", "replace the named data sets, or one source by NAME=SOURCE"),
      OptionSpec("--epochs", "N", "train until N epochs are done, counted from the beginning"),
      OptionSpec("--steps", "N", "train until N steps are done, counted from the beginning"),
      OptionSpec("--batch", "N", "the same as --set batch=N"),
      OptionSpec("--seed", "N", "the run's seed (default 0)"),
      OptionSpec("--out", "DIR", "the run's folder (default runs/NAME)"),
      OptionSpec("--resume", "DIR", "go on with the run in DIR from its last checkpoint"),
      OptionSpec(
        "--weights", "F", "begin with the weights of a checkpoint or weights file, or .npz"),
      OptionSpec(
        "--partial", nil, "with --weights: take the tensors that fit, even if not all do"),
      OptionSpec("--every", "WHAT=N", "sample or checkpoint every N steps, or Ne for epochs"),
      OptionSpec(
        "--keep-last", "N",
        "how many checkpoints stay (default 2; all of those that the program or --every asks for)"),
      OptionSpec(
        "--keep-every", "N", "save one each N steps, or Ne for epochs, and keep it for good"),
      OptionSpec("--json", nil, "one JSON object a step and an event on standard output"),
      OptionSpec("--quiet", nil, "no progress"),
      OptionSpec("--dry-run", nil, "compile and plan, then stop before the first step"),
      OptionSpec(
        "--check-finite", nil, "look at every value of every step; names the first bad one"),
      OptionSpec(
        "--no-diagnosis", nil, "do not look for the operation at fault where training dies of a NaN"
      ),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    Interruption.deferSignals()
    var options = try trainingOptions(arguments)
    // Before the newest checkpoint is looked for, which a run that goes on replaces.
    let resumedLock = try lockResumed(arguments)
    defer { resumedLock?.release() }
    let resumed = try resumedCheckpoint(arguments, console)
    options.resumedFrom = resumed?.path
    if let earlier = resumed?.checkpoint.policy { options.policy.goOn(from: earlier) }
    let source = try program(arguments, resumed)
    showWarnings(source, on: console)
    guard source.program.train != nil else {
      throw ProgramErrors(
        source: source.source,
        diagnostics: [
          Diagnostic(
            "train.missing", "the program has no train block, so there is nothing to train")
        ])
    }
    let workplace = try Workplace(arguments, resumed: resumed?.checkpoint.arithmetic)
    if let resumed { try check(resumed.checkpoint, source, arguments, path: resumed.path) }
    let seed = try resumed?.checkpoint.seed ?? arguments.seed() ?? 0
    var replacements = try dataReplacements(arguments, source.program.data)
    if replacements.isEmpty, let resumed { replacements = resumed.checkpoint.replacements }
    let feeder = try DataFeeder(
      source.program.data, replacements: replacements,
      limits: ClassLimit.ofData(source.program.dataGraphs), resolver: workplace.resolver,
      seed: seed)
    let session = try Session(
      program: source.program, backend: workplace.backend, seed: seed, compiler: workplace.compiler)
    if let resumed {
      try checkData(resumed.checkpoint, feeder, path: resumed.path)
      try resumed.checkpoint.restore(session, path: resumed.path)
    } else {
      try session.initialize()
    }
    if let path = arguments.value("--weights") {
      try beginWithWeights(path, session, isPartial: arguments.has("--partial"), console)
    }
    if arguments.has("--dry-run") { return try dryRun(session, feeder, workplace, console) }
    if resumed == nil { try CheckpointSpace(source).require(in: newFolder(arguments, source)) }
    let (folder, newLock) = try openFolder(arguments, source, resumed: resumed != nil)
    defer { newLock?.release() }
    return try train(
      session: session, source: source, feeder: feeder, folder: folder,
      startStep: resumed?.checkpoint.step ?? 0, options: options, arguments: arguments,
      console: console)
  }

  private static func train(
    session: Session, source: ProgramSource, feeder: DataFeeder, folder: RunFolder, startStep: Int,
    options: TrainingOptions, arguments: ParsedArguments, console: Console
  ) throws -> Int32 {
    let progress = Progress(
      console: console, quiet: arguments.has("--quiet"), json: arguments.has("--json"))
    let loop = try TrainingLoop(
      session: session, source: source, feeder: feeder, folder: folder, startStep: startStep,
      options: options, observers: [progress])
    // An error that ends the run is said on a line of its own.
    defer { progress.close() }
    let end = try loop.run()
    return progress.finish(end, folder: folder.path)
  }

  // MARK: Options

  private static func trainingOptions(_ arguments: ParsedArguments) throws -> TrainingOptions {
    var options = TrainingOptions()
    let epochs = try arguments.integer("--epochs", in: 1...1_000_000_000)
    let steps = try arguments.integer("--steps", in: 1...1_000_000_000)
    if epochs != nil, steps != nil { throw UsageError("--epochs and --steps exclude each other") }
    if let epochs { options.length = .epochs(epochs) }
    if let steps { options.length = .steps(steps) }
    if arguments.has("--resume"), arguments.has("--out") {
      throw UsageError("--resume goes on in the folder it names; --out cannot be given with it")
    }
    if arguments.has("--resume"), arguments.has("--weights") {
      throw UsageError("--resume takes the weights of the run; --weights cannot be given with it")
    }
    if arguments.positionals.isEmpty, !arguments.has("--resume") {
      throw UsageError("expected FILE, found none")
    }
    _ = try arguments.seed()
    _ = try arguments.settings()
    options.checksFinite = arguments.has("--check-finite")
    options.diagnoses = !arguments.has("--no-diagnosis")
    options.policy = try policy(arguments)
    if arguments.has("--partial"), !arguments.has("--weights") {
      throw UsageError("--partial says how to take --weights, which is not given")
    }
    return options
  }

  private static func policy(_ arguments: ParsedArguments) throws(UsageError) -> CheckpointPolicy {
    var policy = CheckpointPolicy()
    for text in arguments.values("--every") {
      guard let schedule = Schedule(option: text) else {
        throw UsageError(
          "--every takes sample=N, checkpoint=N (steps), sample=Ne or checkpoint=Ne (epochs), "
            + "not '\(text)'")
      }
      policy.schedules.append(schedule)
    }
    policy.keepLast = try arguments.integer("--keep-last", in: 1...1_000_000)
    if let text = arguments.value("--keep-every") {
      guard let schedule = Schedule(interval: text, [.checkpoint]) else {
        throw UsageError("--keep-every takes N (steps) or Ne (epochs), not '\(text)'")
      }
      policy.keepEvery = schedule
    }
    return policy
  }

  /// Says what was taken where not everything fits.
  private static func beginWithWeights(
    _ path: String, _ session: Session, isPartial: Bool, _ console: Console
  ) throws {
    var match = Weights.match(try Weights.read(path), session.program)
    if !match.unused.isEmpty { match.ignore(Weights.optimizerStates(ofFile: path)) }
    if let failure = match.failure(path: path), !isPartial || match.taken.isEmpty { throw failure }
    if !match.isWhole || !match.unused.isEmpty { console.message("\(path):\n\(match.text)\n") }
    try Weights.begin(session, with: match)
  }

  /// The program of the file, or of the run that goes on; the run's settings hold where none are
  /// given.
  private static func program(
    _ arguments: ParsedArguments, _ resumed: (checkpoint: Checkpoint, path: String)?
  ) throws -> ProgramSource {
    let settings = try arguments.settings()
    guard let path = arguments.positionals.first else {
      guard let resumed else { throw UsageError("expected FILE, found none") }
      return try resumed.checkpoint.program.elaborated(adding: settings)
    }
    if FileIO.isDirectory(path) {
      let isRun = FileIO.isDirectory(RunFolder(path: path).checkpoints)
      throw EnvironmentFailure(
        "'\(path)' is a folder, not a program",
        help: isRun ? "to go on with the run in it: gan-exec train --resume \(path)" : nil)
    }
    if path.hasSuffix(".safetensors") {
      throw UsageError(
        "'\(path)' is no program",
        help: "to go on with a run, name its folder: --resume DIR; to begin with these weights, "
          + "name the program and --weights \(path)")
    }
    return try ProgramSource(
      path: path, settings: (resumed?.checkpoint.program.settings ?? []) + settings)
  }

  // MARK: Resuming

  /// A dry run changes nothing and may be made beside the run itself.
  private static func lockResumed(
    _ arguments: ParsedArguments
  ) throws(EnvironmentFailure) -> FileLock? {
    guard let path = arguments.value("--resume"), !arguments.has("--dry-run") else { return nil }
    return try RunFolder(path: path).lock()
  }

  private static func resumedCheckpoint(
    _ arguments: ParsedArguments, _ console: Console
  ) throws -> (checkpoint: Checkpoint, path: String)? {
    guard let path = arguments.value("--resume") else { return nil }
    try refuseFile(path)
    let folder = RunFolder(path: path)
    let found = try folder.newestCheckpoint { console.message("warning: \($0)\n") }
    // What a crash in the middle of writing left behind.
    for place in [folder.path, folder.checkpoints, folder.samples] {
      FileIO.removeAbandonedTemporaries(in: place)
    }
    return found
  }

  /// A run goes on from its newest checkpoint only: from an older one, the log and the pictures of
  /// the steps after it would be lost.
  private static func refuseFile(_ path: String) throws(UsageError) {
    guard FileIO.exists(path), !FileIO.isDirectory(path) else { return }
    let run = RunFolder.path(ofCheckpoint: path)
    let goOn =
      run.map { "to go on with its run from the newest checkpoint: --resume \($0); " } ?? ""
    throw UsageError(
      "--resume takes the folder of a run, and '\(path)' is a file",
      help: path.hasSuffix(".safetensors")
        ? goOn + "to begin a new run with its weights: gan-exec train PROGRAM.gan --weights \(path)"
        : nil)
  }

  private static func check(
    _ checkpoint: Checkpoint, _ source: ProgramSource, _ arguments: ParsedArguments, path: String
  ) throws {
    guard checkpoint.programHash == source.hash else {
      throw ResumeRefusal.failure(checkpoint, source, path: path)
    }
    if let seed = try arguments.seed(), seed != checkpoint.seed {
      throw EnvironmentFailure("\(path): the run's seed is \(checkpoint.seed), not \(seed)")
    }
    if let before = checkpoint.arithmetic, let asked = try Workplace.arithmetic(arguments),
      asked != before
    {
      throw EnvironmentFailure(
        "\(path): the run was computed with \(option(before)), not with \(option(asked))",
        help: "without the option, --resume takes the run's own; to begin a new run with these "
          + "weights, use --weights \(path)")
    }
  }

  private static func option(_ arithmetic: Pipeline.Arithmetic) -> String {
    arithmetic == .unoptimized ? "-O0" : "--math \(arithmetic.rawValue)"
  }

  private static func checkData(
    _ checkpoint: Checkpoint, _ feeder: DataFeeder, path: String
  ) throws(EnvironmentFailure) {
    for source in feeder.sources {
      let before = checkpoint.data.first { $0.name == source.name }?.checksum
      guard before == source.dataset.checksum else {
        throw EnvironmentFailure(
          "the data of '\(source.name)' (\(source.dataset.name)) have changed "
            + "since \(path) was written",
          help: "name the data that the run began with by --data \(source.name)=SOURCE")
      }
    }
  }

  /// The folder, and where it is new the lock on it.
  private static func openFolder(
    _ arguments: ParsedArguments, _ source: ProgramSource, resumed: Bool
  ) throws(EnvironmentFailure) -> (folder: RunFolder, lock: FileLock?) {
    if resumed, let path = arguments.value("--resume") {
      let folder = RunFolder(path: path)
      try FileIO.createDirectory(folder.samples)
      return (folder, nil)
    }
    let folder = try RunFolder.create(newFolder(arguments, source))
    let lock = try folder.lock()
    try FileIO.writeAtomically(source.source.bytes, to: folder.programPath)
    return (folder, lock)
  }

  private static func newFolder(_ arguments: ParsedArguments, _ source: ProgramSource) -> String {
    arguments.value("--out") ?? RunFolder.unusedPath(model: source.program.model)
  }

  private static func dryRun(
    _ session: Session, _ feeder: DataFeeder, _ workplace: Workplace, _ console: Console
  ) throws -> Int32 {
    let plan = try session.stepExecutable(blocks: 0).plan
    console.print("\(session.program.model): ready to train on \(workplace.backend.summary)\n")
    console.print(
      "  \(plan.order.count) kernels a step, \(byteText(plan.arenaBytes)) of activations, "
        + "\(feeder.stepsPerEpoch) steps an epoch\n")
    return ExitCode.done
  }
}

/// `12.3 MB`
package func byteText(_ count: Int) -> String {
  if count < 1000 { return "\(count) B" }
  var value = Double(count)
  for unit in ["kB", "MB", "GB"] {
    value /= 1000
    if value < 1000 { return "\((value * 10).rounded() / 10) \(unit)" }
  }
  return "\((value / 1000 * 10).rounded() / 10) TB"
}
