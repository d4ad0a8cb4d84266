// What the kernels of Winograd's convolutions know of their images and tiles, and the statements that read an image's
// tiles and transform filters.

import Basics
import GraphIR
import Operators

/// One of the two images, [batch, height, width, channels]. With `step` 2, virtual pixel (i, j) of group (a, b) is the real
/// pixel (2i + a, 2j + b), and groups count as channels: channel (2a + b)·channels + c.
struct WinogradImage {
  var height: Int
  var width: Int
  var channels: Int
  var step: Int
  /// Channels with all groups.
  var depth: Int { step * step * channels }
  var count: Int { height * width * channels }
}

/// One convolution, or one of its gradients, from `source` to `target`.
struct WinogradShape {
  let form: WinogradForm
  let sizes: ConvolutionGeometry
  let direction: WinogradForm.Direction
  let source: WinogradImage
  let target: WinogradImage

  var points: Int { form.points }
  var pointCount: Int { form.points * form.points }
  var tile: Int { form.tile }
  var depth: Int { source.depth }
  var columns: Int { target.depth }
  var tilesOfImage: Int { form.tileRows * form.tileColumns }
  var batch: Int { sizes.batch }
  /// Where the tiles' pixels begin before their outputs.
  var top: Int { form.height.before }
  var left: Int { form.width.before }

  /// nil for the direct method, and where the form does not exist.
  init?(
    _ sizes: ConvolutionGeometry, _ method: ConvolutionMethod,
    _ direction: WinogradForm.Direction
  ) {
    guard let form = method.form(sizes, direction) else { return nil }
    self.form = form
    self.sizes = sizes
    var chosen = direction
    if case .winogradAdjoint = method { chosen = .adjointInputGradient }
    self.direction = chosen
    func image(_ shape: [Int], _ step: Int) -> WinogradImage {
      WinogradImage(height: shape[1], width: shape[2], channels: shape[3], step: step)
    }
    let (image0, output) = (sizes.inputShape, sizes.outputShape)
    switch chosen {
    case .forward, .filterGradient:
      source = image(image0, form.height.imageStep)
      target = image(output, form.height.outputStep)
    case .inputGradient:
      source = image(output, form.height.imageStep)
      target = image(image0, form.height.outputStep)
    case .adjointInputGradient:
      // The form keeps the convolution's own axes.
      source = image(output, form.height.outputStep)
      target = image(image0, form.height.imageStep)
    }
  }

  /// Whether the reduction runs over the filter's output channels.
  var isTransposed: Bool { direction == .inputGradient || direction == .adjointInputGradient }

  // MARK: Tiles

  /// Declares image_n, tile_y and tile_x of a tile of the batch.
  func tileSetup(_ tile: String) -> [String] {
    [
      "const uint image_n = (\(tile)) / \(tilesOfImage)u;",
      "const int tile_y = (int)((\(tile)) % \(tilesOfImage)u / \(form.tileColumns)u) * \(form.tile);",
      "const int tile_x = (int)((\(tile)) % \(form.tileColumns)u) * \(form.tile);",
    ]
  }

  /// Transforms a tile of an image, after `tileSetup`: `size`×`size` virtual pixels from `corner` before the tile's first.
  /// `channel` is the first of `width` channels with groups; `row` as in `SquareTransform`.
  func transformTile(
    into kernel: inout KernelText, _ pointer: String, _ image: WinogradImage,
    _ axis: LinearTransform, corner: (top: Int, left: Int), channel: String, width: Int,
    isUnrolled: Bool,
    row: (_ kernel: inout KernelText, _ names: [String]) -> Void
  ) {
    let step = image.step
    kernel.line("const uint group = \(step > 1 ? "\(channel) / \(image.channels)u" : "0u");")
    let c = step > 1 ? "\(channel) % \(image.channels)u" : channel
    kernel.line(
      "const int y_0 = (tile_y - (\(corner.top))) * \(step)\(step > 1 ? " + (int)(group / \(step)u)" : "");"
    )
    kernel.line(
      "const int x_0 = (tile_x - (\(corner.left))) * \(step)\(step > 1 ? " + (int)(group % \(step)u)" : "");"
    )
    kernel.line(
      "__global const float *image = \(pointer) + image_n * \(image.count)u + \(c);")
    let transform = SquareTransform(axis: axis, width: width, isUnrolled: isUnrolled)
    let zero = cLiteral(0, .f32, width)
    transform.write(
      into: &kernel,
      column: { kernel in
        kernel.line("const int x_j = x_0 + j * \(step);")
        kernel.line("const bool inside = (uint)x_j < \(image.width)u;")
        kernel.line("__global const float *column = image + x_j * \(image.channels);")
      },
      value: { r in
        let y = "(y_0 + \(r * step))"
        let at = ElementAccess.vector(
          "column", "\(y) * \(image.width * image.channels)", width)
        return "inside && (uint)\(y) < \(image.height)u ? \(at) : \(zero)"
      }, row: row)
  }

  // MARK: Filters

