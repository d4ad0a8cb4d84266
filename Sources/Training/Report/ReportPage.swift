// The page of a report: markup, style, the data as JSON, the pictures, and the script that shows
// them (ReportScript*.swift).

import Formats

struct ReportPage {
  var title: String
  var isRunning: Bool
  /// Seconds until the file may be written again.
  var pause: Int
  var data: JSONValue
  var pictures: [(sample: String?, picture: ReportPictures.Picture)]

  private static let dataStart = #"<script type="application/json" id="run">"#
  private static let dataEnd = "</script>"

  func html() -> [UInt8] {
    var page = Array(head.utf8)
    page += Array((Self.dataStart + scriptEmbedded(data.text()) + Self.dataEnd + "\n").utf8)
    page += Array("<div id=\"pictures\" hidden>\n".utf8)
    for (sample, picture) in pictures {
      let name = sample.map { " data-sample=\"\(xmlEscaped($0))\"" } ?? ""
      page += Array(
        """
        <img\(name) data-step="\(picture.step)" alt="\(xmlEscaped(picture.label))" \
        src="data:image/png;base64,
        """.utf8)
      page += picture.text
      page += Array("\">\n".utf8)
    }
    page += Array("</div>\n<script>\n\"use strict\";\n\(Self.script)\n</script>\n</html>\n".utf8)
    return page
  }

  private var head: String {
    // With a script the page looks for itself when it is good to load again.
    let refresh =
      isRunning
      ? "<noscript><meta http-equiv=\"refresh\" content=\"\(max(5, pause))\"></noscript>\n" : ""
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta http-equiv="Content-Security-Policy" \
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
      script-src 'unsafe-inline'">
      \(refresh)<title>\(xmlEscaped(title)): training</title>
      <style>
      \(Self.style)
      </style>
      </head>
      \(Self.body)

      """
  }

  private static var script: String {
    [dataScript, chartScript, pictureScript, factScript, controlScript].joined(separator: "\n")
  }

  /// The data that a page carries; nil where it is no such page.
  static func embedded(in page: [UInt8]) -> [UInt8]? {
    let start = Array(dataStart.utf8)
    let end = Array(dataEnd.utf8)
    guard let from = page.firstRange(of: start)?.upperBound,
      let to = page[from...].firstRange(of: end)?.lowerBound
    else { return nil }
    return Array(page[from..<to])
  }
}
