// `gan-exec tune`: finds the fastest tiles of a device of OpenCL and keeps them for later runs.

import Basics
import Formats
import OpenCLBackend

package enum TuneCommand {
  package static let spec = CommandSpec(
    "tune", "", count: 0...0,
    "Tries the sizes of products' tiles on a device of OpenCL and keeps the fastest for later runs.",
    options: [
      OptionSpec("--dry-run", nil, "try and print, but keep nothing"),
      OptionSpec("--json", nil, "one JSON object a tile that was tried"),
    ])

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    guard case .opencl(let index) = try BackendChoice(arguments, default: .opencl(nil)) else {
      throw UsageError("the backend cpu has nothing to tune; name a device: --backend opencl:INDEX")
    }
    let device = try OpenCLBackend.device(at: index)
    let cache = try TileCache(device)
    guard cache != nil || arguments.has("--dry-run") else {
      throw EnvironmentFailure(
        "there is no folder to keep the tiles in", help: "set HOME or XDG_CACHE_HOME")
    }
    let asJSON = arguments.has("--json")
    if !asJSON { console.print("\(device.name), driver \(device.driver)\n") }
    let table = try Tuning(device: device).run { trial in
      console.print(asJSON ? json(trial).text() + "\n" : text(trial))
    }
    guard let cache, !arguments.has("--dry-run") else { return ExitCode.done }
    try cache.write(table)
    console.message("kept in \(cache.path)\n")
    return ExitCode.done
  }

  private static func text(_ trial: Tuning.Trial) -> String {
    let tile = trial.tile
    let sizes =
      "\(tile.rows) × \(tile.columns) × \(tile.depth), an item \(tile.itemRows) × \(tile.itemColumns)"
    let name = trial.productClass.rawValue
    let head =
      "  " + name + String(repeating: " ", count: max(1, 16 - name.count)) + sizes
      + String(repeating: " ", count: max(1, 34 - sizes.count))
    guard let seconds = trial.seconds else { return head + (trial.failure ?? "") + "\n" }
    return head
      + "\(shortNumber(seconds * 1e3)) ms  \(shortNumber(trial.flops / seconds * 1e-9)) GFLOP/s\n"
  }

  private static func json(_ trial: Tuning.Trial) -> JSONValue {
    let tile = trial.tile
    return [
      "class": .string(trial.productClass.rawValue), "rows": .int(tile.rows),
      "columns": .int(tile.columns), "depth": .int(tile.depth), "item_rows": .int(tile.itemRows),
      "item_columns": .int(tile.itemColumns),
      "ms": trial.seconds.map { .double($0 * 1e3) } ?? .null,
      "failure": trial.failure.map { .string($0) } ?? .null,
    ]
  }
}
