// Where a node came from: the place in the program, the calls around it, what passes did to it, and, for a fused node,
// what it was made of. In a dump all of it stands behind the node; `provenance` is the same for people.

/// Where a node came from.
package struct Origin: Hashable, Sendable {
  /// Line and column in the program, from 1; 0 where there is none.
  package var line: Int32
  package var column: Int32
  /// The networks, blocks and layers around it, such as `generator/dense_1`.
  package var path: String
  /// What passes did: `adjoint of conv2d`, `two batches joined`.
  package var notes: [String]
  /// What a fused node was made of, in the order of computing; empty for others.
  package var parts: [Part]

  /// Operations of one place that were fused.
  package struct Part: Hashable, Sendable {
    /// What they were: `matmul`, or what they are the adjoint of; each once.
    package var labels: [String]
    package var line: Int32
    package var column: Int32
    package var path: String
    package init(labels: [String], line: Int, column: Int, path: String) {
      self.labels = labels
      self.line = Int32(clamping: line)
      self.column = Int32(clamping: column)
      self.path = path
    }
  }

  package init(
    line: Int = 0, column: Int = 0, path: String = "", notes: [String] = [], parts: [Part] = []
  ) {
    self.line = Int32(clamping: line)
    self.column = Int32(clamping: column)
    self.path = path
    self.notes = notes
    self.parts = parts
  }

  package func noting(_ note: String) -> Origin {
    var copy = self
    if copy.notes.last != note { copy.notes.append(note) }
    return copy
  }
}

// MARK: Fusing

extension Origin {
  fileprivate static let adjoint = "adjoint of "
  package static func adjointNote(of mnemonic: String) -> String { adjoint + mnemonic }

  /// Whether all of it is made by differentiation.
  package var isAdjoint: Bool {
    let labels = parts.isEmpty ? notes : parts.flatMap(\.labels)
    let adjoints = labels.count { $0.hasPrefix(Origin.adjoint) }
    return adjoints > 0 && (parts.isEmpty || adjoints == labels.count)
  }

  /// The origin of a node that was made of several: the place, path and notes of the last, and the parts of all, those of
  /// one place that follow each other as one. That something is an adjoint is said of the part.
  package static func merging(_ nodes: [Node]) -> Origin {
    guard var merged = nodes.last?.origin else { return Origin() }
    merged.parts = []
    merged.notes = []
    for node in nodes {
      for part in node.parts { merged.append(part) }
      for note in node.origin.notes
      where !note.hasPrefix(adjoint) && !merged.notes.contains(note) {
        merged.notes.append(note)
      }
    }
    return merged
  }

  private mutating func append(_ part: Part) {
    guard let last = parts.last, last.line == part.line, last.column == part.column,
      last.path == part.path
    else { return parts.append(part) }
    for label in part.labels where !last.labels.contains(label) {
      parts[parts.count - 1].labels.append(label)
    }
  }
}

extension Node {
  /// What the node is made of: its parts, or itself as one.
  fileprivate var parts: [Origin.Part] {
    if !origin.parts.isEmpty { return origin.parts }
    let label = origin.notes.first { $0.hasPrefix(Origin.adjoint) } ?? operation.mnemonic
    return [
      Origin.Part(
        labels: [label], line: Int(origin.line), column: Int(origin.column), path: origin.path)
    ]
  }
}

// MARK: For people

extension Origin {
  /// `41:64 discriminator (matmul, add at 41:8 discriminator/dense_2; sigmoid; two batches joined)`, with `file:` in
  /// front where it is given: a part without a place is at the node's own. At most `most` parts, and of each three
  /// labels. Empty where nothing is known.
  package func provenance(file: String? = nil, most: Int = 4) -> String {
    var text = place(line, column, path, file)
    var details = parts.prefix(most).map { part in
      let labels =
        part.labels.prefix(3).joined(separator: ", ") + (part.labels.count > 3 ? ", …" : "")
      let isHere = (part.line, part.column, part.path) == (line, column, path)
      return isHere ? labels : labels + " at " + place(part.line, part.column, part.path, nil)
    }
    if parts.count > most { details.append("…") }
    details += notes
    if details.isEmpty { return text }
    if !text.isEmpty { text += " " }
    return text + "(" + details.joined(separator: "; ") + ")"
  }

  private func place(_ line: Int32, _ column: Int32, _ path: String, _ file: String?) -> String {
    guard line > 0 else { return path }
    return (file.map { $0 + ":" } ?? "") + "\(line):\(column)" + (path.isEmpty ? "" : " " + path)
  }
}
