// ONNX models as values: what a `.onnx` file says, no more and no less. Nothing here knows what an
// operator means; reading stands in `ONNX+Read.swift`, writing in `ONNX+Write.swift`, tensors in
// `ONNXTensor.swift`. Names and field numbers are those of the standard's `onnx.proto`.

import Basics

/// A whole model: `ModelProto`.
package struct ONNXModel: Hashable, Sendable {
  /// The version of the file format; 8 is read by all runtimes of the last years.
  package var irVersion: Int64
  /// The versions of the operators, by domain; the standard's own domain is the empty text.
  package var opsets: [ONNXOpset]
  package var producer: String
  package var producerVersion: String
  package var domain: String
  package var modelVersion: Int64
  package var documentation: String
  package var graph: ONNXGraph
  /// Texts by key, in the order of the file.
  package var metadata: [ONNXMetadata]

  package init(
    irVersion: Int64 = 8, opsets: [ONNXOpset], producer: String = "", producerVersion: String = "",
    domain: String = "", modelVersion: Int64 = 0, documentation: String = "", graph: ONNXGraph,
    metadata: [ONNXMetadata] = []
  ) {
    self.irVersion = irVersion
    self.opsets = opsets
    self.producer = producer
    self.producerVersion = producerVersion
    self.domain = domain
    self.modelVersion = modelVersion
    self.documentation = documentation
    self.graph = graph
    self.metadata = metadata
  }

  /// The version of the standard's operators; `ai.onnx` is another name of the empty domain.
  package var standardOpset: Int64? {
    opsets.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }?.version
  }
}

/// The version of the operators of one domain: `OperatorSetIdProto`.
package struct ONNXOpset: Hashable, Sendable {
  package var domain: String
  package var version: Int64
  package init(domain: String = "", version: Int64) {
    self.domain = domain
    self.version = version
  }
}

/// `StringStringEntryProto`.
package struct ONNXMetadata: Hashable, Sendable {
  package var key: String
  package var value: String
  package init(_ key: String, _ value: String) {
    self.key = key
    self.value = value
  }
}

/// A graph: `GraphProto`. Values are named; nodes stand in topological order.
package struct ONNXGraph: Hashable, Sendable {
  package var name: String
  package var nodes: [ONNXNode]
  package var initializers: [ONNXTensor]
  /// Before IR version 4, initialisers are listed here too.
  package var inputs: [ONNXValueInfo]
  package var outputs: [ONNXValueInfo]
  /// Types of values within the graph; a help for readers.
  package var valueInfo: [ONNXValueInfo]
  package var documentation: String

  package init(
    name: String, nodes: [ONNXNode] = [], initializers: [ONNXTensor] = [],
    inputs: [ONNXValueInfo] = [], outputs: [ONNXValueInfo] = [], valueInfo: [ONNXValueInfo] = [],
    documentation: String = ""
  ) {
    self.name = name
    self.nodes = nodes
    self.initializers = initializers
    self.inputs = inputs
    self.outputs = outputs
    self.valueInfo = valueInfo
    self.documentation = documentation
  }
}

/// An operator on named values: `NodeProto`. An empty name among the inputs or outputs stands for
/// one that is left out.
package struct ONNXNode: Hashable, Sendable {
  package var op: String
  package var domain: String
  package var name: String
  package var inputs: [String]
  package var outputs: [String]
  package var attributes: [ONNXAttribute]
  package var documentation: String

  package init(
    _ op: String, domain: String = "", name: String = "", inputs: [String], outputs: [String],
    attributes: [ONNXAttribute] = [], documentation: String = ""
  ) {
    self.op = op
    self.domain = domain
    self.name = name
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.documentation = documentation
  }

  package func attribute(_ name: String) -> ONNXAttribute.Value? {
    attributes.first { $0.name == name }?.value
  }
}

/// `AttributeProto`.
package struct ONNXAttribute: Hashable, Sendable {
  package enum Value: Hashable, Sendable {
    case float(Float)
    case int(Int64)
    case string(String)
    case tensor(ONNXTensor)
    case graph(ONNXGraph)
    case floats([Float])
    case ints([Int64])
    case strings([String])
    case tensors([ONNXTensor])
    case graphs([ONNXGraph])
    /// A kind that is read over: sparse tensors and types. Not written.
    case other(String)
  }
  package var name: String
  package var value: Value
  package init(_ name: String, _ value: Value) {
    self.name = name
    self.value = value
  }
}

/// The name and type of an input, an output or a value: `ValueInfoProto`.
package struct ONNXValueInfo: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// `shape` is nil where even the rank is unknown.
    case tensor(ONNXElement, shape: [ONNXDimension]?)
    /// Sequences, maps, optional values, sparse tensors, or nothing said. Not written.
    case other(String)
  }
  package var name: String
  package var kind: Kind
  package init(_ name: String, _ kind: Kind) {
    self.name = name
    self.kind = kind
  }
  package init(_ name: String, _ element: ONNXElement, _ shape: [ONNXDimension]) {
    self.init(name, .tensor(element, shape: shape))
  }
}

/// One dimension of a shape: `TensorShapeProto.Dimension`.
package enum ONNXDimension: Hashable, Sendable {
  case value(Int)
  /// Free, with a name; equal names have equal sizes.
  case parameter(String)
  case unknown
}
