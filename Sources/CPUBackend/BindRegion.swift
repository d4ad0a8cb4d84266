// Binds element-wise work: single operations, fused regions, epilogues. In: steps with types and the tensors they
// read and write. Out: launches of the region kernel, and of the host interpreter for scalar f64 arithmetic.

import Basics
import GraphIR
import KernelTable
import Operators

/// A region with the tensors it is bound to.
struct RegionBinding {
  let node: NodeBinding
  let region: Region
  let inputs: [BoundTensor]
  let results: [BoundTensor]
  /// Types of the steps.
  let types: [TensorType]

  init(
    _ node: NodeBinding, _ region: Region, inputs: [BoundTensor], results: [BoundTensor]
  ) throws(EnvironmentFailure) {
    self.node = node
    self.region = region
    self.inputs = inputs
    self.results = results
    do {
      types = try region.inferSteps(inputs.map(\.type))
    } catch {
      throw node.unsupported(error.message)
    }
  }

  func type(of reference: Region.Reference) -> TensorType {
    switch reference {
    case .input(let i): inputs[i].type
    case .step(let s): types[s]
    }
  }

  // MARK: Binding

  /// Launches for the whole region. With `atOnce`, parts that have no step in common are one launch: results must not lie
  /// over what other parts read.
  func bind(atOnce: Bool = false) throws(EnvironmentFailure) {
    let hostSteps = try hostSteps()
    let usesHost = hostSteps.contains(true) || results.contains { $0.type.element == .f64 }
    guard usesHost else {
      if atOnce { try bindParts() } else { try bindVector() }
      return
    }
    let vector = try HostPart(self, hostSteps).bind()
    if let vector { try vector.bindVector() }
  }

  /// Which steps the host interpreter runs: those that touch f64, and what they depend on.
  func hostSteps() throws(EnvironmentFailure) -> [Bool] {
    var host = [Bool](repeating: false, count: types.count)
    for (index, step) in region.steps.enumerated() {
      host[index] =
        types[index].element == .f64
        || step.arguments.contains { type(of: $0).element == .f64 }
    }
    for index in region.steps.indices.reversed() where host[index] {
      for case .step(let s) in region.steps[index].arguments { host[s] = true }
    }
    for index in region.steps.indices where host[index] && types[index].count != 1 {
      throw node.unsupported("f64 is for scalars alone")
    }
    return host
  }

  /// One launch for each shape among the results.
  private func bindVector() throws(EnvironmentFailure) {
    for program in try programs(for: Array(results.indices)) { launch(program) }
  }

  /// One launch for all parts.
  private func bindParts() throws(EnvironmentFailure) {
    var programs: [RegionArguments] = []
    for part in region.parts() { programs += try self.programs(for: part.results) }
    if programs.count == 1 { return launch(programs[0]) }
    var arguments = RegionsArguments()
    arguments.programs = UnsafePointer(node.memory.store(array: programs))
    arguments.programCount = programs.count
    node.context.launch(
      "regions", node.table.regions, arguments, tasks: arguments.tasks(),
      scratch: arguments.scratchBytes())
  }

  /// A program for each shape among some of the results.
  private func programs(for chosen: [Int]) throws(EnvironmentFailure) -> [RegionArguments] {
    var shapes: [[Int]] = []
    for index in chosen where !shapes.contains(results[index].shape) {
      shapes.append(results[index].shape)
    }
    var programs: [RegionArguments] = []
    for shape in shapes {
      programs.append(
        try compile(shape: shape, results: chosen.filter { results[$0].shape == shape }))
    }
    return programs
  }

  private func launch(_ program: RegionArguments) {
    let stored = node.memory.store(program)
    node.context.launch(
      "region", node.table.region, stored: stored, tasks: program.tasks(),
      scratch: program.scratchBytes())
  }

  /// The program for the results of one shape. Keeps input 0 in its place even if nothing reads it, where `keepsFirst`:
  /// matrix kernels look for their own output there.
  func compile(
    shape: [Int], results chosen: [Int], keepsFirst: Bool = false
  ) throws(EnvironmentFailure) -> RegionArguments {
    var compiler = RegionCompiler(splats: inputs.map(\.splat))
    var operands: [RegionOperand?] = Array(repeating: nil, count: region.steps.count)
    var outputs: [RegionOperand] = []
    let needed = region.neededSteps(chosen.map { region.results[$0] })
    for (index, step) in region.steps.enumerated() where needed[index] {
      let operation = step.operation.operation
      guard let lowering = RegionLowering.find(operation) else {
        throw node.with(operation, inputs, results).unsupported("it is not in the interpreter")
      }
      var arguments: [RegionOperand] = []
      for argument in step.arguments { arguments.append(operand(argument, operands)) }
      let elements = step.arguments.map { type(of: $0).element }
      operands[index] = lowering(
        RegionStep(operation: operation, arguments: arguments, elements: elements), &compiler)
    }
    for index in chosen {
      var output = operand(region.results[index], operands)
      // An input that is passed through is read when outputs are written, one of which may lie over it.
      if case .input = output, chosen.count > 1 { output = compiler.emit(.copy, output) }
      // Each register is stored once, so that the kernel can write it straight to the result.
      if outputs.contains(output) { output = compiler.emit(.copy, output) }
      outputs.append(output)
    }
    let program = compiler.finish(results: outputs)
    return arguments(program, shape, chosen, keepsFirst)
  }

