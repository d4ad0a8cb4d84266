// `--emit html`: one file that shows a graph in a browser, with nothing to load from elsewhere. The layout is computed
// by the page's own script (PageScript*.swift); here the parts are put together.

import Formats

struct Page {
  private let graph: PageGraph

  init(_ graph: PageGraph) { self.graph = graph }

  func html() -> String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta http-equiv="Content-Security-Policy" \
    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
    <title>\(xmlEscaped(graph.title))</title>
    <style>
    \(Self.style)
    </style>
    </head>
    \(Self.body)
    <script type="application/json" id="graph">\(scriptEmbedded(graph.json().text()))</script>
    <script>
    "use strict";
    \(Self.script)
    </script>
    </html>

    """
  }

  /// In the order in which the parts use each other.
  private static var script: String {
    [dataScript, groupScript, layoutScript, drawingScript, detailScript, controlScript]
      .joined(separator: "\n")
  }
}
