// Why an element-wise operation was not fused with a neighbour: what the fusing passes answer when they decide
// against it.

import Basics
import GraphIR

/// An operation by name, shape and place.
package struct OperationLabel: Hashable, Sendable {
  /// The mnemonic.
  package var operation: String
  /// The shape of its first result.
  package var shape: [Int]
  package var origin: Origin

  init(_ node: Node, in graph: Graph) {
    self.init(node.operation, graph.type(of: node.results[0]).shape, node.origin)
  }

  init(_ operation: any Operation, _ shape: [Int], _ origin: Origin) {
    self.operation = operation.mnemonic
    self.shape = shape
    self.origin = origin
  }
}

/// Why a producer and a consumer of its result are not one kernel.
package enum FusionRefusal: Error, Hashable, Sendable {
  // Between element-wise operations

  /// A region goes over one shape, and these are two.
  case otherShape(producer: [Int], consumer: [Int])
  /// One of them is arithmetic in f64, which runs on the host, and the other one is not.
  case hostArithmetic
  /// Both together would have so many steps, or read so many values.
  case tooManySteps(Int, limit: Int)
  case tooManyInputs(Int, limit: Int)

  // Anywhere

  /// The consumer also waits for this reduction of what the producer makes, such as the statistics of a batch.
  case reductionBetween(OperationLabel)
  /// The consumer also waits for this other operation, which waits for the producer.
  case cycle(through: OperationLabel)

  // Behind a product, a convolution or something else that is not element-wise

  /// The producer makes an element of many; it is complete only when all have been read.
  case reduction
  /// The producer makes the statistics of a batch, which the consumer normalises.
  case batchStatistics
  /// The consumer makes the statistics of a product's result, of so many bytes (README.md: what it would save to take them
  /// of the finished blocks).
  case productStatistics(bytes: Int)
  /// The producer is the gradient of a convolution by its filter: a sum over the pixels of the whole batch.
  case filterGradient
  /// The producer's kernel takes no steps behind it.
  case noEpilogue
  /// The consumer reads a tensor of this shape, which cannot be read in the shape of the producer's result.
  case operandShape([Int], root: [Int])
  /// The consumer's results have another shape than what the producer makes.
  case resultShape([Int], root: [Int])
  /// The producer already has an epilogue.
  case rootTaken
  /// The consumer is the epilogue of another product or convolution, which comes later.
  case otherRoot
  /// The consumer is not element-wise, and nothing is computed on the way into its operands.
  case noPrologue(ofProduct: Bool)

  /// The reason's name for programs.
  package var name: String {
    switch self {
    case .otherShape: "other-shape"
    case .hostArithmetic: "host-arithmetic"
    case .tooManySteps: "too-many-steps"
    case .tooManyInputs: "too-many-inputs"
    case .reductionBetween: "reduction-between"
    case .cycle: "cycle"
    case .reduction: "reduction"
    case .batchStatistics: "batch-statistics"
    case .productStatistics: "product-statistics"
    case .filterGradient: "filter-gradient"
    case .noEpilogue: "no-epilogue"
    case .operandShape: "operand-shape"
    case .resultShape: "result-shape"
    case .rootTaken: "root-taken"
    case .otherRoot: "other-root"
    case .noPrologue(let ofProduct): ofProduct ? "no-prologue-of-product" : "no-prologue"
    }
  }

  /// The rule behind it, the same for all pairs that it keeps apart.
  package var rule: String {
    switch self {
    case .otherShape: "a region goes over one shape, and these are two"
    case .hostArithmetic: "one of the two is arithmetic in f64, which runs on the host"
    case .tooManySteps(_, let limit): "a region has at most \(limit) steps"
    case .tooManyInputs(_, let limit): "a region reads at most \(limit) values"
    case .reductionBetween:
      "the reader also waits for a reduction of what it reads, complete only at its end"
    case .cycle: "the reader also waits for another operation, which waits for what it reads"
    case .reduction: "a reduction is complete only when all of its operand has been read"
    case .batchStatistics:
      "no element is normalised before the statistics of the whole batch are complete: it is read twice"
    case .productStatistics:
      "a product makes block after block, and statistics are of the whole batch: a pass over what it made"
    case .filterGradient:
      "a convolution's gradient by its filter is a sum over the whole batch, complete only at its end"
    case .noEpilogue: "what makes the value takes no steps behind it"
    case .operandShape: "an operand cannot be read in the shape of the product's result"
    case .resultShape: "a result cannot be written in the shape of the product's result"
    case .rootTaken: "what makes the value has an epilogue already, such as another reader of it"
    case .otherRoot: "the reader is the epilogue of a later product or convolution"
    case .noPrologue(ofProduct: true):
      "a product reads each element many times; nothing is computed on the way in"
    case .noPrologue(ofProduct: false): "nothing is computed on the way into a reduction or a move"
    }
  }

  /// What is particular to one pair; nil where the rule says all. `place` makes words of an operation, `traffic` of a
  /// number of bytes that a memory pass moves.
  package func detail(
    _ place: (OperationLabel) -> String, _ traffic: (Int) -> String
  ) -> String? {
    switch self {
    case .otherShape(let producer, let consumer):
      "\(shapeText(producer)) is read in \(shapeText(consumer))"
    case .tooManySteps(let count, _), .tooManyInputs(let count, _): "\(count) together"
    case .productStatistics(let bytes): "the statistics' own pass reads \(traffic(bytes))"
    case .reductionBetween(let between), .cycle(let between): "through \(place(between))"
    case .operandShape(let shape, let root), .resultShape(let shape, let root):
      "\(shapeText(shape)) in \(shapeText(root))"
    case .hostArithmetic, .reduction, .batchStatistics, .filterGradient, .noEpilogue, .rootTaken,
      .otherRoot, .noPrologue:
      nil
    }
  }
}