  private func operand(_ reference: Region.Reference, _ steps: [RegionOperand?]) -> RegionOperand {
    switch reference {
    case .input(let i): .input(i)
    case .step(let s): steps[s] ?? .input(0)
    }
  }

  /// The argument struct: inputs that nothing reads any more (constants that became immediates) are left out.
  private func arguments(
    _ program: (instructions: [RegionInstruction], sources: [Int], registerCount: Int),
    _ shape: [Int], _ chosen: [Int], _ keepsFirst: Bool
  ) -> RegionArguments {
    var used = [Bool](repeating: false, count: inputs.count)
    var usedAsWords = used
    if keepsFirst, !used.isEmpty { used[0] = true }
    func note(_ operand: Int32, _ list: inout [Bool]) {
      if operand < 0 { list[Int(-1 - operand)] = true }
    }
    for instruction in program.instructions {
      for operand in [instruction.a, instruction.b, instruction.c] {
        if instruction.opcode.readsWords {
          note(operand, &usedAsWords)
        } else {
          note(operand, &used)
        }
      }
    }
    for source in program.sources { note(Int32(source), &used) }
    var number = [Int32](repeating: 0, count: inputs.count)
    var numberAsWords = number
    var bound: [RegionInput] = []
    for index in inputs.indices where used[index] {
      number[index] = Int32(bound.count)
      let shown = inputs[index].isOneElement ? [] : inputs[index].shape
      let pattern = AccessPattern(reading: shown, in: shape)
      bound.append(pattern.input(inputs[index].pointer, node.memory))
    }
    for index in inputs.indices where usedAsWords[index] {
      numberAsWords[index] = Int32(bound.count)
      bound.append(RegionInput(inputs[index].pointer, .words))
    }
    func renumbered(_ operand: Int32, _ numbers: [Int32]) -> Int32 {
      operand < 0 ? -1 - numbers[Int(-1 - operand)] : operand
    }
    let instructions = program.instructions.map { instruction in
      var copy = instruction
      let numbers = instruction.opcode.readsWords ? numberAsWords : number
      copy.a = renumbered(instruction.a, numbers)
      copy.b = renumbered(instruction.b, numbers)
      copy.c = renumbered(instruction.c, numbers)
      return copy
    }
    let outputs = chosen.indices.map { i in
      RegionOutput(
        source: Int(renumbered(Int32(program.sources[i]), number)), results[chosen[i]].pointer)
    }
    var arguments = RegionArguments()
    arguments.instructions = UnsafePointer(node.memory.store(array: instructions))
    arguments.instructionCount = instructions.count
    arguments.inputs = UnsafePointer(node.memory.store(array: bound))
    arguments.inputCount = bound.count
    arguments.outputs = UnsafePointer(node.memory.store(array: outputs))
    arguments.outputCount = outputs.count
    arguments.registerCount = program.registerCount
    arguments.count = shape.reduce(1, *)
    return arguments
  }
}

/// The part of a region that the host interpreter runs, before the rest.
private struct HostPart {
  let binding: RegionBinding
  let host: [Bool]

  init(_ binding: RegionBinding, _ host: [Bool]) {
    self.binding = binding
    self.host = host
  }

  private func isHost(_ reference: Region.Reference) -> Bool {
    switch reference {
    case .input(let i): binding.inputs[i].type.element == .f64
    case .step(let s): host[s]
    }
  }

