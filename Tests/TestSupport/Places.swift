// Files of the repository that tests look at.

import Basics
import Formats

package enum Places {
  /// The folder of Package.swift.
  package static let root = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    .dropLast(3).joined(separator: "/")

  /// The path of one of the programs that come with the project.
  package static func graph(_ name: String) -> String { "\(root)/Graphs/\(name).gan" }

  /// The bytes of a file, by its path from the root.
  package static func bytes(_ path: String) throws(EnvironmentFailure) -> [UInt8] {
    try FileIO.read("\(root)/\(path)")
  }

  /// The names in a folder, by its path from the root, sorted.
  package static func names(in folder: String) throws(EnvironmentFailure) -> [String] {
    try FileIO.list("\(root)/\(folder)")
  }
}
