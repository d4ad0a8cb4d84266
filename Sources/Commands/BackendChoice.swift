// `--backend cpu|opencl[:INDEX]`.

import Basics

enum BackendChoice: Equatable {
  case cpu
  /// nil is the first device that is listed.
  case opencl(Int?)

  /// `default` is for where no backend is named.
  init(_ arguments: ParsedArguments, default: BackendChoice = .cpu) throws(UsageError) {
    guard let text = arguments.value("--backend") else {
      self = `default`
      return
    }
    guard text != "cpu" else {
      self = .cpu
      return
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0] == "opencl" else {
      throw UsageError(
        "--backend takes cpu, opencl or opencl:INDEX, not '\(text)'",
        help: suggestion(for: String(parts[0]), in: ["cpu", "opencl"]))
    }
    for option in ["--isa", "--threads"] where arguments.has(option) {
      throw UsageError("\(option) is of the backend cpu; a device of OpenCL has its own")
    }
    guard parts.count == 2 else {
      self = .opencl(nil)
      return
    }
    guard let index = Int(parts[1]), index >= 0 else {
      throw UsageError(
        "--backend opencl:INDEX takes a number from 0 on, not '\(parts[1])'",
        help: "gan-exec devices lists them")
    }
    self = .opencl(index)
  }
}
