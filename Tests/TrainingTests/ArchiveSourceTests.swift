// NPZ archives as data and as weights.

import Basics
import CommandSupport
import Formats
import Testing
import Training

@Suite struct ArchiveSourceTests {
  private let resolver = DatasetResolver(environment: [:])
  private let images = NPYArray(element: .u8, shape: [2, 1, 2], bytes: [1, 2, 3, 4])
  private let labels = NPYArray(shape: [2], integers: [7, 9])

  private func archive(
    _ arrays: [(String, NPYArray)], in folder: TemporaryFolder
  ) throws -> String {
    let path = folder.file("data.npz")
    try FileIO.writeAtomically(try NPZ.encode(arrays.map { ($0.0, $0.1) }), to: path)
    return path
  }

  @Test func arraysByTheirNames() throws {
    let folder = try TemporaryFolder()
    let path = try archive(
      [("x_train", images), ("images", images), ("labels", labels)], in: folder)
    for source in [path, "\(path):x_train", "\(path):images"] {
      let found = try resolver.resolve(source)
      #expect(found.count == 2 && found.shape == [1, 2] && found.name == source)
      guard case .bytes([1, 2, 3, 4]) = found.storage else {
        Issue.record("not the images of \(source)")
        return
      }
      guard case .integers([7, 9]) = try resolver.resolve(source, part: "labels").storage else {
        Issue.record("not the labels of \(source)")
        return
      }
    }
  }

  @Test func oneArrayNeedsNoName() throws {
    let folder = try TemporaryFolder()
    let path = try archive([("arr_0", images)], in: folder)
    #expect(try resolver.resolve(path).count == 2)
  }

  @Test func saysWhichArraysThereAre() throws {
    let folder = try TemporaryFolder()
    let path = try archive([("x", images), ("y", labels)], in: folder)
    func message(_ source: String, _ part: String = "images") -> String {
      do {
        _ = try resolver.resolve(source, part: part)
        return "nothing"
      } catch {
        return error.message
      }
    }
    #expect(message(path).contains("\(path): one array is expected, and it has x, y"))
    #expect(message("\(path):z").contains("no array 'z'; it has x, y"))
    #expect(message(path + ":x", "labels").contains("it has no array 'labels'; it has x, y"))
    #expect(message("\(folder.path)/none.npz:x").contains("none.npz:x' does not exist"))
  }

  @Test func weights() throws {
    let folder = try TemporaryFolder()
    let kernel = NPYArray(shape: [1, 2], floats: [0.5, -1])
    let path = try archive([("generator/dense/kernel", kernel)], in: folder)
    let tensors = try Weights.read(path)
    #expect(tensors.map(\.name) == ["generator/dense/kernel"])
    #expect(tensors[0].floats == [0.5, -1] && tensors[0].shape == [1, 2])
  }
}
