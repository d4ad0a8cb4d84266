// The commands' side of OpenCL: what is printed needs no device; wrong choices are wrong usage; with a device, a step is checked
// on it.

import CommandSupport
import Commands
import Formats
import OpenCLBackend
import TestSupport
import Testing

private let hasDevice = (try? OpenCLBackend.device(at: nil)) != nil
private let missing: Comment = "no OpenCL device here (Debian: pocl-opencl-icd)"

@Suite struct OpenCLCommandTests {
  /// The kernels of every program, for a GPU that is not there, each below its places.
  @Test(arguments: ["dense-gan", "dcgan-mnist", "fashion-gan"])
  func sourcesNeedNoDevice(_ name: String) {
    let result = compile(Places.graph(name), "--emit", "opencl")
    #expect(result.code == 0, "\(result.messages)")
    #expect(result.output.contains("__kernel __attribute__((reqd_work_group_size("))
    #expect(result.output.contains("generator"))
    #expect(result.output.contains("__local float"))
    // Byte-stable.
    #expect(compile(Places.graph(name), "--emit", "opencl").output == result.output)
  }

  @Test func wrongChoicesAreWrongUsage() {
    let program = Places.graph("dense-gan")
    for wrong in [["opencl:x"], ["opencl:-1"], ["openc"], ["opencl", "--threads", "2"]] {
      let result = exec(["train", program, "--backend"] + wrong)
      #expect(result.code == 2, "\(wrong): \(result.messages)")
    }
    #expect(exec("tune", "--backend", "cpu").code == 2)
    #expect(compile(program, "--emit", "opencl", "--after", "cse").code == 2)
  }

  @Test func devicesThatAreNotThereAreMissing() {
    for command in [["devices"], ["tune"], ["check", Places.graph("dense-gan")]] {
      let result = exec(command + ["--backend", "opencl:99"])
      #expect(result.code == 3, "\(command): \(result.messages)")
    }
  }

  @Test(.onOwnThreads, .enabled(if: hasDevice, missing)) func aStepIsChecked() {
    let program = Places.graph("dense-gan")
    let result = exec("check", program, "--backend", "opencl")
    #expect(result.code == 0, "\(result.output)\(result.messages)")
    #expect(result.output.contains("results are within their bounds"))
    let json = exec("check", program, "--backend", "opencl", "--json")
    #expect(json.code == 0)
    #expect(json.output.contains("\"failures\":0"))
  }
}
