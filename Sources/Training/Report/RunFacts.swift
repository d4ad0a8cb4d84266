// What a report says of a run before its first step, as JSON: hyperparameters, optimizers, data,
// networks, the program's text, the machine.

import Basics
import Elaboration
import Formats
import GraphIR
import GraphSyntax

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

struct RunFacts {
  let run: RunDescription

  var pairs: [(key: String, value: JSONValue)] {
    let program = run.program
    return [
      (key: "model", value: .string(program.model)),
      (key: "reports", value: .array(run.train.reports.map(JSONValue.string))),
      (key: "examples_per_step", value: program.examplesPerStep.map(JSONValue.int) ?? .null),
      (key: "example", value: .string(program.exampleUnit)),
      (key: "settings", value: .array(program.settings.map { named($0.name, $0.value) })),
      (key: "updates", value: .array(Self.updates(run.source.source).map(JSONValue.string))),
      (key: "defaults", value: .array(defaults)),
      (key: "data", value: .array(data)),
      (key: "networks", value: .array(program.networks.map(network))),
      (key: "source", value: .string(String(decoding: run.source.source.bytes, as: UTF8.self))),
    ]
  }

  private func named(_ name: String, _ text: String) -> JSONValue {
    .array([.string(name), .string(text)])
  }

  private var data: [JSONValue] {
    run.data.map { source in
      let type = run.program.data.first { $0.name == source.name }.map { ", \($0.type) a batch" }
      return named(
        source.name,
        "\(source.dataset.count) examples of \(source.dataset.name)" + (type ?? ""))
    }
  }

  private func network(_ network: NetworkProgram) -> JSONValue {
    named(
      network.name, "\(network.trainableCount) trainable parameters, \(network.totalCount) in all")
  }

  private var defaults: [JSONValue] {
    run.program.defaults.map { known in
      .object([
        (key: "line", value: .int(Int(known.origin.line))),
        (key: "text", value: .string(known.text)),
      ])
    }
  }

  // MARK: Optimizers

  /// The lines of a program that say how it is optimised: optimizers, updates and averages.
  static func updates(_ source: SourceText) -> [String] {
    var ranges: [SourceRange] = []
    for item in parse(source).file.items {
      switch item {
      case .optimizer(let optimizer): ranges.append(optimizer.range)
      case .train(let train): collect(train.body, into: &ranges)
      default: break
      }
    }
    return ranges.map(source.text)
  }

  private static func collect(_ body: Body, into ranges: inout [SourceRange]) {
    for statement in body.statements {
      switch statement {
      case .update(let update): ranges.append(update.range)
      case .average(let average): ranges.append(average.range)
      case .repeat(let inner): collect(inner.body, into: &ranges)
      case .every(let inner): collect(inner.body, into: &ranges)
      default: break
      }
    }
  }

  // MARK: The machine

  /// The processor's name and how many there are.
  static var processor: String {
    let count = Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let name = processorName ?? "unknown processor"
    return count > 1 ? "\(name), \(count) cores" : name
  }

  private static var processorName: String? {
    guard let bytes = try? FileIO.read("/proc/cpuinfo", limit: 16 << 20) else { return nil }
    for line in bytes.split(separator: UInt8(ascii: "\n")) {
      let text = String(decoding: line, as: UTF8.self)
      guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
      let name = text[text.index(after: colon)...].drop { $0 == " " }
      if !name.isEmpty { return String(name) }
    }
    return nil
  }
}

extension Program {
  /// The examples that one step takes of the source it takes most of; nil where there is no data.
  package var examplesPerStep: Int? {
    data.filter { $0.batchesPerStep > 0 }
      .map { ($0.type.shape.first ?? 1) * $0.batchesPerStep }.max()
  }

  /// What these examples are called: those of two dimensions and more are pictures.
  package var exampleUnit: String {
    let most = data.filter { $0.batchesPerStep > 0 }
      .max {
        ($0.type.shape.first ?? 1) * $0.batchesPerStep < ($1.type.shape.first ?? 1)
          * $1.batchesPerStep
      }
    return (most?.type.shape.count ?? 0) >= 3 ? "images" : "examples"
  }
}