  /// Declares the matrices of both axes, [group][point][tap].
  func filterMatrices(into kernel: inout KernelText) {
    func declare(_ name: String, _ axis: GroupedAxis) {
      let numbers = form.filterMatrix(axis).joined().joined()
      kernel.line("__constant float \(name)[\(numbers.count)] = {")
      kernel.line("  " + numbers.map { cLiteral($0, .f32) }.joined(separator: ", ") + "};")
    }
    declare("row_matrix", form.height)
    declare("column_matrix", form.width)
  }

  /// Groups of the source or of the target along an axis; one of the images has one.
  var steps: Int { source.step * target.step }

  /// Declares where the matrices of a group begin.
  func groupMatrices(_ group: String) -> [String] {
    let (kh, kw) = (sizes.height.kernel, sizes.width.kernel)
    return [
      "__constant float *row_taps = row_matrix + \(group) / \(steps)u * \(points * kh)u;",
      "__constant float *column_taps = column_matrix + \(group) % \(steps)u * \(points * kw)u;",
    ]
  }
}

/// How the transformed filters lie: [point][panel][depth][column of the panel], with zeros where the last panel has no
/// columns.
struct WinogradFilterLayout {
  let shape: WinogradShape
  let panel: Int

  var panels: Int { (shape.columns + panel - 1) / panel }
  /// Elements between points. The odd line keeps points out of each other's way in a cache.
  var stride: Int { panels * panel * shape.depth + 16 }

  /// The transformed filters, made once for all nodes that read the same filter in the same form.
  func filters(_ node: NodeLowering, method: ConvolutionMethod) -> DeviceBuffer {
    let filter = node.operands[1]
    let geometry = [
      shape.sizes.height.stride, shape.sizes.upsample[0], shape.sizes.height.before,
      shape.sizes.width.before, panel,
    ]
    let key = "winograd \(filter.buffer) \(method.attribute) \(shape.direction) \(geometry)"
    return node.builder.shared(key, bytes: shape.pointCount * stride * 4) { target in
      launch(node, filter, target)
    }
  }

  private func launch(_ node: NodeLowering, _ filter: DeviceTensor, _ target: DeviceBuffer) {
    let sizes = shape.sizes
    let (inputs, outputs) = (sizes.inputChannels, sizes.outputChannels)
    let width =
      node.traits.runsItemsInTurn ? divisor(of: panel, min(16, node.traits.vectorWidth)) : 1
    let across = panels * panel / width
    var kernel = node.itemKernel("winograd_filter", count: shape.depth * across)
    let from = kernel.input(filter)
    let to = kernel.output(target)
    let type = cType(.f32, width)
    shape.filterMatrices(into: &kernel)
    kernel.line("const uint k = i / \(across)u;")
    kernel.line("const uint n = i % \(across)u * \(width)u;")
    kernel.line(
      "const uint group = k / \(shape.source.channels)u + n / \(shape.target.channels)u;")
    let k = "k % \(shape.source.channels)u"
    let n = "n % \(shape.target.channels)u"
    let (kh, kw, points) = (sizes.height.kernel, sizes.width.kernel, shape.points)
    kernel.line("\(type) taps[\(kh * kw)];")
    kernel.block("for (uint tap = 0; tap < \(kh * kw)u; tap++)") { kernel in
      let value: String
      if shape.isTransposed {
        kernel.line(
          "__global const float *w = \(from) + (tap * \(inputs)u + \(n)) * \(outputs)u + \(k);")
        let lanes = (0..<width).map { "w[\($0 * outputs)]" }.joined(separator: ", ")
        value = width == 1 ? lanes : "(\(type))(\(lanes))"
      } else {
        let at = "(tap * \(inputs)u + \(k)) * \(outputs)u + \(n)"
        value = ElementAccess.vector(from, at, width)
      }
      if panels * panel == shape.columns {
        kernel.line("taps[tap] = \(value);")
      } else {
        kernel.line("if (n >= \(shape.columns)u) taps[tap] = 0.0f;")
        kernel.line("else taps[tap] = \(value);")
      }
    }
    let last = panels * panel == shape.columns ? "group" : "(n < \(shape.columns)u ? group : 0u)"
    kernel.lines(shape.groupMatrices(last))
    kernel.block("for (int p = 0; p < \(points); p++)") { kernel in
      kernel.line("\(type) half_way[\(kw)];")
      kernel.block("for (int v = 0; v < \(kw); v++)") { kernel in
        kernel.line("\(type) sum = 0.0f;")
        kernel.line(
          "for (int u = 0; u < \(kh); u++) sum += taps[u * \(kw) + v] * row_taps[p * \(kh) + u];")
        kernel.line("half_way[v] = sum;")
      }
      kernel.block("for (int q = 0; q < \(points); q++)") { kernel in
        kernel.line("\(type) sum = 0.0f;")
        kernel.line(
          "for (int v = 0; v < \(kw); v++) sum += half_way[v] * column_taps[q * \(kw) + v];")
        let at =
          "(uint)(p * \(points) + q) * \(stride)u"
          + " + (n / \(panel)u * \(shape.depth)u + k) * \(panel)u + n % \(panel)u"
        kernel.line(ElementAccess.store("sum", to, at, width))
      }
    }
    node.each(shape.depth * across, kernel)
  }
}
