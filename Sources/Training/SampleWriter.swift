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
      if sample.name == nil { try animate(grid) }
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

  private var animationPath: String { "\(folder.path)/samples.gif" }

  private func animate(_ grid: Image) throws {
    if animation == nil { animation = AnimatedGIFWriter(path: animationPath) }
    try animation?.append(grid)
  }

  /// On resume: pictures of later steps are removed and the animation is made again of those that
  /// stay.
  package func rewind(toStep step: Int, stepsPerEpoch: Int) throws {
    let names = try FileIO.list(folder.samples).filter {
      $0.hasSuffix(".png") || $0.hasSuffix(".npy")
    }
    var frames: [(step: Int, path: String)] = []
    for name in names {
      let path = "\(folder.samples)/\(name)"
      guard let drawn = Self.step(ofName: name, stepsPerEpoch: stepsPerEpoch) else { continue }
      if drawn > step {
        try FileIO.remove(path)
      } else if name.hasPrefix("epoch-") || name.hasPrefix("step-"), name.hasSuffix(".png") {
        frames.append((drawn, path))
      }
    }
    if FileIO.exists(animationPath) { try FileIO.remove(animationPath) }
    for frame in frames.sorted(by: { ($0.step, $0.path) < ($1.step, $1.path) }) {
      // A picture that someone has changed is no reason not to go on.
      guard let bytes = try? FileIO.read(frame.path),
        let picture = try? PNG.decode(bytes, name: frame.path)
      else { continue }
      try? animate(picture)
    }
  }

  /// The step after which a sample of this name was drawn; nil for `final` ones and foreign files.
  private static func step(ofName name: String, stepsPerEpoch: Int) -> Int? {
    let stem = name.split(separator: ".")[0]
    let parts = stem.split(separator: "-")
    guard parts.count >= 2, let number = Int(parts[parts.count - 1]) else { return nil }
    switch parts[parts.count - 2] {
    case "epoch":
      // A foreign file may have any number.
      let (step, overflow) = number.multipliedReportingOverflow(by: stepsPerEpoch)
      return overflow ? nil : step
    case "step": return number
    default: return nil
    }
  }
}
