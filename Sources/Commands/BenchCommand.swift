// `gan-exec bench FILE`: how fast a program's training step runs on this machine, and how near to
// what the machine can do. Trains on random data and writes nothing.

import Basics
import Elaboration
import Formats
import GraphIR
import Passes
import Runtime
import Training

package enum BenchCommand {
  package static let spec = CommandSpec(
    "bench", "FILE", count: 0...1,
    "Times a program's training step on random data, against the machine's own limits; "
      + "with --kernels, FILE may be left out.",
    options: [
      OptionSpec(
        "--steps", "N",
        "how many steps, or runs of each kernel, to time (default: some seconds' worth, at least 5)"
      ),
      OptionSpec("--sample", nil, "time drawing a sample of 64 images too"),
      OptionSpec("--name", "NAME", "which sample of the program (default: the first)"),
      OptionSpec(
        "--kernels", nil,
        "time each product and convolution of the step alone; without FILE, those of known layers"),
      OptionSpec(
        "--methods", nil,
        "with --kernels, time every method of each convolution, not only the chosen one"),
      OptionSpec("--json", nil, "one JSON object instead of the table"),
      OptionSpec("--batch", "N", "the same as --set batch=N"),
    ])

  /// The images of a timed sample.
  static let sampleCount = 64

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    let steps = try arguments.integer("--steps", in: 1...1_000_000)
    guard arguments.has("--sample") || !arguments.has("--name") else {
      throw UsageError("--name chooses a sample and needs --sample")
    }
    guard arguments.has("--kernels") || !arguments.has("--methods") else {
      throw UsageError("--methods times the methods of kernels and needs --kernels")
    }
    if arguments.has("--kernels") { return try runKernels(arguments, console, runs: steps) }
    guard let path = arguments.positionals.first else {
      throw UsageError("expected FILE, found none")
    }
    let workplace = try Workplace(arguments)
    let source = try ProgramSource(
      path: path, settings: try arguments.settings(),
      sampleCount: arguments.has("--sample")
        ? SampleCount(sample: arguments.value("--name"), count: sampleCount) : nil)
    let sample = try arguments.has("--sample") ? chosenSample(source.program, arguments) : nil
    let timed = try TimedProgram(source.program, workplace, seed: 0)
    let report = try measure(timed, sample, steps: steps)
    console.print(arguments.has("--json") ? report.json().text() + "\n" : report.text())
    return ExitCode.done
  }

  private static func runKernels(
    _ arguments: ParsedArguments, _ console: Console, runs: Int?
  ) throws -> Int32 {
    guard !arguments.has("--sample") else {
      throw UsageError("--kernels and --sample exclude each other: kernels are those of the step")
    }
    let batch = try arguments.integer("--batch", in: 1...4096)
    let workplace = try Workplace(arguments)
    let title: String
    let kernels: [LoneKernel]
    if let path = arguments.positionals.first {
      let program = try ProgramSource(path: path, settings: try arguments.settings()).program
      guard let train = program.train else {
        throw Diagnostic("train.missing", "the program has no train block")
      }
      title = program.model
      kernels = try LoneKernel.all(of: try workplace.compiler.compile(train.graph).plan.graph)
    } else {
      if let setting = arguments.value("--set") {
        throw UsageError("--set \(setting) needs a FILE whose hyperparameter it is")
      }
      title = "known layers"
      kernels = try LoneKernel.knownLayers(batch: batch ?? 64).flatMap {
        try LoneKernel.all(of: try workplace.compiler.compile($0).plan.graph)
      }
    }
    let report = try KernelReport(
      title, kernels, on: workplace.backend, runs: runs, allMethods: arguments.has("--methods"))
    console.print(arguments.has("--json") ? report.json().text() + "\n" : report.text())
    return ExitCode.done
  }

  private static func chosenSample(
    _ program: Program, _ arguments: ParsedArguments
  ) throws(UsageError) -> SampleProgram {
    let name = arguments.value("--name")
    if let sample = program.sample(named: name) { return sample }
    guard let name else { throw UsageError("the program has no sample block to time") }
    let names = program.samples.compactMap(\.name)
    throw UsageError(
      "the program has no sample named '\(name)'", help: suggestion(for: name, in: names))
  }

  // MARK: Measuring

  /// The order matters: nothing comes before the first step, and what takes memory comes last.
  private static func measure(
    _ timed: TimedProgram, _ sample: SampleProgram?, steps: Int?
  ) throws -> BenchReport {
    let executable = try timed.stepExecutable()
    let firstStep = try timed.step()
    let coldStart = ProcessFacts.secondsSinceStart()
    let limits = try MachineLimits(timed.workplace.backend)
    try warmUp { try timed.step() }
    let times = try repeated(steps) { try timed.step() }
    let resident = ProcessFacts.peakResidentBytes()
    let losses = timed.reports
    let drawn = try sample.map { sample in
      try warmUp { try timed.draw(sample) }
      return BenchReport.Sample(
        name: sample.name, count: sample.count,
        times: Spread(milliseconds: try repeated(nil, seconds: 1) { try timed.draw(sample) }))
    }
    return BenchReport(
      model: timed.program.model, backend: timed.workplace.backend, steps: times.count,
      times: Spread(milliseconds: times), examples: timed.program.examplesPerStep, losses: losses,
      written: try timed.program.train?.graph.writtenCost() ?? .none,
      run: executable.plan.graph.cost,
      limits: try limits.measuredAgain(), memory: executable.memory,
      lowerBoundBytes: executable.plan.lowerBoundBytes,
      stateBytes: timed.stateBytes, residentBytes: resident, firstStep: firstStep,
      coldStart: coldStart, sample: drawn)
  }

  /// Twice, and on for a moment where that is quick: memory is touched, clocks rise.
  static func warmUp(seconds: Double = 0.3, _ work: () throws -> Double) rethrows {
    var total = 0.0
    var count = 0
    while count < 2 || total < seconds && count < 50 {
      total += try work()
      count += 1
    }
  }

  /// The seconds of each of `count` runs, or of as many as fit into `seconds`, at least 5.
  static func repeated(
    _ count: Int?, seconds: Double = 3, _ work: () throws -> Double
  ) rethrows -> [Double] {
    var times: [Double] = []
    var total = 0.0
    while times.count < count ?? 5 || count == nil && total < seconds {
      times.append(try work())
      total += times[times.count - 1]
    }
    return times
  }
}

/// What the machine can do at most.
struct MachineLimits {
  /// Operations a second of multiply-adds on registers.
  var arithmetic: Double
  /// Bytes a second; nil until it is measured.
  var bandwidth: Double?
  private let backend: any Backend & LimitMeasuring

  /// Measures the arithmetic, which takes no memory.
  init(_ backend: any Backend) throws(EnvironmentFailure) {
    guard let measuring = backend as? any Backend & LimitMeasuring else {
      throw EnvironmentFailure("the backend \(backend.name) cannot measure its device")
    }
    self.backend = measuring
    arithmetic = try measuring.measureArithmetic()
  }

  /// With the better of two figures for the arithmetic, and with the bandwidth.
  func measuredAgain() throws(EnvironmentFailure) -> MachineLimits {
    var copy = self
    copy.arithmetic = max(arithmetic, try backend.measureArithmetic())
    copy.bandwidth = try backend.measureBandwidth()
    return copy
  }
}
