// Ids outside of an embedding or a one-hot vector: refused with their place, in data and in
// arguments.

import Basics
import Elaboration
import Formats
import Foundation
import CommandSupport
import Testing
import Training

@Suite struct ClassLimitTests {
  /// Labels go to an embedding of `count` classes at line 7, by way of a network and a reshape;
  /// `body` is added to the step at line 15.
  private func program(
    _ folder: TemporaryFolder, labels: String, count: Int = 5, body: String = ""
  ) throws -> String {
    let data = folder.file("images.npy")
    try FileIO.writeAtomically(try Tiny.pictures(8).encode(), to: data)
    return try folder.write(
      """
      model "classes"
      data images: [4, 6, 6, 1] in -1...1 from "\(data)"
      data labels: i32[4] from "\(labels)", with: images

      network named(labels: i32[n], z: [n, 3]) -> [n, 2] {
        let rows = reshape(labels, [n, 1])
        embedding(rows, \(count), 2) |> flatten() |> dense(2)
      }

      train(steps: 2) {
        let loss = mean(named(labels, normal([4, 3])))
        update named minimizing loss with sgd(0.1)
        let seen = mean(images)
        report loss, seen
        \(body)
      }
      """, to: "classes.gan")
  }

  private func labels(_ folder: TemporaryFolder, _ values: [Int32]) throws -> String {
    let path = folder.file("labels.npy")
    try FileIO.writeAtomically(
      try NPYArray(shape: [values.count], integers: values).encode(), to: path)
    return path
  }

  private func train(_ program: String, _ folder: TemporaryFolder) -> CommandResult {
    exec("train", program, "--out", folder.file("run-\(UUID())"), "--quiet")
  }

  @Test func labelsOfData() throws {
    let folder = try TemporaryFolder()
    let good = try labels(folder, [0, 1, 2, 3, 4, 4, 0, 1])
    let right = train(try program(folder, labels: good), folder)
    #expect(right.code == 0, "\(right.messages)")
    for (values, example, value) in [
      ([0, 1, 5, 3, 4, 9, 0, 1], 2, 5), ([0, 1, 2, 3, 4, 4, 0, -1], 7, -1),
    ] as [([Int32], Int, Int)] {
      let path = try labels(folder, values)
      let result = train(try program(folder, labels: path), folder)
      #expect(result.code == 3)
      #expect(
        result.messages.contains(
          "\(path): example \(example) of 'labels' holds \(value), but line 7 takes ids from 0 to 4"
        ), "\(result.messages)")
      #expect(result.messages.contains("raise the count"))
    }
  }

  /// Bytes and whole floats are labels too.
  @Test func labelsOfOtherTypes() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("labels.npy")
    for array in [
      NPYArray(element: .u8, shape: [8], bytes: [0, 1, 2, 3, 7, 1, 1, 1]),
      NPYArray(shape: [8], floats: [0, 1, 2, 3, 7, 1, 1, 1]),
    ] {
      try FileIO.writeAtomically(try array.encode(), to: path)
      let result = train(try program(folder, labels: path), folder)
      #expect(result.code == 3)
      #expect(result.messages.contains("example 4 of 'labels' holds 7"), "\(result.messages)")
      let enough = train(try program(folder, labels: path, count: 8), folder)
      #expect(enough.code == 0, "\(enough.messages)")
    }
  }

  @Test func theLowestLimitHolds() throws {
    let folder = try TemporaryFolder()
    let path = try labels(folder, [0, 1, 2, 3, 4, 4, 0, 1])
    func body(_ ids: String) -> String { "let marks = mean(onehot(\(ids), 3))\nreport marks" }
    let result = train(try program(folder, labels: path, body: body("labels")), folder)
    #expect(result.code == 3)
    #expect(
      result.messages.contains("example 3 of 'labels' holds 3, but line 15"), "\(result.messages)")
    // What is computed from labels has no limit that the labels could miss.
    for ids in ["labels - 2", "slice(labels, 0, 2, axis: 0)"] {
      let result = train(try program(folder, labels: path, body: body(ids)), folder)
      #expect(result.code == 0, "\(result.messages)")
    }
  }

  @Test func drawnLabels() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      """
      data images: [4, 28, 28, 1] in -1...1 from "synthetic"
      data labels: i32[4] from images.labels
      network score(x: [n, 28, 28, 1], c: i32[n]) -> [] {
        crossEntropy(x |> flatten() |> dense(9), c)
      }
      train(steps: 1) {
        let loss = score(images, labels)
        update score minimizing loss with sgd(0.1)
        report loss
      }
      """, to: "drawn.gan")
    let result = train(path, folder)
    #expect(result.code == 3)
    #expect(result.messages.contains("holds 9, but line 4"), "\(result.messages)")
    try FileIO.writeAtomically(
      try text(path).replacingOccurrences(of: "dense(9)", with: "dense(10)"), to: path)
    let enough = train(path, folder)
    #expect(enough.code == 0, "\(enough.messages)")
  }

  private func text(_ path: String) throws -> String {
    String(decoding: try contents(path), as: UTF8.self)
  }

  @Test func argumentsOfANetwork() throws {
    let folder = try TemporaryFolder()
    let program = try folder.write(
      """
      network table(ids: i32[n, 3]) -> [n, 3, 2] { embedding(ids, 4, 2) }
      """, to: "table.gan")
    let ids = folder.file("ids.npy")
    func evaluate(_ values: [Int32]) throws -> CommandResult {
      try FileIO.writeAtomically(try NPYArray(shape: [2, 3], integers: values).encode(), to: ids)
      return exec(
        "eval", program, "table", "--input", "ids=\(ids)", "--output", folder.file("y.npy"))
    }
    let right = try evaluate([0, 1, 2, 3, 3, 0])
    #expect(right.code == 0, "\(right.messages)")
    try FileIO.remove(folder.file("y.npy"))
    for (values, says) in [
      ([0, 1, 2, 3, 4, 0], "holds 4 at [1, 1]"), ([-1, 1, 2, 3, 3, 0], "holds -1 at [0, 0]"),
    ] as [([Int32], String)] {
      let wrong = try evaluate(values)
      #expect(wrong.code == 3)
      #expect(wrong.messages.contains("'ids' \(says)"), "\(wrong.messages)")
      #expect(wrong.messages.contains("line 1 takes ids from 0 to 3"), "\(wrong.messages)")
      #expect(!FileIO.exists(folder.file("y.npy")))
    }
  }
}
