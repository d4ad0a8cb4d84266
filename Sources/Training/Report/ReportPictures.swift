// The pictures of a report: of each sample at most sixty, evenly over the run, the first and the
// latest always among them, and all together within a budget, so that the page of a long run can
// still be opened. When there are too many, every second one goes, and from then on every second
// one is passed over.

import Formats

struct ReportPictures {
  private static let mostOfOne = 60
  /// Bytes of PNG files; as text they take a third more.
  private static let budget = 12 << 20

  struct Picture {
    var label: String
    /// Steps done.
    var step: Int
    /// The PNG file as base64.
    var text: [UInt8]
  }

  private struct Series {
    var name: String?
    var kept: [Picture] = []
    /// The newest, where it is not among those kept.
    var latest: Picture?
    var stride = 1
    var offered = 0

    var byteCount: Int {
      kept.reduce(latest?.text.count ?? 0) { $0 + $1.text.count }
    }

    mutating func thin() {
      let last = kept.last
      stride *= 2
      kept = Swift.stride(from: 0, to: kept.count, by: 2).map { kept[$0] }
      if latest == nil, let last, last.step != kept.last?.step { latest = last }
    }
  }

  private var series: [Series] = []

  /// Those of one sample together, in the order of steps.
  var all: [(sample: String?, picture: Picture)] {
    series.flatMap { series in
      (series.kept + (series.latest.map { [$0] } ?? [])).map { (series.name, $0) }
    }
  }

  /// Takes the next picture of a sample into the page.
  mutating func add(sample: String?, label: String, step: Int, path: String) {
    var index = series.firstIndex { $0.name == sample }
    if index == nil {
      series.append(Series(name: sample))
      index = series.count - 1
    }
    guard let index else { return }
    // The last sample of a run has the picture of its last epoch.
    let known = series[index].latest ?? series[index].kept.last
    if known?.step == step { return }
    // A picture that somebody took away meanwhile is no reason to end a run.
    guard let bytes = try? FileIO.read(path, limit: 1 << 30) else { return }
    let picture = Picture(label: label, step: step, text: Base64.encode(bytes))
    if series[index].offered % series[index].stride == 0 {
      series[index].kept.append(picture)
      series[index].latest = nil
    } else {
      series[index].latest = picture
    }
    series[index].offered += 1
    while series[index].kept.count > Self.mostOfOne { series[index].thin() }
    keepBudget()
  }

  private mutating func keepBudget() {
    while series.reduce(0, { $0 + $1.byteCount }) > Self.budget / 3 * 4 {
      let largest = series.indices.filter { series[$0].kept.count > 1 }
        .max { series[$0].byteCount < series[$1].byteCount }
      guard let largest else { return }
      series[largest].thin()
    }
  }
}
