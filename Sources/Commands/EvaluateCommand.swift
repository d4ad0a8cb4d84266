// `gan-exec evaluate`: how far the images that a program draws are from those that it learned from. Draws, finds as many
// real ones, takes the features of both from a small classifier, and compares. Nothing is downloaded.

import Basics
import CPUBackend
import Elaboration
import Formats
import GraphIR
import Training

package enum EvaluateCommand {
  package static let spec = CommandSpec(
    "evaluate", "FILE", count: 1...1,
    """
    Compares images that a program draws with as many that it learned from. FILE is a checkpoint or a run's
    weights.safetensors, or a program with --weights.

    Features are those of a small classifier that is trained on the labels of the data the first time and kept
    (classifier.gan); results can be compared where its hash is the same and the count too.

      frechet           Fréchet distance of two normal distributions of features (Heusel et al. 2017: FID)
      kernel            unbiased squared MMD with a cubic kernel (Bińkowski et al. 2018: KID)
      precision-recall  share of drawn images that could be real, of real ones that could be drawn
                        (Kynkäänniemi et al. 2019, k = 3)
      swd               sliced Wasserstein distance of the pixels, without features (Rabin et al. 2011)

    Smaller distances are better. The second column compares real images with other real ones: no program can be
    expected to do better.
    """,
    options: [
      OptionSpec("--weights", "F", "a checkpoint or weights file"),
      OptionSpec("--data", "SOURCE", "replace the named data sets, or one source by NAME=SOURCE"),
      OptionSpec("--name", "NAME", "which sample of the program (default: the unnamed one)"),
      OptionSpec("--count", "N", "how many images of each kind (default 10000)"),
      OptionSpec("--seed", "N", "the seed of the noise (default 0)"),
      OptionSpec("--metrics", "LIST", "of frechet,kernel,precision-recall,swd (default: all)"),
      OptionSpec(
        "--features", "F", "weights of a program with a network features(image) -> [n, width]"),
      OptionSpec("--images", "SOURCE", "judge these images instead of drawing any"),
      OptionSpec("--json", nil, "one JSON object"),
    ])

  private static let defaultCount = 10_000

  package static func run(_ arguments: ParsedArguments, _ console: Console) throws -> Int32 {
    Interruption.deferSignals()
    let metrics = try metrics(arguments)
    // Precision and recall look at all pairs.
    let asked = try arguments.integer("--count", in: 1...100_000) ?? defaultCount
    let seed = try arguments.seed() ?? 0
    let candidate = try Candidate(arguments)
    let workplace = try Workplace(arguments)
    let real = try RealImages(candidate, arguments, workplace.resolver)
    guard let judged = try candidate.pictures(asked, seed: seed, real, workplace, console) else {
      return interrupted(console)
    }
    // There may be fewer; distances are comparable at one count only.
    let count = judged.count
    var features: FeatureExtractor?
    if metrics.contains(where: \.needsFeatures) {
      guard let found = try extractor(real, arguments, workplace, console) else {
        return ExitCode.interrupted
      }
      features = found
      if let warning = Evaluation.warning(count: min(count, real.count), width: found.width) {
        console.message("warning: \(warning)\n")
      }
    }
    // Minutes with many images, and nothing is written.
    let report = try Interruption.endingAtOnce {
      try compare(
        judged, real, count, metrics, features, model: candidate.source.program.model, workplace,
        console)
    }
    console.print(arguments.has("--json") ? report.object.text() + "\n" : report.text)
    return ExitCode.done
  }

  private static func interrupted(_ console: Console) -> Int32 {
    console.message("interrupted\n")
    return ExitCode.interrupted
  }

  private static func metrics(_ arguments: ParsedArguments) throws(UsageError) -> [Metric] {
    guard let text = arguments.value("--metrics") else { return Metric.allCases }
    let names = Metric.allCases.map(\.rawValue)
    var chosen: [Metric] = []
    for name in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
      guard let metric = Metric(rawValue: name) else {
        throw UsageError(
          "--metrics takes \(names.joined(separator: ",")), not '\(name)'",
          help: suggestion(for: name, in: names))
      }
      chosen.append(metric)
    }
    return chosen
  }

  /// The given features, or those of the classifier of these data; nil where its training was interrupted.
  private static func extractor(
    _ real: RealImages, _ arguments: ParsedArguments, _ workplace: Workplace, _ console: Console
  ) throws -> FeatureExtractor? {
    var path = ""
    let file: Weights.WithProgram
    if let given = arguments.value("--features") {
      path = given
      file = try Weights.readWithProgram(given)
    } else {
      let cache = try ClassifierCache(try real.labelled(), shape: real.shape, workplace)
      path = cache.name
      guard let found = try cache.weights(console) else { return nil }
      file = found
    }
    return try FeatureExtractor(
      file, path: path, shape: real.shape, backend: workplace.backend,
      compiler: workplace.compiler)
  }

  /// The metrics of the judged images and of other real ones.
  private static func compare(
    _ judged: PictureSet, _ real: RealImages, _ count: Int, _ metrics: [Metric],
    _ features: FeatureExtractor?, model: String, _ workplace: Workplace, _ console: Console
  ) throws -> EvaluationReport {
    let began = monotonicSeconds()
    let threads = (workplace.backend as? CPUBackend)?.threads ?? CPUBackend.processorCount
    let work = try SharedWork(threads: threads)
    func images(_ pictures: PictureSet) throws -> EvaluatedImages {
      EvaluatedImages(pictures: pictures, features: try features?.features(of: pictures))
    }
    let compared = try images(try real.pictures(count))
    let evaluation = try Evaluation(try images(judged), against: compared, metrics, on: work)
    var floor: Evaluation?
    if let pair = try real.pair(count) {
      let first = pair.first.count == count ? compared : try images(pair.first)
      floor = try Evaluation(try images(pair.second), against: first, metrics, on: work)
    }
    console.message("compared in \(shortNumber(monotonicSeconds() - began)) s\n")
    return EvaluationReport(
      model: model, evaluation: evaluation, floor: floor, realName: real.dataset.name,
      realChecksum: real.dataset.checksum, featureHash: features?.hash,
      featureWidth: features?.width, metrics: metrics)
  }
}
