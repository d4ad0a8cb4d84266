// What elaboration makes of a text: the graphs of the program and all that the runtime must know to
// feed them. A value; nothing in it refers to the syntax tree.

import Basics
import GraphIR

/// How the values of a state begin.
package enum Initializer: Hashable, Sendable {
  case constant(Double)
  case normal(deviation: Double)
  case uniform(low: Double, high: Double)
  /// Truncated normal as Keras draws it: `deviation` is that of the result. Who draws takes a
  /// normal of deviation s = `deviation` / 0.87962566103423978 and draws again what lies outside of
  /// ±2 s.
  case truncatedNormal(deviation: Double)
  /// A copy of another state: moving averages.
  case copy(of: String)
}

/// What a state is for; tables, checkpoints and `--weights` tell them apart.
package enum StateKind: String, Hashable, Sendable {
  case parameter, runningStatistic, moment, counter, average
}

/// A tensor that lives from step to step.
package struct StateDeclaration: Hashable, Sendable {
  /// Its path, such as `generator/dense/kernel`; moments and averages begin with the owner's name.
  package var name: String
  package var type: TensorType
  package var kind: StateKind
  package var initializer: Initializer
  /// The network it belongs to; nil for counters.
  package var network: String?

  package init(
    name: String, type: TensorType, kind: StateKind, initializer: Initializer, network: String?
  ) {
    self.name = name
    self.type = type
    self.kind = kind
    self.initializer = initializer
    self.network = network
  }
}

/// One data source of the program.
package struct DataDeclaration: Hashable, Sendable {
  package enum Order: String, Hashable, Sendable, CaseIterable {
    case shuffled, replacement, sequential
  }
  /// How pictures of another size are brought to the declared one.
  package enum Resize: String, Hashable, Sendable, CaseIterable {
    /// The centre, as large as fits with the declared proportions, is scaled.
    case crop
    /// All is scaled to fit in; what is left is black.
    case pad
    /// All is scaled, and the proportions change.
    case stretch
  }
  /// What `SOURCE.PART` may name; `left` and `right` are the halves of each picture.
  package static let parts = ["images", "labels", "left", "right"]
  package enum Source: Hashable, Sendable {
    /// A named set or a path, as written after `from`.
    case named(String)
    /// A part of another source, such as its labels: it walks with that source and follows it when
    /// replaced.
    case part(of: String, name: String)
  }
  package var name: String
  /// The type of one batch.
  package var type: TensorType
  /// Byte sources are scaled linearly to it; nil takes them as they are.
  package var low: Double?
  package var high: Double?
  package var source: Source
  package var order: Order
  /// The source it is paired with, example by example.
  package var with: String?
  /// Nil where pictures must have the declared size.
  package var resize: Resize?
  /// Batches that one step consumes (`repeat`).
  package var batchesPerStep: Int

  package init(
    name: String, type: TensorType, low: Double?, high: Double?, source: Source, order: Order,
    with: String?, resize: Resize? = nil, batchesPerStep: Int
  ) {
    self.name = name
    self.type = type
    self.low = low
    self.high = high
    self.source = source
    self.order = order
    self.with = with
    self.resize = resize
    self.batchesPerStep = batchesPerStep
  }
}

/// When an `every` block is due: after N, 2N, … steps or epochs.
package struct Schedule: Hashable, Sendable {
  package enum Unit: String, Hashable, Sendable { case steps, epochs }
  package enum Action: Hashable, Sendable {
    /// Draw the sample of this name; nil is the unnamed one.
    case sample(String?)
    case checkpoint
  }
  package var count: Int
  package var unit: Unit
  package var actions: [Action]
  /// The index of its block of computations among `TrainProgram.conditionalBlocks`, or nil.
  package var block: Int?

  package init(count: Int, unit: Unit, actions: [Action], block: Int?) {
    self.count = count
    self.unit = unit
    self.actions = actions
    self.block = block
  }
}

