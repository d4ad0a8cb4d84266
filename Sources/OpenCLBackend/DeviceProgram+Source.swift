// The source text of a program: what functions the kernels share, then the kernels in the order of their first launch, each
// below the places of the program that it computes.

import Basics
import GraphIR

extension DeviceProgram {
  /// OpenCL C 1.2, as it is given to the device's compiler.
  package func source(hasDouble: Bool) -> String {
    var text = prelude(hasDouble: hasDouble)
    for kernel in kernels { text += "\n" + kernel.text }
    return text
  }

  /// The source with the places of `graph`'s nodes in comments.
  package func annotatedSource(hasDouble: Bool, graph: Graph) -> String {
    var text = prelude(hasDouble: hasDouble)
    for kernel in kernels {
      text += "\n"
      for line in provenance(of: kernel, graph) { text += "// \(line)\n" }
      text += kernel.text
    }
    return text
  }

  /// What a kernel computes and where that stands, a line for each node, the first few of many.
  private func provenance(of kernel: Kernel, _ graph: Graph) -> [String] {
    let shown = 8
    var nodes: [NodeID] = []
    for node in kernel.nodes where nodes.last != node { nodes.append(node) }
    var lines = nodes.prefix(shown).map { id in
      let node = graph.nodes[id]
      let place = node.origin.provenance()
      let types = graph.types(of: node.results).map(\.description).joined(separator: ", ")
      return "\(node.operation.mnemonic) → \(types)\(place.isEmpty ? "" : ", \(place)")"
    }
    if nodes.count > shown { lines.append("and \(nodes.count - shown) more") }
    return lines
  }

  /// The kernel that the first line number of a compiler's log lies in.
  func kernelNamed(inLog log: String, hasDouble: Bool) -> String? {
    // Logs have FILE:LINE:COLUMN: error, or FILE(LINE).
    guard let line = firstErrorLine(log) else { return nil }
    var first = prelude(hasDouble: hasDouble).utf8.count { $0 == UInt8(ascii: "\n") } + 1
    for kernel in kernels {
      let lines = kernel.text.utf8.count { $0 == UInt8(ascii: "\n") } + 1
      if line > first, line <= first + lines { return kernel.name }
      first += lines
    }
    return nil
  }

  private func firstErrorLine(_ log: String) -> Int? {
    for line in log.split(separator: "\n") where line.contains("error") {
      for part in line.split(whereSeparator: { $0 == ":" || $0 == "(" || $0 == ")" || $0 == "," }) {
        if let number = Int(part), number > 0 { return number }
      }
    }
    return nil
  }
}
