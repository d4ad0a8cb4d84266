// From the name of a source to a data set: named sets in the data folders, files by their contents,
// folders of pictures, and the garments that the program draws itself.

import Basics
import Formats

package struct DatasetResolver: Sendable {
  /// `--data-dir`.
  package var dataDirectory: String?
  /// The environment, for `GAN_DATA`, `XDG_CACHE_HOME` and `HOME`.
  package var environment: [String: String]

  /// The most bytes of a folder's pixels that are kept; of a larger one each batch is read anew.
  package var pictureMemory: Int

  package init(
    dataDirectory: String? = nil, environment: [String: String], pictureMemory: Int? = nil
  ) {
    self.dataDirectory = dataDirectory
    self.environment = environment
    self.pictureMemory = pictureMemory ?? Self.sensiblePictureMemory
  }

  package static let namedSets = ["mnist", "fashion-mnist"]
  /// Whether a source is found by its name and is no path.
  package static func isName(_ source: String) -> Bool {
    source == "synthetic" || namedSets.contains(source)
  }

  /// The part `part` (`images`, `labels`; of a folder of pictures also `left` and `right`) of a
  /// source. Pictures are brought to `form`, where one is given.
  package func resolve(
    _ source: String, part: String = "images", form: PictureForm? = nil
  ) throws(EnvironmentFailure) -> Dataset {
    if source == "synthetic" { return try fitted(garments(part: part), form) }
    if Self.namedSets.contains(source) { return try fitted(named(source, part: part), form) }
    let reference = ArrayReference(source)
    guard FileIO.exists(reference.path) else { throw missing(source) }
    if FileIO.isDirectory(source) { return try folder(source, part: part, form: form) }
    if reference.key != nil || source.hasSuffix(".npz") {
      return try fitted(archive(reference, source, part: part), form)
    }
    guard part == "images" else {
      throw EnvironmentFailure("'\(source)' is a single file and has no part named '\(part)'")
    }
    return try fitted(file(source), form)
  }

  private func garments(part: String) throws(EnvironmentFailure) -> Dataset {
    try requireKnown(part, of: "synthetic")
    return part == "labels"
      ? Dataset(name: "synthetic", storage: .garmentLabels, count: Dataset.garmentCount, shape: [])
      : Dataset(
        name: "synthetic", storage: .garments(nil), count: Dataset.garmentCount, shape: [28, 28, 1])
  }

  private func requireKnown(_ part: String, of name: String) throws(EnvironmentFailure) {
    guard part == "images" || part == "labels" else {
      throw EnvironmentFailure("'\(name)' has the parts images and labels, none named '\(part)'")
    }
  }

  // MARK: Named sets

  /// The folders that are looked in, in order.
  package func folders(for name: String) -> [String] {
    var folders: [String] = []
    if let directory = dataDirectory { folders += ["\(directory)/\(name)", directory] }
    if let data = environment["GAN_DATA"], !data.isEmpty { folders.append("\(data)/\(name)") }
    if let cache = userCacheFolder(environment) { folders.append("\(cache)/\(name)") }
    return folders
  }

  /// Training files before test files, plain before compressed.
  private func named(_ name: String, part: String) throws(EnvironmentFailure) -> Dataset {
    try requireKnown(part, of: name)
    let kind = part == "images" ? "images-idx3-ubyte" : "labels-idx1-ubyte"
    for folder in folders(for: name) {
      for prefix in ["train", "t10k"] {
        for suffix in ["", ".gz"] {
          let path = "\(folder)/\(prefix)-\(kind)\(suffix)"
          if FileIO.isRegularFile(path) { return try idx(path) }
        }
      }
    }
    throw missing(name)
  }

  private func missing(_ source: String) -> EnvironmentFailure {
    guard Self.namedSets.contains(source) else {
      var help = "`--data synthetic` needs no files"
      if let near = suggestion(for: source, in: Self.namedSets + ["synthetic"]) {
        help = near + " " + help
      }
      return EnvironmentFailure("the data source '\(source)' does not exist", help: help)
    }
    let looked = folders(for: source).map { "  " + $0 }.joined(separator: "\n")
    return EnvironmentFailure(
      "the data set '\(source)' was not found; looked in\n\(looked)",
      help: "Tools/fetch-data \(source) downloads it; `--data synthetic` needs no files")
  }

  // MARK: Files

  /// A file by its contents, not by its name.
  private func file(_ path: String) throws(EnvironmentFailure) -> Dataset {
    let bytes = try FileIO.read(path)
    if bytes.starts(with: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]) { return try npy(bytes, path) }
    if path.hasSuffix(".safetensors") { return try safetensors(bytes, path) }
    if Gzip.isGzip(bytes) || bytes.starts(with: [0, 0]) { return try idx(path, bytes) }
    throw EnvironmentFailure(
      "\(path): not a data file; expected IDX (plain or gzip), .npy, .npz, .safetensors "
        + "or a folder of PNG files"
    )
  }

  private func idx(_ path: String, _ given: [UInt8]? = nil) throws(EnvironmentFailure) -> Dataset {
    let bytes: [UInt8]
    if let given { bytes = given } else { bytes = try FileIO.read(path) }
    let array = try IDXArray.decode(bytes, name: path)
    guard let count = array.shape.first, count > 0 else {
      throw EnvironmentFailure("\(path): it holds no examples")
    }
    let shape = Array(array.shape.dropFirst())
    guard shape.allSatisfy({ $0 > 0 }) else {
      throw EnvironmentFailure("\(path): its examples of shape \(shape) are empty")
    }
    switch array.element {
    case .u8: return Dataset(name: path, storage: .bytes(array.bytes), count: count, shape: shape)
    case .f32, .f64:
      return Dataset(name: path, storage: .floats(array.floats), count: count, shape: shape)
    default:
      return Dataset(
        name: path, storage: .integers(Self.wholeNumbers(array)), count: count, shape: shape)
    }
  }

  /// The elements of an array of i8, i16 or i32. The last do not all fit a float and are read here.
  private static func wholeNumbers(_ array: IDXArray) -> [Int32] {
    guard array.element == .i32 else { return array.floats.map { InitialValues.whole(Double($0)) } }
    return array.bytes.withUnsafeBytes { raw in
      (0..<array.count).map {
        Int32(bigEndian: raw.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self))
      }
    }
  }

  private func npy(_ bytes: [UInt8], _ path: String) throws(EnvironmentFailure) -> Dataset {
    try dataset(of: try NPYArray.decode(bytes, name: path), path)
  }

  /// An array of an archive. Labels are the array `labels`, whatever the images are called; images
  /// are those that the source names, else the one array, else the array `images`.
  private func archive(
    _ reference: ArrayReference, _ source: String, part: String
  ) throws(EnvironmentFailure) -> Dataset {
    let archive = try NPZArchive(try FileIO.read(reference.path), name: reference.path)
    if part != "images" {
      guard archive.keys.contains(part) else {
        throw EnvironmentFailure(
          "\(reference.path): it has no array '\(part)'; it has "
            + archive.keys.prefix(8).joined(separator: ", "),
          help: "name the array for the source of \(part): --data NAME=\(reference.path):KEY")
      }
      return try dataset(of: try archive.array(part), "\(reference.path):\(part)")
    }
    let array: NPYArray
    if let key = reference.key {
      array = try archive.array(key)
    } else if archive.keys.count > 1, archive.keys.contains(part) {
      array = try archive.array(part)
    } else {
      array = try archive.onlyArray()
    }
    return try dataset(of: array, source)
  }

  private func dataset(of array: NPYArray, _ path: String) throws(EnvironmentFailure) -> Dataset {
    guard let count = array.shape.first, count > 0, array.shape.allSatisfy({ $0 > 0 }) else {
      throw EnvironmentFailure("\(path): it holds no examples; its shape is \(array.shape)")
    }
    let shape = Array(array.shape.dropFirst())
    if array.element == .u8 {
      return Dataset(name: path, storage: .bytes(array.bytes), count: count, shape: shape)
    }
    if let integers = array.integers {
      var values: [Int32] = []
      values.reserveCapacity(integers.count)
      for value in integers {
        guard let exact = Int32(exactly: value) else {
          throw EnvironmentFailure("\(path): the value \(value) does not fit 32 bits")
        }
        values.append(exact)
      }
      return Dataset(name: path, storage: .integers(values), count: count, shape: shape)
    }
    return Dataset(name: path, storage: .floats(array.floats), count: count, shape: shape)
  }

  private func safetensors(_ bytes: [UInt8], _ path: String) throws(EnvironmentFailure) -> Dataset {
    let file = try TensorFile.decode(bytes, name: path)
    guard file.tensors.count == 1, let tensor = file.tensors.first else {
      let names = file.tensors.prefix(8).map(\.name).joined(separator: ", ")
      throw EnvironmentFailure(
        "\(path): a data source holds one tensor, this file has \(file.tensors.count): \(names)")
    }
    guard let count = tensor.shape.first, count > 0, tensor.shape.allSatisfy({ $0 > 0 }) else {
      throw EnvironmentFailure("\(path): it holds no examples; its shape is \(tensor.shape)")
    }
    let shape = Array(tensor.shape.dropFirst())
    if tensor.dtype == .u8 {
      return Dataset(name: path, storage: .bytes(tensor.data), count: count, shape: shape)
    }
    guard let floats = tensor.floats else {
      throw EnvironmentFailure("\(path): elements of type \(tensor.dtype.rawValue) are no data")
    }
    return Dataset(name: path, storage: .floats(floats), count: count, shape: shape)
  }
}