/// The training step.
package struct TrainProgram: Sendable {
  package enum Length: Hashable, Sendable { case epochs(Int), steps(Int) }
  package var length: Length
  package var schedules: [Schedule]
  /// The reported names in program order, those of conditional blocks included.
  package var reports: [String]
  /// The step's graph without any conditional block; raw stage.
  package var graph: Graph
  /// The number of `every N steps` blocks that hold computations.
  package var conditionalBlocks: Int
  /// The raw step graph in which the given conditional blocks stand (bit i: block i); `variants[0]`
  /// equals `graph`. All combinations are there; the language limits the number of such blocks to
  /// four.
  package var variants: [Graph]

  package init(
    length: Length, schedules: [Schedule], reports: [String], variants: [Graph],
    conditionalBlocks: Int
  ) {
    self.length = length
    self.schedules = schedules
    self.reports = reports
    graph = variants[0]
    self.variants = variants
    self.conditionalBlocks = conditionalBlocks
  }
}

/// One `sample`.
package struct SampleProgram: Sendable {
  /// Nil for the unnamed one.
  package var name: String?
  package var count: Int
  package var seed: UInt64
  /// Its results are `.result("0")`, `.result("1")`, …; images first.
  package var graph: Graph
  /// The range of the images for showing them: that of the data source the program has, else
  /// −1...1.
  package var low: Double
  package var high: Double

  package init(name: String?, count: Int, seed: UInt64, graph: Graph, low: Double, high: Double) {
    self.name = name
    self.count = count
    self.seed = seed
    self.graph = graph
    self.low = low
    self.high = high
  }
}

/// A row of the table that `gan-compile FILE` shows for a network.
package struct LayerSummary: Hashable, Sendable {
  /// The layer's path below the network, such as `dense_1`, or the function's name where it owns
  /// nothing.
  package var name: String
  package var kind: String
  package var output: TensorType
  package var trainable: Int
  package var total: Int

  package init(name: String, kind: String, output: TensorType, trainable: Int, total: Int) {
    self.name = name
    self.kind = kind
    self.output = output
    self.trainable = trainable
    self.total = total
  }
}

/// One network, instantiated by itself at the sizes of its first call (or dimension variables 1
/// where it is never called).
package struct NetworkProgram: Sendable {
  package var name: String
  package var arguments: [(name: String, type: TensorType)]
  package var results: [TensorType]
  package var layers: [LayerSummary]
  /// Inference mode, arguments as `.argument(name)`, results `.result("0")`, …
  package var graph: Graph
  /// The same in training mode.
  package var trainingGraph: Graph
  package var trainableCount: Int
  package var totalCount: Int

  package init(
    name: String, arguments: [(name: String, type: TensorType)], results: [TensorType],
    layers: [LayerSummary], graph: Graph, trainingGraph: Graph, trainableCount: Int, totalCount: Int
  ) {
    self.name = name
    self.arguments = arguments
    self.results = results
    self.layers = layers
    self.graph = graph
    self.trainingGraph = trainingGraph
    self.trainableCount = trainableCount
    self.totalCount = totalCount
  }
}

/// A default that the program relies on, for `gan-compile explain`.
package struct DefaultInUse: Hashable, Sendable {
  package var origin: Origin
  package var text: String
  package init(origin: Origin, text: String) {
    self.origin = origin
    self.text = text
  }
}

/// The whole program.
package struct Program: Sendable {
  package var model: String
  /// The hyperparameters with the values in force, as text.
  package var settings: [(name: String, value: String)]
  package var data: [DataDeclaration]
  package var states: [StateDeclaration]
  package var networks: [NetworkProgram]
  package var train: TrainProgram?
  package var samples: [SampleProgram]
  package var defaults: [DefaultInUse]
  /// What is probably a slip of the pen, for `gan-compile explain`.
  package var slips: [Diagnostic]
  package var warnings: [Diagnostic]

  package init(
    model: String, settings: [(name: String, value: String)], data: [DataDeclaration],
    states: [StateDeclaration], networks: [NetworkProgram], train: TrainProgram?,
    samples: [SampleProgram], defaults: [DefaultInUse], slips: [Diagnostic],
    warnings: [Diagnostic]
  ) {
    self.model = model
    self.settings = settings
    self.data = data
    self.states = states
    self.networks = networks
    self.train = train
    self.samples = samples
    self.defaults = defaults
    self.slips = slips
    self.warnings = warnings
  }
}
