// How far results of the device's kernels may be from those of the CPU's, given the same operands: the largest difference over
// the largest magnitude. The table stands in the README too.

import GraphIR
import Operators

package enum OperationBounds {
  /// Reading, writing, adding: the compiler may join a product and a sum into one rounding.
  static let elementwise = 2e-6
  /// Functions that OpenCL promises to 16 units in the last place (`pow`, `erf`), the others to 5 or less.
  static let functions = 4e-6
  /// Sums of many products in another order.
  static let products = 1e-5
  /// The transforms of Winograd's forms enlarge roundings; most with 8 points.
  static let winograd = 5e-5
  /// Sums in another order, beside the size of their terms.
  static let sums = 2e-6
  /// The same numbers to the bit.
  static let exact = 0.0

  package static func bound(of operation: any Operation) -> Double {
    switch operation {
    case let fused as Fused:
      // What the steps behind make of the roundings before them.
      let steps = fused.region.steps.map { bound(of: $0.operation.operation) }
      let root = fused.root.map { bound(of: $0.operation) } ?? 0
      return 2 * max(root, steps.max() ?? 0)
    case let convolution as any ConvolutionOperation:
      return convolution.method == .direct ? products : winograd
    case is MatMul: return products
    case is Sum, is Moments, is AvgPool, is AvgPoolGradient, is ScatterAddRows: return sums
    case is Softmax, is LogSoftmax, is Power, is Erf, is RandomNormal, is Exp, is Log, is Tanh,
      is Sigmoid, is Softplus, is Elu, is BceWithLogits, is BceClamped, is Modulo:
      return functions
    case is RandomUniform, is Constant, is Iota, is Transpose, is Reshape, is Broadcast, is Concat,
      is Slice, is Pad, is Max, is ArgMax, is MaxPool, is MaxPoolGather, is OneHot, is GatherRows,
      is UpsampleNearest, is Compare, is Select, is Minimum, is Maximum, is Relu, is Negate,
      is Absolute, is Sign, is StopGradient:
      return exact
    default: return elementwise
    }
  }
}
