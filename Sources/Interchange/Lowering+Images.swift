// Operations on images, all done in NCHW, and the linear maps that are adjoints of such.

import Basics
import GraphIR
import Operators

extension Lowering {
  // MARK: Convolutions

  mutating func lowerConvolution(_ node: Node) throws(ExportRefusal) {
    let types = node.operands.map { type($0) }
    guard let operation = node.operation as? any ConvolutionOperation,
      let sizes = try? operation.geometry(types)
    else { throw refusal(node, "has sizes that do not fit") }
    let window: [(String, ExportBuilder.Attribute)] = [
      ("strides", .ints(operation.stride)), ("pads", .ints(onnxPads(operation.padding))),
    ]
    let kernel = (
      "kernel_shape", ExportBuilder.Attribute.ints([sizes.height.kernel, sizes.width.kernel])
    )
    // Ours are [kh, kw, in, out]; both of ONNX's operators want [out, in, kh, kw].
    let order = [3, 2, 0, 1]
    switch operation {
    case is Conv2D:
      let image = repeated(name(node.operands[0], .channelsFirst), operation.upsample)
      let result = builder.add(
        "Conv", [image, permuted(node.operands[1], order)], [kernel] + window)
      define(node.results[0], result[0], .channelsFirst)
    case is Conv2DInputGradient:
      // What the strides of the convolution leave over at the end.
      let rest = [sizes.height, sizes.width].map { axis in
        axis.input + axis.before + axis.after - axis.kernel - (axis.output - 1) * axis.stride
      }
      let result = builder.add(
        "ConvTranspose",
        [name(node.operands[0], .channelsFirst), permuted(node.operands[1], order)],
        [kernel] + window + (rest == [0, 0] ? [] : [("output_padding", .ints(rest))]))
      define(node.results[0], blockSum(result[0], operation.upsample), .channelsFirst)
    default: lowerFilterGradient(operation, sizes, node)
    }
  }

  /// dw = x ∗ dy over the batch: the channels of x as a batch, the batch as channels, the pixels of dy
  /// as a kernel that steps by the stride.
  private mutating func lowerFilterGradient(
    _ operation: any ConvolutionOperation, _ sizes: ConvolutionGeometry, _ node: Node
  ) {
    // From [n, c, h, w] to [c, n, h, w].
    let swap = [1, 0, 2, 3]
    let image = repeated(name(node.operands[0], .channelsFirst), operation.upsample)
    let adjoint = name(node.operands[1], .channelsFirst)
    let full = builder.one(
      "Conv", transposed(image, swap), transposed(adjoint, swap),
      attributes: [
        ("dilations", .ints(operation.stride)), ("pads", .ints(onnxPads(operation.padding))),
      ])
    // Rows and columns that no window reached give places beyond the kernel.
    let kernel = [sizes.height.kernel, sizes.width.kernel]
    let cut = builder.one(
      "Slice", full, builder.list([0, 0]), builder.list(kernel), builder.list([2, 3]))
    define(node.results[0], transposed(cut, [2, 3, 0, 1]))
  }

  /// [top, bottom, left, right] as ONNX has it: [top, left, bottom, right].
  private func onnxPads(_ padding: [Int]) -> [Int] {
    [padding[0], padding[2], padding[1], padding[3]]
  }

  /// A bias behind a convolution is its third operand. True where it was one.
  mutating func foldBias(_ node: Node) -> Bool {
    for (image, bias) in [(0, 1), (1, 0)].map({ (node.operands[$0.0], node.operands[$0.1]) }) {
      guard let producer = graph.producer(of: image)?.operation,
        producer is Conv2D || producer is Conv2DInputGradient, useCounts[image] == 1,
        let tensor = known(bias), tensor.type.shape == [type(image).shape[3]],
        home(image) == .channelsFirst
      else { continue }
      let name = name(image, .channelsFirst)
      guard builder.inputs(ofProducerOf: name)?.count == 2 else { continue }
      builder.append(input: builder.initializer(tensor), toProducerOf: name)
      define(node.results[0], name, .channelsFirst)
      return true
    }
    return false
  }

  // MARK: Resizing and pooling

  mutating func lowerImage(_ node: Node) {
    let image = name(node.operands[0], .channelsFirst)
    let result: String
    switch node.operation {
    case let operation as UpsampleNearest: result = repeated(image, operation.factor)
    case let operation as UpsampleBilinear:
      result = resized(
        image, operation.factor,
        [("mode", .string("linear")), ("coordinate_transformation_mode", .string("half_pixel"))])
    case let operation as BlockSum: result = blockSum(image, operation.factor)
    case let operation as AvgPool:
      result = builder.one(
        "AveragePool", image,
        attributes: pooling(operation.window) + [("count_include_pad", .int(0))]
      )
    case let operation as MaxPool:
      result = builder.one("MaxPool", image, attributes: pooling(operation.window))
    case let operation as MaxPoolGradient:
      result = scattered(image, name(node.operands[1], .channelsFirst), operation.window)
    case let operation as MaxPoolGather:
      let places = builder.add("MaxPool", [image], outputs: 2, pooling(operation.window))[1]
      let all = builder.one("Reshape", name(node.operands[1], .channelsFirst), builder.list([-1]))
      result = builder.one("Gather", all, places, attributes: [("axis", .int(0))])
    default: return
    }
    define(node.results[0], result, .channelsFirst)
  }

  private func pooling(_ window: PoolWindow) -> [(String, ExportBuilder.Attribute)] {
    [
      ("kernel_shape", .ints(window.size)), ("strides", .ints(window.stride)),
      ("pads", .ints(onnxPads(window.padding))),
    ]
  }

