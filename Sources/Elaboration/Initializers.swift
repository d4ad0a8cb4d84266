// Initialisers: the list of those that a program may name, and how each becomes a distribution for
// a kernel of given fans. Formulas: Glorot and Bengio 2010, He et al. 2015; `fanInUniform` is
// PyTorch's default.

import Basics

/// An initialiser as the program names it.
enum InitializerSpec: Hashable, Sendable {
  case zeros, ones
  case constant(Double)
  case normal(Double)
  case uniform(Double, Double)
  case glorotUniform, glorotNormal, heUniform, heNormal, fanInUniform

  var text: String {
    switch self {
    case .zeros: "zeros"
    case .ones: "ones"
    case .constant(let value): "constant(\(numberText(value)))"
    case .normal(let deviation): "normal(\(numberText(deviation)))"
    case .uniform(let low, let high): "uniform(\(numberText(low)), \(numberText(high)))"
    case .glorotUniform: "glorotUniform"
    case .glorotNormal: "glorotNormal"
    case .heUniform: "heUniform"
    case .heNormal: "heNormal"
    case .fanInUniform: "fanInUniform"
    }
  }

  /// The distribution for a parameter with these fans.
  func initializer(_ fans: Fans) -> Initializer {
    let fanIn = max(1, fans.fanIn)
    let both = max(1, fans.fanIn + fans.fanOut)
    switch self {
    case .zeros: return .constant(0)
    case .ones: return .constant(1)
    case .constant(let value): return .constant(value)
    case .normal(let deviation): return .normal(deviation: deviation)
    case .uniform(let low, let high): return .uniform(low: low, high: high)
    case .glorotUniform: return symmetric((6 / both).squareRoot())
    case .glorotNormal: return .truncatedNormal(deviation: (2 / both).squareRoot())
    case .heUniform: return symmetric((6 / fanIn).squareRoot())
    case .heNormal: return .truncatedNormal(deviation: (2 / fanIn).squareRoot())
    case .fanInUniform: return symmetric((1 / fanIn).squareRoot())
    }
  }

  private func symmetric(_ limit: Double) -> Initializer { .uniform(low: -limit, high: limit) }
}

/// How many inputs and outputs one weight's unit has.
struct Fans: Hashable, Sendable {
  var fanIn: Double
  var fanOut: Double

  /// Keras' rule for any shape: the last two axes are in and out, what stands before is the
  /// receptive field.
  init(shape: [Int]) {
    switch shape.count {
    case 0:
      fanIn = 1
      fanOut = 1
    case 1:
      fanIn = Double(shape[0])
      fanOut = fanIn
    default:
      let field = shape.dropLast(2).reduce(1.0) { $0 * Double($1) }
      fanIn = field * Double(shape[shape.count - 2])
      fanOut = field * Double(shape[shape.count - 1])
    }
  }

  init(fanIn: Double, fanOut: Double) {
    self.fanIn = fanIn
    self.fanOut = fanOut
  }

  /// A transposed convolution's: both Keras and PyTorch count its output channels as the fan-in.
  var swapped: Fans { Fans(fanIn: fanOut, fanOut: fanIn) }
}

/// The initialisers that are bare words.
let plainInitializers: [(name: String, spec: InitializerSpec, summary: String)] = [
  ("zeros", .zeros, "all 0"),
  ("ones", .ones, "all 1"),
  ("glorotUniform", .glorotUniform, "uniform in ±√(6 / (fanIn + fanOut))"),
  ("glorotNormal", .glorotNormal, "truncated normal of deviation √(2 / (fanIn + fanOut))"),
  ("heUniform", .heUniform, "uniform in ±√(6 / fanIn)"),
  ("heNormal", .heNormal, "truncated normal of deviation √(2 / fanIn)"),
  (
    "fanInUniform", .fanInUniform,
    "uniform in ±1/√fanIn, as PyTorch; fanIn of the kernel for biases"
  ),
]

/// The initialisers that are called, with their arguments.
let calledInitializers: [(name: String, labels: [String], summary: String)] = [
  ("constant", ["value"], "all the same"),
  ("normal", ["deviation"], "normal around 0"),
  ("uniform", ["low", "high"], "uniform in [low, high)"),
]

let initializerNames =
  plainInitializers.map(\.name) + calledInitializers.map(\.name) + ["orthogonal"]
