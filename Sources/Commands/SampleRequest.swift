// What the options of `gan-exec sample` ask for: how many images, of which classes, from which seeds.

import Basics
import Elaboration
import Training

struct SampleRequest {
  /// Images of each class where several are asked for and no number is given.
  private static let columnsOfClasses = 10
  private static let mostImages = 1_000_000

  let name: String?
  let seed: UInt64?
  /// Columns of the grid; nil is as square as possible.
  let columns: Int?
  /// Frames from one seed to the next.
  let frames: Int
  private let given: Int?
  private let classText: String?
  private let walkSeeds: [UInt64]?

  init(_ arguments: ParsedArguments, _ output: SampleOutput) throws(UsageError) {
    name = arguments.value("--name")
    seed = try arguments.seed()
    classText = arguments.value("--class")
    let count = try arguments.integer("--count", in: 1...Self.mostImages)
    let grid = try Self.grid(arguments, output)
    if grid != nil, count != nil || classText.map({ $0.contains(",") || $0 == "all" }) == true {
      throw UsageError(
        "--grid says how many images there are, so neither --count nor several "
          + "classes can be given with it")
    }
    given = count ?? grid.map { $0.columns * $0.rows }
    columns = grid?.columns
    let frames = try arguments.integer("--frames", in: 1...10_000)
    self.frames = frames ?? 30
    walkSeeds = try Self.seeds(arguments)
    if !arguments.has("--interpolate"), frames != nil || walkSeeds != nil {
      throw UsageError("--seeds and --frames are for a walk between seeds; add --interpolate")
    }
    if walkSeeds != nil, seed != nil {
      throw UsageError("--seeds names all seeds of the walk; --seed cannot be given with it")
    }
  }

  private static func grid(
    _ arguments: ParsedArguments, _ output: SampleOutput
  ) throws(UsageError) -> (columns: Int, rows: Int)? {
    guard let text = arguments.value("--grid") else { return nil }
    guard output.isGrid else {
      throw UsageError("--grid is for pictures in a grid, a .png or .gif file")
    }
    let parts = text.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard parts.count == 2, let columns = parts[0], let rows = parts[1],
      1...1000 ~= columns, 1...1000 ~= rows
    else { throw UsageError("--grid takes COLUMNSxROWS, such as 8x4, not '\(text)'") }
    return (columns, rows)
  }

  private static func seeds(_ arguments: ParsedArguments) throws(UsageError) -> [UInt64]? {
    guard let text = arguments.value("--seeds") else { return nil }
    let seeds = text.split(separator: ",", omittingEmptySubsequences: false).map { UInt64($0) }
    let known = seeds.compactMap { $0 }
    guard known.count == seeds.count, known.count >= 2 else {
      throw UsageError("--seeds takes two or more whole numbers, such as 1,5,9, not '\(text)'")
    }
    return known
  }

  /// The seeds of a walk, the first of which it comes back to.
  func seeds(_ own: UInt64) -> [UInt64] {
    walkSeeds ?? [seed ?? own, (seed ?? own) &+ 1]
  }

  /// The classes asked for; nil where the program's own are drawn.
  func classes(of sample: SampleProgram) throws(UsageError) -> [Int?]? {
    guard let classText else { return nil }
    let limit: ClassLimit
    do {
      limit = try ClassLimit.ofOnlyLabel(sample.graph).limit
    } catch {
      throw UsageError("--class: \(error.message)")
    }
    if classText == "all" { return Array(0..<limit.count) }
    let parts = classText.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    let classes = parts.compactMap { $0 }
    guard classes.count == parts.count, !classes.isEmpty else {
      throw UsageError("--class takes a number, several as 1,4,7, or all, not '\(classText)'")
    }
    guard let wrong = classes.first(where: { !(0..<limit.count).contains($0) }) else {
      return classes
    }
    throw UsageError("--class \(wrong): \(limit.text)")
  }

  /// How many images of each class; nil is the program's count.
  func count(_ classes: [Int?]?) -> Int? {
    given ?? ((classes?.count ?? 1) > 1 ? Self.columnsOfClasses : nil)
  }
}
