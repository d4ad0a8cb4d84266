// Files for and from other programs. By itself this writes into a folder of its own and reads
// back; with FORMATS_FOLDER set, Tools/check-formats.py reads what is written here with NumPy,
// safetensors and Pillow, and this reads what the script wrote.

import Basics
import Testing

@testable import Formats

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite struct InterchangeTests {
  static let floats: [Float] = (0..<24).map { Float($0) / 7 - 1 }

  @Test func writesFilesForOtherPrograms() throws {
    if let folder = getenv("FORMATS_FOLDER") {
      try Self.write(String(cString: folder))
    } else {
      try withFolder(Self.write)
    }
  }

  static func write(_ folder: String) throws {
    func save(_ name: String, _ bytes: [UInt8]) throws {
      try FileIO.writeAtomically(bytes, to: folder + "/" + name)
      #expect(try FileIO.read(folder + "/" + name) == bytes)
    }
    try save("f4.npy", NPYArray(shape: [2, 3, 4], floats: floats).encode())
    try save("f8.npy", NPYArray(shape: [24], doubles: floats.map { Double($0) }).encode())
    try save("i4.npy", NPYArray(shape: [], integers: [-5]).encode())
    try save("b1.npy", NPYArray(element: .bool, shape: [3, 1], bytes: [1, 0, 1]).encode())
    let arrays = [
      (key: "G/weight", array: NPYArray(shape: [2, 3, 4], floats: floats)),
      (key: "é", array: NPYArray(shape: [], integers: [-5])),
    ]
    try save("stored.npz", NPZ.encode(arrays))
    try save("deflated.npz", NPZ.encode(arrays, method: .deflated))
    // As files beyond 4 GiB have it.
    let members = try arrays.map { Zip.Member(name: $0.key + ".npy", bytes: try $0.array.encode()) }
    try save(
      "zip64.npz",
      Zip.encode(members, method: .deflated, limits: Zip.Limits(size: 1, count: 1)))
    let tensors = TensorFile(
      tensors: [
        NamedTensor(name: "flag", dtype: .bool, shape: [3], data: [1, 0, 1]),
        NamedTensor(name: "G.weight", shape: [2, 3, 4], floats: floats),
        NamedTensor(name: "step", shape: [], integers: [469]),
        NamedTensor(name: "none", dtype: .f64, shape: [0, 2], data: []),
      ], metadata: [("program", "layer \"é\"\n")])
    try save("a.safetensors", tensors.encode())
    for channels in 1...4 {
      let pixels = (0..<40 * 30 * channels).map { UInt8(truncatingIfNeeded: $0 * $0 / 97) }
      let image = Image(width: 40, height: 30, channels: channels, pixels: pixels)
      try save("c\(channels).png", PNG.encode(image))
    }
    for channels in [1, 3] {
      var writer = AnimatedGIFWriter(path: folder + "/c\(channels).gif", delay: 20)
      for frame in 0..<5 {
        try writer.append(grid(frame: frame, channels: channels))
        try save(
          "grid-c\(channels)-\(frame).png", PNG.encode(grid(frame: frame, channels: channels)))
      }
    }
    try save("plot.svg", Array(plot().svg().utf8))
    try save(
      "a.idx.gz",
      Gzip.compress(IDXArray(element: .u8, shape: [2, 2], bytes: [1, 2, 3, 4]).encode()))
  }

  /// Discs that move and grow.
  static func grid(frame: Int, channels: Int) throws -> Image {
    var images: [Float] = []
    for n in 0..<25 {
      for y in 0..<28 {
        for x in 0..<28 {
          for c in 0..<channels {
            let (dx, dy) = (Float(x - 14 + n % 5 - c * 4), Float(y - 14 + n / 5))
            images.append(1 - (dx * dx + dy * dy).squareRoot() / Float(4 + frame + c))
          }
        }
      }
    }
    return try ImageGrid.make(images: images, count: 25, height: 28, width: 28, channels: channels)
  }

  static func plot() -> LinePlot {
    var random = PhiloxSequence(seed: 3, stream: 9)
    func noisy(_ base: (Double) -> Double) -> [(x: Double, y: Double)] {
      (0..<9380).map { i in
        let spike: Double = i == 5000 ? 1 : 0
        return (Double(i), base(Double(i) / 9380) + 0.25 * (random.nextUniform() - 0.5) + spike)
      }
    }
    return LinePlot(
      title: "vanilla-gan: losses", xLabel: "step", yLabel: "loss",
      series: [
        .init(name: "loss.discriminator", points: noisy { 0.6 + 0.5 / (1 + 30 * $0) }),
        .init(name: "loss.generator", points: noisy { 1.4 - 0.7 / (1 + 20 * $0) }),
        .init(name: "accuracy", points: (0...20).map { (Double($0) * 469, 0.75) }),
      ])
  }

  @Test func readsFilesOfOtherPrograms() throws {
    guard let variable = getenv("FORMATS_FOLDER") else { return }
    let folder = String(cString: variable) + "/python"
    guard FileIO.isDirectory(folder) else { return }
    for name in try FileIO.list(folder) where name.hasSuffix(".npy") {
      let array = try NPYArray.decode(FileIO.read(folder + "/" + name), name: name)
      #expect(array.doubles == (0..<6).map { name.hasPrefix("b1") ? Double($0 % 2) : Double($0) })
      #expect(array.shape == [2, 3])
    }
    for name in ["stored", "deflated", "piped"] {
      let path = "\(folder)/\(name).npz"
      let archive = try NPZArchive(FileIO.read(path), name: path)
      #expect(archive.keys == ["images", "G/weight", "é"])
      #expect(try archive.array("images").integers == [0, 1, 2, 3, 4, 5])
      #expect(try archive.array("G/weight").floats == [0, 1, 2, 3, 4, 5])
      #expect(try archive.array("é").doubles == [-5])
    }
    let file = try TensorFile.decode(FileIO.read(folder + "/a.safetensors"), name: "a")
    #expect(file.metadata.map(\.0) == ["k"] && file.metadata("k") == "v\n")
    for name in ["f4", "f2", "bf"] where file[name] != nil {
      #expect(file[name]?.floats == [0, 1, 2, 3, 4, 5] && file[name]?.shape == [2, 3])
    }
    #expect(file["i8"]?.integers == [0, 1, 2, 3, 4, 5])
    for mode in ["L", "LA", "RGB", "RGBA", "P"] {
      let name = folder + "/\(mode).png"
      let image = try PNG.decode(FileIO.read(name), name: name)
      let raw = try NPYArray.decode(FileIO.read(folder + "/\(mode).pixels"), name: mode)
      #expect(image.pixels == raw.bytes, "\(mode)")
      #expect([image.height, image.width] == Array(raw.shape.prefix(2)))
      for file in try FileIO.list(folder)
      where file.hasPrefix("\(mode)-") && file.hasSuffix(".resized") {
        let raw = try NPYArray.decode(FileIO.read(folder + "/" + file), name: file)
        let resized = image.resampled(width: raw.shape[1], height: raw.shape[0])
        #expect(resized.pixels == raw.bytes, "\(file)")
      }
    }
    try readsKinds(folder + "/kinds")
  }

  /// PNG files of every kind, as Pillow converts them.
  private func readsKinds(_ folder: String) throws {
    let names = try FileIO.list(folder).filter { $0.hasSuffix(".png") }
    #expect(names.count > 100)
    for name in names {
      let image = try PNG.decode(FileIO.read(folder + "/" + name), name: name)
      for (mode, channels) in [("L", 1), ("RGB", 3), ("RGBA", 4)] {
        let file = "\(folder)/\(name.dropLast(4)).\(mode)"
        let raw = try NPYArray.decode(FileIO.read(file), name: file)
        #expect(image.converted(toChannels: channels).pixels == raw.bytes, "\(name) as \(mode)")
        #expect([image.height, image.width] == Array(raw.shape.prefix(2)))
      }
    }
  }
}
