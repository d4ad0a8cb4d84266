// Draws the program's samples and writes them: a PNG grid each time, and an animated GIF of the
// unnamed one's grids. Results that are no pictures are written as .npy.

import Basics
import Elaboration
import Formats

package final class SampleWriter {
  private let session: Session
  private let source: ProgramSource
  private let folder: RunFolder
  private let data: any BatchSupplier
  private var animation: AnimatedGIFWriter?
  private var warning: String?
  private var hasWarned = false
  private var drawers: [(name: String?, drawer: SampleDrawer)] = []

  package init(
    session: Session, source: ProgramSource, folder: RunFolder, data: any BatchSupplier
  ) {
    self.session = session
    self.source = source
    self.folder = folder
    self.data = data
  }

  /// Draws one sample, after `step` steps, and writes it as `samples/LABEL.png`.
  @discardableResult
  package func write(
    _ sample: SampleProgram, label: String, step: Int
  ) throws -> DrawnSample {
    let drawn = try drawer(sample.name).all()
    let grid = try Self.grid(drawn, low: sample.low, high: sample.high)
    let name = sample.name.map { "\($0)-\(label)" } ?? label
    let path = "\(folder.samples)/\(name).\(grid == nil ? "npy" : "png")"
    if let grid {
      try FileIO.writeAtomically(try PNG.encode(grid), to: path)
      if sample.name == nil { animate(grid) }
    } else {
      let array = NPYArray(shape: drawn.shape, floats: drawn.values)
      try FileIO.writeAtomically(try array.encode(), to: path)
    }
    return DrawnSample(
      name: sample.name, label: label, step: step, path: path, shape: drawn.shape,
      values: drawn.values, grid: grid)
  }

  private func drawer(_ name: String?) throws -> SampleDrawer {
    if let known = drawers.first(where: { $0.name == name }) { return known.drawer }
    let made = try SampleDrawer(source, sample: name, session: session, data: data)
    drawers.append((name, made))
    return made
  }

  /// A grid of pictures of shape [n, h, w] or [n, h, w, 1 or 3]; nil for anything else.
  package static func grid(
    _ drawn: (shape: [Int], values: [Float]), low: Double, high: Double, columns: Int? = nil
  ) throws(EnvironmentFailure) -> Image? {
    let shape = drawn.shape
    guard shape.count == 3 || shape.count == 4 && [1, 3].contains(shape[3]) else { return nil }
    return try ImageGrid.make(
      images: drawn.values, count: shape[0], height: shape[1], width: shape[2],
      channels: shape.count == 4 ? shape[3] : 1, columns: columns, low: Float(low),
      high: Float(high))
  }

  // MARK: Animation

  /// A minute and a quarter at most, and no more memory than this while it is thinned.
  private static let animationLimit = AnimatedGIFWriter.Limit(frames: 300, bytes: 32 << 20)

  private var animationPath: String { "\(folder.path)/samples.gif" }

  /// What went wrong with the animation, which is no reason to end a run; said once.
  package func takeWarning() -> String? {
    defer { warning = nil }
    return warning
  }

  private func warn(_ text: String) {
    if !hasWarned { warning = text }
    hasWarned = true
  }

  /// A file that was moved away or changed is begun anew.
  private func animate(_ grid: Image) {
    do { try offer { grid } } catch {
      let reason = (error as? EnvironmentFailure)?.message ?? "\(error)"
      guard let animation, !animation.canContinue(with: grid) else {
        return warn("the animation lacks a frame: \(reason)")
      }
      self.animation = nil
      do {
        try offer { grid }
        warn("the animation begins anew: \(reason)")
      } catch {
        warn("there is no animation: \(reason)")
      }
    }
  }

  private func offer(_ grid: () throws -> Image) throws {
    if animation == nil {
      animation = AnimatedGIFWriter(path: animationPath, limit: Self.animationLimit)
    }
    try animation?.offer(grid)
  }

  /// On resume: pictures of later steps are removed and the animation is made again of those that
  /// stay. Pictures that are no samples of the program are the user's own.
  package func rewind(toStep step: Int, stepsPerEpoch: Int) throws {
    let names = session.program.samples.map(\.name)
    let drawn = try Self.drawn(in: folder, stepsPerEpoch: stepsPerEpoch).filter {
      names.contains($0.name)
    }
    for file in drawn where file.step > step { try FileIO.remove(file.path) }
    // Whatever is in its place: a new one is written over it, or cannot be, which is then said.
    try? FileIO.remove(animationPath)
    let frames = drawn.filter {
      $0.step <= step && $0.name == nil && $0.path.hasSuffix(".png")
    }
    guard let newest = frames.last.flatMap({ try? Self.picture($0.path) }) else { return }
    for file in frames {
      // A picture that someone has changed is no reason not to go on: it is left out.
      try? offer {
        let picture = try Self.picture(file.path)
        guard picture.width == newest.width, picture.height == newest.height,
          picture.channels == newest.channels
        else { throw EnvironmentFailure("'\(file.path)' is not of the newest picture's kind") }
        return picture
      }
    }
  }

  private static func picture(_ path: String) throws -> Image {
    try PNG.decode(try FileIO.read(path), name: path)
  }

  /// A file of `samples`, read from its name: `epoch-0003.png`, `NAME-step-00000200.png`.
  package struct DrawnFile: Sendable {
    package var step: Int
    /// The sample's name; nil is the unnamed one.
    package var name: String?
    package var label: String
    package var path: String
  }

  /// What was drawn, in the order of steps; `final` ones and foreign files are left out.
  package static func drawn(
    in folder: RunFolder, stepsPerEpoch: Int
  ) throws(EnvironmentFailure) -> [DrawnFile] {
    var files: [DrawnFile] = []
    for file in try FileIO.list(folder.samples)
    where file.hasSuffix(".png") || file.hasSuffix(".npy") {
      let parts = file.dropLast(4).split(separator: "-")
      guard parts.count >= 2, let number = Int(parts[parts.count - 1]),
        let step = step(number, of: parts[parts.count - 2], stepsPerEpoch),
        parts[parts.count - 1]
          == RunFolder.padded(number, parts[parts.count - 2] == "epoch" ? 4 : 8)
      else { continue }
      let name = parts.dropLast(2).joined(separator: "-")
      files.append(
        DrawnFile(
          step: step, name: name.isEmpty ? nil : name,
          label: parts.suffix(2).joined(separator: "-"), path: "\(folder.samples)/\(file)"))
    }
    return files.sorted { ($0.step, $0.path) < ($1.step, $1.path) }
  }

  private static func step(
    _ number: Int, of unit: Substring, _ stepsPerEpoch: Int
  ) -> Int? {
    switch unit {
    case "epoch":
      // A foreign file may have any number.
      let (step, overflow) = number.multipliedReportingOverflow(by: stepsPerEpoch)
      return overflow ? nil : step
    case "step": return number
    default: return nil
    }
  }
}
