// `gan-exec check FILE --gradients`: the program's own gradients against finite differences. `--optimizations` is in
// CheckOptimizations.

import Basics
import CPUBackend
import Dispatch
import Elaboration
import Formats
import GraphIR
import Synchronization
import Training

package enum CheckCommand {
  package static let spec = CommandSpec(
    "check", "FILE", count: 1...1,
    "Checks a program; with --gradients, its own gradients against finite differences in Double; with "
      + "--optimizations, its step and samples as the passes made them against those as written; "
      + "with --backend opencl, its step on the device against the CPU.",
    options: [
      OptionSpec("--gradients", nil, "compare every gradient of the step with finite differences"),
      OptionSpec(
        "--optimizations", nil,
        "run the step and the samples as written (-O0) and as compiled, and compare every value; "
          + "names the first that is wrong, and the pass"),
      OptionSpec(
        "--batch", "N",
        "the batch size (default 4 with --gradients, else 8)"),
      OptionSpec(
        "--data", "SOURCE", "check at real data (default: noise in the range of the source)"),
      OptionSpec("--seed", "N", "the seed of parameters, noise and directions (default 0)"),
      OptionSpec("--json", nil, "one JSON object, with --gradients one a parameter"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    var settings = try arguments.settings()
    let path = arguments.positionals[0]
    var source = try ProgramSource(path: path, settings: settings)
    let isOfOptimizations = arguments.has("--optimizations")
    if arguments.has("--gradients"), try BackendChoice(arguments) != .cpu {
      throw UsageError("--gradients are computed in Double, on no backend; leave out --backend")
    }
    let isOfDevice =
      try BackendChoice(arguments) != .cpu && !isOfOptimizations && !arguments.has("--gradients")
    guard isOfOptimizations || isOfDevice || arguments.has("--gradients") else {
      showWarnings(source, on: console)
      console.print("\(path): no errors\n")
      return ExitCode.done
    }
    guard !isOfOptimizations || !arguments.has("--gradients") else {
      throw UsageError("--gradients and --optimizations exclude each other")
    }
    let hasBatch = source.program.settings.contains { $0.name == "batch" }
    if hasBatch, !settings.contains(where: { $0.name == "batch" }) {
      settings.append((name: "batch", value: arguments.has("--gradients") ? "4" : "8"))
      source = try ProgramSource(path: path, settings: settings)
    }
    if isOfOptimizations { return try CheckOptimizations.run(source, arguments, console) }
    if isOfDevice { return try CheckDevice.run(source, arguments, console) }
    return try checkGradients(source, arguments, console)
  }

  private static func checkGradients(
    _ source: ProgramSource, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    let seed = try arguments.seed() ?? 0
    guard let train = source.program.train else {
      throw UsageError(
        "\(source.source.name) has no train block, so there are no gradients to check")
    }
    let inputs = try CheckInputs(source.program, arguments, seed: seed)
    let check = try GradientCheck(train.variants.last ?? train.graph, seed: seed) {
      try inputs.value($0, $1)
    }
    let threads = try arguments.integer("--threads", in: 1...256) ?? CPUBackend.processorCount
    var findings: [GradientCheck.Finding] = []
    // As many at a time as there are threads, so that results show as they come.
    for first in stride(from: 0, to: check.count, by: threads) {
      let some = inParallel(min(threads, check.count - first)) { check.check(first + $0) }
      for finding in some {
        console.print(arguments.has("--json") ? json(finding) : text(finding))
      }
      findings += some
    }
    return conclude(findings, arguments, console)
  }

  /// Runs `body` for 0..<count on threads of its own.
  private static func inParallel<T: Sendable>(
    _ count: Int, _ body: @Sendable (Int) -> T
  ) -> [T] {
    let results = Mutex<[Int: T]>([:])
    DispatchQueue.concurrentPerform(iterations: count) { index in
      let result = body(index)
      results.withLock { $0[index] = result }
    }
    return results.withLock { results in (0..<count).compactMap { results[$0] } }
  }

  private static func conclude(
    _ findings: [GradientCheck.Finding], _ arguments: ParsedArguments, _ console: Console
  ) -> Int32 {
    let failed = findings.count { $0.verdict == .failed }
    let kinks = findings.count { $0.verdict == .kink }
    let zero = findings.count { $0.verdict == .zero }
    let allZero = zero == findings.count
    let passed = findings.count - failed - kinks - zero
    if !arguments.has("--json") {
      console.print("\(passed) passed, \(failed) failed, \(kinks) at a kink, \(zero) zero\n")
    }
    if findings.isEmpty { console.message("the step has no gradient to check\n") }
    if !findings.isEmpty, allZero {
      console.message("every gradient is zero, which shows nothing\n")
    }
    return failed > 0 || findings.isEmpty || allZero || kinks == findings.count
      ? ExitCode.checkFailed : ExitCode.done
  }

  private static func text(_ finding: GradientCheck.Finding) -> String {
    let place = "gradient \(finding.gradient) (line \(finding.origin.line))"
    return "\(finding.verdict.rawValue)  \(place)  \(finding.parameter)  "
      + "analytic \(shortNumber(finding.analytic))  numeric \(shortNumber(finding.numeric))  "
      + "error \(shortNumber(finding.error))\n"
  }

  private static func json(_ finding: GradientCheck.Finding) -> String {
    let object: JSONValue = [
      "gradient": .int(finding.gradient), "line": .int(Int(finding.origin.line)),
      "parameter": .string(finding.parameter), "analytic": .double(finding.analytic),
      "numeric": .double(finding.numeric), "error": .double(finding.error),
      "verdict": .string(finding.verdict.rawValue),
    ]
    return object.text() + "\n"
  }
}

/// The values at which gradients are checked: initial states, the first batch of data or noise.
struct CheckInputs {
  private let program: Program
  private let feeder: DataFeeder?
  private let seed: UInt64

  init(_ program: Program, _ arguments: ParsedArguments, seed: UInt64) throws {
    self.program = program
    self.seed = seed
    guard arguments.has("--data") else {
      feeder = nil
      return
    }
    let resolver = DatasetResolver(
      dataDirectory: arguments.value("--data-dir"), environment: processEnvironment())
    feeder = try DataFeeder(
      program.data, replacements: dataReplacements(arguments, program.data),
      limits: ClassLimit.ofData(program.dataGraphs), resolver: resolver, seed: seed)
  }

  func value(_ input: InputBinding, _ type: TensorType) throws -> HostTensor {
    switch input.role {
    case .state(let name): return try state(name, type)
    case .seed:
      return HostTensor(
        type,
        [Double(Int32(truncatingIfNeeded: seed)), Double(Int32(truncatingIfNeeded: seed >> 32))])
    case .step, .epoch, .argument: return HostTensor(type)
    case .data(let source, let round): return try data(source, round, type)
    }
  }

  private func state(_ name: String, _ type: TensorType) throws -> HostTensor {
    guard let state = program.states.first(where: { $0.name == name }) else {
      throw InternalError("the step reads the unknown state \(name)")
    }
    if case .copy(let original) = state.initializer { return try self.state(original, type) }
    guard type.element == .f32 else {
      if case .constant(let value) = state.initializer { return HostTensor(type, repeating: value) }
      return HostTensor(type)
    }
    return HostTensor(type, InitialValues.floats(state, seed: seed).map(Double.init))
  }

  private func data(_ source: String, _ round: Int, _ type: TensorType) throws -> HostTensor {
    if let feeder {
      let buffer = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(1, type.byteCount), alignment: 16)
      defer { buffer.deallocate() }
      try feeder.fill(source: source, batch: round, into: buffer)
      let raw = UnsafeRawBufferPointer(rebasing: buffer[..<type.byteCount])
      return type.element == .f32
        ? HostTensor(type, raw.bindMemory(to: Float.self).map(Double.init))
        : HostTensor(type, raw.bindMemory(to: Int32.self).map(Double.init))
    }
    let declaration = program.data.first { $0.name == source }
    let low = declaration?.low ?? -1
    let high = declaration?.high ?? 1
    var random = PhiloxSequence(
      seed: seed, step: UInt32(round), stream: StableHash.stream("check \(source)"))
    let values = (0..<type.count).map { _ in
      type.element == .f32
        ? low + (high - low) * random.nextUniform() : Double(random.nextInt(below: 2))
    }
    return HostTensor(type, values)
  }
}
