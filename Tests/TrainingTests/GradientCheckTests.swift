// The gradient check itself: right gradients pass, planted wrong ones fail, kinks are told apart,
// and the programs' own gradients are right.

import Basics
import CommandSupport
import Formats
import GraphIR
import Operators
import TestSupport
import Testing
import Training

@Suite struct GradientCheckTests {
  /// A check of one claimed gradient of a loss in one parameter.
  private func verdict(
    at values: [Double], loss: (GraphBuilder, ValueID) throws -> ValueID,
    claim: (GraphBuilder, ValueID) throws -> ValueID
  ) throws -> GradientCheck.Finding {
    let builder = GraphBuilder(name: "test", stage: .differentiated)
    let type = TensorType.f32(values.count)
    let w = try builder.input(.state("w"), type)
    builder.output(.result("loss"), try loss(builder, w))
    builder.output(.result("w"), w)
    builder.output(.result("claim"), try claim(builder, w))
    let check = try GradientCheck(
      builder.finish(), [(gradient: 1, name: "w", origin: Origin())], seed: 1
    ) { _, type in HostTensor(type, values) }
    return check.check(0)
  }

  private let point = [0.3, -1.2, 0.7, 2.1]

  @Test func aRightGradientPasses() throws {
    let finding = try verdict(at: point) { builder, w in
      try builder.sum(builder.multiply(builder.tanh(w), builder.square(w)))
    } claim: { builder, w in
      // (tanh w · w²)' = (1 − tanh² w) · w² + 2 w tanh w
      let t = try builder.tanh(w)
      let inner = try builder.multiply(builder.subtract(1, builder.square(t)), builder.square(w))
      return try builder.add(inner, builder.multiply(builder.multiply(w, 2), t))
    }
    #expect(finding.verdict == .passed && finding.error <= 1e-5)
  }

  @Test(arguments: [1.5, 1.001, 1.0001, 0, -1])
  func aWrongGradientFails(factor: Double) throws {
    let finding = try verdict(at: point) { builder, w in
      try builder.sum(builder.exp(w))
    } claim: { builder, w in
      try builder.multiply(builder.exp(w), factor)
    }
    #expect(finding.verdict == .failed, "error \(finding.error)")
  }

  @Test func aGradientWithOneWrongElementFails() throws {
    let finding = try verdict(at: point) { builder, w in
      try builder.sum(builder.square(w))
    } claim: { builder, w in
      try builder.add(builder.multiply(w, 2), builder.constant(.f32(4), [0, 0, 1e-3, 0]))
    }
    #expect(finding.verdict == .failed)
  }

  @Test func aKinkAtTheBasePointIsNoFailure() throws {
    // |w| at 0: every claim between −1 and 1 is a subgradient, others are wrong.
    for (claim, wanted) in [(0.3, GradientCheck.Finding.Verdict.kink), (1, .kink), (1.7, .failed)] {
      let finding = try verdict(at: [0, 0, 0]) { builder, w in
        try builder.sum(builder.absolute(w))
      } claim: { builder, w in
        try builder.constant(.f32(3), [claim, claim, claim])
      }
      if wanted == .failed {
        // Along a direction with signs the claims may cancel; with one element they cannot.
        let single = try verdict(at: [0]) { builder, w in
          try builder.sum(builder.absolute(w))
        } claim: { builder, _ in
          try builder.constant(.f32(1), [claim])
        }
        #expect(single.verdict == .failed)
      } else {
        #expect(finding.verdict == wanted, "\(claim): \(finding)")
      }
    }
  }

  @Test func aWrongGradientBesideKinksFails() throws {
    // Many ReLUs around the base point, and a gradient that is off by a hundredth.
    let values = (0..<400).map { Double($0 - 200) * 1e-5 + 0.5 }
    let finding = try verdict(at: values) { builder, w in
      try builder.sum(builder.square(builder.relu(builder.subtract(w, 0.5))))
    } claim: { builder, w in
      try builder.multiply(builder.relu(builder.subtract(w, 0.5)), 2 * 1.01)
    }
    #expect(finding.verdict == .failed, "\(finding)")
  }