  /// Appends the launch; returns what is left for the region kernel, nil where that is nothing.
  func bind() throws(EnvironmentFailure) -> RegionBinding? {
    let region = binding.region
    let node = binding.node
    // Where the whole region runs here, results are written at once; else they wait in temporaries, because the rest
    // may read an operand that a result lies over.
    let allHost = region.results.allSatisfy(isHost)
    var inputs = binding.inputs
    var passed: [Int: Int] = [:]
    var outputs: [HostScalar] = []
    func pass(_ step: Int) -> Region.Reference {
      if let known = passed[step] { return .input(known) }
      let temporary = node.context.temporary(binding.types[step])
      outputs.append(scalar(temporary, slot: slot(.step(step))))
      passed[step] = inputs.count
      inputs.append(temporary)
      return .input(inputs.count - 1)
    }
    var results: [BoundTensor] = []
    var references: [Region.Reference] = []
    for (reference, result) in zip(region.results, binding.results) {
      if allHost || result.type.element == .f64 {
        outputs.append(scalar(result, slot: slot(reference)))
      } else {
        results.append(result)
        references.append(reference)
      }
    }
    var steps: [Region.Step] = []
    var number = [Int](repeating: 0, count: region.steps.count)
    func moved(_ reference: Region.Reference) -> Region.Reference {
      guard case .step(let s) = reference else { return reference }
      return host[s] ? pass(s) : .step(number[s])
    }
    let wanted = reachable(from: references)
    for (index, step) in region.steps.enumerated() where !host[index] && wanted[index] {
      number[index] = steps.count
      steps.append(Region.Step(step.operation.operation, step.arguments.map(moved)))
    }
    references = references.map(moved)
    try launch(outputs)
    if results.isEmpty { return nil }
    let rest = Region(inputCount: inputs.count, steps: steps, results: references)
    return try RegionBinding(node, rest, inputs: inputs, results: results)
  }

  private func reachable(from references: [Region.Reference]) -> [Bool] {
    var wanted = [Bool](repeating: false, count: host.count)
    for case .step(let s) in references { wanted[s] = true }
    for index in host.indices.reversed() where wanted[index] && !host[index] {
      for case .step(let s) in binding.region.steps[index].arguments { wanted[s] = true }
    }
    return wanted
  }

  private func scalar(_ tensor: BoundTensor, slot: Int) -> HostScalar {
    HostScalar(
      pointer: tensor.pointer, element: hostElement(tensor.type.element), slot: Int32(slot))
  }

  /// Slots: one an input, then one a step.
  private func slot(_ reference: Region.Reference) -> Int {
    switch reference {
    case .input(let i): i
    case .step(let s): binding.inputs.count + s
    }
  }

  private func launch(_ outputs: [HostScalar]) throws(EnvironmentFailure) {
    let node = binding.node
    var inputs: [HostScalar] = []
    for (index, tensor) in binding.inputs.enumerated() {
      // Tensors are not read here; their slots stay 0 and nothing refers to them.
      var first = scalar(tensor, slot: index)
      if tensor.count != 1 {
        first = HostScalar(
          pointer: UnsafeMutableRawPointer(node.memory.store(0.0)), element: 3, slot: Int32(index))
      }
      inputs.append(first)
    }
    var instructions: [HostInstruction] = []
    for (index, step) in binding.region.steps.enumerated() {
      var instruction = HostInstruction(opcode: .identity, element: 3, a: 0, b: 0, c: 0, x: 0)
      if host[index] {
        let operation = step.operation.operation
        guard let found = HostOpcode.find(operation) else {
          throw node.with(operation, binding.inputs, binding.results)
            .unsupported("the interpreter of scalar arithmetic does not know it")
        }
        let slots = step.arguments.map { Int32(slot($0)) }
        instruction.opcode = found.opcode
        instruction.x = found.x
        instruction.element = hostElement(binding.types[index].element)
        if slots.count > 0 { instruction.a = slots[0] }
        if slots.count > 1 { instruction.b = slots[1] }
        if slots.count > 2 { instruction.c = slots[2] }
      }
      instructions.append(instruction)
    }
    let slots = node.memory.store(
      array: [Double](repeating: 0, count: inputs.count + instructions.count + 1))
    node.context.launch(
      "host", hostProgramKernel,
      HostProgramArguments(
        instructions: UnsafePointer(node.memory.store(array: instructions)),
        instructionCount: instructions.count,
        inputs: UnsafePointer(node.memory.store(array: inputs)), inputCount: inputs.count,
        outputs: UnsafePointer(node.memory.store(array: outputs)), outputCount: outputs.count,
        slots: slots), tasks: 1)
  }
}

/// A single element-wise operation or random draw: a region of one step.
let bindElementwise: Binder = { (node) throws(EnvironmentFailure) in
  let arguments = node.operands.indices.map { Region.Reference.input($0) }
  let region = Region(
    inputCount: node.operands.count, steps: [Region.Step(node.operation, arguments)],
    results: [.step(0)])
  try RegionBinding(node, region, inputs: node.operands, results: node.results).bind()
}
