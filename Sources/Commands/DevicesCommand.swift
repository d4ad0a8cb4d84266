// `gan-exec devices`: what programs can run on, and whether it computes what the CPU computes.

import Basics
import CPUBackend
import Formats
import OpenCLBackend
import Runtime
import Training

package enum DevicesCommand {
  package static let spec = CommandSpec(
    "devices", "", count: 0...0,
    "Lists what programs can run on: the processor, and the devices of OpenCL by their index.",
    options: [
      OptionSpec(
        "--self-test", nil,
        "build every kernel for the device of --backend (default opencl) and compare it with the "
          + "CPU's"),
      OptionSpec("--json", nil, "one JSON object a device, or a row of the test"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    if arguments.has("--self-test") { return try selfTest(arguments, console) }
    let choice = try BackendChoice(arguments)
    let asJSON = arguments.has("--json")
    if choice == .cpu {
      let cpu = try Workplace.makeBackend(arguments)
      console.print(
        asJSON
          ? JSONValue.object([
            (key: "backend", value: .string(cpu.name)), (key: "name", value: .string(cpu.summary)),
          ]).text() + "\n"
          : "\(cpu.name)       \(cpu.summary)\n")
    }
    do throws(EnvironmentFailure) {
      let devices = try chosen(choice)
      for device in devices {
        console.print(asJSON ? json(device).text() + "\n" : text(device))
      }
      if devices.isEmpty { console.print(missing("no driver is installed", asJSON)) }
    } catch {
      // Without OpenCL there is still the processor, unless OpenCL was asked for.
      guard choice == .cpu else { throw error }
      console.print(missing(error.message, asJSON))
    }
    return ExitCode.done
  }

  private static func missing(_ reason: String, _ asJSON: Bool) -> String {
    let row: JSONValue = ["backend": .string("opencl"), "missing": .string(reason)]
    return asJSON ? row.text() + "\n" : "opencl    none: \(reason)\n"
  }

  /// All devices, or the one that is asked for.
  private static func chosen(_ choice: BackendChoice) throws(EnvironmentFailure) -> [OpenCLDevice] {
    switch choice {
    case .opencl(let index?): return [try OpenCLBackend.device(at: index)]
    case .opencl(nil):
      // Throws where there is none.
      _ = try OpenCLBackend.device(at: nil)
      return try OpenCLLibrary.devices()
    case .cpu: return try OpenCLLibrary.devices()
    }
  }

  private static func text(_ device: OpenCLDevice) -> String {
    let traits = device.traits
    return """
      opencl:\(device.index)  \(device.name)\(device.isAvailable ? "" : " (not available)")
                \(traits.kind.rawValue) of \(device.vendor), \(device.platformName), \(device.version), driver \(device.driver)
                \(device.computeUnits) compute units, \(device.globalBytes >> 20) MiB, \(device.largestAllocation >> 20) MiB in one piece, \(traits.localBytes >> 10) KiB local, groups to \(traits.groupLimit)\(traits.hasDouble ? "" : ", no double precision")

      """
  }

  private static func json(_ device: OpenCLDevice) -> JSONValue {
    let traits = device.traits
    return [
      "backend": .string("opencl:\(device.index)"), "name": .string(device.name),
      "kind": .string(traits.kind.rawValue), "vendor": .string(device.vendor),
      "platform": .string(device.platformName), "version": .string(device.version),
      "driver": .string(device.driver), "available": .bool(device.isAvailable),
      "compute_units": .int(device.computeUnits), "memory_bytes": .int(device.globalBytes),
      "largest_allocation_bytes": .int(device.largestAllocation),
      "local_bytes": .int(traits.localBytes), "group_limit": .int(traits.groupLimit),
      "double_precision": .bool(traits.hasDouble),
    ]
  }

  // MARK: The self-test

  private static func selfTest(
    _ arguments: ParsedArguments, _ console: Console
  ) throws -> Int32 {
    guard case .opencl(let index) = try BackendChoice(arguments, default: .opencl(nil)) else {
      throw UsageError("--self-test is of a device of OpenCL: --backend opencl:INDEX")
    }
    let device = try OpenCLBackend.device(at: index)
    let test = DeviceSelfTest(
      reference: try CPUBackend(), device: try Workplace.openCLBackend(device),
      bound: OperationBounds.bound)
    let asJSON = arguments.has("--json")
    var rows: [DeviceSelfTest.Row] = []
    if !asJSON {
      console.print("\(device.name), against the CPU\n")
      console.print(line("operation", "samples", "difference", "bound", ""))
    }
    let products = try ProductClass.allCases.map { try Tuning.graph(of: $0) }
    test.run(larger: products) { row in
      rows.append(row)
      console.print(asJSON ? json(row).text() + "\n" : text(row))
    }
    let failed = rows.count { !$0.passed }
    if !asJSON {
      console.print("\(rows.count - failed) of \(rows.count) operations and products agree\n")
    }
    return failed == 0 ? ExitCode.done : ExitCode.checkFailed
  }

  private static func line(
    _ name: String, _ samples: String, _ difference: String, _ bound: String, _ verdict: String
  ) -> String {
    func padded(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.count))
    }
    return "  " + padded(name, 28) + padded(samples, 9) + padded(difference, 12)
      + padded(bound, 10) + verdict + "\n"
  }

  private static func text(_ row: DeviceSelfTest.Row) -> String {
    line(
      row.operation, "\(row.samples)", shortNumber(row.difference), shortNumber(row.bound),
      row.failure ?? (row.passed ? "ok" : "WRONG"))
  }

  private static func json(_ row: DeviceSelfTest.Row) -> JSONValue {
    [
      "operation": .string(row.operation), "samples": .int(row.samples),
      "difference": .double(row.difference), "bound": .double(row.bound),
      "passed": .bool(row.passed), "failure": row.failure.map { .string($0) } ?? .null,
    ]
  }
}
