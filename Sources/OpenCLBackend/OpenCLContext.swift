// A device that is in use: its context and queue, memory on it, and programs built for it.

import Basics
import COpenCL

/// `queue` runs everything in order. Used by one thread at a time.
final class OpenCLContext {
  let device: OpenCLDevice
  let context: opencl_handle
  let queue: opencl_handle

  init(_ device: OpenCLDevice) throws(EnvironmentFailure) {
    self.device = device
    var error: Int32 = 0
    guard let context = opencl_create_context(device.handle, &error) else {
      throw EnvironmentFailure(
        "OpenCL: making a context on \(device.name) failed: \(OpenCLLibrary.name(of: error))")
    }
    self.context = context
    guard let queue = opencl_create_queue(context, device.handle, true, &error) else {
      opencl_release(opencl_kind_context, context)
      throw EnvironmentFailure(
        "OpenCL: making a queue on \(device.name) failed: \(OpenCLLibrary.name(of: error))")
    }
    self.queue = queue
  }

  deinit {
    opencl_release(opencl_kind_queue, queue)
    opencl_release(opencl_kind_context, context)
  }

  func finish(_ what: String) throws(EnvironmentFailure) {
    try OpenCLLibrary.check(opencl_finish(queue), what)
  }
}

/// A stretch of the device's memory, zero-filled; freed with its owner.
final class OpenCLMemory {
  let handle: opencl_handle
  let bytes: Int
  /// Kept alive for the memory.
  let context: OpenCLContext

  /// Throws with what was asked for and what the device has where it cannot be had. For 0 bytes there is still a handle.
  init(_ context: OpenCLContext, bytes: Int, for purpose: String) throws(EnvironmentFailure) {
    self.context = context
    self.bytes = bytes
    let device = context.device
    let has =
      "\(device.name) has \(device.globalBytes) bytes of memory, at most "
      + "\(device.largestAllocation) of them in one piece"
    guard bytes <= device.largestAllocation else {
      throw EnvironmentFailure("\(purpose) needs \(bytes) bytes; \(has)")
    }
    var error: Int32 = 0
    // Drivers hand memory out when it is first written: so that it is missing now, not in the middle of a step.
    guard let handle = opencl_create_buffer(context.context, max(bytes, 4), &error) else {
      throw EnvironmentFailure(
        "\(purpose) needs \(bytes) bytes: \(OpenCLLibrary.name(of: error)); \(has)")
    }
    self.handle = handle
    error = opencl_fill_zero(context.queue, handle, 0, max(bytes, 4))
    if error == 0 { error = opencl_finish(context.queue) }
    guard error == 0 else {
      throw EnvironmentFailure(
        "\(purpose) needs \(bytes) bytes: \(OpenCLLibrary.name(of: error)); \(has)")
    }
  }

  deinit { opencl_release(opencl_kind_memory, handle) }

  func write(_ source: UnsafeRawBufferPointer, _ what: String) throws(EnvironmentFailure) {
    guard let base = source.baseAddress, source.count > 0 else { return }
    try OpenCLLibrary.check(
      opencl_write(context.queue, handle, 0, source.count, base), "writing \(what)")
  }

  func read(
    at offset: Int, into target: UnsafeMutableRawBufferPointer, _ what: String
  ) throws(EnvironmentFailure) {
    guard let base = target.baseAddress, target.count > 0 else { return }
    try OpenCLLibrary.check(
      opencl_read(context.queue, handle, offset, target.count, base), "reading \(what)")
  }
}

/// A source built for the device, and its kernels.
final class OpenCLProgram {
  private let program: opencl_handle
  private(set) var kernels: [opencl_handle] = []
  private let context: OpenCLContext

  static let options = "-cl-std=CL1.2"

  init(_ context: OpenCLContext, _ program: DeviceProgram) throws(EnvironmentFailure) {
    self.context = context
    let device = context.device
    let source = program.source(hasDouble: device.traits.hasDouble)
    var error: Int32 = 0
    let created = source.utf8.withContiguousStorageIfAvailable { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        opencl_create_program(context.context, text.baseAddress, text.count, &error)
      }
    }
    guard let created, let handle = created else {
      throw EnvironmentFailure(
        "OpenCL: taking the source of \(program.kernels.count) kernels failed: "
          + OpenCLLibrary.name(of: error))
    }
    self.program = handle
    error = opencl_build(handle, device.handle, OpenCLProgram.options)
    guard error == 0 else {
      throw OpenCLProgram.failure(error, program, log(), device)
    }
    for kernel in program.kernels {
      guard let made = opencl_create_kernel(handle, kernel.name, &error) else {
        throw OpenCLProgram.failure(error, program, log(), device, kernel: kernel.name)
      }
      kernels.append(made)
    }
  }

  deinit {
    for kernel in kernels { opencl_release(opencl_kind_kernel, kernel) }
    opencl_release(opencl_kind_program, program)
  }

  private func log() -> String {
    let length = opencl_build_log(program, context.device.handle, nil, 0)
    guard length > 0 else { return "" }
    var buffer = [CChar](repeating: 0, count: length)
    _ = opencl_build_log(program, context.device.handle, &buffer, length)
    return String(
      decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// What the compiler of the device said, and about which kernel: the first that its log has a line of.
  private static func failure(
    _ error: Int32, _ program: DeviceProgram, _ log: String, _ device: OpenCLDevice,
    kernel: String? = nil
  ) -> EnvironmentFailure {
    let place = kernel ?? program.kernelNamed(inLog: log, hasDouble: device.traits.hasDouble)
    let what = place.map { "the kernel \($0)" } ?? "the kernels"
    let shown = log.isEmpty ? "" : ":\n\(log.prefix(4000))"
    return EnvironmentFailure(
      "OpenCL: \(device.name) does not build \(what): \(OpenCLLibrary.name(of: error))\(shown)",
      help: "gan-compile FILE --emit opencl prints the source")
  }
}
