// What `gan-exec evaluate` prints: a table, or one JSON object.

import Formats
import Training

struct EvaluationReport {
  let model: String
  let evaluation: Evaluation
  /// Real images against other real ones: the best that can be hoped for.
  let floor: Evaluation?
  let realName: String
  let realChecksum: String
  let featureHash: String?
  let featureWidth: Int?
  let metrics: [Metric]

  // MARK: Text

  var text: String {
    var text =
      "\(model): \(evaluation.count) images against \(evaluation.realCount) real ones of \(realName)\n"
    if let featureHash, let featureWidth {
      text += "features: \(featureWidth) of the classifier \(featureHash)\n"
    }
    let title = floor.map { $0.count == evaluation.count ? "real" : "real (\($0.count))" }
    var rows = [["", "images", title ?? ""]]
    for (index, row) in cells(evaluation).enumerated() {
      rows.append([row.name, row.value, floor.map { cells($0)[index].value } ?? ""])
    }
    return text + alignedTable(rows)
  }

  private func cells(_ evaluation: Evaluation) -> [(name: String, value: String)] {
    metrics.flatMap { metric -> [(name: String, value: String)] in
      switch metric {
      case .frechet: [("Fréchet distance", Self.number(evaluation.frechet))]
      case .kernel:
        [
          (
            "kernel distance",
            Self.number(evaluation.kernel?.mean) + " ± "
              + Self.number(evaluation.kernel?.standardError)
          )
        ]
      case .precisionRecall:
        [
          ("precision", Self.number(evaluation.precisionRecall?.precision)),
          ("recall", Self.number(evaluation.precisionRecall?.recall)),
        ]
      case .slicedWasserstein:
        [("sliced Wasserstein distance", Self.number(evaluation.slicedWasserstein))]
      }
    }
  }

  private static func number(_ value: Double?) -> String { value.map { shortNumber($0) } ?? "" }

  // MARK: JSON

  var object: JSONValue {
    var pairs: [(key: String, value: JSONValue)] = [
      (key: "model", value: .string(model)),
      (key: "images", value: .int(evaluation.count)),
      (key: "real_images", value: .int(evaluation.realCount)),
      (key: "real", value: .string(realName)),
      (key: "real_checksum", value: .string(realChecksum)),
      (key: "features", value: featureHash.map { .string($0) } ?? .null),
      (key: "feature_width", value: featureWidth.map { .int($0) } ?? .null),
    ]
    pairs += Self.values(evaluation)
    let floor = floor.map { floor in
      JSONValue.object(
        [
          (key: "images", value: .int(floor.count)),
          (key: "real_images", value: .int(floor.realCount)),
        ]
          + Self.values(floor))
    }
    pairs.append((key: "real_against_real", value: floor ?? .null))
    return .object(pairs)
  }

  /// What was not asked for is null.
  private static func values(_ evaluation: Evaluation) -> [(key: String, value: JSONValue)] {
    func number(_ value: Double?) -> JSONValue { value.map { .double($0) } ?? .null }
    let kernel = evaluation.kernel.map { kernel -> JSONValue in
      [
        "mean": .double(kernel.mean), "standard_error": .double(kernel.standardError),
        "subsets": .int(kernel.subsets), "subset_size": .int(kernel.subsetSize),
      ]
    }
    return [
      (key: "frechet", value: number(evaluation.frechet)),
      (key: "kernel", value: kernel ?? .null),
      (key: "precision", value: number(evaluation.precisionRecall?.precision)),
      (key: "recall", value: number(evaluation.precisionRecall?.recall)),
      (key: "swd", value: number(evaluation.slicedWasserstein)),
    ]
  }
}
