// OpenCL on this machine: the loader, its platforms and devices, and what its error numbers mean.

import Basics
import COpenCL

package enum OpenCLLibrary {
  /// Opened once, by whichever thread comes first.
  private static let opened = opencl_open()

  /// Opens the loader; says what is missing where that fails.
  package static func open() throws(EnvironmentFailure) {
    switch opened {
    case opencl_open_done: return
    case opencl_open_no_headers:
      throw EnvironmentFailure(
        "this program was built without OpenCL's headers",
        help:
          "install them (Debian: opencl-headers), touch Sources/COpenCL/opencl_shim.c and build again"
      )
    case opencl_open_too_old:
      throw EnvironmentFailure(
        "the OpenCL loader is older than OpenCL 1.2: \(String(cString: opencl_open_message()))",
        help: "install a newer one (Debian: ocl-icd-libopencl1)")
    default:
      throw EnvironmentFailure(
        "there is no OpenCL loader: \(String(cString: opencl_open_message()))",
        help: "install one (Debian: ocl-icd-libopencl1) and a driver for the device; "
          + "pocl-opencl-icd runs OpenCL on the processor")
    }
  }

  /// All devices of all platforms, in the order in which the loader lists them: their place is the index of
  /// `--backend opencl:INDEX`.
  package static func devices() throws(EnvironmentFailure) -> [OpenCLDevice] {
    try open()
    var found: [OpenCLDevice] = []
    var failure: EnvironmentFailure?
    for platform in try handles("the platforms", { opencl_platforms($0, $1, $2) }) {
      do throws(EnvironmentFailure) {
        let devices = try handles("the devices of \(OpenCLDevice.name(ofPlatform: platform))") {
          opencl_devices(platform, $0, $1, $2)
        }
        for device in devices {
          found.append(OpenCLDevice(handle: device, platform: platform, index: found.count))
        }
      } catch {
        failure = error
      }
    }
    // A broken driver hides the others' devices only where there are none.
    if found.isEmpty, let failure { throw failure }
    return found
  }

  private static func handles(
    _ what: String,
    _ list: (UnsafeMutablePointer<opencl_handle?>?, UInt32, UnsafeMutablePointer<UInt32>) -> Int32
  ) throws(EnvironmentFailure) -> [opencl_handle] {
    var count: UInt32 = 0
    let error = list(nil, 0, &count)
    // The loader's answer where no driver is installed.
    if error == -1001 { return [] }
    try check(error, "listing \(what)")
    guard count > 0 else { return [] }
    var handles = [opencl_handle?](repeating: nil, count: Int(count))
    var written = count
    try check(list(&handles, count, &written), "listing \(what)")
    return handles.prefix(Int(min(count, written))).compactMap { $0 }
  }

  /// Throws for every result but 0.
  static func check(_ error: Int32, _ what: String) throws(EnvironmentFailure) {
    guard error != 0 else { return }
    throw EnvironmentFailure("OpenCL: \(what) failed: \(name(of: error))")
  }

  /// OpenCL's name of an error, without its prefix.
  static func name(of error: Int32) -> String {
    let names: [Int32: String] = [
      -1: "device not found", -2: "device not available", -3: "compiler not available",
      -4: "memory object allocation failure", -5: "out of resources", -6: "out of host memory",
      -7: "profiling information not available", -11: "build program failure",
      -30: "invalid value", -33: "invalid device", -34: "invalid context",
      -36: "invalid command queue", -38: "invalid memory object", -42: "invalid binary",
      -43: "invalid build options", -44: "invalid program", -45: "invalid program executable",
      -46: "invalid kernel name", -48: "invalid kernel", -49: "invalid argument index",
      -50: "invalid argument value", -51: "invalid argument size", -52: "invalid kernel arguments",
      -54: "invalid work-group size", -55: "invalid work-item size", -61: "invalid buffer size",
      -63: "invalid global work size",
    ]
    return (names[error] ?? "error") + " (\(error))"
  }
}

/// A device that OpenCL lists.
package struct OpenCLDevice {
  let handle: opencl_handle
  let platform: opencl_handle
  package let index: Int

  package var name: String { text(opencl_text_device_name) }
  package var vendor: String { text(opencl_text_device_vendor) }
  /// Such as `OpenCL 3.0 PoCL …`.
  package var version: String { text(opencl_text_device_version) }
  package var driver: String { text(opencl_text_driver_version) }
  package var platformName: String { OpenCLDevice.name(ofPlatform: platform) }
  package var computeUnits: Int { number(opencl_number_compute_units) }
  package var clockMegahertz: Int { number(opencl_number_clock_megahertz) }
  package var globalBytes: Int { number(opencl_number_global_bytes) }
  package var largestAllocation: Int { number(opencl_number_largest_allocation_bytes) }
  package var isAvailable: Bool {
    number(opencl_number_available) == 1 && number(opencl_number_compiler_available) == 1
  }

  package var traits: DeviceTraits {
    let kinds: [DeviceTraits.Kind] = [.other, .cpu, .gpu, .accelerator]
    let type = number(opencl_number_type)
    let kind = kinds.indices.contains(type) ? kinds[type] : .other
    var width = 1
    while width < 16, width < number(opencl_number_float_vector_width) { width *= 2 }
    return DeviceTraits(
      kind: kind, localBytes: number(opencl_number_local_bytes),
      groupLimit: max(1, number(opencl_number_work_group_size)),
      parameterBytes: max(1024, number(opencl_number_parameter_bytes)),
      // Two registers' worth keep a processor's units busy; a GPU loads four floats at once.
      vectorWidth: kind == .cpu ? min(16, 2 * width) : 4,
      hasDouble: text(opencl_text_extensions).contains("cl_khr_fp64"))
  }

  static func name(ofPlatform platform: opencl_handle) -> String {
    text(opencl_text_platform_name, of: platform)
  }

  private func text(_ what: opencl_text) -> String { OpenCLDevice.text(what, of: handle) }

  private static func text(_ what: opencl_text, of handle: opencl_handle) -> String {
    var buffer = [CChar](repeating: 0, count: 16_384)
    guard opencl_get_text(handle, what, &buffer, buffer.count) == 0 else { return "" }
    let bytes = buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
    let text = String(decoding: bytes, as: UTF8.self)
    // Some drivers put blanks around.
    return String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
  }

  private func number(_ what: opencl_number) -> Int {
    var value: UInt64 = 0
    guard opencl_get_number(handle, what, &value) == 0 else { return 0 }
    return Int(clamping: value)
  }
}
