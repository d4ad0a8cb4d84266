// An animation that grows frame by frame, as training goes on: a new frame replaces the trailer of
// the file and is followed by a new one, so neither time nor memory grow with the frames there are.
// Where a limit is given, every second frame is dropped when it is reached, and from then on every
// second one is passed over: the animation of a long run stays short enough to be looked at. A file that a crash left with half a frame is cut back to its last whole one when it is resumed.

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
  package var frameCount: Int { ends.count }
  private let kept: Int
  private let limit: Limit?
  /// One of so many frames that are offered is taken.
  package private(set) var stride = 1
  private var offered = 0
  /// What the file begins with, once it is open, and where its frames end: the trailer is behind the
  /// last.
  private var header: [UInt8] = []
  private var ends: [Int] = []
  private var end: Int { ends.last ?? header.count }

  /// How much an animation may hold before it is thinned; two frames always stay.
  package struct Limit: Sendable {
    package var frames: Int
    package var bytes: Int
    package init(frames: Int, bytes: Int) {
      self.frames = max(2, frames)
      self.bytes = bytes
    }
  }

  /// Nothing is touched before the first `append`. A file that is there is then replaced, or,
  /// with `keepingFrames`, continued behind at most so many of its frames if it has the same size.
  package init(path: String, delay: Int = 25, keepingFrames: Int = 0, limit: Limit? = nil) {
    self.path = path
    self.delay = delay
    kept = keepingFrames
    self.limit = limit
  }

  /// Offers the next frame, which is made only where it is taken: one of `stride`, the first among
  /// them.
  package mutating func offer(_ image: () throws -> Image) throws {
    defer { offered += 1 }
    guard offered % stride == 0 else { return }
    try append(try image())
    guard let limit, frameCount > 2, frameCount > limit.frames || end > limit.bytes else { return }
    try thin()
  }

  /// Every second frame goes, beginning with the second one, and what stays is written anew.
  private mutating func thin() throws(EnvironmentFailure) {
    let bytes = try FileIO.read(path)
    guard bytes.count > end else {
      throw EnvironmentFailure("'\(path)' has been changed while it grew")
    }
    var kept = header
    var keptEnds: [Int] = []
    for index in Swift.stride(from: 0, to: ends.count, by: 2) {
      kept += bytes[(index == 0 ? header.count : ends[index - 1])..<ends[index]]
      keptEnds.append(kept.count)
    }
    try FileIO.writeAtomically(kept + [GIF.trailer], to: path)
    ends = keptEnds
    stride *= 2
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
        header = wanted
        ends = Array(found.prefix(kept))
      } else {
        try FileIO.writeAtomically(wanted + frame, to: path)
        header = wanted
        ends = [wanted.count + frame.count - 1]
        return
      }
    }
    guard header == wanted else {
      throw EnvironmentFailure(
        "cannot write '\(path)': a frame of \(image.width)×\(image.height) pixels and "
          + "\(image.channels) channels differs from the first one")
    }
    try write(frame)
    ends.append(end + frame.count - 1)
  }

  /// Whether the file is there with the frames written so far, and `image` is of their kind.
  package func canContinue(with image: Image) -> Bool {
    if header.isEmpty { return true }
    guard let file = try? FileIO.openFile(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, "read") else {
      return false
    }
    defer { systemClose(file) }
    guard let size = try? FileIO.regularSize(file, path), size >= end else { return false }
    return header
      == GIF.header(width: image.width, height: image.height, isGrey: image.channels <= 2)
  }

  private func write(_ frame: [UInt8]) throws(EnvironmentFailure) {
    let file = try FileIO.openFile(path, O_WRONLY | O_CLOEXEC, "write")
    defer { systemClose(file) }
    guard try FileIO.regularSize(file, path) >= end else {
      throw EnvironmentFailure("cannot write '\(path)': it has been changed while it grew")
    }
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
