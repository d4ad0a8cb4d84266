// Where kernels' own memory lies beside the plan's: never over what is held at the time.

import Basics
import Planning
import Testing

@testable import CPUBackend

@Suite struct WorkspaceLayoutTests {
  @Test func gapsInTimeAndSpaceAreUsed() throws {
    var made = WorkspaceLayout([
      HeldMemory(offset: 0, bytes: 128, first: 0, last: 3),
      HeldMemory(offset: 128, bytes: 256, first: 2, last: 5),
      HeldMemory(offset: 384, bytes: 64, first: 0, last: 9),
    ])
    // Below the only buffer of the time, between two, over one that is not there any more, and beyond all.
    #expect(made.place(bytes: 256, first: 0, last: 1) == 128)
    #expect(made.place(bytes: 100, first: 4, last: 5) == 0)
    #expect(made.place(bytes: 320, first: 6, last: 6) == 0)
    #expect(made.byteCount == 448)
    #expect(made.place(bytes: 129, first: 3, last: 3) == 448)
    #expect(made.byteCount == 448 + 192)
    // What was placed is in the way, too.
    #expect(made.place(bytes: 64, first: 3, last: 3) == 640)
  }

  @Test(arguments: 0..<50) func nothingOverlaps(_ seed: Int) throws {
    var random = PhiloxSequence(seed: UInt64(seed), stream: 1)
    func some() -> HeldMemory {
      let first = random.nextInt(below: 20)
      return HeldMemory(
        offset: 0, bytes: 64 * random.nextInt(below: 12), first: first,
        last: first + random.nextInt(below: 6))
    }
    var made = WorkspaceLayout([])
    for _ in 0..<60 {
      let next = some()
      _ = made.place(bytes: next.bytes, first: next.first, last: next.last)
    }
    for (index, a) in made.held.enumerated() {
      #expect(a.offset % Plan.alignment == 0 && a.offset + a.bytes <= made.byteCount)
      for b in made.held[..<index] where a.overlaps(b) {
        #expect(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
      }
    }
  }
}
