// The parts of a region that have no step in common. What a launch runs at once, and what may be written in place, follows
// from them.

extension Region {
  /// Steps that depend on one another, with the results that they make and the inputs that they read.
  ///
  /// Parts know nothing of each other: they may be computed in any order, or at once. So a result may be written
  /// over an input only where no other part reads that input.
  package struct Part: Hashable, Sendable {
    /// Ascending; empty where a result is an input as it is.
    package var steps: [Int]
    /// Ascending; empty where nothing is made of the steps.
    package var results: [Int]
    /// Ascending.
    package var inputs: [Int]

    package init(steps: [Int] = [], results: [Int] = [], inputs: [Int] = []) {
      self.steps = steps
      self.results = results
      self.inputs = inputs
    }
  }

  /// The parts in the order of their first steps; those without steps last. O(size).
  package func parts() -> [Part] {
    // Sets of steps, and behind them the inputs that are results: such a result stays with the steps that read it.
    var sets = DisjointSets(count: steps.count + inputCount)
    var isYielded = [Bool](repeating: false, count: inputCount)
    for case .input(let input) in results { isYielded[input] = true }
    for (index, step) in steps.enumerated() {
      for argument in step.arguments {
        switch argument {
        case .step(let other): sets.join(index, other)
        case .input(let input) where isYielded[input]: sets.join(index, steps.count + input)
        case .input: break
        }
      }
    }
    return collected(&sets)
  }

  private func collected(_ sets: inout DisjointSets) -> [Part] {
    var parts: [Part] = []
    var places = [Int?](repeating: nil, count: steps.count + inputCount)
    func place(_ member: Int, _ sets: inout DisjointSets) -> Int {
      let first = sets.representative(of: member)
      if let known = places[first] { return known }
      places[first] = parts.count
      parts.append(Part())
      return parts.count - 1
    }
    for (index, step) in steps.enumerated() {
      let part = place(index, &sets)
      parts[part].steps.append(index)
      for case .input(let input) in step.arguments { parts[part].inputs.append(input) }
    }
    for (index, result) in results.enumerated() {
      switch result {
      case .step(let step): parts[place(step, &sets)].results.append(index)
      case .input(let input):
        let part = place(steps.count + input, &sets)
        parts[part].results.append(index)
        parts[part].inputs.append(input)
      }
    }
    for index in parts.indices { parts[index].inputs = Set(parts[index].inputs).sorted() }
    return parts
  }
}

/// A partition of 0..<count, made coarser step by step.
private struct DisjointSets {
  private var parent: [Int]

  init(count: Int) { parent = Array(0..<count) }

  mutating func representative(of member: Int) -> Int {
    var top = member
    while parent[top] != top { top = parent[top] }
    var at = member
    while parent[at] != top { (at, parent[at]) = (parent[at], top) }
    return top
  }

  mutating func join(_ a: Int, _ b: Int) {
    let (x, y) = (representative(of: a), representative(of: b))
    parent[max(x, y)] = min(x, y)
  }
}
