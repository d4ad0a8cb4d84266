// Whether the disk has room for the next checkpoint: asked before a run begins and before each is
// written, so that a full disk is a clear failure with the last good checkpoint in place.

import Basics
import Elaboration
import Formats

package struct CheckpointSpace: Sendable {
  /// For the log, samples and the files that stand beside a checkpoint.
  private static let margin = 1 << 20

  /// What a checkpoint takes, and a margin. A new one is written before an old one goes.
  package let needed: Int
  private let free: @Sendable (String) -> Int?

  /// `free` tells how many bytes there are at a path; nil where that is not known.
  package init(
    _ source: ProgramSource, free: @escaping @Sendable (String) -> Int? = FreeSpace.bytes
  ) {
    let states = source.program.states
    // A tensor's entry in the header takes less than 200 bytes and its name.
    let header = states.reduce(0) { $0 + 200 + $1.name.utf8.count } + 2 * source.source.bytes.count
    needed = states.reduce(header + Self.margin) { $0 + $1.type.byteCount }
    self.free = free
  }

  /// Fails where the disk of `folder` has no room for a checkpoint.
  package func require(in folder: String, lastCheckpoint: String? = nil) throws(EnvironmentFailure)
  {
    guard let free = free(folder), free < needed else { return }
    throw EnvironmentFailure(
      "the disk of '\(folder)' is full: \(free) bytes are free, and the next checkpoint needs "
        + "\(needed)",
      help: Self.help(lastCheckpoint, folder).map { "free some space; \($0)" }
        ?? "free some space, or name a folder on another disk with --out")
  }

  /// How to go on after a failure, with what there is.
  static func help(_ lastCheckpoint: String?, _ folder: String) -> String? {
    lastCheckpoint.map {
      "the last good checkpoint is \($0); go on from it with --resume \(folder)"
    }
  }
}
