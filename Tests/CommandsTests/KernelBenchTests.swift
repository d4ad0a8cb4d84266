// `gan-exec bench --kernels`: what the cost model expected stands beside what was measured. Times themselves are not tested.

import CommandSupport
import Formats
import TestSupport
import Testing

/// Convolutions that have forms of Winograd's, one that has none, and a product.
private let images = """
  model "images"
  let batch = 2
  data images: [batch, 12, 12, 16] in -1...1 from "/nowhere/images.npy"
  network discriminator(x: [n, 12, 12, 16]) -> [n, 1] {
    x |> conv2D(16, 3) |> leakyReLU(0.2) |> conv2D(3, 5) |> flatten() |> dense(1)
  }
  train(steps: 3) {
    let loss = bceWithLogits(discriminator(images), 1)
    update discriminator minimizing loss with sgd(0.1)
    report loss
  }
  """

extension BenchTests {
  private func measured(_ options: String...) throws -> String {
    let folder = try TemporaryFolder()
    let path = try folder.write(images, to: "images.gan")
    let result = exec(["bench", path, "--kernels", "--steps", "1"] + options)
    #expect(result.code == 0, "\(result.messages)")
    return result.output
  }

  private func object(_ options: String...) throws -> JSONValue {
    let folder = try TemporaryFolder()
    let path = try folder.write(images, to: "images.gan")
    let result = exec(["bench", path, "--kernels", "--steps", "1", "--json"] + options)
    #expect(result.code == 0, "\(result.messages)")
    return try JSONValue.parse(result.output, name: "json")
  }

  private func kernels(_ json: JSONValue) throws -> [JSONValue] {
    try #require(json["kernels"]?.arrayValue)
  }

  private func figure(_ value: JSONValue, _ key: String) throws -> Double {
    try #require(value[key]?.doubleValue, "\(key)")
  }

  /// Without the peak, which is measured anew in each run, the prediction is the expected work.
  @Test func predictionsGrowWithTheBatch() throws {
    func work(_ batch: Int) throws -> [Double] {
      let json = try object("--batch", "\(batch)")
      let peak = try figure(json, "peak_gflops")
      return try kernels(json).map { try peak * figure($0, "predicted_ms") }.sorted()
    }
    let (small, large) = (try work(2), try work(8))
    #expect(small.count == large.count && small.count >= 5)
    for (small, large) in zip(small, large) {
      #expect(small > 0 && abs(large / small - 4) < 0.01, "\(small) \(large)")
    }
  }

  @Test func everyMethodIsMeasured() throws {
    let json = try object("--methods")
    var choices = 0
    var errors: [Double] = []
    for kernel in try kernels(json) {
      guard let methods = kernel["methods"]?.arrayValue else {
        #expect(kernel["kernel"]?.stringValue == "matmul")
        errors.append(abs(try figure(kernel, "predicted_ms") / figure(kernel, "ms_median") - 1))
        continue
      }
      for method in methods {
        #expect(
          method.objectValue?.map(\.key) == [
            "method", "predicted_ms", "ms_median", "ms_min", "ms_max",
          ])
        errors.append(abs(try figure(method, "predicted_ms") / figure(method, "ms_median") - 1))
      }
      let names = methods.compactMap { $0["method"]?.stringValue }
      #expect(names.contains("direct") && Set(names).count == names.count)
      #expect(kernel["method"]?.stringValue == names[0], "the chosen one comes first")
      #expect(kernel["next_method"]?.stringValue == (names.count > 1 ? names[1] : nil))
      if names.count > 1 { choices += 1 }
      let times = try methods.map { try figure($0, "ms_median") }
      let least = try #require(times.min())
      #expect(
        kernel["best_method"]?.stringValue == names[try #require(times.firstIndex(of: least))])
      #expect(abs(try figure(kernel, "lost_ms") - (times[0] - least)) <= 1e-4 * times[0])
    }
    let prediction = try #require(json["prediction"])
    // The three of the layer whose channels fill vectors; the image's gradient is not needed.
    #expect(choices == 2 && prediction["choices"]?.intValue == choices)
    let lost = try kernels(json).filter { $0["lost_ms"]?.doubleValue ?? 0 > 0 }
    #expect(prediction["not_best"]?.intValue == lost.count)
    #expect((try figure(prediction, "lost_ms") > 0) == !lost.isEmpty)
    #expect(prediction["measured"]?.intValue == errors.count)
    errors.sort()
    #expect(abs(try figure(prediction, "largest_error") - errors[errors.count - 1]) < 1e-2)
    #expect(abs(try figure(prediction, "median_error") - errors[errors.count / 2]) < 1e-2)
  }

  /// The direct method is what `--math exact` runs; what the model would have chosen is the next.
  @Test func methodsOfTheGraphThatRuns() throws {
    let fast = try kernels(object()).compactMap { $0["method"]?.stringValue }
    #expect(fast.contains { $0.hasPrefix("winograd") } && fast.contains("direct"))
    let json = try object("--math", "exact")
    let exact = try kernels(json)
    #expect(exact.allSatisfy { ["direct", "product"].contains($0["method"]?.stringValue) })
    #expect(exact.contains { $0["next_method"]?.stringValue?.hasPrefix("winograd") ?? false })
    #expect(exact.allSatisfy { $0["methods"] == nil && $0["lost_ms"] == nil })
    #expect(json["prediction"]?["choices"] == .null)
    #expect(json["prediction"]?["largest_error"]?.doubleValue ?? -1 > 0)
  }

  @Test func columnsOfPredictions() throws {
    let text = try measured()
    for column in ["  predicted  ", "  method  ", "  next best, ms  "] {
      #expect(text.contains(column), "\(column): \(text)")
    }
    #expect(text.hasSuffix(" at most; --methods measures the choices\n"), "\(text)")
    let all = try measured("--methods")
    let lines = all.split(separator: "\n").map(String.init)
    #expect(lines.count { $0.contains(": chosen") } == 2, "\(all)")
    #expect(lines.count { $0.hasSuffix("best") } >= 2, "\(all)")
    let last = try #require(lines.last)
    #expect(last.hasPrefix("|predicted / measured - 1| is "))
    #expect(last.contains(" of 2 choices were not the measured best, "), "\(last)")
  }

  /// Known layers are computed as programs compute them.
  @Test func methodsOfKnownLayers() throws {
    func methods(_ options: String...) throws -> [String] {
      let result = exec(
        ["bench", "--kernels", "--json", "--batch", "1", "--steps", "1"] + options)
      #expect(result.code == 0, "\(result.messages)")
      return try kernels(try JSONValue.parse(result.output, name: "json"))
        .compactMap { $0["method"]?.stringValue }
    }
    #expect(try methods().contains { $0.hasPrefix("winograd") })
    #expect(try Set(methods("--math", "exact")) == ["direct", "product"])
  }
}