  /// The sums of blocks of pixels.
  private mutating func blockSum(_ image: String, _ factor: [Int]) -> String {
    if factor == [1, 1] { return image }
    let mean = builder.one(
      "AveragePool", image,
      attributes: [("kernel_shape", .ints(factor)), ("strides", .ints(factor))])
    return builder.one("Mul", mean, builder.scalar(Double(factor[0] * factor[1]), .f32))
  }

  /// Each pixel repeated.
  private mutating func repeated(_ image: String, _ factor: [Int]) -> String {
    if factor == [1, 1] { return image }
    return resized(
      image, factor,
      [
        ("mode", .string("nearest")), ("coordinate_transformation_mode", .string("asymmetric")),
        ("nearest_mode", .string("floor")),
      ])
  }

  private mutating func resized(
    _ image: String, _ factor: [Int], _ attributes: [(String, ExportBuilder.Attribute)]
  ) -> String {
    let scales = builder.constant(
      [1, 1, Double(factor[0]), Double(factor[1])], .f32(4))
    return builder.add("Resize", [image, "", scales], attributes)[0]
  }

  /// Every adjoint added at the place of its window's largest element.
  private mutating func scattered(
    _ image: String, _ adjoint: String, _ window: PoolWindow
  ) -> String {
    let places = builder.add("MaxPool", [image], outputs: 2, pooling(window))[1]
    let flat = builder.list([-1])
    let zeros = builder.one(
      "ConstantOfShape", builder.one("Shape", builder.one("Reshape", image, flat)))
    let sums = builder.one(
      "ScatterElements", zeros, builder.one("Reshape", places, flat),
      builder.one("Reshape", adjoint, flat),
      attributes: [("axis", .int(0)), ("reduction", .string("add"))])
    return builder.one("Reshape", sums, builder.one("Shape", image))
  }

  // MARK: Adjoints that are a product with a matrix along each axis

  mutating func lowerAdjoint(_ node: Node) throws(ExportRefusal) {
    let (operand, result) = (node.operands[0], node.results[0])
    let rank = type(operand).rank
    let layout = layout(of: [operand], rank: rank)
    var name = name(operand, layout)
    for axis in 0..<rank {
      guard let matrix = adjointMatrix(node, axis) else { continue }
      guard extents(operand)[axis] == .fixed(matrix.columns) else {
        throw refusal(node, "goes along the batch")
      }
      name = product(name, layout.place(of: axis, rank: rank), rank, matrix)
    }
    define(result, name, layout)
  }

  /// The matrix that an adjoint is along one axis; nil where it does nothing.
  private func adjointMatrix(_ node: Node, _ axis: Int) -> AxisMatrix? {
    let sizes = (type(node.operands[0]).shape[axis], type(node.results[0]).shape[axis])
    switch node.operation {
    case let operation as PadGradient:
      if operation.before[axis] + operation.after[axis] == 0 { return nil }
      return AxisMatrix(rows: sizes.1, columns: sizes.0) { matrix in
        for column in 0..<sizes.0 {
          let source = operation.mode.source(column - operation.before[axis], size: sizes.1)
          if let source { matrix[source, column] += 1 }
        }
      }
    case let operation as UpsampleBilinearGradient:
      guard axis == 1 || axis == 2 else { return nil }
      let factor = Double(operation.factor[axis - 1])
      return AxisMatrix(rows: sizes.1, columns: sizes.0) { matrix in
        for column in 0..<sizes.0 {
          let place = (Double(column) + 0.5) / factor - 0.5
          let low = place.rounded(.down)
          let last = sizes.1 - 1
          matrix[min(max(Int(low), 0), last), column] += 1 - (place - low)
          matrix[min(max(Int(low) + 1, 0), last), column] += place - low
        }
      }
    case let operation as AvgPoolGradient:
      guard axis == 1 || axis == 2,
        let geometry = try? operation.geometry([type(node.operands[0])])
      else { return nil }
      let window = axis == 1 ? geometry.height : geometry.width
      return AxisMatrix(rows: sizes.1, columns: sizes.0) { matrix in
        for column in 0..<sizes.0 {
          let taps = window.range(column)
          for tap in taps {
            matrix[column * window.stride - window.before + tap, column] += 1 / Double(taps.count)
          }
        }
      }
    default: return nil
    }
  }

  /// y[…, i, …] = Σ j  matrix[i, j] · x[…, j, …] along an axis.
  private mutating func product(
    _ name: String, _ axis: Int, _ rank: Int, _ matrix: AxisMatrix
  ) -> String {
    if axis == rank - 2 {
      return builder.one(
        "MatMul", builder.constant(matrix.values, .f32(matrix.rows, matrix.columns)), name)
    }
    let factor = builder.constant(matrix.transposed, .f32(matrix.columns, matrix.rows))
    if axis == rank - 1 { return builder.one("MatMul", name, factor) }
    var swap = Array(0..<rank)
    swap.swapAt(axis, rank - 1)
    return transposed(builder.one("MatMul", transposed(name, swap), factor), swap)
  }
}

/// A small matrix in row-major order.
private struct AxisMatrix {
  let rows: Int
  let columns: Int
  private(set) var values: [Double]

  init(rows: Int, columns: Int, _ fill: (inout AxisMatrix) -> Void) {
    self.rows = rows
    self.columns = columns
    values = [Double](repeating: 0, count: rows * columns)
    fill(&self)
  }

  subscript(row: Int, column: Int) -> Double {
    get { values[row * columns + column] }
    set { values[row * columns + column] = newValue }
  }

  var transposed: [Double] {
    (0..<columns).flatMap { column in (0..<rows).map { self[$0, column] } }
  }
}
