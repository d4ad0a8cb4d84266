// The classifier's program as it is built into the tool, so that `gan-exec evaluate` finds it wherever it runs.
// Graphs/classifier.gan is the original; a test holds the two together.

package enum ClassifierProgram {
  package static let name = "classifier.gan"

  package static let text = #"""
    // A small classifier of 28×28 images in ten classes: no GAN. `gan-exec evaluate` trains it on the
    // data that a program learns from and compares images by its features, as an Inception network is
    // used for photographs; it sets sizes and classes as the data have them.
    model "classifier"

    let batch = 128
    let height = 28
    let width = 28
    let channels = 1
    let classes = 10
    let epochs = 4

    data images: [batch, height, width, channels] in -1...1 from "fashion-mnist"
    data labels: i32[batch] from images.labels

    // What metrics see. The last layer's slope keeps every feature alive, so that covariances have full
    // rank.
    network features(image: [n, height, width, channels]) -> [n, 64] {
      image |> conv2D(32, 3) |> batchNorm(momentum: 0.9) |> leakyReLU(0.1) |> maxPool(2, padding: same)
        |> conv2D(64, 3) |> batchNorm(momentum: 0.9) |> leakyReLU(0.1) |> maxPool(2, padding: same)
        |> flatten() |> dropout(0.25)
        |> dense(64) |> leakyReLU(0.1)
    }

    network classifier(image: [n, height, width, channels]) -> [n, classes] {
      features(image) |> dropout(0.25) |> dense(classes)
    }

    train(epochs: epochs) {
      let logits = classifier(images)
      let loss = crossEntropy(logits, labels)
      update features, classifier minimizing loss with adam(1e-3 * power(0.05, epoch / epochs))

      let accuracy = mean(where(argmax(logits, axes: [1]) == labels, 1, 0))
      report loss, accuracy
    }

    """#
}
