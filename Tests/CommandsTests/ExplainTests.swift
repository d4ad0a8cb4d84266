// `gan-compile explain`: golden text of two programs, the second with slips.

import CommandSupport
import Foundation
import TestSupport
import Testing

@Suite struct ExplainTests {
  private func explained(_ program: String) throws -> String {
    let folder = try TemporaryFolder()
    let result = compile("explain", try folder.write(program, to: "tiny.gan"))
    #expect(result.code == 0 && result.messages.isEmpty, "\(result.messages)")
    return result.output.replacingOccurrences(of: folder.path + "/", with: "")
  }

  @Test func everyDefault() throws {
    #expect(
      try explained(TinyPrograms.convolutional) == """
        batch = 2
        tiny.gan:3:6: data images: order = shuffled
        tiny.gan:5:8: dense: bias = true
        tiny.gan:5:8: dense: init = glorotUniform
        tiny.gan:5:8: dense: biasInit = zeros
        tiny.gan:5:8: dense: spectral = false
        tiny.gan:6:8: upsample: mode = nearest
        tiny.gan:6:23: conv2D: stride = 1
        tiny.gan:6:23: conv2D: padding = same
        tiny.gan:6:23: conv2D: dilation = 1
        tiny.gan:6:23: conv2D: groups = 1
        tiny.gan:6:23: conv2D: bias = true
        tiny.gan:6:23: conv2D: init = glorotUniform
        tiny.gan:6:23: conv2D: biasInit = zeros
        tiny.gan:6:23: conv2D: spectral = false
        tiny.gan:7:8: conv2D: stride = 1
        tiny.gan:7:8: conv2D: padding = same
        tiny.gan:7:8: conv2D: dilation = 1
        tiny.gan:7:8: conv2D: groups = 1
        tiny.gan:7:8: conv2D: bias = true
        tiny.gan:7:8: conv2D: init = glorotUniform
        tiny.gan:7:8: conv2D: biasInit = zeros
        tiny.gan:7:8: conv2D: spectral = false
        tiny.gan:9:78: dense: bias = true
        tiny.gan:9:78: dense: init = glorotUniform
        tiny.gan:9:78: dense: biasInit = zeros
        tiny.gan:9:78: dense: spectral = false
        tiny.gan:13:46: sgd: momentum = 0.0
        tiny.gan:13:46: sgd: nesterov = false
        tiny.gan:15:42: sgd: momentum = 0.0
        tiny.gan:15:42: sgd: nesterov = false
        tiny.gan:18:1: sample: seed = 0

        """)
  }

  /// A large epsilon, images in another range than the data, other noise in the sample than in the step.
  @Test func defaultsAndSlips() throws {
    let program = TinyPrograms.dense.replacing("batchNorm()", with: "batchNorm(epsilon: 0.5)")
      .replacing("|> tanh()", with: "|> sigmoid()")
      .replacing("normal([count, 3])", with: "uniform([count, 3])")
    #expect(
      try explained(program) == """
        batch = 4
        tiny.gan:4:6: data images: order = shuffled
        tiny.gan:6:8: dense: bias = true
        tiny.gan:6:8: dense: init = glorotUniform
        tiny.gan:6:8: dense: biasInit = zeros
        tiny.gan:6:8: dense: spectral = false
        tiny.gan:6:20: batchNorm: momentum = 0.99
        tiny.gan:6:20: batchNorm: center = true
        tiny.gan:6:20: batchNorm: scale = true
        tiny.gan:6:20: batchNorm: variance = biased
        tiny.gan:6:57: dense: bias = true
        tiny.gan:6:57: dense: init = glorotUniform
        tiny.gan:6:57: dense: biasInit = zeros
        tiny.gan:6:57: dense: spectral = false
        tiny.gan:8:51: dense: bias = true
        tiny.gan:8:51: dense: init = glorotUniform
        tiny.gan:8:51: dense: biasInit = zeros
        tiny.gan:8:51: dense: spectral = false
        tiny.gan:14:41: adam: beta1 = 0.9
        tiny.gan:14:41: adam: beta2 = 0.999
        tiny.gan:14:41: adam: epsilon = 1e-07
        tiny.gan:14:41: adam: epsilonStyle = keras
        tiny.gan:15:37: adam: beta1 = 0.9
        tiny.gan:15:37: adam: beta2 = 0.999
        tiny.gan:15:37: adam: epsilon = 1e-07
        tiny.gan:15:37: adam: epsilonStyle = keras
        tiny.gan:19:1: sample: seed = 0
        tiny.gan:19:30: uniform: low = 0
        tiny.gan:19:30: uniform: high = 1
        tiny.gan:6:39: warning: batchNorm: an epsilon of 0.5 is large [slip.epsilon]
          |   z |> dense(8) |> batchNorm(epsilon: 0.5) |> relu() |> dense(6) |> sigmoid()
          |                                       ^^^
          help: 1e-3 to 1e-8 is usual; smaller variances than epsilon are hardly normalised
        tiny.gan:11:85: warning: discriminator is given the result of a sigmoid, which is in 0...1, but images is in -1...1 [slip.range]
          | its(discriminator(images), 1) + bceWithLogits(discriminator(fake), 0)
          |                                                             ^^^^
        tiny.gan:11:43: note: images goes in here
          |   let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminato
          |                                           ^^^^^^
          help: data images: … in 0...1, or another last activation
        tiny.gan:12:43: warning: discriminator is given the result of a sigmoid, which is in 0...1, but images is in -1...1 [slip.range]
          |   let gLoss = bceWithLogits(discriminator(fake), 1)
          |                                           ^^^^
        tiny.gan:11:43: note: images goes in here
          |   let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminato
          |                                           ^^^^^^
          help: data images: … in 0...1, or another last activation
        tiny.gan:19:30: warning: generator is given uniform numbers in 0...1 here, but standard normal numbers in train [slip.noise]
          | sample(count: 4) { generator(uniform([count, 3])) }
          |                              ^^^^^^^^^^^^^^^^^^^
        tiny.gan:10:24: note: in train it is here
          |   let fake = generator(normal([batch, 3]))
          |                        ^^^^^^^^^^^^^^^^^^
          help: what a network makes of noise that it never saw says little of it

        """)
  }
}
