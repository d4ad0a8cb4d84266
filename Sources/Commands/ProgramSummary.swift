// The tables of `gan-compile FILE`: the networks layer by layer, the data, and what one training
// step costs.

import Basics
import Elaboration
import Formats
import GraphIR
import Passes
import Planning
import Training

struct ProgramSummary {
  private let program: Program
  private let step: StepFacts?

  init(_ program: Program, _ runner: PassRunner) throws {
    self.program = program
    step = try program.train.map { try StepFacts($0, runner) }
  }

  /// What is known of the training step before it runs.
  struct StepFacts {
    var operations: Int
    var kernels: Int
    var cost: Cost
    var plan: Plan

    init(_ train: TrainProgram, _ runner: PassRunner) throws {
      let outcome = try runner.run(train.graph)
      plan = Planner().plan(outcome.graph)
      operations = train.graph.nodes.count
      kernels = plan.order.count
      cost = outcome.graph.cost
    }
  }

  // MARK: Text

  func text() -> String {
    var text = "model \"\(program.model)\"\n"
    for data in program.data {
      text += "  data \(data.name): \(data.type)\(range(data)) from \(source(data))\n"
    }
    for network in program.networks { text += "\n" + table(network) }
    if let train = program.train, let step { text += "\n" + table(train, step) }
    for sample in program.samples {
      text +=
        "sample\(sample.name.map { " " + $0 } ?? ""): \(sample.count) from seed \(sample.seed)\n"
    }
    return text
  }

  private func range(_ data: DataDeclaration) -> String {
    guard let low = data.low, let high = data.high else { return "" }
    return " in \(low)...\(high)"
  }

  private func source(_ data: DataDeclaration) -> String {
    let resize = data.resize.map { ", resized by \($0.rawValue)" } ?? ""
    return switch data.source {
    case .named(let name): "\"\(name)\", \(data.order.rawValue)\(resize)"
    case .part(let owner, let part): "\(owner).\(part)\(resize)"
    }
  }

  private func table(_ network: NetworkProgram) -> String {
    let arguments = network.arguments.map { "\($0.name): \($0.type)" }.joined(separator: ", ")
    let results = typeText(network.results)
    var rows = [["layer", "kind", "output", "parameters"]]
    for layer in network.layers {
      let extra =
        layer.total > layer.trainable ? " + \(grouped(layer.total - layer.trainable))" : ""
      rows.append([
        layer.name, layer.kind, layer.output.description,
        layer.total == 0 ? "" : grouped(layer.trainable) + extra,
      ])
    }
    return "network \(network.name)(\(arguments)) -> \(results)\n" + aligned(rows)
      + "  \(grouped(network.trainableCount)) trainable parameters, "
      + "\(grouped(network.totalCount)) in total\n"
  }

  private func table(_ train: TrainProgram, _ step: StepFacts) -> String {
    let length =
      switch train.length {
      case .epochs(let count): "\(count) epochs"
      case .steps(let count): "\(grouped(count)) steps"
      }
    let states = program.states.reduce(0) { $0 + $1.type.byteCount }
    var rows: [[String]] = []
    rows.append(["operations as written", grouped(step.operations)])
    rows.append(["kernels after all passes", grouped(step.kernels)])
    rows.append(["arithmetic", "\(shortNumber(step.cost.flops / 1e9)) GFLOP"])
    rows.append(["memory traffic", byteText(Int(step.cost.bytes))])
    rows.append(["activations (planned peak)", byteText(step.plan.arenaBytes)])
    rows.append(["  without reuse", byteText(step.plan.withoutReuseBytes)])
    rows.append(["  lower bound", byteText(step.plan.lowerBoundBytes)])
    rows.append(["parameters, moments, statistics", byteText(states)])
    return "train: \(length); reports \(train.reports.joined(separator: ", "))\none step:\n"
      + aligned(rows)
  }

  /// Columns of words, and numbers in the last one.
  private func aligned(_ rows: [[String]]) -> String {
    alignedTable(rows, words: 0..<(rows.map(\.count).max() ?? 1) - 1)
  }

  /// `1,234,567`
  private func grouped(_ number: Int) -> String {
    var digits = Array(String(number))
    var index = digits.count - 3
    while index > (number < 0 ? 1 : 0) {
      digits.insert(",", at: index)
      index -= 3
    }
    return String(digits)
  }

  // MARK: JSON

  func json() -> JSONValue {
    let networks = program.networks.map { network -> JSONValue in
      let layers = network.layers.map { layer -> JSONValue in
        [
          "name": .string(layer.name), "kind": .string(layer.kind),
          "output": .string(layer.output.description), "trainable": .int(layer.trainable),
          "total": .int(layer.total),
        ]
      }
      return [
        "name": .string(network.name), "layers": .array(layers),
        "results": .array(network.results.map { .string($0.description) }),
        "trainable": .int(network.trainableCount), "total": .int(network.totalCount),
      ]
    }
    var pairs: [(key: String, value: JSONValue)] = [
      (key: "model", value: .string(program.model)), (key: "networks", value: .array(networks)),
    ]
    if let step {
      pairs.append(
        (
          key: "step",
          value: [
            "operations": .int(step.operations), "kernels": .int(step.kernels),
            "flops": .double(step.cost.flops), "bytes": .double(step.cost.bytes),
            "arena_bytes": .int(step.plan.arenaBytes),
            "arena_lower_bound": .int(step.plan.lowerBoundBytes),
            "arena_without_reuse": .int(step.plan.withoutReuseBytes),
          ]
        ))
    }
    return .object(pairs)
  }
}
