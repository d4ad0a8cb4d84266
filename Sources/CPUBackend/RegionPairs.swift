// Joins instructions of a region that often follow each other into one, so that fewer blocks of lanes pass through
// the first-level cache: optimisers' moving averages, for instance. Rounding stays that of the single instructions.

import KernelTable

/// Instructions with one register each, register number = place, and how many operands each has.
struct RegionCode {
  var instructions: [RegionInstruction] = []
  var operandCounts: [Int] = []

  func operands(_ index: Int) -> [Int] {
    let instruction = instructions[index]
    return Array(
      [Int(instruction.a), Int(instruction.b), Int(instruction.c)].prefix(operandCounts[index]))
  }

  /// Joins what can be joined. `results` are registers whose values must remain; they are renumbered.
  mutating func joinPairs(results: inout [RegionOperand]) {
    var uses = [Int](repeating: 0, count: instructions.count)
    for index in instructions.indices {
      for operand in operands(index) where operand >= 0 { uses[operand] += 1 }
    }
    for case .register(let register) in results { uses[register] += 1 }
    var removed = [Bool](repeating: false, count: instructions.count)
    for index in instructions.indices {
      guard let joined = joined(index, uses) else { continue }
      instructions[index] = joined.instruction
      instructions[index].destination = Int32(index)
      operandCounts[index] = joined.operandCount
      for part in joined.parts { removed[part] = true }
    }
    let updates = holdAverages(uses, &removed)
    var order: [Int] = []
    for index in instructions.indices where !removed[index] {
      if let update = updates[index] { order += [update.sum, update.squares] }
      order.append(index)
    }
    rebuild(order, &results)
  }

  /// An optimiser's update: the parameter's instruction last, which divides the two averages before it.
  private struct Update {
    var sum: Int
    var squares: Int
    var quotient: Int
  }

  /// Makes the last instruction of each update compute all of it, and takes its parts out of their places. Nothing may
  /// read the averages but the update and the region's results. Updates by their last instruction.
  private mutating func holdAverages(_ uses: [Int], _ removed: inout [Bool]) -> [Int: Update] {
    var readers = [Int](repeating: 0, count: instructions.count)
    for index in instructions.indices where !removed[index] {
      for operand in operands(index) where operand >= 0 { readers[operand] += 1 }
    }
    var updates: [Int: Update] = [:]
    for index in instructions.indices
    where !removed[index] && instructions[index].opcode == .subtractProduct {
      guard let update = update(index, uses, readers) else { continue }
      let last = instructions[index]
      let quotient = instructions[update.quotient]
      let divides = quotient.opcode == .divideShiftedRootQuotient
      let rate = Int(last.b) == update.quotient ? last.c : last.b
      instructions[index] = RegionInstruction(
        divides ? .adaptiveUpdateQuotient : .adaptiveUpdate, destination: index, a: Int(last.a),
        b: Int(rate), c: divides ? Int(quotient.c) : 0, x: quotient.x)
      operandCounts[index] = divides ? 3 : 2
      instructions[update.sum].opcode = .heldSum
      instructions[update.squares].opcode = .heldSquareSum
      for part in [update.sum, update.squares, update.quotient] { removed[part] = true }
      updates[index] = update
    }
    return updates
  }

  private func update(_ index: Int, _ uses: [Int], _ readers: [Int]) -> Update? {
    let last = instructions[index]
    for operand in [last.b, last.c] where operand >= 0 {
      let quotient = instructions[Int(operand)]
      guard uses[Int(operand)] == 1,
        quotient.opcode == .divideShiftedRoot || quotient.opcode == .divideShiftedRootQuotient,
        quotient.a >= 0, quotient.b >= 0
      else { continue }
      let (sum, squares) = (Int(quotient.a), Int(quotient.b))
      if instructions[sum].opcode == .weightedSum, readers[sum] == 1,
        instructions[squares].opcode == .weightedSquareSum, readers[squares] == 1
      {
        return Update(sum: sum, squares: squares, quotient: Int(operand))
      }
    }
    return nil
  }

  private struct Joined {
    var instruction: RegionInstruction
    var operandCount: Int
    /// The instructions that it replaces besides the last.
    var parts: [Int]
  }

  /// The instruction that makes an operand, if it is of this kind and nothing else reads it.
  private func only(_ opcode: RegionOpcode, _ operand: Int32, _ uses: [Int]) -> RegionInstruction? {
    guard operand >= 0, uses[Int(operand)] == 1, instructions[Int(operand)].opcode == opcode else {
      return nil
    }
    return instructions[Int(operand)]
  }

