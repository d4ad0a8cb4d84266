// A copy of all states after a number of steps, made again and again in the same memory: what a run that died is replayed
// from, and what weights are compared with. Only states without infinities and NaN are copied.

import Basics
import Elaboration

final class StateSnapshot {
  private let states: [StateDeclaration]
  /// Of each state, in the order of the program; empty until the first copy.
  private var copies: [[UInt8]]
  private var scratch: [UInt8] = []
  /// Steps done when it was made; nil while there is none.
  private(set) var step: Int?

  init(_ program: Program) {
    states = program.states
    copies = program.states.map { _ in [] }
  }

  /// The bytes that a copy takes.
  static func byteCount(_ program: Program) -> Int {
    program.states.reduce(0) { $0 + $1.type.byteCount }
  }

  /// Copies the states after `step` steps. Where one of them holds an infinity or a NaN, it is returned and the older copy
  /// stays.
  func take(
    _ session: Session, step: Int
  ) throws(EnvironmentFailure) -> (name: String, value: Double)? {
    // First all are looked at: a copy is of one moment.
    for state in states where state.type.element == .f32 {
      let bad = try withBytes(of: state, session) { firstNonFinite($0.bindMemory(to: UInt32.self)) }
      if let bad { return (state.name, Double(bad)) }
    }
    for (index, state) in states.enumerated() {
      if copies[index].isEmpty {
        copies[index] = [UInt8](repeating: 0, count: state.type.byteCount)
      }
      try copies[index].withUnsafeMutableBufferPointer { (bytes) throws(EnvironmentFailure) in
        try session.states.read(state.name, into: UnsafeMutableRawBufferPointer(bytes))
      }
    }
    self.step = step
    return nil
  }

  /// Puts the copied states back.
  func restore(_ session: Session) throws(EnvironmentFailure) {
    for (state, bytes) in zip(states, copies) { try session.setBytes(state.name, bytes) }
  }

  /// The copied bytes of a state.
  func bytes(of name: String) -> [UInt8] {
    states.firstIndex { $0.name == name }.map { copies[$0] } ?? []
  }

  /// The bytes of a state as it is now, in memory that is used again.
  private func withBytes<Result>(
    of state: StateDeclaration, _ session: Session, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(EnvironmentFailure) -> Result {
    let count = state.type.byteCount
    if scratch.count < count {
      scratch = [UInt8](repeating: 0, count: states.map(\.type.byteCount).max() ?? count)
    }
    return try scratch.withUnsafeMutableBufferPointer {
      (bytes) throws(EnvironmentFailure) -> Result in
      let target = UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(rebasing: bytes[0..<count]))
      try session.states.read(state.name, into: target)
      return body(UnsafeRawBufferPointer(target))
    }
  }

  // MARK: Sizes

  /// The root mean squares over the parameters of a network: of the weights in the copy, and of what has been added to them
  /// since. Nil where the network has none.
  func movement(
    of network: String, _ session: Session
  ) throws(EnvironmentFailure) -> (weights: Double, change: Double)? {
    var weights = 0.0
    var change = 0.0
    var count = 0
    for (index, state) in states.enumerated()
    where state.network == network && state.kind == .parameter && state.type.element == .f32 {
      let copy = copies[index]
      guard copy.count == state.type.byteCount else { return nil }
      let sums = try withBytes(of: state, session) { now in
        copy.withUnsafeBytes {
          Self.sums(now.bindMemory(to: Float.self), $0.bindMemory(to: Float.self))
        }
      }
      weights += sums.before
      change += sums.change
      count += state.type.count
    }
    guard count > 0 else { return nil }
    return ((weights / Double(count)).squareRoot(), (change / Double(count)).squareRoot())
  }

  /// The root mean square of the copies of the states for which `wanted` holds; nil where there are none.
  func size(where wanted: (StateDeclaration) -> Bool) -> Double? {
    var sum = 0.0
    var count = 0
    for (state, copy) in zip(states, copies) where state.type.element == .f32 && wanted(state) {
      sum += copy.withUnsafeBytes { raw in
        raw.bindMemory(to: Float.self).reduce(0.0) { $0 + Double($1) * Double($1) }
      }
      count += state.type.count
    }
    return count == 0 ? nil : (sum / Double(count)).squareRoot()
  }

  /// Sums of squares.
  private static func sums(
    _ now: UnsafeBufferPointer<Float>, _ copy: UnsafeBufferPointer<Float>
  ) -> (before: Double, change: Double) {
    var before = 0.0
    var change = 0.0
    for index in now.indices {
      let old = Double(copy[index])
      let difference = Double(now[index]) - old
      before += old * old
      change += difference * difference
    }
    return (before, change)
  }
}

/// The first infinity or NaN among the bits of floats: all ones in the exponent. Whole blocks at a time, because all are
/// looked at far more often than one is found; and over pointers, because code without optimisation looks at all states too:
/// a loop over slices took a tenth of the time of all tests.
func firstNonFinite(_ words: UnsafeBufferPointer<UInt32>) -> Float? {
  guard var block = words.baseAddress else { return nil }
  let end = block + words.count
  let exponent: UInt32 = 0x7F80_0000
  while block < end {
    let next = end - block > 4096 ? block + 4096 : end
    var found: UInt32 = 0
    var word = block
    while word < next {
      found |= (word.pointee & exponent) &+ 0x0080_0000
      word += 1
    }
    if found & 0x8000_0000 != 0 {
      word = block
      while word.pointee & exponent != exponent { word += 1 }
      return Float(bitPattern: word.pointee)
    }
    block = next
  }
  return nil
}
