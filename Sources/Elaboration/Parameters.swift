// States: every parameter, running statistic, moment, counter and average of the program, declared
// once and read in each graph where it stands.

import Basics
import GraphIR
import GraphSyntax

/// All states found so far, in the order of their first use.
struct StateRegistry {
  private(set) var declarations: [StateDeclaration] = []
  private var index: [String: Int] = [:]
  private var places: [String: SourceRange] = [:]
  private(set) var parameterElements = 0

  subscript(name: String) -> StateDeclaration? { index[name].map { declarations[$0] } }
  func place(_ name: String) -> SourceRange? { places[name] }

  mutating func add(_ state: StateDeclaration, at range: SourceRange) {
    index[state.name] = declarations.count
    places[state.name] = range
    declarations.append(state)
    parameterElements += state.type.count
  }

  /// Forgets the optimisers' counters.
  mutating func removeCounters() { remove { $0.kind == .counter } }

  /// Forgets the parameters of a network that was only tried.
  mutating func removeAll(of network: String) { remove { $0.network == network } }

  private mutating func remove(_ isUnwanted: (StateDeclaration) -> Bool) {
    declarations.removeAll(where: isUnwanted)
    index = [:]
    parameterElements = 0
    for (position, state) in declarations.enumerated() {
      index[state.name] = position
      parameterElements += state.type.count
    }
  }

  /// The parameters and running statistics of a network, in layer order.
  func owned(by network: String) -> [StateDeclaration] {
    declarations.filter {
      $0.network == network && ($0.kind == .parameter || $0.kind == .runningStatistic)
    }
  }
}

extension Elaborator {
  /// Declares a state, or finds it as it was declared before; a different shape is an error.
  func declare(
    _ name: String, _ type: TensorType, _ kind: StateKind, _ initializer: Initializer,
    network: String?, at range: SourceRange
  ) throws(Diagnostic) -> StateDeclaration {
    if let known = states[name] {
      guard known.type == type else {
        throw Diagnostic(
          "parameter.shape", "\(name) is \(known.type), but this call needs \(type)", at: range,
          notes: [.init("it was made \(known.type) here", at: states.place(name))],
          help: "all calls of a network share its parameters, so their sizes must agree")
      }
      return known
    }
    _ = try type.checked()
    let state = StateDeclaration(
      name: name, type: type, kind: kind, initializer: initializer, network: network)
    guard states.parameterElements + type.count <= ElaborationLimits.parameterElements else {
      throw Diagnostic(
        "limit.parameters", "the networks have too many parameters", at: range,
        help: "at most \(ElaborationLimits.parameterElements) elements are supported")
    }
    states.add(state, at: range)
    return state
  }

  /// The current value of a state of a network: in a moving average's call, the average's.
  func read(_ state: StateDeclaration, at range: SourceRange) throws(Diagnostic) -> ValueID {
    guard let average = frame.average, let network = state.network,
      network == declarations.averages[average]?.network.text
    else { return try context.read(state) }
    return try context.read(try averaged(state, average, at: range))
  }

  /// The moving average of a state.
  func averaged(
    _ state: StateDeclaration, _ average: String, at range: SourceRange
  ) throws(Diagnostic) -> StateDeclaration {
    let suffix = state.name.dropFirst((state.network ?? "").count)
    return try declare(
      average + suffix, state.type, .average, .copy(of: state.name), network: state.network,
      at: range)
  }

  /// States in the order of the program: networks first, as they are declared, each in layer order.
  var orderedStates: [StateDeclaration] {
    var result: [StateDeclaration] = []
    for network in declarations.names(.network) { result += states.owned(by: network) }
    result += states.declarations.filter { $0.kind == .average }
    result += states.declarations.filter { $0.kind == .moment || $0.kind == .counter }
    return result
  }
}

extension CallSite {
  /// A parameter of this layer, as it is now.
  func parameter(
    _ part: String, _ shape: [Int], _ spec: InitializerSpec, fans: Fans? = nil
  ) throws(Diagnostic) -> ValueID {
    try state(
      part, shape, .parameter, spec.initializer(fans ?? Fans(shape: shape)))
  }

  func state(
    _ part: String, _ shape: [Int], _ kind: StateKind, _ initializer: Initializer
  ) throws(Diagnostic) -> ValueID {
    let state = try declare(part, shape, kind, initializer)
    return try elaborator.read(state, at: callee.range)
  }

  func declare(
    _ part: String, _ shape: [Int], _ kind: StateKind, _ initializer: Initializer
  ) throws(Diagnostic) -> StateDeclaration {
    let name = "\(path)/\(part)"
    owned.append(name)
    do {
      return try elaborator.declare(
        name, TensorType(.f32, shape), kind, initializer, network: elaborator.frame.network,
        at: callee.range)
    } catch {
      throw error.placed(at: range)
    }
  }
}
