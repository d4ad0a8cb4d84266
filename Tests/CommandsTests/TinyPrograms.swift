// Two programs small enough for golden text: one of convolutions, with two updates one after the other; one of dense
// layers with a batch norm and adaptive moments, both networks updated at one point.

enum TinyPrograms {
  /// 64 channels, so that the up-sampling before the convolution is worth folding.
  static let convolutional = """
    model "convolutional"
    let batch = 2
    data images: [batch, 8, 8, 1] in -1...1 from "/nowhere/images.npy"
    network generator(z: [n, 4]) -> [n, 8, 8, 1] {
      z |> dense(4 * 4 * 64) |> reshape([n, 4, 4, 64])
        |> upsample(2) |> conv2D(64, 5) |> relu()
        |> conv2D(1, 3) |> tanh()
    }
    network discriminator(image: [n, 8, 8, 1]) -> [n, 1] { image |> flatten() |> dense(1) }
    train(steps: 3) {
      let fake = generator(normal([batch, 4]))
      let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminator(fake), 0)
      update discriminator minimizing dLoss with sgd(0.1)
      let gLoss = bceWithLogits(discriminator(fake), 1)
      update generator minimizing gLoss with sgd(0.1)
      report dLoss, gLoss
    }
    sample(count: 2) { generator(normal([count, 4])) }
    """

  /// The comment would end the script of a page that took it as it stands.
  static let dense = """
    model "dense"
    // </script><!-- "quoted" & 'quoted' <script>
    let batch = 4
    data images: [batch, 6] in -1...1 from "/nowhere/</script>\\"images\\".npy"
    network generator(z: [n, 3]) -> [n, 6] {
      z |> dense(8) |> batchNorm() |> relu() |> dense(6) |> tanh()
    }
    network discriminator(x: [n, 6]) -> [n, 1] { x |> dense(1) }
    train(steps: 3) {
      let fake = generator(normal([batch, 3]))
      let dLoss = bceWithLogits(discriminator(images), 1) + bceWithLogits(discriminator(fake), 0)
      let gLoss = bceWithLogits(discriminator(fake), 1)
      update {
        discriminator minimizing dLoss with adam(0.1)
        generator minimizing gLoss with adam(0.1)
      }
      report dLoss, gLoss
    }
    sample(count: 4) { generator(normal([count, 3])) }
    """
}
