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
  /// The first part of each of these numbers.
  let firstBefore: [Int?]
  let firstAfter: [Int?]
  /// Where the outputs of one role are, in order.
  private let sameOutputs: [(before: DiffPart.Place, after: DiffPart.Place)]
  /// The matched pairs in the order in which they were found.
  private var pairs: [(before: Int, after: Int)] = []

  /// What two candidates must have in common beside their operation's name, the surest first.
  private enum Likeness: Int, CaseIterable {
    case computation, everythingOfItsOwn, place, types, attributes, mnemonic
  }
  /// By likeness: two parts, one of each side, have the same number where they are alike.
  private let beforeLikes: [[Int]]
  private let afterLikes: [[Int]]

  init(_ before: DiffSide, _ after: DiffSide) {
    self.before = before
    self.after = after
    toAfter = Array(repeating: nil, count: before.parts.count)
    toBefore = Array(repeating: nil, count: after.parts.count)
    var classes = ComputationClasses()
    beforeClasses = classes.numbers(before)
    afterClasses = classes.numbers(after)
    firstBefore = Self.firsts(beforeClasses, count: classes.count)
    firstAfter = Self.firsts(afterClasses, count: classes.count)
    sameOutputs = before.outputs.compactMap { output in
      after.output(output.role).map { (output.place, $0) }
    }
    var likes = PartNumbers()
    beforeLikes = Self.likes(before, beforeClasses, &likes)
    afterLikes = Self.likes(after, afterClasses, &likes)
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

  private static func firsts(_ classes: [Int], count: Int) -> [Int?] {
    var firsts = [Int?](repeating: nil, count: count)
    for (index, number) in classes.enumerated() where firsts[number] == nil {
      firsts[number] = index
    }
    return firsts
  }

  private static func likes(
    _ side: DiffSide, _ classes: [Int], _ numbers: inout PartNumbers
  ) -> [[Int]] {
    Likeness.allCases.map { likeness in
      side.parts.indices.map { index in
        let part = side.parts[index]
        return switch likeness {
        case .computation: classes[index]
        case .everythingOfItsOwn: numbers.number(part, [.path, .types, .attributes])
        case .place: numbers.number(part, [.path])
        case .types: numbers.number(part, [.types])
        case .attributes: numbers.number(part, [.attributes])
        case .mnemonic: numbers.number(part, [])
        }
      }
    }
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
      matchInOrder(some, others) { $0.origin.path }
      matchInOrder(some, others) { _ in 0 }
    }
  }

  /// Matches those that have no partner yet with those of the same key, in order.
  private mutating func matchInOrder(
    _ some: [Int], _ others: [Int], by key: (DiffPart) -> some Hashable
  ) {
    // Who is still free, by key, the first one last.
    var free = Dictionary(
      grouping: others.reversed().filter { toBefore[$0] == nil }, by: { key(after.parts[$0]) })
    for x in some where toAfter[x] == nil {
      if let partner = free[key(before.parts[x])]?.popLast() { match(x, partner) }
    }
  }

  /// Matches what is left by its own properties alone, in order: the path of calls, what passes did, name, attributes
  /// and types.
  private mutating func matchAlike() {
    struct Key: Hashable {
      var own: Int
      var notes: [String]
    }
    func key(_ part: DiffPart, _ own: Int) -> Key { Key(own: own, notes: part.origin.notes) }
    let own = Likeness.everythingOfItsOwn.rawValue
    func isLeft(_ part: DiffPart) -> Bool { !part.isInput && !part.origin.path.isEmpty }
    var free: [Key: [Int]] = [:]
    for (y, part) in after.parts.enumerated().reversed() where toBefore[y] == nil && isLeft(part) {
      free[key(part, afterLikes[own][y]), default: []].append(y)
    }
    for (x, part) in before.parts.enumerated() where toAfter[x] == nil && isLeft(part) {
      if let partner = free[key(part, beforeLikes[own][x])]?.popLast() { match(x, partner) }
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
    for (x, y) in sameOutputs where x.result == y.result && isFit(self, x.part, y.part) {
      match(x.part, y.part)
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
    let likes = (beforeLikes[likeness.rawValue], afterLikes[likeness.rawValue])
    let some = ReaderGroups(before, pair.before, likes.0) { toAfter[$0] == nil }
    guard !some.all.isEmpty else { return }
    let others = ReaderGroups(after, pair.after, likes.1) { toBefore[$0] == nil }
    for group in some.all {
      // A part that reads one value twice may have been matched as a reader in the other place.
      let free = group.parts.filter { toAfter[$0] == nil }
      let partners = others.parts(like: group).filter { toBefore[$0] == nil }
      guard free.count == partners.count || evenIfMore else { continue }
      for (x, y) in zip(free, partners) { match(x, y) }
    }
  }

  /// Whether two parts that have no partners yet are alike in the way asked for.
  private func isAlike(_ x: Int, _ y: Int, _ likeness: Likeness) -> Bool {
    toAfter[x] == nil && toBefore[y] == nil
      && beforeLikes[likeness.rawValue][x] == afterLikes[likeness.rawValue][y]
  }

  /// Whether one operation stands in the place of another: of the same types, with an operand in common.
  private func isReplaced(_ x: Int, _ y: Int) -> Bool {
    guard toAfter[x] == nil, toBefore[y] == nil else { return false }
    let (a, b) = (before.parts[x], after.parts[y])
    guard !a.isInput, !b.isInput, a.types == b.types else { return false }
    let places = Set(b.operands)
    let classes = Set(
      b.operands.map { DiffPart.Place(part: afterClasses[$0.part], result: $0.result) })
    return a.operands.contains { operand in
      let (part, result) = (operand.part, operand.result)
      if let partner = toAfter[part],
        places.contains(DiffPart.Place(part: partner, result: result))
      {
        return true
      }
      return classes.contains(DiffPart.Place(part: beforeClasses[part], result: result))
    }
  }
}

/// Readers of a part that have no partner yet, those together that read the same result in the same place and are alike.
/// In the order of the graph; the hash table is for look-ups only.
private struct ReaderGroups {
  struct Key: Hashable {
    var position: Int
    var result: Int
    var like: Int
  }
  struct Group {
    var key: Key
    var parts: [Int]
  }
  private(set) var all: [Group] = []
  private var places: [Key: Int] = [:]

  init(_ side: DiffSide, _ part: Int, _ likes: [Int], where isFree: (Int) -> Bool) {
    for (reader, position) in side.users[part] where isFree(reader) {
      let result = side.parts[reader].operands[position].result
      let key = Key(position: position, result: result, like: likes[reader])
      if let place = places[key] {
        all[place].parts.append(reader)
      } else {
        places[key] = all.count
        all.append(Group(key: key, parts: [reader]))
      }
    }
  }

  /// Those of the other side that are as a group is.
  func parts(like group: Group) -> [Int] { places[group.key].map { all[$0].parts } ?? [] }
}

/// Numbers of parts by some of their properties: two have the same one where the operation's name and these are equal.
private struct PartNumbers {
  enum Property: Hashable { case path, types, attributes }

  private struct Key: Hashable {
    var properties: [Property]
    var mnemonic: String
    var path: String?
    var types: [TensorType]?
    var attributes: [GraphDiff.Attribute]?
  }
  private var known: [Key: Int] = [:]

  mutating func number(_ part: DiffPart, _ properties: [Property]) -> Int {
    let key = Key(
      properties: properties, mnemonic: part.mnemonic,
      path: properties.contains(.path) ? part.origin.path : nil,
      types: properties.contains(.types) ? part.types : nil,
      attributes: properties.contains(.attributes) ? part.attributes : nil)
    let number = known[key] ?? known.count
    known[key] = number
    return number
  }
}

/// Numbers of computations: two parts have the same one where operation, attributes, types and all that they are
/// computed from are equal. Exact, by comparison of keys, not a hash.
private struct ComputationClasses {
  private struct Key: Hashable {
    var mnemonic: String
    var role: InputRole?
    var attributes: [GraphDiff.Attribute]
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
        mnemonic: part.mnemonic, role: part.role, attributes: part.attributes, operands: operands,
        types: part.types)
      let number = known[key] ?? known.count
      known[key] = number
      numbers.append(number)
    }
    return numbers
  }
}
