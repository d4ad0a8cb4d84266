// What probably mends an operation that gave an infinity or a NaN, from what it is and what it was given.

import Formats
import GraphIR

enum Hints {
  /// e to more than this is no f32.
  private static let largestExponent = 88.72
  /// Numbers whose products and squares are near the end of f32, 3.4·10³⁸: something has grown without bound before.
  private static let blownUp = 1e15

  static func hint(for found: NonFiniteDiagnosis) -> String? {
    if case .data = found.part {
      return
        "gan-exec data SOURCE shows what a source holds; infinities and NaN must be replaced before training"
    }
    if case .backward(let operation) = found.part, let hint = ofAdjoint(operation, found) {
      return hint
    }
    if let hint = ofOperation(found) { return hint }
    if found.operation == "constant" {
      return "the number is too large for f32, which ends at 3.4e38"
    }
    let largest = found.operands.map(\.range.largest).max() ?? 0
    if largest > blownUp {
      return
        "values have grown to \(shortNumber(largest)): a smaller learning rate, or a bounded loss, "
        + "keeps them from blowing up"
    }
    return nil
  }

  private static func ofAdjoint(_ operation: String, _ found: NonFiniteDiagnosis) -> String? {
    switch operation {
    case "sqrt":
      "the gradient of sqrt is 1/(2·sqrt(x)), infinite at 0: add a small number inside, sqrt(x + 1e-8)"
    case "power":
      "the gradient of x to the power p is infinite at 0 where p is less than 1: add a small number to x"
    case "log":
      "the gradient of log is 1/x, infinite at 0: add a small number inside, log(x + 1e-8)"
    case "divide" where hasZero(found, operand: 1):
      "the gradient of a division by 0 is infinite: add a small number to the divisor"
    default: nil
    }
  }

  private static func hasZero(_ found: NonFiniteDiagnosis, operand: Int) -> Bool {
    found.operands.indices.contains(operand) && found.operands[operand].range.zeros > 0
  }

  private static func ofOperation(_ found: NonFiniteDiagnosis) -> String? {
    let operands = found.operands.map(\.range)
    guard let first = operands.first else { return nil }
    switch found.operation {
    case "log" where (first.least ?? 1) <= 0:
      return
        "log takes numbers above 0: add a small number inside, limit it by maximum(x, 1e-7), or use "
        + "bceWithLogits for a cross entropy"
    case "sqrt" where (first.least ?? 0) < 0:
      return "sqrt takes no negative numbers: limit them by maximum(x, 0)"
    case "divide" where hasZero(found, operand: 1):
      return "a division by 0: add a small number to the divisor"
    case "exp" where (first.greatest ?? 0) > largestExponent:
      return
        "exp of more than \(largestExponent) is too large for f32: limit it by minimum(x, 80), or subtract "
        + "the largest first"
    case "power":
      return
        "a power of a negative number, or of 0 to a negative exponent, or too large a result: limit the base "
        + "or the exponent"
    case "convert" where first.type.element == .f64 && first.largest > 3.4e38:
      return
        "a step size of \(shortNumber(first.largest)) is too large for f32: check the rate of this optimizer"
    default: return nil
    }
  }
}
