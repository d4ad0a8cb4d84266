// From the steps of a region to a program of the block interpreter. In: steps whose arguments are inputs or
// earlier steps, with types. Out: instructions with few registers, and the operands that hold the results.

import Basics
import GraphIR
import KernelTable
import Operators

/// An operand while a region is compiled. Registers are numbered once per instruction; real ones come last.
enum RegionOperand: Hashable {
  case input(Int)
  case register(Int)
}

struct RegionCompiler {
  /// Instructions with one register each, in order; operands as `RegionInstruction` wants them.
  private var code = RegionCode()
  /// The one value of an input that is a constant.
  private let splats: [Double?]

  init(splats: [Double?]) { self.splats = splats }

  /// The value of an operand that is a constant.
  func constant(_ operand: RegionOperand) -> Float? {
    guard case .input(let index) = operand, let value = splats[index] else { return nil }
    return Float(value)
  }

  /// Appends an instruction and returns its register.
  mutating func emit(
    _ opcode: RegionOpcode, _ operands: RegionOperand..., x: Float = 0, integer: Int32 = 0
  ) -> RegionOperand {
    func number(_ index: Int) -> Int {
      guard index < operands.count else { return 0 }
      switch operands[index] {
      case .input(let i): return RegionInstruction.input(i)
      case .register(let r): return r
      }
    }
    let register = code.instructions.count
    code.instructions.append(
      RegionInstruction(
        opcode, destination: register, a: number(0), b: number(1), c: number(2), x: x,
        integer: integer))
    code.operandCounts.append(operands.count)
    return .register(register)
  }

  /// The program: registers shared between values that are never alive together.
  func finish(results wanted: [RegionOperand]) -> (
    instructions: [RegionInstruction], sources: [Int], registerCount: Int
  ) {
    var code = code
    var results = wanted
    code.joinPairs(results: &results)
    let instructions = code.instructions
    var lastUse = instructions.indices.map { $0 }
    for index in instructions.indices {
      for operand in code.operands(index) where operand >= 0 {
        lastUse[operand] = index
      }
    }
    for result in results {
      if case .register(let register) = result { lastUse[register] = instructions.count }
    }
    var assigned = [Int](repeating: 0, count: instructions.count)
    var free: [Int] = []
    var registerCount = 0
    var program: [RegionInstruction] = []
    for (index, instruction) in instructions.enumerated() {
      var final = instruction
      let count = code.operandCounts[index]
      if count > 0, instruction.a >= 0 { final.a = Int32(assigned[Int(instruction.a)]) }
      if count > 1, instruction.b >= 0 { final.b = Int32(assigned[Int(instruction.b)]) }
      if count > 2, instruction.c >= 0 { final.c = Int32(assigned[Int(instruction.c)]) }
      // Operands are read before the register is written, so one that dies here can be the destination.
      var released: [Int] = []
      for operand in code.operands(index) where operand >= 0 && lastUse[operand] == index {
        if !released.contains(operand) { released.append(operand) }
      }
      free += released.map { assigned[$0] }
      let register: Int
      if let reused = free.popLast() {
        register = reused
      } else {
        register = registerCount
        registerCount += 1
      }
      assigned[index] = register
      if lastUse[index] == index { free.append(register) }
      final.destination = Int32(register)
      program.append(final)
    }
    let sources = results.map { result in
      switch result {
      case .input(let i): RegionInstruction.input(i)
      case .register(let r): assigned[r]
      }
    }
    return (program, sources, registerCount)
  }
}
