// `gan-exec check FILE --backend opencl`: a training step on the device against the same step on the CPU, operation by
// operation.

import Basics
import CPUBackend
import Formats
import OpenCLBackend
import Runtime
import Training

enum CheckDevice {
  static func run(
    _ source: ProgramSource, _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    guard source.program.train != nil else {
      throw UsageError("\(source.source.name) has no train block, so there is no step to check")
    }
    let seed = try arguments.seed() ?? 0
    let device = try Workplace.makeBackend(arguments)
    let report = try DeviceCheck(
      source.program, reference: CPUBackend(), device: device,
      compiler: GraphCompiler(try Workplace.arithmetic(arguments) ?? .fast), seed: seed,
      data: try CheckOptimizations.data(source.program, arguments, seed: seed),
      bound: OperationBounds.bound
    ).run()
    console.print(
      arguments.has("--json")
        ? json(report, device).text() + "\n" : text(report, device, file: source.source.name))
    return report.failures == 0 ? ExitCode.done : ExitCode.checkFailed
  }

  /// The findings of one operation, in the order of the step.
  private static func byOperation(
    _ report: DeviceCheck.Report
  ) -> [(name: String, findings: [DeviceCheck.Finding])] {
    var groups: [(name: String, findings: [DeviceCheck.Finding])] = []
    for finding in report.findings {
      if let index = groups.firstIndex(where: { $0.name == finding.operation }) {
        groups[index].findings.append(finding)
      } else {
        groups.append((finding.operation, [finding]))
      }
    }
    return groups
  }

  /// The one that is nearest to its bound, or furthest beyond.
  private static func worst(_ findings: [DeviceCheck.Finding]) -> DeviceCheck.Finding {
    // A difference beside a bound of zero is beyond all others.
    func share(_ finding: DeviceCheck.Finding) -> Double {
      finding.difference == 0 ? 0 : finding.difference / finding.bound
    }
    return findings.reduce(findings[0]) { share($1) > share($0) ? $1 : $0 }
  }

  private static func text(
    _ report: DeviceCheck.Report, _ device: any Backend, file: String
  ) -> String {
    var rows = [["operation", "results", "largest difference", "bound", "where"]]
    for group in byOperation(report) {
      let worst = worst(group.findings)
      rows.append([
        group.name, "\(group.findings.count)", shortNumber(worst.difference),
        shortNumber(worst.bound), worst.origin.provenance(file: file, most: 2),
      ])
    }
    var text = "a training step on \(device.summary), against the CPU\n"
    text += alignedTable(rows, words: 0..<1)
    for report in report.reports {
      text += "  \(report.name): \(report.values.1), on the CPU \(report.values.0)\n"
    }
    if let first = report.first {
      text +=
        "\(report.failures) of \(report.findings.count) results are beyond their bounds; "
        + "the first: \(first.operation) \(first.type) at "
        + "\(first.origin.provenance(file: file)): \(shortNumber(first.difference)), bound "
        + "\(shortNumber(first.bound))\n"
    } else {
      text += "all \(report.findings.count) results are within their bounds\n"
    }
    return text
  }

  private static func json(_ report: DeviceCheck.Report, _ device: any Backend) -> JSONValue {
    [
      "backend": .string(device.name), "device": .string(device.summary),
      "results": .int(report.findings.count), "failures": .int(report.failures),
      "first": report.first.map(json) ?? .null,
      "operations": .array(
        byOperation(report).map { group in
          [
            "operation": .string(group.name), "results": .int(group.findings.count),
            "worst": json(worst(group.findings)),
          ]
        }),
      "reports": .array(
        report.reports.map { report in
          [
            "name": .string(report.name), "cpu": .double(report.values.0),
            "device": .double(report.values.1),
          ]
        }),
    ]
  }

  private static func json(_ finding: DeviceCheck.Finding) -> JSONValue {
    [
      "operation": .string(finding.operation), "type": .string(finding.type.description),
      "line": .int(Int(finding.origin.line)), "column": .int(Int(finding.origin.column)),
      "path": .string(finding.origin.path), "difference": .double(finding.difference),
      "bound": .double(finding.bound),
    ]
  }
}
