// The text of one kernel while it is written: parameters and statements.

import Basics
import GraphIR

/// A tensor as kernels see it: dense, row-major.
struct DeviceTensor: Hashable {
  var buffer: DeviceBuffer
  var type: TensorType
  /// The number that all elements are, where the compiler knows it.
  var splat: Double?
  /// Only one element is stored, which stands for all.
  var isOneElement = false

  var shape: [Int] { type.shape }
  var count: Int { type.count }
}

/// The C type of elements, alone or as a vector. Truth values are the words 0 and 1.
func cType(_ element: ElementType, _ width: Int = 1) -> String {
  let name =
    switch element {
    case .f32: "float"
    case .i32, .bool: "int"
    case .f64: "double"
    }
  return width == 1 ? name : "\(name)\(width)"
}

struct KernelText {
  struct Parameter {
    var name: String
    var element: ElementType
    var isWritten: Bool
    var buffer: DeviceBuffer
  }

  /// What it does in one word; kernels are numbered within a family.
  let family: String
  private(set) var parameters: [Parameter] = []
  private var lines: [String] = []
  private var indentation = 1

  init(_ family: String) { self.family = family }

  // MARK: Parameters

  /// The name of a pointer to the tensor's first element, to read.
  mutating func input(_ tensor: DeviceTensor) -> String {
    input(tensor.buffer, tensor.type.element)
  }

  mutating func input(_ buffer: DeviceBuffer, _ element: ElementType = .f32) -> String {
    parameter(buffer, element, isWritten: false)
  }

  /// The name of a pointer to the tensor's first element, to write (and to read again what was written).
  mutating func output(_ tensor: DeviceTensor) -> String {
    output(tensor.buffer, tensor.type.element)
  }

  mutating func output(_ buffer: DeviceBuffer, _ element: ElementType = .f32) -> String {
    parameter(buffer, element, isWritten: true)
  }

  private mutating func parameter(
    _ buffer: DeviceBuffer, _ element: ElementType, isWritten: Bool
  ) -> String {
    if let known = parameters.first(where: {
      $0.buffer == buffer && $0.element == element && $0.isWritten == isWritten
    }) {
      return known.name
    }
    let name = "\(isWritten ? "y" : "x")\(parameters.count)"
    parameters.append(
      Parameter(name: name, element: element, isWritten: isWritten, buffer: buffer))
    return name
  }

  // MARK: Statements

  mutating func line(_ text: String) {
    lines.append(String(repeating: "  ", count: indentation) + text)
  }

  mutating func lines(_ texts: [String]) {
    for text in texts { line(text) }
  }

  /// A statement with a block: `head {` … `}`.
  mutating func block<Failure: Error>(
    _ head: String, _ body: (inout KernelText) throws(Failure) -> Void
  ) throws(Failure) {
    line("\(head) {")
    indentation += 1
    try body(&self)
    indentation -= 1
    line("}")
  }

  // MARK: Text

  /// Every buffer comes with the index of its first element, because one piece of memory holds many tensors.
  func text(named name: String, local: [Int]) -> String {
    let sizes = local.map(String.init).joined(separator: ", ")
    var text = "__kernel __attribute__((reqd_work_group_size(\(sizes))))\nvoid \(name)("
    text += parameters.map { parameter in
      let access = parameter.isWritten ? "" : "const "
      return "__global \(access)\(cType(parameter.element)) *\(parameter.name), "
        + "const ulong \(parameter.name)_first"
    }.joined(separator: ",\n    ")
    text += ") {\n"
    for parameter in parameters { text += "  \(parameter.name) += \(parameter.name)_first;\n" }
    text += lines.joined(separator: "\n")
    return text + "\n}\n"
  }
}
