// "Did you mean …?": the nearest of the names that would have been right.

/// The edit distance (insertions, deletions, substitutions, swaps of neighbours) between two words.
/// O(a·b); words are names of a program, limited to 64 characters.
package func editDistance(_ a: String, _ b: String) -> Int {
  let a = Array(a.prefix(64))
  let b = Array(b.prefix(64))
  var rows = [Array(0...b.count)]
  for i in 0..<a.count {
    var row = [i + 1]
    for j in 0..<b.count {
      var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (a[i] == b[j] ? 0 : 1))
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
        best = min(best, rows[i - 1][j - 1] + 1)
      }
      row.append(best)
    }
    rows.append(row)
  }
  return rows[a.count][b.count]
}

/// The candidate closest to `word`, if it is close enough to be what was meant; ties go to the first.
package func nearestName(to word: String, in candidates: [String]) -> String? {
  let lower = word.lowercased()
  var best: (name: String, distance: Int)?
  for candidate in candidates where candidate != word {
    let (shorter, longer) = (
      min(word.count, candidate.count), max(word.count, candidate.count)
    )
    // One edit makes any letter of any other, so words of one letter resemble none.
    let allowed = shorter == 1 ? 0 : max(1, shorter / 3)
    guard longer - shorter <= allowed else { continue }
    let distance = editDistance(lower, candidate.lowercased())
    guard distance <= allowed else { continue }
    if best == nil || distance < best!.distance { best = (candidate, distance) }
  }
  return best?.name
}

/// `did you mean NAME?`, or nil.
package func suggestion(for word: String, in candidates: [String]) -> String? {
  nearestName(to: word, in: candidates).map { "did you mean \($0)?" }
}
