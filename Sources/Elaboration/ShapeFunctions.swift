// Functions that move elements: reshape, transpose, concat, split and their like.

import Basics
import GraphIR
import Operators

extension FunctionLibrary {
  private static let axis = Parameter("axis", .integer)
  private static let shape = Parameter("shape", .shape)

  static let shapeFunctions: [FunctionEntry] = [
    FunctionEntry(
      "reshape", .shape, [.x, shape],
      "The same elements in another shape; one size may be -1 and is worked out."
    ) { site throws(Diagnostic) in try site.reshape() },
    FunctionEntry("flatten", .shape, [.x], "All axes but the first as one: [n, rest].") {
      site throws(Diagnostic) in
      let x = try site.tensor("x")
      guard let first = x.type.shape.first else {
        throw Diagnostic(
          "shape.rank", "flatten needs a batch axis, but x is a scalar", at: site.range(of: "x"))
      }
      return site.result(try site.builder.reshape(x.id, [first, x.type.count / first]))
    },
    FunctionEntry(
      "transpose", .shape, [.x, Parameter("axes", .integers, optional: true)],
      "The axes in another order; reversed where none is given."
    ) { site throws(Diagnostic) in
      let x = try site.tensor("x")
      var order = Array((0..<x.type.rank).reversed())
      if site.has("axes") {
        order = try site.integers("axes")
        guard order.sorted() == Array(0..<x.type.rank) else {
          throw Diagnostic(
            "shape.axis", "transpose: \(shapeText(order)) is no order of the axes of \(x.type)",
            at: site.range(of: "axes"), notes: [.init("the tensor is made here", at: x.place)])
        }
      }
      return site.result(try site.builder.transpose(x.id, order))
    },
    FunctionEntry(
      "concat", .shape, [Parameter("parts", .tensors), axis], "Tensors joined along an axis."
    ) { site throws(Diagnostic) in try site.concat() },
    FunctionEntry(
      "split", .shape, [.x, Parameter("parts", .integers), axis],
      "A tuple of equal parts along an axis, or of parts of the given sizes."
    ) { site throws(Diagnostic) in try site.split() },
    FunctionEntry(
      "slice", .shape,
      [.x, Parameter("start", .integer), Parameter("end", .integer), axis],
      "The part from start up to, but without, end; negative ones count from the end."
    ) { site throws(Diagnostic) in
      let x = try site.tensor("x")
      let axis = try site.axis("axis", of: x)
      let size = x.type.shape[axis]
      let ends = (try site.integer("start"), try site.integer("end"))
      guard ends.0 >= -size, ends.0 <= size, ends.1 >= -size, ends.1 <= size else {
        throw site.bad("end", "\(ends.0) to \(ends.1) is outside of \(size) along axis \(axis)")
      }
      let start = ends.0 < 0 ? ends.0 + size : ends.0
      let end = ends.1 < 0 ? ends.1 + size : ends.1
      guard start < end else {
        throw site.bad("end", "nothing lies between \(ends.0) and \(ends.1)")
      }
      return site.result(try site.builder.slice(x.id, axis: axis, from: start, to: end))
    },
    FunctionEntry(
      "pad", .shape,
      [
        .x, Parameter("padding", .pads, aliases: ["pads"]),
        .word("mode", ["zero", "reflect", "edge"], "zero"),
      ],
      "Elements added before and after along each axis."
    ) { site throws(Diagnostic) in
      let x = try site.tensor("x")
      let pads = try site.pads("padding")
      guard pads.count == x.type.rank else {
        throw Diagnostic(
          "shape.rank", "pad: \(pads.count) pairs for the \(x.type.rank) axes of \(x.type)",
          at: site.range(of: "padding"), notes: [.init("the tensor is made here", at: x.place)])
      }
      let mode = PadMode(rawValue: try site.word("mode")) ?? .zero
      return site.result(
        try site.builder.pad(
          x.id, before: pads.map { $0[0] }, after: pads.map { $0[1] }, mode: mode))
    },
    FunctionEntry(
      "tile", .shape, [.x, Parameter("multiples", .integers)],
      "The tensor repeated along each axis."
    ) { site throws(Diagnostic) in try site.tile() },
    FunctionEntry(
      "broadcast", .shape, [.x, shape], "The tensor repeated to a larger shape by NumPy's rules."
    ) { site throws(Diagnostic) in
      let x = try site.tensor("x")
      let shape = try site.shape("shape")
      guard broadcastShapes(x.type.shape, shape) == shape else {
        throw Diagnostic(
          "shape.broadcast", "\(x.type) cannot be broadcast to \(shapeText(shape))", at: site.range,
          notes: [.init("the tensor is made here", at: x.place)])
      }
      return site.result(try site.builder.broadcast(x.id, to: shape))
    },
    FunctionEntry(
      "onehot", .shape, [Parameter("ids", .tensor), Parameter("count", .integer)],
      "1 at each id (i32), else 0: a last axis of `count`."
    ) { site throws(Diagnostic) in
      let ids = try site.integers32("ids")
      return site.result(
        try site.builder.oneHot(ids.id, count: try site.integer("count", atLeast: 1)))
    },
    FunctionEntry("range", .shape, [Parameter("n", .integer)], "0, 1, … n − 1 as i32[n].") {
      site throws(Diagnostic) in
      let count = try site.integer("n", atLeast: 1)
      return site.result(try site.builder.iota(try TensorType(.i32, [count]).checked()))
    },
  ]
}

