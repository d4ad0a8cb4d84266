// The metrics against NumPy and SciPy (Tools/make-metrics-fixture.py), against what is known exactly, and what they refuse.

import Basics
import Formats
import TestSupport
import Testing
import Training

@Suite struct MetricsTests {
  /// One case of the fixture.
  private struct Case {
    let a: FeatureMatrix
    let b: FeatureMatrix
    let directions: [Double]
    let pictures: (a: PictureSet, b: PictureSet)
    let expected: [Double]

    init(_ name: String) throws {
      let path = "\(Places.fixtures)/metrics.safetensors"
      let file = try TensorFile.decode(try FileIO.read(path), name: path)
      func numbers(_ part: String) throws -> (shape: [Int], values: [Double]) {
        let tensor = try #require(file["\(name)/\(part)"])
        #expect(tensor.dtype.rawValue == "F64")
        let values = tensor.data.withUnsafeBytes { raw in
          (0..<raw.count / 8).map { raw.loadUnaligned(fromByteOffset: $0 * 8, as: Double.self) }
        }
        return (tensor.shape, values)
      }
      func set(_ part: String) throws -> (FeatureMatrix, PictureSet) {
        let (shape, values) = try numbers(part)
        return (
          try FeatureMatrix(width: shape[1], values: values),
          PictureSet(count: shape[0], shape: [shape[1]], values: values.map(Float.init))
        )
      }
      let (first, second) = (try set("a"), try set("b"))
      (a, b) = (first.0, second.0)
      pictures = (first.1, second.1)
      directions = try numbers("directions").values
      expected = try numbers("expected").values
    }
  }

  private func isNear(_ value: Double, _ expected: Double, _ tolerance: Double) -> Bool {
    abs(value - expected) <= tolerance * max(1, abs(expected))
  }

  @Test(arguments: ["plain", "singular", "equal"]) func agreeWithSciPy(_ name: String) throws {
    let known = try Case(name)
    let work = try SharedWork(threads: 2)
    let frechet = try FrechetDistance.between(known.a, known.b, on: work)
    #expect(isNear(frechet, known.expected[0], 1e-7), "\(frechet), not \(known.expected[0])")
    let kernel = KernelDistance.unbiased(known.a, known.b)
    #expect(isNear(kernel, known.expected[1], 1e-11), "\(kernel), not \(known.expected[1])")
    let shares = try PrecisionRecall(generated: known.a, real: known.b, on: work)
    #expect(isNear(shares.precision, known.expected[2], 1e-12), "\(shares)")
    #expect(isNear(shares.recall, known.expected[3], 1e-12), "\(shares)")
    let swd = try SlicedWasserstein.between(
      known.pictures.a, known.pictures.b, directions: known.directions, on: work)
    #expect(isNear(swd, known.expected[4], 1e-11), "\(swd), not \(known.expected[4])")
  }

  @Test func theBitsDoNotDependOnThreads() throws {
    let known = try Case("plain")
    func all(_ threads: Int) throws -> Evaluation {
      try Evaluation(
        EvaluatedImages(pictures: known.pictures.a, features: known.a),
        against: EvaluatedImages(pictures: known.pictures.b, features: known.b), Metric.allCases,
        on: try SharedWork(threads: threads))
    }
    let one = try all(1)
    #expect(try all(3) == one)
    #expect(one.kernel?.subsets == 100)
    #expect(one.kernel?.subsetSize == 35)
    // The subsets' mean estimates the same as the whole sets do.
    let kernel = try #require(one.kernel)
    let distance = abs(kernel.mean - known.expected[1])
    #expect(kernel.standardError > 0)
    #expect(distance < 8 * kernel.standardError, "\(kernel)")
  }

  @Test func equalSetsAreNotApart() throws {
    let known = try Case("singular")
    let work = try SharedWork(threads: 1)
    #expect(try FrechetDistance.between(known.a, known.a, on: work) < 1e-12)
    #expect(try SlicedWasserstein.between(known.pictures.a, known.pictures.a, on: work) == 0)
    let shares = try PrecisionRecall(generated: known.a, real: known.a, on: work)
    #expect(shares.precision == 1 && shares.recall == 1)
  }

  /// Two normal distributions along the axes: d² = Σ (μ₁ − μ₂)² + (σ₁ − σ₂)², also where a deviation is 0.
  @Test func frechetOfDiagonals() {
    func moments(_ mean: [Double], _ deviations: [Double]) -> FeatureMoments {
      var covariance = SquareMatrix(size: mean.count)
      for (i, deviation) in deviations.enumerated() { covariance[i, i] = deviation * deviation }
      return FeatureMoments(mean: mean, covariance: covariance)
    }
    let a = moments([0, 1, 2, 0], [1, 2, 0, 0])
    let b = moments([3, 1, 0, 0], [4, 0, 0, 5])
    let expected: Double = 9 + 4 + 9 + 4 + 25
    #expect(isNear(FrechetDistance.between(a, b), expected, 1e-13))
    #expect(isNear(FrechetDistance.between(b, a), expected, 1e-13))
  }

