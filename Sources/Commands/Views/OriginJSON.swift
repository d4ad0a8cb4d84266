// Where a node is from, as all JSON of the commands has it: in graphs, costs, memory, profiles and explanations.

import Formats
import GraphIR

/// Members of the node's object: `line`, `column`, `path`, `notes`, and `parts`, what a fused node was made of.
func originMembers(_ origin: Origin) -> [(key: String, value: JSONValue)] {
  let parts = origin.parts.map { part -> JSONValue in
    .object(
      [(key: "labels", value: .array(part.labels.map { .string($0) }))]
        + placeMembers(part.line, part.column, part.path))
  }
  return placeMembers(origin.line, origin.column, origin.path) + [
    (key: "notes", value: .array(origin.notes.map { .string($0) })),
    (key: "parts", value: .array(parts)),
  ]
}

private func placeMembers(
  _ line: Int32, _ column: Int32, _ path: String
) -> [(key: String, value: JSONValue)] {
  [
    (key: "line", value: .int(Int(line))), (key: "column", value: .int(Int(column))),
    (key: "path", value: .string(path)),
  ]
}
