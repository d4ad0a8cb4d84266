// What the cost model, by which `choose-convolutions` decides, expects of a product or convolution: in multiply-adds, and in
// milliseconds at the peak that was measured on this machine.

import GraphIR
import Operators

/// One way to compute a kernel.
struct ExpectedWork {
  /// nil for products, which have only one.
  var method: ConvolutionMethod?
  /// Transforms of Winograd's form count as the multiply-adds that take as long; element-wise steps are not in it.
  var multiplyAdds: Double

  /// `winograd8`; `product` where there is nothing to choose.
  var name: String {
    if case .string(let text)? = method?.attribute { text } else { "product" }
  }

  /// The time that it takes where every multiply-add runs at the peak, two operations each.
  func milliseconds(_ limits: MachineLimits) -> Double {
    2000 * multiplyAdds / limits.arithmetic
  }
}

extension LoneKernel {
  /// The way that the graph says.
  var chosenWork: ExpectedWork {
    guard let (convolution, sizes) = sizedConvolution else {
      let own = operandTypes
      let results = (try? operation.inferTypes(own)) ?? []
      return ExpectedWork(multiplyAdds: operation.cost(own, results).flops / 2)
    }
    return expected(convolution.method, convolution, sizes)
  }

  /// The other ways, those of the least work first.
  var otherWork: [ExpectedWork] {
    guard let (convolution, sizes) = sizedConvolution else { return [] }
    return ConvolutionMethod.all(sizes, convolution.direction)
      .filter { $0 != convolution.method }
      .map { expected($0, convolution, sizes) }
      .sorted { ($0.multiplyAdds, $0.name) < ($1.multiplyAdds, $1.name) }
  }

  private var sizedConvolution: (any ConvolutionOperation, ConvolutionGeometry)? {
    guard let convolution = operation as? any ConvolutionOperation,
      let sizes = try? convolution.geometry(operandTypes)
    else { return nil }
    return (convolution, sizes)
  }

  private func expected(
    _ method: ConvolutionMethod, _ convolution: any ConvolutionOperation,
    _ sizes: ConvolutionGeometry
  ) -> ExpectedWork {
    ExpectedWork(method: method, multiplyAdds: method.cost(sizes, convolution.direction))
  }
}