  @Test func eigenvaluesOfAKnownMatrix() {
    // The second difference of n points: 2 − 2 cos(π i / (n + 1)).
    let size = 9
    var matrix = SquareMatrix(size: size)
    for i in 0..<size {
      matrix[i, i] = 2
      if i > 0 {
        matrix[i, i - 1] = -1
        matrix[i - 1, i] = -1
      }
    }
    let eigen = SymmetricEigen(matrix)
    // 4 sin²(π i / 20), i = 1…9.
    let expected = [
      0.09788696740969294, 0.38196601125010515, 0.8244294954150537, 1.3819660112501053, 2,
      2.618033988749895, 3.1755705045849465, 3.618033988749895, 3.902113032590307,
    ]
    for (value, right) in zip(eigen.values.sorted(), expected) {
      #expect(isNear(value, right, 1e-14), "\(value), not \(right)")
    }
    for (value, right) in zip(singularValues(matrix).sorted(), expected) {
      #expect(isNear(value, right, 1e-13), "\(value), not \(right)")
    }
    // A v = λ v
    for i in 0..<size {
      for row in 0..<size {
        let product = (0..<size).reduce(0) { $0 + matrix[row, $1] * eigen.vectors[i, $1] }
        #expect(isNear(product, eigen.values[i] * eigen.vectors[i, row], 1e-13))
      }
    }
  }

  /// Lists of different lengths: 0 and 1 against 0, 1, 2.
  @Test func slicesOfDifferentCounts() throws {
    let a = PictureSet(count: 2, shape: [1], values: [0, 1])
    let b = PictureSet(count: 3, shape: [1], values: [2, 0, 1])
    let distance = try SlicedWasserstein.between(
      a, b, directions: [1], on: try SharedWork(threads: 1))
    #expect(isNear(distance, 0.5, 1e-15), "\(distance)")
  }

  @Test func directionsAreUnitVectors() {
    let directions = SlicedWasserstein.directions(3, width: 50)
    for first in stride(from: 0, to: 150, by: 50) {
      let length = directions[first..<first + 50].reduce(0) { $0 + $1 * $1 }
      #expect(isNear(length, 1, 1e-14))
    }
    #expect(directions == SlicedWasserstein.directions(3, width: 50))
  }

  @Test func picturesAreCutAndRounded() throws {
    let declaration = DataDeclarations.images(low: 0, high: 1)
    let scale = PictureScale(declaration)
    let drawn = PictureSet(
      drawn: [-3, 0, 0.5, 1, 7, 0.2001], count: 1, shape: [2, 3], scale: scale)
    #expect(drawn.values == [-1, -1, scale.levels[128], 1, 1, scale.levels[51]])
    let bytes = Dataset(name: "bytes", storage: .bytes([0, 255, 128, 51]), count: 2, shape: [2])
    #expect(
      try PictureSet([1, 0], of: bytes, shape: [2], scale: scale).values
        == [scale.levels[128], scale.levels[51], -1, 1])
    let floats = Dataset(name: "floats", storage: .floats([0, 1, 2, 0.2]), count: 2, shape: [2])
    #expect(
      try PictureSet([0, 1], of: floats, shape: [2], scale: scale).values
        == [-1, 1, 1, scale.levels[51]])
    let free = PictureScale(DataDeclarations.images(low: nil, high: nil))
    #expect(try PictureSet([1], of: floats, shape: [2], scale: free).values == [2, 0.2])
  }

  @Test func whatCannotBeCompared() throws {
    let work = try SharedWork(threads: 1)
    func set(_ count: Int, _ width: Int) throws -> FeatureMatrix {
      try FeatureMatrix(width: width, values: (0..<count * width).map { Double($0 * $0 % 17) })
    }
    func message(_ body: () throws -> Void) -> String {
      do {
        try body()
        return "nothing was refused"
      } catch { return "\(error)" }
    }
    let (few, many) = (try set(3, 4), try set(8, 4))
    for (text, body) in [
      (
        "features of one width, but there are 4 and 5",
        { _ = try FrechetDistance.between(many, try set(8, 5), on: work) }
      ),
      (
        "at least 4 images in each set, but there are 3 and 8",
        { _ = try PrecisionRecall(generated: few, real: many, on: work) }
      ),
      (
        "at least 4 images in each set, but there are 8 and 3",
        { _ = try KernelDistance(many, few, on: work) }
      ),
      ("at least 2 images", { _ = try FrechetDistance.between(try set(1, 4), many, on: work) }),
      ("at least 2 images", { _ = try FrechetDistance.between(try set(0, 4), many, on: work) }),
      (
        "feature 1 of image 2 is nan",
        { _ = try FeatureMatrix(width: 3, values: [0, 1, 2, 3, 4, 5, 6, .nan, 8] as [Double]) }
      ),
      (
        "7 features are no rows of 3",
        { _ = try FeatureMatrix(width: 3, values: [Float](repeating: 0, count: 7)) }
      ),
      (
        "pictures of one shape, but there are [2] and [3]",
        {
          _ = try SlicedWasserstein.between(
            PictureSet(count: 1, shape: [2], values: [0, 0]),
            PictureSet(count: 1, shape: [3], values: [0, 0, 0]), on: work)
        }
      ),
      (
        "at least 1 image",
        {
          _ = try SlicedWasserstein.between(
            PictureSet(count: 0, shape: [2], values: []),
            PictureSet(count: 1, shape: [2], values: [0, 0]), on: work)
        }
      ),
    ] as [(String, () throws -> Void)] {
      let found = message(body)
      #expect(found.contains(text), "\(found)")
    }
    #expect(Evaluation.warning(count: 64, width: 64)?.contains("--count 640") == true)
    #expect(Evaluation.warning(count: 65, width: 64)?.contains("are few for 64") == true)
    #expect(Evaluation.warning(count: 640, width: 64) == nil)
  }
}
