// A step flushes denormal numbers to zero on the threads that compute; the caller's own arithmetic stays as it was.

import GraphIR
import Operators
import Planning
import Runtime
import Testing

@testable import CPUBackend

@Suite struct DenormalTests {
  /// Half the smallest normal number, computed where the compiler cannot fold it.
  @inline(never)
  private func half(_ x: Float) -> Float { x * 0.5 }

  @Test func theCallersArithmeticIsLeftAlone() throws {
    let builder = GraphBuilder(name: "denormals", stage: .differentiated)
    let x = try builder.input(.argument("x"), .f32(8))
    builder.output(.result("0"), try builder.square(x))
    let backend = try CPUBackend(threads: 1)
    let executable = try backend.load(
      Planner().plan(builder.finish()), states: backend.makeStateStore())
    #expect(half(.leastNormalMagnitude) > 0)
    try executable.run()
    #expect(half(.leastNormalMagnitude) > 0)
  }
}
