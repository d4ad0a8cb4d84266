// The functions and layers of the language, as data: name, parameters with defaults, a sentence,
// and the small function that builds them. The one list drives argument matching, suggestions,
// `explain` and the documentation.

import Basics
import GraphIR

/// One parameter of a function.
struct Parameter: Sendable {
  enum Kind: Sendable {
    case tensor, tensors, integer, number, boolean, text
    /// A list of sizes.
    case shape
    /// One integer or a list of them.
    case integers
    /// One number for height and width, or `[h, w]`.
    case pair
    /// `same`, `valid` or `[[top, bottom], [left, right]]`.
    case padding
    /// `[[before, after], …]`
    case pads
    case word([String])
    case initializer
  }

  var name: String
  var kind: Kind
  /// What stands for it where it is left out.
  var standard: Value?
  /// Whether it may be left out though it has no default value: the function says what happens
  /// then.
  var isOptional: Bool
  /// Other spellings that are accepted.
  var aliases: [String]

  init(
    _ name: String, _ kind: Kind, _ standard: Value? = nil, optional: Bool = false,
    aliases: [String] = []
  ) {
    self.name = name
    self.kind = kind
    self.standard = standard
    isOptional = optional
    self.aliases = aliases
  }

  static let x = Parameter("x", .tensor)
  static func word(_ name: String, _ words: [String], _ standard: String) -> Parameter {
    Parameter(name, .word(words), .word(standard))
  }

  /// `slope: 0.3`, `x`
  var text: String {
    if let standard { return "\(name): \(standard.text)" }
    return isOptional ? "\(name):" : name
  }
}

struct FunctionEntry: Sendable {
  enum Group: String, Sendable, CaseIterable {
    case layer, elementwise, shape, reduction, image, random, loss, gradient
  }

  typealias Make = @Sendable (CallSite) throws(Diagnostic) -> Value

  var name: String
  var group: Group
  var parameters: [Parameter]
  var summary: String
  var make: Make

  init(
    _ name: String, _ group: Group, _ parameters: [Parameter], _ summary: String,
    _ make: @escaping Make
  ) {
    self.name = name
    self.group = group
    // Every layer may be named.
    self.parameters =
      group == .layer ? parameters + [Parameter("name", .text, optional: true)] : parameters
    self.summary = summary
    self.make = make
  }

  /// `leakyReLU(x, slope: 0.3)`
  var signature: String {
    let shown = parameters.filter { !(group == .layer && $0.name == "name") }
    return "\(name)(" + shown.map(\.text).joined(separator: ", ") + ")"
  }
}

enum FunctionLibrary {
  static let all: [FunctionEntry] =
    denseLayers + convolutionLayers + normLayers + elementwiseFunctions + shapeFunctions
    + reductionFunctions + imageFunctions + randomFunctions + lossFunctions + gradientFunctions

  private static let byName = Dictionary(
    all.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  static let names = all.map(\.name)
  static func entry(_ name: String) -> FunctionEntry? { byName[name] }
}

/// All words that some option takes.
let knownWords: Set<String> = {
  var words: Set<String> = ["same", "valid", "keras", "pytorch"]
  for entry in FunctionLibrary.all {
    for parameter in entry.parameters {
      if case .word(let cases) = parameter.kind { words.formUnion(cases) }
    }
  }
  return words
}()

/// A function of the language, as `gan-compile ops` and the reference list it.
package struct FunctionDocument: Sendable {
  package var group: String
  package var signature: String
  package var summary: String
}

/// Every function and layer, in the order of the reference.
package let functionDocuments: [FunctionDocument] = FunctionLibrary.all.map {
  FunctionDocument(group: $0.group.rawValue, signature: $0.signature, summary: $0.summary)
}
