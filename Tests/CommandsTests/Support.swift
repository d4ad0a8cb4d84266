// What the tests of the commands share beside CommandSupport: the programs that they go through, the text of files.

import CommandSupport
import Formats
import Foundation
import TestSupport
import Testing

extension Places {
  static let models = [
    "vanilla-gan", "vanilla-gan-tf", "dense-gan", "dcgan-mnist", "dcgan-fashion", "fashion-gan",
  ]
}

/// What gan-compile prints for a program given as text.
func view(_ program: String, _ options: [String]) throws -> String {
  let folder = try TemporaryFolder()
  let file = try folder.write(program, to: "tiny.gan")
  let result = compile([file] + options)
  #expect(result.code == 0, "\(result.messages)")
  return result.output.replacingOccurrences(of: folder.path + "/", with: "")
}

func text(_ path: String) throws -> String {
  String(decoding: try FileIO.read(path), as: UTF8.self)
}

/// The path of one of our programs, which are built beside the tests.
func built(_ name: String) throws -> String {
  var folder = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
  for _ in 0..<5 {
    let path = folder.appending(path: name).path(percentEncoded: false)
    if FileIO.isRegularFile(path) { return path }
    folder = folder.deletingLastPathComponent()
  }
  return try #require(nil, "\(name) was not built beside the tests")
}
