// Batches of random numbers in place of a program's data, for timing: no files, no decoding, a few
// batches in memory that come round again. Nothing sensible can be learned from them.

import Basics
import Elaboration
import GraphIR

package final class RandomBatches: BatchSupplier {
  /// How many different batches each source has.
  package static let count = 4

  private let declarations: [DataDeclaration]
  private let seed: UInt64
  /// Made when they are first asked for. For lookup only.
  private var made: [String: [[UInt8]?]] = [:]

  package init(_ declarations: [DataDeclaration], seed: UInt64 = 0) {
    self.declarations = declarations
    self.seed = seed
    for declaration in declarations {
      made[declaration.name] = Array(repeating: nil, count: Self.count)
    }
  }

  package func fill(
    source: String, batch: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(EnvironmentFailure) {
    guard let declaration = declarations.first(where: { $0.name == source }) else {
      throw EnvironmentFailure("the data source '\(source)' is not declared")
    }
    let index = (batch % Self.count + Self.count) % Self.count
    if made[source]?[index] == nil { made[source]?[index] = batchBytes(declaration, index) }
    made[source]?[index]?.withUnsafeBytes { buffer.copyMemory(from: $0) }
  }

  /// Uniform in the declared range; without one, floats in 0...1 and whole numbers from 0 to 9.
  private func batchBytes(_ declaration: DataDeclaration, _ index: Int) -> [UInt8] {
    let type = declaration.type
    var random = PhiloxSequence(
      seed: seed, stream: StableHash.stream("random batch \(index) of \(declaration.name)"))
    let low = declaration.low ?? 0
    let high = declaration.high ?? (type.element.isFloat ? 1 : 9)
    var bytes = [UInt8](repeating: 0, count: type.byteCount)
    bytes.withUnsafeMutableBytes { raw in
      for element in 0..<type.count {
        let value = random.nextUniform()
        switch type.element {
        case .f32:
          raw.storeBytes(
            of: Float(low + (high - low) * value), toByteOffset: element * 4, as: Float.self)
        case .f64:
          raw.storeBytes(
            of: low + (high - low) * value, toByteOffset: element * 8, as: Double.self)
        case .i32:
          let whole = InitialValues.whole((low + (high - low + 1) * value).rounded(.down))
          raw.storeBytes(of: whole, toByteOffset: element * 4, as: Int32.self)
        case .bool:
          raw.storeBytes(of: value < 0.5 ? 0 : 1, toByteOffset: element * 4, as: Int32.self)
        }
      }
    }
    return bytes
  }
}
