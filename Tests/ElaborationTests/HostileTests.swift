// Programs that ask too much: each must end in a diagnostic, soon, and with little memory.

import Basics
import Elaboration
import Testing

@Suite struct HostileTests {
  private func codes(_ text: String) -> [String] {
    places(text).map { String($0.prefix { $0 != "@" }) }
  }

  @Test func hugeRepeat() {
    #expect(
      codes("train(steps: 1) { repeat 1000000000 { let a = normal([2]) } }") == ["limit.repeat"])
    #expect(
      codes(
        "train(steps: 1) { repeat 10000 { repeat 10000 { let a = normal([2]) } } }")
        == ["limit.nodes"])
  }

  @Test func exponentialCalls() {
    var text = "network f0(x: [n]) -> [n] { x + 1 }\n"
    for level in 1...40 {
      text += "network f\(level)(x: [n]) -> [n] { f\(level - 1)(f\(level - 1)(x)) }\n"
    }
    text += "train(steps: 1) { let y = f40(normal([2])) }"
    #expect(codes(text) == ["limit.nodes"])
  }

  @Test func exponentialCallsThatBuildNothing() {
    var text = "block f0(x) { x }\n"
    for level in 1...40 { text += "block f\(level)(x) { f\(level - 1)(f\(level - 1)(x)) }\n" }
    text += "train(steps: 1) { let y = f40(normal([2])) }"
    #expect(codes(text) == ["limit.nodes"])
  }

  @Test func deepCalls() {
    var text = "block f0(x) { x }\n"
    for level in 1...2000 { text += "block f\(level)(x) { f\(level - 1)(x) }\n" }
    text += "train(steps: 1) { let y = f2000(normal([2])) }"
    #expect(codes(text) == ["limit.nesting"])
    var constants = "let c0 = 1\n"
    for level in 1...2000 { constants += "let c\(level) = c\(level - 1) + 1\n" }
    #expect(codes(constants) == [])
    // The same backwards: each needs the next.
    var reversed = ""
    for level in 1...2000 { reversed += "let c\(level) = c\(level + 1) + 1\n" }
    #expect(codes(reversed + "let c2001 = 1\n").first == "limit.nesting")
  }

  @Test func deepExpressionsInDeepCalls() {
    let nested = String(repeating: "relu(", count: 90) + "x" + String(repeating: ")", count: 90)
    var text = "block f0(x) { x }\n"
    for level in 1...50 {
      text += "block f\(level)(x) { \(nested.replacing("x", with: "f\(level - 1)(x)")) }\n"
    }
    text += "train(steps: 1) { let y = f50(normal([2])) }"
    #expect(codes(text) == ["limit.nesting"])
  }

  @Test func hugeShapes() {
    #expect(codes("train(steps: 1) { let a = range(1000000000000) }") == ["shape.size"])
    #expect(
      codes("train(steps: 1) { let a = normal([4611686018427387904, 4]) }") == ["shape.size"])
    #expect(
      codes("network f(x: [n, 1]) -> [n, 1] { x |> dense(4611686018427387904) }") == ["shape.size"])
    #expect(
      codes("network f(x: [n, 8, 8, 1]) -> [n, 1] { x |> upsample(1048576) |> upsample(1048576) }")
        == ["shape.size"])
    #expect(
      codes(
        "network f(x: [n, 8, 8, 1]) -> [n, 1] { "
          + "x |> convTranspose2D(1, 9, stride: 1048576, padding: valid) }")
        == ["shape.size"])
    #expect(
      codes("train(steps: 1) { let a = tile(normal([9]), [4611686018427387904]) }") == [
        "argument.value"
      ])
    #expect(
      codes("train(steps: 1) { let a = onehot(range(9), 4611686018427387904) }") == ["shape.size"])
    #expect(
      codes("train(steps: 1) { let a = split(range(9), 4611686018427387904, axis: 0) }") == [
        "shape.split"
      ])
    #expect(
      codes("train(steps: 1) { let a = pad(normal([9]), [[16777216, 4611686018427387904]]) }")
        == ["argument.value"])
    #expect(
      codes("train(steps: 1) { let a = reshape(normal([9]), [-1, 4611686018427387904, 4]) }") == [
        "shape.size"
      ])
  }

  @Test func hugeNetworks() {
    var text = "network f(x: [n, 40000]) -> [n, 40000] { x\n"
    for _ in 0..<20 { text += "|> dense(40000, bias: false)\n" }
    #expect(codes(text + "}") == ["limit.parameters"])
  }

  @Test func manyBlocksAndErrors() {
    let blocks = String(repeating: "every 2 steps { let a = normal([2]) }\n", count: 9)
    #expect(codes("train(steps: 1) {\n\(blocks)}") == ["limit.everyBlocks"])
    let wrong = (0..<500).map { "let a\($0) = nothing\n" }.joined()
    #expect(codes(wrong).count <= 60)
  }

  /// Lists that double, or go one level deeper, in each line.
  @Test func listsOfLists() {
    func lines(_ count: Int, _ line: (String, String) -> String) -> String {
      (0..<count).map { line("a\($0 + 1)", "a\($0)") + "\n" }.joined()
    }
    for first in ["[]", "[1]"] {
      let doubled = lines(60) { "let \($0) = [\($1), \($1)]" }
      #expect(codes("let a0 = \(first)\n" + doubled) == ["limit.list"])
    }
    let deep = lines(20_000) { "let \($0) = [\($1)]" }
    #expect(codes("let a0 = [1]\n" + deep) == ["limit.list"])
    for line in ["let a1 = (a0, x)", "let a1 = (a0, a0)"] {
      let body = lines(5_000) {
        line.replacing("a1", with: $0).replacing("a0", with: $1)
      }
      let text = "network f(x: [n]) -> [n] {\nlet a0 = (x, x)\n\(body)x }"
      #expect(codes(text) == ["limit.list"])
    }
    let long = "let a = [" + Array(repeating: "1", count: 65_000).joined(separator: ", ") + "]\n"
    #expect(codes(long) == [])
    #expect(codes(long + (0..<9).map { "let b\($0) = a\n" }.joined()) == [])
    let names = (0..<20_000).map { "let b\($0) = a\n" }.joined()
    #expect(codes(long + names) == ["limit.nodes"])
  }

  /// Many warnings hide no error, and thousands of errors do not take long.
  @Test func manyWarningsAndErrors() {
    let warned = (0..<60).map { "network s\($0)(x: [n, latnt]) -> [n, latnt] { x }\n" }.joined()
    let text = "let latent = 4\n\(warned)train(steps: 1) { report nope }"
    #expect(codes(text).contains("name.unknown"))
    let wrong = (0..<20_000).map { "let a\($0) = b\($0)\n" }.joined()
    #expect(codes(wrong).count == 50)
  }

  /// The places of nodes on one long line.
  @Test func longLines() {
    for comment in ["", "/* é */ "] {
      let stages = String(repeating: " |> relu()", count: 10_000)
      #expect(codes("network f(x: [n]) -> [n] { \(comment)x\(stages) }") == [])
    }
  }

  @Test func oddNumbers() {
    #expect(codes("train(steps: 1) { let a = normal([2]) * 1e400 }").allSatisfy { !$0.isEmpty })
    #expect(codes("train(steps: 9223372036854775807) { }") == ["argument.value"])
    #expect(
      codes("let a = power(10, 400)\nlet b = [a, -a]\ndata x: [a] from \"x\"") == ["type.integer"])
    #expect(
      codes("let a = -9223372036854775807 - 1\nlet b = a % -1\nlet c = a / -1") == [
        "number.overflow"
      ])
    #expect(codes("let a = -9223372036854775807 - 1\nlet b = abs(a)") == ["number.overflow"])
    #expect(
      codes("network f(x: [n]) -> [n] { x |> reshape([-9223372036854775807 - 1]) }") == [
        "shape.size"
      ])
    #expect(
      codes("network f(x: [n]) -> [n] { x |> slice(-9223372036854775807 - 1, 1, axis: 0) }")
        == ["argument.value"])
    #expect(
      codes("network f(x: [n]) -> [n] { x |> sum(axes: -9223372036854775807 - 1) }")
        == ["shape.axis"])
  }

  /// Programs cut off, and with each token doubled or dropped: whatever comes out, nothing traps.
  @Test func mutilatedPrograms() throws {
    let text = """
      let batch = 2
      data x: [batch, 4] in -1...1 from "x.npy"
      block b(x, k = 2) { x |> dense(k) |> relu() }
      network g(z: [n, 3]) -> [n, 4] { z |> b() |> batchNorm() |> dense(4, init: normal(0.02)) }
      network d(y: [n, 4]) -> ([n, 1], [n, 4]) { (y |> dense(1) |> sigmoid(), y) }
      optimizer o = adam(1e-3 * power(0.5, epoch), beta1: 0.5)
      train(epochs: 2) {
        repeat 2 { let (p, _) = d(x) ; update d minimizing bce(p, 1) with o }
        let (q, _) = d(g(normal([batch, 3])))
        update g minimizing mean(q) with sgd(0.1)
        average g as e decay 0.9
        every 2 steps { let m = mean(q); report m; checkpoint; sample }
      }
      sample(count: 4) { e(normal([count, 3])) }
      """
    _ = try compiled(text)
    let words = text.split(separator: " ", omittingEmptySubsequences: true)
    for index in words.indices {
      var dropped = words
      dropped.remove(at: index)
      _ = places(dropped.joined(separator: " "))
      var doubled = words
      doubled.insert(words[index], at: index)
      _ = places(doubled.joined(separator: " "))
      var swapped = words
      swapped[index] = words[(index * 7 + 3) % words.count]
      _ = places(swapped.joined(separator: " "))
    }
  }
}
