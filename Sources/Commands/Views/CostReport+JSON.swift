// The cost of a graph as one JSON object; README.md lists the keys.

import Formats
import GraphIR

extension CostReport {
  func json() -> JSONValue {
    [
      "graph": .string(graph.name),
      "written": written.map { object($0) } ?? .null,
      "run": object(run),
      "phases": .object(phases.map { (key: $0.phase.rawValue, value: object($0.sum)) }),
      "updates": .array(updates.map(updateObject)),
      "several_updates": object(sharedByUpdates), "no_update": object(besideUpdates),
      "rewrites": .array(rewrites.map(rewriteObject)),
      "worth": .array(worth.map(rewriteObject)),
      "operations": .array(operations.map(operationObject)),
    ]
  }

  private func members(_ cost: Cost) -> [(key: String, value: JSONValue)] {
    [
      (key: "flops", value: wholeNumber(cost.flops)),
      (key: "bytes", value: wholeNumber(cost.bytes)),
      (key: "intensity", value: number(cost.intensity)),
    ]
  }

  private func object(_ cost: Cost) -> JSONValue { .object(members(cost)) }

  private func object(_ sum: Sum) -> JSONValue {
    .object(
      members(sum.cost) + [
        (key: "direct_flops", value: wholeNumber(sum.directFlops)),
        (key: "operations", value: .int(sum.nodes)),
      ])
  }

  private func updateObject(_ update: UpdateCost) -> JSONValue {
    [
      "network": .string(update.network), "line": .int(Int(update.line)),
      "column": .int(Int(update.column)), "alone": object(update.alone),
      "shared": object(update.shared),
    ]
  }

  private func rewriteObject(_ rewrite: CostRewrite) -> JSONValue {
    [
      "pass": .string(rewrite.pass), "run": number(rewrite.run),
      "stage": rewrite.stage.map { .string($0.rawValue) } ?? .null,
      "before": object(rewrite.before),
      "after": object(rewrite.after),
      "places": .array(
        rewrite.places.map { place in
          [
            "line": .int(Int(place.line)), "column": .int(Int(place.column)),
            "path": .string(place.path), "flops_before": wholeNumber(place.before),
            "flops_after": wholeNumber(place.after),
          ]
        }),
    ]
  }

  private func operationObject(_ operation: OperationCost) -> JSONValue {
    .object(
      [
        (key: "node", value: .int(operation.id.index)),
        (key: "operation", value: .string(operation.node.displayName)),
        (key: "results", value: .array(operation.results.map { .string($0.description) })),
        (key: "phase", value: .string(operation.phase.rawValue)),
      ] + members(operation.cost) + [
        (key: "direct_flops", value: wholeNumber(operation.directFlops))
      ] + originMembers(operation.node.origin))
  }
}
