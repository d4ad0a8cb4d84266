// The first values of states: a function of (seed, name, index), so that they do not depend on the
// order in which states are declared nor on other states being there.

import Basics
import Elaboration
import GraphIR

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package enum InitialValues {
  /// Keras divides by the deviation of a standard normal cut off at ±2.
  private static let truncatedDeviation = 0.87962566103423978

  /// The elements of a state of floats. `.copy` is resolved by the caller.
  package static func floats(_ state: StateDeclaration, seed: UInt64) -> [Float] {
    let count = state.type.count
    var random = PhiloxSequence(seed: seed, stream: StableHash.stream("initial " + state.name))
    switch state.initializer {
    case .constant(let value): return [Float](repeating: Float(value), count: count)
    case .uniform(let low, let high):
      return make(count) { Float(low + (high - low) * random.nextUniform()) }
    case .normal(let deviation):
      var normal = NormalSequence(random)
      return make(count) { Float(deviation * normal.next()) }
    case .truncatedNormal(let deviation):
      var normal = NormalSequence(random)
      let scale = deviation / truncatedDeviation
      return make(count) {
        var value = normal.next()
        while abs(value) > 2 { value = normal.next() }
        return Float(scale * value)
      }
    case .copy: return []
    }
  }

  /// A whole number of 32 bits from one of a program: cut off, and limited to what there is.
  package static func whole(_ number: Double) -> Int32 {
    number.isNaN ? 0 : Int32(min(max(number, -2_147_483_648), 2_147_483_647))
  }

  private static func make(_ count: Int, _ next: () -> Float) -> [Float] {
    [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count { buffer[index] = next() }
      initialized = count
    }
  }
}

/// Standard normal numbers by Box and Muller, two at a time, in Double.
package struct NormalSequence: Sendable {
  private var random: PhiloxSequence
  private var spare: Double?

  package init(_ random: PhiloxSequence) { self.random = random }

  package mutating func next() -> Double {
    if let value = spare {
      spare = nil
      return value
    }
    let radius = sqrt(-2 * log(1 - random.nextUniform()))
    let angle = 2 * Double.pi * random.nextUniform()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }
}