  @Test func notANumberFails() throws {
    let finding = try verdict(at: [-1]) { builder, w in
      try builder.sum(builder.log(w))
    } claim: { builder, w in
      try builder.divide(1, w)
    }
    #expect(finding.verdict == .failed)
  }

  @Test func stopGradientHoldsItsValue() throws {
    // The loss is w · stop(w): its gradient is stop(w), not 2w.
    for (factor, wanted) in [(1.0, GradientCheck.Finding.Verdict.passed), (2, .failed)] {
      let finding = try verdict(at: point) { builder, w in
        try builder.sum(builder.multiply(w, builder.stopGradient(w)))
      } claim: { builder, w in
        try builder.multiply(w, factor)
      }
      #expect(finding.verdict == wanted)
    }
  }

  @Test func aGradientThatIsZeroIsCalledSo() throws {
    for (shift, wanted) in [(0.0, GradientCheck.Finding.Verdict.zero), (0.5, .failed)] {
      let finding = try verdict(at: point) { builder, w in
        try builder.sum(builder.square(builder.subtract(w, w)))
      } claim: { builder, w in
        try builder.multiply(w, shift)
      }
      #expect(finding.verdict == wanted, "\(finding)")
    }
  }

  @Test func versionsAreNamedByTheirParameter() throws {
    let result = exec(
      "check", Places.graph("dense-gan"), "--gradients", "--json", "--batch", "2")
    let names = try result.output.split(separator: "\n").map {
      try JSONValue.parse(String($0), name: "finding")["parameter"]?.stringValue ?? ""
    }
    #expect(names.contains { $0.hasPrefix("discriminator/dense/kernel, updated in line ") })
    #expect(names.allSatisfy { $0.hasPrefix("generator/") || $0.hasPrefix("discriminator/") })
  }

  // MARK: Programs

  @Test(arguments: Fixture.names)
  func theModelsGradients(name: String) throws {
    let result = exec(
      "check", "\(Places.fixtures)/\(name).gan", "--gradients", "--json", "--batch", "2")
    #expect(result.code == 0, "\(result.messages)\(result.output)")
    let findings = try result.output.split(separator: "\n").map {
      try JSONValue.parse(String($0), name: "finding")
    }
    let passed = findings.count { ["passed", "zero"].contains($0["verdict"]?.stringValue) }
    #expect(passed >= findings.count - 1, "at most one at a kink")
    #expect(findings.count { ($0["analytic"]?.doubleValue ?? 0) != 0 } > findings.count / 2)
  }

  @Test func aGradientPenalty() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      """
      let batch = 3
      data images: [batch, 4] in -1...1 from "synthetic"
      network critic(x: [n, 4]) -> [n, 1] { x |> dense(6) |> tanh() |> dense(1) }
      network generator(z: [n, 2]) -> [n, 4] { z |> dense(4) |> tanh() }
      train(steps: 3) {
        repeat 2 {
          let fake = stopGradient(generator(normal([batch, 2])))
          let mix = uniform([batch, 1])
          let between = mix * images + (1 - mix) * fake
          let slope = norm(gradient(of: sum(critic(between)), wrt: between), axes: [1])
          let cLoss = mean(critic(fake)) - mean(critic(images)) + 10 * mean(square(slope - 1))
          update critic minimizing cLoss with adam(1e-2)
        }
        let gLoss = -mean(critic(generator(normal([batch, 2]))))
        update generator minimizing gLoss with adam(1e-2)
        report cLoss, gLoss
      }
      """, to: "wgan.gan")
    let result = exec("check", path, "--gradients")
    #expect(result.code == 0, "\(result.messages)\(result.output)")
    #expect(result.output.contains("critic/dense/kernel"))
    #expect(result.output.contains("0 failed"))
  }

  @Test func aStepWithoutGradientsShowsNothing() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(
      "train(steps: 1) { let x = mean(normal([3]))\n report x }", to: "x.gan")
    #expect(exec("check", path).code == 0)
    #expect(exec("check", path, "--gradients").code == 4)
  }
}
