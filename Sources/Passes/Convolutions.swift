// Cheaper ways to the same convolutions. Both change roundings, so `--math exact` leaves them out.

import Basics
import GraphIR
import Operators

/// A convolution of an image up-sampled by the nearest pixel reads every pixel several times; it becomes a
/// convolution of the small image that knows of the repetition. It runs before differentiation, so that both
/// gradients come out folded too.
///
/// Before:  %2 = upsample_nearest(%1) {factor: [2, 2]}   %3 = conv2d(%2, %w)
/// After:   %3 = conv2d(%1, %w) {upsample: [2, 2]}
package struct FoldUpsampling: Pass {
  package init() {}
  package let name = "fold-upsampling"
  package let summary = "Convolve the small image in place of its up-sampled copy."

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    guard graph.nodes.elements.contains(where: { $0.operation is UpsampleNearest }) else {
      return graph
    }
    var rewriter = try GraphRewriter(graph)
    for node in graph.nodes.elements {
      guard let (convolution, image) = folded(node, rewriter) else {
        try rewriter.keep(node)
        continue
      }
      rewriter.builder.origin = node.origin.noting("up-sampling folded")
      let operands = [image, rewriter.value(node.operands[1])]
      rewriter.replace(
        node.results[0], by: try rewriter.builder.add(convolution, operands)[0])
    }
    return rewriter.finish()
  }

  /// The convolution of the small image, where it has a form that pays.
  private func folded(
    _ node: Node, _ rewriter: GraphRewriter
  ) -> (convolution: Conv2D, image: ValueID)? {
    guard let convolution = node.operation as? Conv2D, convolution.upsample == [1, 1],
      !rewriter.isPinned(node),
      let producer = rewriter.producer(ofNew: rewriter.value(node.operands[0])),
      let upsample = producer.operation as? UpsampleNearest
    else { return nil }
    let image = producer.operands[0]
    let candidate = convolution.upsampling(upsample.factor)
    let types = [
      rewriter.builder.type(of: image), rewriter.old.type(of: node.operands[1]),
    ]
    guard let sizes = try? candidate.geometry(types),
      ConvolutionMethod.fastest(sizes, .forward) != .direct
    else { return nil }
    return (candidate, image)
  }
}

/// Sets `method` of every convolution and gradient to what the cost model expects to be fastest. The choice depends
/// on shapes alone.
package struct ChooseConvolutions: Pass {
  package init() {}
  package let name = "choose-convolutions"
  package let summary = "Compute convolutions in Winograd's form where that takes less work."
  package var requires: Stage { .differentiated }

  package func run(_ graph: Graph) throws(Diagnostic) -> Graph {
    guard graph.nodes.elements.contains(where: { $0.operation is any ConvolutionOperation }) else {
      return graph
    }
    var rewriter = try GraphRewriter(graph)
    for node in graph.nodes.elements {
      var chosen = node
      if let convolution = node.operation as? any ConvolutionOperation {
        chosen.operation = choose(convolution, graph.types(of: node.operands))
      }
      try rewriter.keep(chosen)
    }
    return rewriter.finish()
  }

  private func choose(
    _ convolution: some ConvolutionOperation, _ types: [TensorType]
  ) -> any Operation {
    var chosen = convolution
    guard let sizes = try? convolution.geometry(types) else { return chosen }
    chosen.method = .fastest(sizes, convolution.direction)
    return chosen
  }
}
