// Which operation of one graph is which of another. First those whose whole computation is equal, down to the inputs;
// then from matched ones to what they read (from the outputs down) and to what reads them, the surest candidates
// first; so one changed operation does not make strangers of all that depend on it.

import GraphIR

struct DiffMatching {
  let before: DiffSide
  let after: DiffSide
  /// The partner of each part on the other side.
  private(set) var toAfter: [Int?]
  private(set) var toBefore: [Int?]
  /// Parts of both sides have the same number where their whole computations are equal.
  let beforeClasses: [Int]
  let afterClasses: [Int]
  /// The matched pairs in the order in which they were found.
  private var pairs: [(before: Int, after: Int)] = []

  /// What two candidates must have in common, the surest first.
  private enum Likeness: Int, CaseIterable {
    case computation, everythingOfItsOwn, place, typesOrAttributes, mnemonic
  }

  init(_ before: DiffSide, _ after: DiffSide) {
    self.before = before
    self.after = after
    toAfter = Array(repeating: nil, count: before.parts.count)
    toBefore = Array(repeating: nil, count: after.parts.count)
    var classes = ComputationClasses()
    beforeClasses = classes.numbers(before)
    afterClasses = classes.numbers(after)
    matchInputs()
    matchEqual(count: classes.count, onlyWhereAsMany: true)
    spread(isLast: false)
    matchEqual(count: classes.count, onlyWhereAsMany: false)
    spread(isLast: false)
    matchAlike()
    spread(isLast: true)
  }

  /// Whether two places hold the same value, as far as is known.
  func areSame(_ x: DiffPart.Place, _ y: DiffPart.Place) -> Bool {
    x.result == y.result
      && (toAfter[x.part] == y.part || beforeClasses[x.part] == afterClasses[y.part])
  }

  private mutating func match(_ x: Int, _ y: Int) {
    toAfter[x] = y
    toBefore[y] = x
    pairs.append((x, y))
  }

  // MARK: - Without neighbours

  /// Inputs are known by what fills them, whatever their types.
  private mutating func matchInputs() {
    var places: [InputRole: Int] = [:]
    for (index, part) in after.parts.enumerated() {
      if let role = part.role { places[role] = index }
    }
    for (index, part) in before.parts.enumerated() {
      if let role = part.role, let other = places[role] { match(index, other) }
    }
  }

  /// Matches equal computations: of several, those at the same call path first, then in order. Where one side has more
  /// of them than the other, it is better to ask the neighbours first which ones are left over.
  private mutating func matchEqual(count: Int, onlyWhereAsMany: Bool) {
    var old = [[Int]](repeating: [], count: count)
    var new = [[Int]](repeating: [], count: count)
    for (index, number) in beforeClasses.enumerated() where toAfter[index] == nil {
      old[number].append(index)
    }
    for (index, number) in afterClasses.enumerated() where toBefore[index] == nil {
      new[number].append(index)
    }
    for (some, others) in zip(old, new) where !some.isEmpty && !others.isEmpty {
      if onlyWhereAsMany, some.count != others.count { continue }
      matchInOrder(some, others) { $0.origin.path == $1.origin.path }
      matchInOrder(some, others) { _, _ in true }
    }
  }

  private mutating func matchInOrder(
    _ some: [Int], _ others: [Int], where isFit: (DiffPart, DiffPart) -> Bool
  ) {
    for x in some where toAfter[x] == nil {
      let partner = others.first {
        toBefore[$0] == nil && isFit(before.parts[x], after.parts[$0])
      }
      if let partner { match(x, partner) }
    }
  }

  /// Matches what is left by its own properties alone, in order: the path of calls, name, attributes and types.
  private mutating func matchAlike() {
    let some = before.parts.indices.filter { toAfter[$0] == nil && !before.parts[$0].isInput }
    let others = after.parts.indices.filter { toBefore[$0] == nil && !after.parts[$0].isInput }
    matchInOrder(some, others) {
      !$0.origin.path.isEmpty && Self.isEverythingEqual($0, $1)
        && $0.origin.notes == $1.origin.notes
    }
  }

  // MARK: - From neighbour to neighbour

