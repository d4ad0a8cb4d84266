import Basics
import Formats
import TestSupport
import Testing

@Suite struct GridTests {
  @Test func placesAndEnlarges() throws {
    // Three 1×2 pictures in two columns, padding 1, doubled.
    let grid = try ImageGrid.make(
      images: [-1, 1, 0, 0.5, 1, -1], count: 3, height: 1, width: 2, channels: 1, columns: 2,
      padding: 1, scale: 2, background: 9)
    #expect(grid.width == 14 && grid.height == 10 && grid.isConsistent)
    let small = (0..<5).map { y in (0..<7).map { x in grid.pixels[2 * y * 14 + 2 * x] } }
    let expected: [[UInt8]] = [
      [9, 9, 9, 9, 9, 9, 9], [9, 0, 255, 9, 128, 191, 9], [9, 9, 9, 9, 9, 9, 9],
      [9, 255, 0, 9, 9, 9, 9], [9, 9, 9, 9, 9, 9, 9],
    ]
    #expect(small == expected)
    for y in 0..<10 {
      for x in 0..<14 { #expect(grid.pixels[y * 14 + x] == expected[y / 2][x / 2]) }
    }
  }

  @Test func keepsChannelsTogether() throws {
    let grid = try ImageGrid.make(
      images: [0, 0.5, 1, 1, 0, 0], count: 1, height: 1, width: 2, channels: 3, low: 0, padding: 0,
      scale: 1)
    #expect(grid == Image(width: 2, height: 1, channels: 3, pixels: [0, 128, 255, 255, 0, 0]))
  }

  @Test func clampsAndRounds() {
    let values: [Float] = [-.infinity, -2, -1, 0, 1, 2, .infinity, .nan, 1e38]
    #expect(ImageGrid.levels(values, -1, 1) == [0, 0, 0, 128, 255, 255, 255, 0, 255])
    #expect(ImageGrid.levels([0, 100, 255], 0, 255) == [0, 100, 255])
    #expect(ImageGrid.levels([5], 1, 1) == [0])
  }

  @Test func choosesColumnsAndScale() throws {
    func size(_ count: Int, _ side: Int) throws -> [Int] {
      let grid = try ImageGrid.make(
        images: [Float](repeating: 0, count: count * side * side), count: count, height: side,
        width: side, channels: 1)
      return [grid.width, grid.height]
    }
    // 8×8 pictures of 28×28 make 242 pixels, shown twice as large.
    #expect(try size(64, 28) == [484, 484])
    #expect(try size(16, 28) == [488, 488])
    #expect(try size(5, 4) == [80, 56])
    #expect(try size(1, 600) == [604, 604])
  }

  @Test func refusesWhatCannotBeDrawn() {
    expectFailure("2 channels") {
      _ = try ImageGrid.make(images: [0, 0], count: 1, height: 1, width: 1, channels: 2)
    }
    expectFailure("are not 2 pictures") {
      _ = try ImageGrid.make(images: [0, 0], count: 2, height: 1, width: 2, channels: 1)
    }
    expectFailure("are not 0 pictures") {
      _ = try ImageGrid.make(images: [], count: 0, height: 1, width: 2, channels: 1)
    }
    expectFailure("too large") {
      _ = try ImageGrid.make(
        images: [0], count: 1, height: 1, width: 1, channels: 1, scale: 1 << 40)
    }
    expectFailure("too large") {
      _ = try ImageGrid.make(
        images: [0], count: 1, height: 1, width: 1, channels: 1, padding: .max)
    }
  }
}