  private func joined(_ index: Int, _ uses: [Int]) -> Joined? {
    let last = instructions[index]
    switch last.opcode {
    case .add: return weightedSum(last, uses)
    case .divide:
      if let sum = only(.addImmediate, last.b, uses) {
        let made = RegionInstruction(
          .divideShifted, destination: 0, a: Int(last.a), b: Int(sum.a), x: sum.x)
        return overRoot(made, sum: last.b, uses)
          ?? Joined(instruction: made, operandCount: 2, parts: [Int(last.b)])
      }
      if let root = only(.squareRoot, last.a, uses) {
        let made = RegionInstruction(
          .divideRoot, destination: 0, a: Int(root.a), b: Int(last.b))
        return Joined(instruction: made, operandCount: 2, parts: [Int(last.a)])
      }
    case .subtract:
      if let product = only(.multiply, last.b, uses) {
        let made = RegionInstruction(
          .subtractProduct, destination: 0, a: Int(last.a), b: Int(product.a), c: Int(product.b))
        return Joined(instruction: made, operandCount: 3, parts: [Int(last.b)])
      }
    case .select: return slopeAbove(last, uses)
    case .multiplyImmediate: return stepAt(last, uses)
    default: break
    }
    return nil
  }

  /// The gradient of a leaky ReLU.
  private func slopeAbove(_ last: RegionInstruction, _ uses: [Int]) -> Joined? {
    guard let condition = only(.greaterImmediate, last.a, uses),
      let scaled = only(.multiplyImmediate, last.c, uses), scaled.a == last.b
    else { return nil }
    let made = RegionInstruction(
      .slopeAbove, destination: 0, a: Int(condition.a), b: Int(last.b), x: condition.x, y: scaled.x)
    return Joined(instruction: made, operandCount: 2, parts: [Int(last.a), Int(last.c)])
  }

  /// A dropout's mask.
  private func stepAt(_ last: RegionInstruction, _ uses: [Int]) -> Joined? {
    guard last.x > 0, last.x.isFinite, let truth = only(.integerToFloat, last.a, uses),
      let condition = only(.greaterEqualImmediate, truth.a, uses)
    else { return nil }
    let made = RegionInstruction(
      .stepAt, destination: 0, a: Int(condition.a), x: condition.x, y: last.x)
    return Joined(instruction: made, operandCount: 1, parts: [Int(last.a), Int(truth.a)])
  }

  /// `shifted` (a / (b + x), whose sum is the instruction `sum`) joined with the root that b is made of.
  private func overRoot(_ shifted: RegionInstruction, sum: Int32, _ uses: [Int]) -> Joined? {
    var made = shifted
    if let root = only(.squareRoot, shifted.b, uses) {
      made.opcode = .divideShiftedRoot
      made.b = root.a
      return Joined(instruction: made, operandCount: 2, parts: [Int(sum), Int(shifted.b)])
    }
    if let quotient = only(.divideRoot, shifted.b, uses) {
      made.opcode = .divideShiftedRootQuotient
      made.b = quotient.a
      made.c = quotient.b
      return Joined(instruction: made, operandCount: 3, parts: [Int(sum), Int(shifted.b)])
    }
    return nil
  }

  private func weightedSum(_ last: RegionInstruction, _ uses: [Int]) -> Joined? {
    guard let first = only(.multiplyImmediate, last.a, uses),
      let second = only(.multiplyImmediate, last.b, uses)
    else { return nil }
    // The square of either side; addition commutes.
    for (plain, weighted) in [(first, second), (second, first)] {
      guard let square = only(.square, weighted.a, uses) else { continue }
      let made = RegionInstruction(
        .weightedSquareSum, destination: 0, a: Int(plain.a), b: Int(square.a), x: plain.x,
        y: weighted.x)
      return Joined(
        instruction: made, operandCount: 2, parts: [Int(last.a), Int(last.b), Int(weighted.a)])
    }
    let made = RegionInstruction(
      .weightedSum, destination: 0, a: Int(first.a), b: Int(second.a), x: first.x, y: second.x)
    return Joined(instruction: made, operandCount: 2, parts: [Int(last.a), Int(last.b)])
  }

  /// Keeps the instructions of `order`, in this order, and renumbers them.
  private mutating func rebuild(_ order: [Int], _ results: inout [RegionOperand]) {
    var number = [Int](repeating: 0, count: instructions.count)
    var kept = RegionCode()
    for index in order {
      number[index] = kept.instructions.count
      var instruction = instructions[index]
      instruction.destination = Int32(kept.instructions.count)
      func renumbered(_ operand: Int32) -> Int32 {
        operand >= 0 ? Int32(number[Int(operand)]) : operand
      }
      let count = operandCounts[index]
      if count > 0 { instruction.a = renumbered(instruction.a) }
      if count > 1 { instruction.b = renumbered(instruction.b) }
      if count > 2 { instruction.c = renumbered(instruction.c) }
      kept.instructions.append(instruction)
      kept.operandCounts.append(count)
    }
    self = kept
    results = results.map { result in
      if case .register(let register) = result { return .register(number[register]) }
      return result
    }
  }
}