extension CallSite {
  fileprivate func reshape() throws(Diagnostic) -> Value {
    let x = try tensor("x")
    guard case .list = try value("shape") else {
      throw wrong("shape", "a shape such as [n, 784]", try value("shape"))
    }
    var shape = try integers("shape")
    if let open = shape.firstIndex(of: -1), shape.filter({ $0 == -1 }).count == 1 {
      var known = 1
      for size in shape where size != -1 {
        let (product, overflow) = known.multipliedReportingOverflow(by: size)
        known = overflow ? 0 : product
      }
      if known > 0, x.type.count % known == 0 { shape[open] = x.type.count / known }
    }
    var count: Int?
    do {
      count = try TensorType(.f32, shape).checked().count
    } catch {
      throw error.placed(at: range(of: "shape"))
    }
    guard count == x.type.count else {
      throw Diagnostic(
        "shape.reshape",
        "\(x.type) has \(x.type.count) elements, but \(shapeText(shape)) has \(count!)",
        at: range(of: "shape"), notes: [.init("the tensor is made here", at: x.place)])
    }
    return result(try builder.reshape(x.id, shape))
  }

  fileprivate func concat() throws(Diagnostic) -> Value {
    let list = try value("parts")
    let items: [Value]
    switch list {
    case .list(let parts), .tuple(let parts): items = parts
    default: throw wrong("parts", "a list of tensors", list)
    }
    guard !items.isEmpty else { throw bad("parts", "nothing to join") }
    var tensors: [TensorValue] = []
    for item in items { tensors.append(try elaborator.tensor(item, at: range(of: "parts"))) }
    if tensors.contains(where: { $0.type.element != tensors[0].type.element }) {
      for index in tensors.indices { tensors[index] = try elaborator.asFloat(tensors[index]) }
    }
    let axis = try axis("axis", of: tensors[0])
    for tensor in tensors.dropFirst() {
      var (a, b) = (tensors[0].type.shape, tensor.type.shape)
      if a.count == b.count { (a[axis], b[axis]) = (0, 0) }
      guard a == b else {
        throw Diagnostic(
          "shape.concat",
          "\(tensors[0].type) and \(tensor.type) differ in more than axis \(axis)",
          at: range(of: "parts"),
          notes: [
            .init("the first is \(tensors[0].type)", at: tensors[0].place),
            .init("this is \(tensor.type)", at: tensor.place),
          ])
      }
    }
    return result(try builder.concat(tensors.map(\.id), axis: axis))
  }

  fileprivate func split() throws(Diagnostic) -> Value {
    let x = try tensor("x")
    let axis = try axis("axis", of: x)
    let size = x.type.shape[axis]
    var sizes: [Int]
    if case .list = try value("parts") {
      sizes = try integers("parts")
    } else {
      let count = try integer("parts", atLeast: 1)
      guard size % count == 0, count <= ElaborationLimits.listLength else {
        throw Diagnostic(
          "shape.split", "\(size) along axis \(axis) does not divide into \(count) equal parts",
          at: range(of: "parts"), notes: [.init("the tensor is \(x.type)", at: x.place)])
      }
      sizes = Array(repeating: size / count, count: count)
    }
    var total = 0
    for part in sizes where part >= 1 && part <= size { total += part }
    guard total == size, sizes.allSatisfy({ $0 >= 1 && $0 <= size }) else {
      throw Diagnostic(
        "shape.split", "parts of \(shapeText(sizes)) do not make up \(size) along axis \(axis)",
        at: range(of: "parts"), notes: [.init("the tensor is \(x.type)", at: x.place)])
    }
    var start = 0
    var parts: [Value] = []
    for part in sizes {
      parts.append(result(try builder.slice(x.id, axis: axis, from: start, to: start + part)))
      start += part
    }
    return parts.count == 1 ? parts[0] : .tuple(parts)
  }

  fileprivate func tile() throws(Diagnostic) -> Value {
    let x = try tensor("x")
    let multiples = try integers("multiples")
    guard multiples.count == x.type.rank, multiples.allSatisfy({ $0 >= 1 }) else {
      throw bad("multiples", "\(x.type) needs \(x.type.rank) positive multiples")
    }
    // [a, b] ×[p, q] is [1, a, 1, b] broadcast to [p, a, q, b], read as [p·a, q·b].
    var result = x.id
    var shape = x.type.shape
    for (axis, multiple) in multiples.enumerated() where multiple > 1 {
      let outer = shape[..<axis].reduce(1, *)
      let inner = shape[axis...].reduce(1, *)
      guard let count = size(inner, times: multiple), let all = size(count, times: outer),
        all <= TensorType.maximumCount
      else { throw bad("multiples", "the result is too large") }
      result = try builder.reshape(result, [outer, 1, inner])
      result = try builder.broadcast(result, to: [outer, multiple, inner])
      shape[axis] *= multiple
      result = try builder.reshape(result, shape)
    }
    return self.result(result)
  }
}
