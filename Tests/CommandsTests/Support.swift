// What the tests of the commands share beside CommandSupport: the programs that they go through, the text of files.

import Formats
import TestSupport

extension Places {
  static let models = [
    "vanilla-gan", "vanilla-gan-tf", "dense-gan", "dcgan-mnist", "dcgan-fashion", "fashion-gan",
  ]
}

func text(_ path: String) throws -> String {
  String(decoding: try FileIO.read(path), as: UTF8.self)
}
