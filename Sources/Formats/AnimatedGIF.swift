// An animation that grows frame by frame, as training goes on: a new frame replaces the trailer of
// the file and is followed by a new one, so neither time nor memory grow with the frames there are.
// A file that a crash left with half a frame is cut back to its last whole one when it is resumed.

import Basics

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package struct AnimatedGIFWriter: Sendable {
  package let path: String
  /// Hundredths of a second that a frame is shown.
  package let delay: Int
  /// The frames in the file, known after the first `append`.
  package private(set) var frameCount = 0
  private let kept: Int
  /// What the file begins with, once it is open, and where its trailer is.
  private var header: [UInt8] = []
  private var end = 0

  /// Nothing is touched before the first `append`. A file that is there is then replaced, or,
  /// with `keepingFrames`, continued behind at most so many of its frames if it has the same size.
  package init(path: String, delay: Int = 25, keepingFrames: Int = 0) {
    self.path = path
    self.delay = delay
    kept = keepingFrames
  }

  /// Adds a frame. All frames must have one size and be grey, or all be coloured.
  package mutating func append(_ image: Image) throws(EnvironmentFailure) {
    guard image.isConsistent, image.width <= 0xFFFF, image.height <= 0xFFFF else {
      throw EnvironmentFailure(
        "cannot write '\(path)': a GIF has frames of 1×1 to 65535×65535 pixels, found "
          + "\(image.width)×\(image.height)")
    }
    let wanted = GIF.header(
      width: image.width, height: image.height, isGrey: image.channels <= 2)
    let frame = GIF.frame(image, delay: delay) + [GIF.trailer]
    if header.isEmpty {
      if kept > 0, let found = try GIFScanner.frameEnds(path, header: wanted) {
        let count = min(kept, found.count)
        header = wanted
        frameCount = count
        end = count > 0 ? found[count - 1] : wanted.count
      } else {
        try FileIO.writeAtomically(wanted + frame, to: path)
        header = wanted
        frameCount = 1
        end = wanted.count + frame.count - 1
        return
      }
    }
    guard header == wanted else {
      throw EnvironmentFailure(
        "cannot write '\(path)': a frame of \(image.width)×\(image.height) pixels and "
          + "\(image.channels) channels differs from the first one")
    }
    try write(frame)
    end += frame.count - 1
    frameCount += 1
  }

  private func write(_ frame: [UInt8]) throws(EnvironmentFailure) {
    let file = try FileIO.openFile(path, O_WRONLY | O_CLOEXEC, "write")
    defer { systemClose(file) }
    do throws(EnvironmentFailure) {
      try FileIO.writeAll(frame, to: file, path, at: end)
      if ftruncate(file, off_t(end + frame.count)) != 0 {
        throw FileIO.systemFailure("write", path, errno)
      }
    } catch {
      // The disk is full, say: the animation so far is made whole again.
      _ = ftruncate(file, off_t(end))
      try? FileIO.writeAll([GIF.trailer], to: file, path, at: end)
      throw error
    }
  }
}

/// Finds the frames of a file by its block structure, through a small buffer.
struct GIFScanner {
  private let file: Int32
  private var buffer: [UInt8] = []
  private var at = 0

  /// Where each whole frame ends, or nil where there is no file that begins with `header`.
  static func frameEnds(_ path: String, header: [UInt8]) throws(EnvironmentFailure) -> [Int]? {
    guard FileIO.isRegularFile(path) else { return nil }
    let file = try FileIO.openFile(path, O_RDONLY | O_CLOEXEC, "read")
    defer { systemClose(file) }
    var scanner = GIFScanner(file: file)
    for byte in header where scanner.next() != byte { return nil }
    var ends: [Int] = []
    while scanner.skipFrame() { ends.append(scanner.place) }
    return ends
  }

  private init(file: Int32) { self.file = file }

  private(set) var place = 0

  /// Skips the blocks of one frame; false where the file ends before it does.
  private mutating func skipFrame() -> Bool {
    while let block = next() {
      switch block {
      case 0x21:
        // An extension: its kind, then sub-blocks.
        guard next() != nil, skipSubBlocks() else { return false }
      case 0x2C:
        for _ in 0..<8 where next() == nil { return false }
        guard let flags = next() else { return false }
        let colors = flags & 0x80 == 0 ? 0 : 3 << (Int(flags & 7) + 1)
        for _ in 0..<colors where next() == nil { return false }
        return next() != nil && skipSubBlocks()
      default: return false
      }
    }
    return false
  }

  private mutating func skipSubBlocks() -> Bool {
    while let count = next() {
      if count == 0 { return true }
      for _ in 0..<count where next() == nil { return false }
    }
    return false
  }

  private mutating func next() -> UInt8? {
    if at == buffer.count {
      buffer = [UInt8](unsafeUninitializedCapacity: 1 << 16) { target, initialized in
        while true {
          let got = systemRead(file, target.baseAddress, target.count)
          if got < 0, errno == EINTR { continue }
          initialized = max(got, 0)
          return
        }
      }
      at = 0
      if buffer.isEmpty { return nil }
    }
    defer {
      at += 1
      place += 1
    }
    return buffer[at]
  }
}