  /// Goes from matched pairs and outputs to their neighbours until nothing more is found. Each pair is looked at once
  /// for each likeness, operands before readers; the surest likeness that has pairs left is always next. The last time,
  /// operations may also take the place of others.
  private mutating func spread(isLast: Bool) {
    let kinds = Likeness.allCases
    var operandsDone = [Int](repeating: 0, count: kinds.count)
    var readersDone = operandsDone
    var replacedDone = 0
    for likeness in kinds { matchOutputs { $0.isAlike($1, $2, likeness) } }
    search: while true {
      for (level, likeness) in kinds.enumerated() {
        if operandsDone[level] < pairs.count {
          let pair = pairs[operandsDone[level]]
          operandsDone[level] += 1
          matchOperands(pair) { $0.isAlike($1, $2, likeness) }
          continue search
        }
        if readersDone[level] < pairs.count {
          let pair = pairs[readersDone[level]]
          readersDone[level] += 1
          matchReaders(pair, likeness, evenIfMore: isLast)
          continue search
        }
      }
      guard isLast else { return }
      if replacedDone == 0 { matchOutputs { $0.isReplaced($1, $2) } }
      guard replacedDone < pairs.count else { return }
      matchOperands(pairs[replacedDone]) { $0.isReplaced($1, $2) }
      replacedDone += 1
    }
  }

  private mutating func matchOutputs(where isFit: (DiffMatching, Int, Int) -> Bool) {
    for (role, x) in before.outputs {
      guard let y = after.outputs.first(where: { $0.role == role })?.place else { continue }
      if x.result == y.result, isFit(self, x.part, y.part) { match(x.part, y.part) }
    }
  }

  private mutating func matchOperands(
    _ pair: (before: Int, after: Int), where isFit: (DiffMatching, Int, Int) -> Bool
  ) {
    for (x, y) in zip(before.parts[pair.before].operands, after.parts[pair.after].operands)
    where x.result == y.result && isFit(self, x.part, y.part) {
      match(x.part, y.part)
    }
  }

  /// Readers that are alike are matched in order, and only where both sides have as many of them: two calls of one
  /// network read the same weights, and where one of them was changed, its own operands tell which.
  private mutating func matchReaders(
    _ pair: (before: Int, after: Int), _ likeness: Likeness, evenIfMore: Bool
  ) {
    for (x, position) in before.users[pair.before] where toAfter[x] == nil {
      let result = before.parts[x].operands[position].result
      let others = after.users[pair.after].filter {
        $0.position == position && after.parts[$0.part].operands[position].result == result
          && isAlike(x, $0.part, likeness)
      }
      guard let partner = others.first?.part else { continue }
      let some = before.users[pair.before].count {
        $0.position == position && before.parts[$0.part].operands[position].result == result
          && isAlike($0.part, partner, likeness)
      }
      if some == others.count || evenIfMore { match(x, partner) }
    }
  }

  /// Whether two parts that have no partners yet are alike in the way asked for.
  private func isAlike(_ x: Int, _ y: Int, _ likeness: Likeness) -> Bool {
    guard toAfter[x] == nil, toBefore[y] == nil else { return false }
    let (a, b) = (before.parts[x], after.parts[y])
    guard a.mnemonic == b.mnemonic else { return false }
    return switch likeness {
    case .computation: beforeClasses[x] == afterClasses[y]
    case .everythingOfItsOwn: a.origin.path == b.origin.path && Self.isEverythingEqual(a, b)
    case .place: a.origin.path == b.origin.path
    case .typesOrAttributes: a.types == b.types || Self.areEqual(a.attributes, b.attributes)
    case .mnemonic: true
    }
  }

  private static func isEverythingEqual(_ a: DiffPart, _ b: DiffPart) -> Bool {
    a.mnemonic == b.mnemonic && a.types == b.types && areEqual(a.attributes, b.attributes)
  }

  private static func areEqual(
    _ a: [(name: String, text: String)], _ b: [(name: String, text: String)]
  ) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0 == $1 }
  }

  /// Whether one operation stands in the place of another: of the same types, with an operand in common.
  private func isReplaced(_ x: Int, _ y: Int) -> Bool {
    guard toAfter[x] == nil, toBefore[y] == nil else { return false }
    let (a, b) = (before.parts[x], after.parts[y])
    return !a.isInput && !b.isInput && a.types == b.types
      && a.operands.contains { operand in b.operands.contains { areSame(operand, $0) } }
  }
}

/// Numbers of computations: two parts have the same one where operation, attributes, types and all that they are
/// computed from are equal. Exact, by comparison of keys, not a hash.
private struct ComputationClasses {
  private struct Key: Hashable {
    var mnemonic: String
    var role: InputRole?
    var attributes: [String]
    var operands: [DiffPart.Place]
    var types: [TensorType]
  }
  private var known: [Key: Int] = [:]
  var count: Int { known.count }

  mutating func numbers(_ side: DiffSide) -> [Int] {
    var numbers: [Int] = []
    for part in side.parts {
      let operands = part.operands.map {
        DiffPart.Place(part: numbers[$0.part], result: $0.result)
      }
      let key = Key(
        mnemonic: part.mnemonic, role: part.role,
        attributes: part.attributes.map { "\($0.name): \($0.text)" }, operands: operands,
        types: part.types)
      let number = known[key] ?? known.count
      known[key] = number
      numbers.append(number)
    }
    return numbers
  }
}
