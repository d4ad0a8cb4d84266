#!/usr/bin/env python3
"""Makes the fixtures of the trajectory tests: what Keras and PyTorch compute for the first three
training steps of the six models, in narrow versions (few units and filters, small batches, the
noise given as data, no dropout, larger rates).

    python3 -m venv venv && venv/bin/pip install tensorflow torch numpy safetensors
    venv/bin/python Tools/make-fixtures.py [MODEL...] [--output DIR] [--check]

vanilla-gan needs only torch, the others only tensorflow, so two environments will do as well.

Comes in:  nothing; weights and inputs are drawn with NumPy from the seed.
Goes out:  DIR/MODEL.safetensors, all F32, beside MODEL.gan, the same narrow model in the language:
  init/PATH             parameters and running statistics before the first step
  stepK/NAME            for K = 0, 1, 2: the batch of data source NAME, and the reported scalars
  afterK/PATH           for K = 1, 3: parameters and running statistics after K steps
PATH is the program's own, as generator/dense_1/kernel. Kernels lie [in, out] and [kh, kw, in, out].
Metadata: model, framework, version, mode, seed, spread, and `loose`, lines of NAME=TOLERANCE. What
is not named there must agree to 1e-4 of the tensor's largest magnitude; what is named, only to the
absolute TOLERANCE. These are the biases that batch normalisation cancels: their true gradient is 0,
and Adam makes steps out of rounding noise. The third step's running means follow them.

Every run happens twice, in float32 (which is written) and in float64. A seed is taken only if the
two agree well within what the tests ask (1e-4), so that no result hangs on rounding: `spread` in
the metadata is the largest deviation of any tensor, relative to the tensor's largest magnitude.
--check compares new results with the files there instead of writing them.
"""
import argparse
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

STEPS = 3
KEPT = (1, 3)  # the states after these steps are written
SPREAD = 1e-5  # the largest deviation of float32 from float64 that a seed may have


# MARK: Layers, described once. Each is a tuple: kind, then what the kind needs.

def dense(i, o, bias=True):
    return ("dense", i, o, bias)


def conv(i, o, k, stride=1, padding="same"):
    return ("conv2D", i, o, k, stride, padding)


def conv_transpose(i, o, k, stride=1, bias=True):
    return ("convTranspose2D", i, o, k, stride, bias)


def norm(channels, momentum=0.99, epsilon=1e-3):
    return ("batchNorm", channels, momentum, epsilon)


def leaky(slope):
    return ("leaky", slope)


def reshape(*shape):
    return ("reshape", shape)


RELU, SIGMOID, TANH, FLATTEN, UP = ("relu",), ("sigmoid",), ("tanh",), ("flatten",), ("upsample",)


def parameter_shapes(network, layers):
    """Path -> shape in the language's layout, in the order of the program."""
    shapes, counts = {}, {}
    for layer in layers:
        kind = layer[0]
        if kind not in ("dense", "conv2D", "convTranspose2D", "batchNorm"):
            continue
        count = counts.get(kind, 0)
        counts[kind] = count + 1
        path = f"{network}/{kind}" + (f"_{count}" if count else "")
        if kind == "batchNorm":
            for part in ("gamma", "beta", "runningMean", "runningVariance"):
                shapes[f"{path}/{part}"] = (layer[1],)
            continue
        i, o = layer[1], layer[2]
        shapes[f"{path}/kernel"] = (i, o) if kind == "dense" else (layer[3], layer[3], i, o)
        if kind == "conv2D" or layer[-1]:
            shapes[f"{path}/bias"] = (o,)
    return shapes


def draw_parameters(shapes, rng):
    """Values of a trained network's size; nothing is 0 or 1, so that every term counts."""
    values = {}
    for path, shape in shapes.items():
        part = path.rsplit("/", 1)[1]
        if part == "kernel":
            fan_in, fan_out = np.prod(shape[:-1]), np.prod(shape[:-2]) * shape[-1]
            limit = 1.5 * np.sqrt(6 / (fan_in + fan_out))
            value = rng.uniform(-limit, limit, shape)
        elif part in ("gamma", "runningVariance"):
            value = rng.uniform(0.7, 1.4, shape)
        else:
            value = rng.uniform(-0.2, 0.2, shape)
        values[path] = value.astype(np.float32)
    return values


# MARK: Keras

class KerasNetwork:
    """A keras.Sequential of the layers, with its weights under the language's names."""

    def __init__(self, name, layers, shape):
        import keras
        L = keras.layers
        made = [keras.Input(shape)]
        for layer in layers:
            kind, rest = layer[0], layer[1:]
            made.append({
                "dense": lambda i, o, bias: L.Dense(o, use_bias=bias),
                "conv2D": lambda i, o, k, s, p: L.Conv2D(o, k, strides=s, padding=p),
                "convTranspose2D": lambda i, o, k, s, bias: L.Conv2DTranspose(
                    o, k, strides=s, padding="same", use_bias=bias),
                "batchNorm": lambda c, m, e: L.BatchNormalization(momentum=m, epsilon=e),
                "leaky": lambda slope: L.LeakyReLU(negative_slope=slope),
                "relu": lambda: L.ReLU(),
                "sigmoid": lambda: L.Activation("sigmoid"),
                "tanh": lambda: L.Activation("tanh"),
                "reshape": lambda shape: L.Reshape(shape),
                "flatten": lambda: L.Flatten(),
                "upsample": lambda: L.UpSampling2D(2, interpolation="nearest"),
            }[kind](*rest))
        self.model = keras.Sequential(made)
        self.paths = list(parameter_shapes(name, layers))
        # Keras lists a layer's weights as kernel, bias or gamma, beta, mean, variance: our order.
        self.weights = [w for layer in self.model.layers for w in layer.weights]
        self.turned = {p for p in self.paths if "convTranspose2D" in p and p.endswith("/kernel")}
        assert len(self.weights) == len(self.paths)

    def __call__(self, x, training=True):
        return self.model(x, training=training)

    @property
    def trainable(self):
        return self.model.trainable_variables

    def load(self, values):
        for path, weight in zip(self.paths, self.weights):
            value = values[path]
            # [kh, kw, in, out] here, [kh, kw, out, in] there.
            weight.assign(value.transpose(0, 1, 3, 2) if path in self.turned else value)

    def dump(self):
        out = {}
        for path, weight in zip(self.paths, self.weights):
            value = weight.numpy()
            out[path] = value.transpose(0, 1, 3, 2) if path in self.turned else value
        return out


def keras_setup(model, kind):
    """The two networks, and a function that minimises a loss over one of them."""
    import keras
    import tensorflow as tf
    tf.get_logger().setLevel("ERROR")
    keras.config.set_floatx(kind)
    keras.config.set_dtype_policy(kind)
    shape = model.images[1:]
    G = KerasNetwork("generator", model.generator, (model.latent,))
    D = KerasNetwork("discriminator", model.discriminator, shape)
    return keras, tf, G, D


def keras_adam(network, rate, beta1=0.9):
    import keras
    adam = keras.optimizers.Adam(rate, beta_1=beta1)
    adam.build(network.trainable)
    return adam


def fashion_gan(model, kind):
    keras, tf, G, D = keras_setup(model, kind)
    bce = keras.losses.BinaryCrossentropy()
    g_adam, d_adam = keras_adam(G, 3e-3), keras_adam(D, 1e-3)

    @tf.function
    def step(images, zD, zG, realNoise, fakeNoise):
        fake = G(zD, training=False)
        with tf.GradientTape() as tape:
            judged = tf.concat([D(images), D(fake)], 0)
            labels = tf.concat([0.15 * realNoise, 1 - 0.15 * fakeNoise], 0)
            d_loss = bce(labels, judged)
        d_adam.apply(tape.gradient(d_loss, D.trainable), D.trainable)
        with tf.GradientTape() as tape:
            judged = D(G(zG), training=False)
            g_loss = bce(tf.zeros_like(judged), judged)
        g_adam.apply(tape.gradient(g_loss, G.trainable), G.trainable)
        return {"dLoss": d_loss, "gLoss": g_loss}

    return G, D, step


def dcgan_mnist(model, kind):
    keras, tf, G, D = keras_setup(model, kind)
    bce = keras.losses.BinaryCrossentropy(from_logits=True)
    return keras_together(tf, G, D, bce, keras_adam(G, 2e-3), keras_adam(D, 1e-3))


def vanilla_gan_tf(model, kind):
    keras, tf, G, D = keras_setup(model, kind)
    bce = keras.losses.BinaryCrossentropy()
    return keras_together(tf, G, D, bce, keras_adam(G, 2e-3, 0.5), keras_adam(D, 2e-3, 0.5))


def keras_together(tf, G, D, bce, g_adam, d_adam):
    """Both gradients at the same parameters, then both updates."""

    @tf.function
    def step(images, z):
        with tf.GradientTape() as g_tape, tf.GradientTape() as d_tape:
            fake = G(z)
            real, made = D(images), D(fake)
            g_loss = bce(tf.ones_like(made), made)
            d_loss = bce(tf.ones_like(real), real) + bce(tf.zeros_like(made), made)
        g_gradients = g_tape.gradient(g_loss, G.trainable)
        d_gradients = d_tape.gradient(d_loss, D.trainable)
        g_adam.apply(g_gradients, G.trainable)
        d_adam.apply(d_gradients, D.trainable)
        return {"dLoss": d_loss, "gLoss": g_loss}

    return G, D, step


def dcgan_fashion(model, kind):
    keras, tf, G, D = keras_setup(model, kind)
    bce = keras.losses.BinaryCrossentropy()
    g_adam, d_adam = keras_adam(G, 2e-3), keras_adam(D, 1e-3)

    @tf.function
    def step(images, zD, zG):
        fake = G(zD, training=False)
        half = tf.ones((model.batch, 1), images.dtype)
        with tf.GradientTape() as tape:
            judged = D(tf.concat([images, fake], 0))
            d_loss = bce(tf.concat([half, 0 * half], 0), judged)
        d_adam.apply(tape.gradient(d_loss, D.trainable), D.trainable)
        probability = tf.reduce_mean(judged)
        with tf.GradientTape() as tape:
            judged = D(G(zG))
            g_loss = bce(tf.ones_like(judged), judged)
        g_adam.apply(tape.gradient(g_loss, G.trainable), G.trainable)
        return {"dLoss": d_loss, "gLoss": g_loss, "probability": probability}

    return G, D, step


def dense_gan(model, kind):
    keras, tf, G, D = keras_setup(model, kind)
    bce = keras.losses.BinaryCrossentropy()
    g_adam, d_adam = keras_adam(G, 1e-3, 0.5), keras_adam(D, 2e-3, 0.5)

    def learn(images, label):
        with tf.GradientTape() as tape:
            judged = D(images)
            target = label * tf.ones_like(judged)
            loss = bce(target, judged)
        d_adam.apply(tape.gradient(loss, D.trainable), D.trainable)
        return loss, tf.reduce_mean(keras.metrics.binary_accuracy(target, judged))

    @tf.function
    def step(images, zD, zG):
        fake = G(zD, training=False)
        real_loss, real_accuracy = learn(images, 1)
        fake_loss, fake_accuracy = learn(fake, 0)
        with tf.GradientTape() as tape:
            judged = D(G(zG))
            g_loss = bce(tf.ones_like(judged), judged)
        g_adam.apply(tape.gradient(g_loss, G.trainable), G.trainable)
        accuracy = 50 * (real_accuracy + fake_accuracy)
        return {"dLoss": 0.5 * (real_loss + fake_loss), "dAccuracy": accuracy, "gLoss": g_loss}

    return G, D, step


# MARK: PyTorch

class TorchNetwork:
    """An nn.Sequential of the layers (dense ones), with its weights under the language's names."""

    def __init__(self, name, layers, dtype):
        import torch.nn as nn
        made = []
        for layer in layers:
            kind, rest = layer[0], layer[1:]
            made.append({
                "dense": lambda i, o, bias: nn.Linear(i, o, bias=bias),
                "batchNorm": lambda c, m, e: nn.BatchNorm1d(c, eps=e, momentum=1 - m),
                "leaky": lambda slope: nn.LeakyReLU(slope),
                "sigmoid": lambda: nn.Sigmoid(),
                "tanh": lambda: nn.Tanh(),
                "reshape": lambda shape: nn.Unflatten(1, shape),
                "flatten": lambda: nn.Flatten(),
            }[kind](*rest))
        self.model = nn.Sequential(*made).to(dtype)
        self.paths = list(parameter_shapes(name, layers))
        self.weights = []
        for layer in self.model:
            if isinstance(layer, nn.Linear):
                self.weights += [layer.weight, layer.bias]
            elif isinstance(layer, nn.BatchNorm1d):
                self.weights += [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        assert len(self.weights) == len(self.paths)

    def __call__(self, x):
        return self.model(x)

    def load(self, values):
        import torch
        with torch.no_grad():
            for path, weight in zip(self.paths, self.weights):
                # [in, out] here, [out, in] there.
                weight.copy_(torch.from_numpy(values[path].T.copy()))

    def dump(self):
        return {p: w.detach().numpy().T.copy() for p, w in zip(self.paths, self.weights)}


def vanilla_gan(model, kind):
    import torch
    import torch.nn as nn
    torch.set_num_threads(1)
    dtype = getattr(torch, kind)
    G = TorchNetwork("generator", model.generator, dtype)
    D = TorchNetwork("discriminator", model.discriminator, dtype)
    bce = nn.BCELoss()
    g_adam = torch.optim.Adam(G.model.parameters(), 1e-3, betas=(0.5, 0.999))
    d_adam = torch.optim.Adam(D.model.parameters(), 1e-3, betas=(0.5, 0.999))
    ones, zeros = torch.ones(model.batch, 1, dtype=dtype), torch.zeros(model.batch, 1, dtype=dtype)

    def step(images, z):
        images, z = torch.from_numpy(images), torch.from_numpy(z)
        d_adam.zero_grad()
        d_loss = bce(D(images), ones) + bce(D(G(z)), zeros)
        d_loss.backward()
        d_adam.step()
        g_adam.zero_grad()
        g_loss = bce(D(G(z)), ones)
        g_loss.backward()
        g_adam.step()
        return {"dLoss": d_loss.detach(), "gLoss": g_loss.detach()}

    return G, D, step


# MARK: The six models

class Model:
    def __init__(self, setup, generator, discriminator, images, low, noise, loose=()):
        self.setup, self.generator, self.discriminator = setup, generator, discriminator
        self.images, self.low, self.noise, self.loose = images, low, noise, dict(loose)
        self.batch, self.latent = images[0], generator[0][1]

    @property
    def framework(self):
        return "pytorch" if self.setup is vanilla_gan else "keras"

    def inputs(self, rng):
        """One step's batches: smooth random images, and the noise."""
        n, h, w, _ = self.images
        y, x = np.mgrid[0:h, 0:w] / h
        a = rng.uniform(2, 9, (4, n, 1, 1))
        wave = np.sin(a[0] * x + a[1] * y + a[2]) * np.cos(a[3] * (x - y))
        value = 0.8 * wave + 0.2 * rng.uniform(-1, 1, (n, h, w))
        value = value if self.low < 0 else 0.5 + 0.5 * value
        batch = {"images": value[..., None]}
        for name, (kind, shape) in self.noise.items():
            if kind == "normal":
                batch[name] = rng.standard_normal(shape)
            else:
                batch[name] = rng.uniform(-1.0 if kind == "signed" else 0.0, 1.0, shape)
        return {name: v.astype(np.float32) for name, v in batch.items()}


def fully_connected(momentum):
    block = lambda i, o: [dense(i, o), norm(o, momentum, 0.8), leaky(0.2)]
    return [dense(5, 9), leaky(0.2), *block(9, 11), *block(11, 13), *block(13, 15),
            dense(15, 64), TANH, reshape(8, 8, 1)]


JUDGE = [FLATTEN, dense(64, 12), leaky(0.2), dense(12, 10), leaky(0.2), dense(10, 1), SIGMOID]


def loose(bias1, bias3, mean3):
    """Absolute tolerances of the cancelled biases, and of the running means after three steps."""
    tolerances = {}
    for dense_part, norm_part in (("_1", ""), ("_2", "_1"), ("_3", "_2")):
        tolerances[f"after1/generator/dense{dense_part}/bias"] = bias1
        tolerances[f"after3/generator/dense{dense_part}/bias"] = bias3
        tolerances[f"after3/generator/batchNorm{norm_part}/runningMean"] = mean3
    return tolerances

MODELS = {
    "fashion-gan": Model(
        fashion_gan,
        [dense(5, 196), leaky(0.2), reshape(7, 7, 4), UP, conv(4, 5, 5), leaky(0.2), UP,
         conv(5, 4, 5), leaky(0.2), conv(4, 5, 4), leaky(0.2), conv(5, 4, 4), leaky(0.2),
         conv(4, 1, 4), SIGMOID],
        [conv(1, 3, 5, padding="valid"), leaky(0.2), conv(3, 4, 5, padding="valid"), leaky(0.2),
         conv(4, 5, 5, padding="valid"), leaky(0.2), conv(5, 6, 5, padding="valid"), leaky(0.2),
         FLATTEN, dense(864, 1), SIGMOID],
        (6, 28, 28, 1), 0,
        {"zD": ("normal", (6, 5)), "zG": ("normal", (6, 5)),
         "realNoise": ("uniform", (6, 1)), "fakeNoise": ("uniform", (6, 1))}),
    "dcgan-mnist": Model(
        dcgan_mnist,
        [dense(5, 294, bias=False), norm(294), leaky(0.3), reshape(7, 7, 6),
         conv_transpose(6, 5, 5, bias=False), norm(5), leaky(0.3),
         conv_transpose(5, 4, 5, stride=2, bias=False), norm(4), leaky(0.3),
         conv_transpose(4, 1, 5, stride=2, bias=False), TANH],
        [conv(1, 5, 5, stride=2), leaky(0.3), conv(5, 6, 5, stride=2), leaky(0.3),
         FLATTEN, dense(294, 1)],
        (6, 28, 28, 1), -1, {"z": ("normal", (6, 5))}),
    "dcgan-fashion": Model(
        dcgan_fashion,
        [dense(5, 8), RELU, norm(8), dense(8, 196), RELU, norm(196), reshape(7, 7, 4),
         conv_transpose(4, 5, 5, stride=2), RELU, norm(5),
         conv_transpose(5, 1, 5, stride=2), TANH],
        [conv(1, 4, 5, stride=2), leaky(0.2), conv(4, 6, 5, stride=2), leaky(0.2),
         FLATTEN, dense(294, 1), SIGMOID],
        (6, 28, 28, 1), -1, {"zD": ("signed", (6, 5)), "zG": ("signed", (12, 5))}),
    "dense-gan": Model(
        dense_gan,
        [dense(5, 9), leaky(0.2), dense(9, 11), leaky(0.2), dense(11, 13), leaky(0.2),
         dense(13, 64), TANH, reshape(8, 8, 1)],
        JUDGE, (7, 8, 8, 1), -1, {"zD": ("normal", (7, 5)), "zG": ("normal", (7, 5))}),
    "vanilla-gan": Model(
        vanilla_gan, fully_connected(0.9), JUDGE, (8, 8, 8, 1), -1,
        {"z": ("normal", (8, 5))},
        # Adam's epsilon of 1e-8 is no larger than the noise: whole steps of 1e-3 to either side.
        loose(2e-3, 6e-3, 1.4e-3)),
    "vanilla-gan-tf": Model(
        vanilla_gan_tf, fully_connected(0.1), JUDGE, (8, 8, 8, 1), -1,
        {"z": ("normal", (8, 5))},
        # Keras' epsilon keeps these steps near 1 % of the rate of 2e-3.
        loose(4e-4, 1e-3, 5e-4)),
}


# MARK: Running

def run(model, seed, kind):
    """The fixture's tensors, computed in `kind` (float32 or float64)."""
    rng = np.random.default_rng(seed)
    shapes = {**parameter_shapes("generator", model.generator),
              **parameter_shapes("discriminator", model.discriminator)}
    values = draw_parameters(shapes, rng)
    out = {f"init/{path}": value for path, value in values.items()}
    G, D, step = model.setup(model, kind)
    G.load(values)
    D.load(values)
    for k in range(STEPS):
        batch = model.inputs(rng)
        losses = step(**{name: v.astype(kind) for name, v in batch.items()})
        losses = {name: v.numpy() for name, v in losses.items()}
        for name, v in {**batch, **losses}.items():
            out[f"step{k}/{name}"] = np.asarray(v)
        if k + 1 in KEPT:
            for path, value in {**G.dump(), **D.dump()}.items():
                out[f"after{k + 1}/{path}"] = value
    return out


def deviation(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-30))


def spread(single, double, model):
    """The largest deviation of what is compared strictly, and where it is."""
    worst, place = 0.0, ""
    for name, value in single.items():
        if name in model.loose:
            if np.max(np.abs(value - double[name])) > model.loose[name] / 2:
                return 1.0, name
            continue
        d = deviation(value, double[name])
        if d > worst:
            worst, place = d, name
    return worst, place


def fair(single, model):
    """Losses move, nothing saturates, the first step moves each tensor by far more than 1e-4."""
    losses = [float(single[f"step{k}/{n}"]) for n in ("dLoss", "gLoss") for k in range(STEPS)]
    moved = all(deviation(single[n], single["init/" + n.split("/", 1)[1]]) > 5e-4
                for n in single if n.startswith("after1/") and n not in model.loose)
    return all(0.05 < l < 5 for l in losses) and moved and len(set(losses)) == len(losses)


def make(name, first):
    model = MODELS[name]
    for seed in range(first, first + 50):
        single, double = run(model, seed, "float32"), run(model, seed, "float64")
        worst, place = spread(single, double, model)
        good = worst < SPREAD and fair(single, model)
        losses = " ".join(f"{single[f'step{k}/{n}']:.4f}" for n in ("dLoss", "gLoss")
                          for k in range(STEPS))
        print(f"{name}: seed {seed}: spread {worst:.1e} at {place}; losses {losses}"
              + ("" if good else "; not taken"))
        if good:
            break
    else:
        sys.exit(f"{name}: no seed from {first} to {first + 49} will do")
    if model.framework == "pytorch":
        import torch
        framework, version, mode = "pytorch", torch.__version__, "eager, float32, nn.BCELoss"
    else:
        import keras
        import tensorflow
        framework = "keras on tensorflow"
        version = f"{keras.__version__} on {tensorflow.__version__}"
        mode = "tf.function, float32, BinaryCrossentropy from the logits of a direct sigmoid"
    metadata = {"model": name, "framework": framework, "version": version, "mode": mode,
                "seed": str(seed), "spread": f"{worst:.1e}",
                "loose": "\n".join(f"{n}={t}" for n, t in model.loose.items())}
    return {n: np.array(v, np.float32, order="C") for n, v in single.items()}, metadata


# MARK: The layouts, checked against the language's formulas written out in NumPy

def numpy_conv_transpose(x, w, stride):
    """y[s*i + j] += x[i] w[j] with w [kh, kw, in, out], cropped to in * stride."""
    n, h, width, _ = x.shape
    k, out = w.shape[0], w.shape[3]
    y = np.zeros((n, (h - 1) * stride + k, (width - 1) * stride + k, out))
    for a in range(h):
        for b in range(width):
            y[:, stride * a:stride * a + k, stride * b:stride * b + k] += np.einsum(
                "ni,hwio->nhwo", x[:, a, b], w)
    crop = (k - stride) // 2
    return y[:, crop:crop + h * stride, crop:crop + width * stride]


def numpy_conv(x, w, stride, padding):
    """y[i] = sum of x[s*i + j - p] w[j], p the smaller half of what `same` pads."""
    k = w.shape[0]
    if padding == "same":
        size = -(-x.shape[1] // stride)
        total = max((size - 1) * stride + k - x.shape[1], 0)
        before, after = total // 2, total - total // 2
        x = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
    size = (x.shape[1] - k) // stride + 1
    y = np.zeros((x.shape[0], size, size, w.shape[3]))
    for a in range(size):
        for b in range(size):
            patch = x[:, stride * a:stride * a + k, stride * b:stride * b + k]
            y[:, a, b] = np.einsum("nhwi,hwio->no", patch, w)
    return y


def check_keras_layouts():
    import keras
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    rng = np.random.default_rng(5)
    cases = [(conv_transpose(3, 2, k, stride=s), numpy_conv_transpose, (s,))
             for k, s in ((5, 1), (5, 2), (4, 2))]
    cases += [(conv(3, 2, k, stride=s, padding=p), numpy_conv, (s, p))
              for k, s, p in ((5, 1, "same"), (5, 2, "same"), (4, 1, "same"), (5, 1, "valid"))]
    for layer, formula, rest in cases:
        values = draw_parameters(parameter_shapes("check", [layer]), rng)
        network = KerasNetwork("check", [layer], (8, 8, 3))
        network.load(values)
        x = rng.standard_normal((2, 8, 8, 3))
        kernel, bias = values.values()
        expected = formula(x, kernel.astype(np.float64), *rest) + bias
        assert deviation(network(x).numpy(), expected) < 1e-12, layer
    # Batch normalisation: the batch's biased variance, also in the running one.
    network = KerasNetwork("check", [norm(3, 0.1, 0.8)], (4, 4, 3))
    values = draw_parameters(parameter_shapes("check", [norm(3)]), rng)
    network.load(values)
    x = rng.standard_normal((2, 4, 4, 3))
    gamma, beta, mean, variance = values.values()
    m, v = x.mean((0, 1, 2)), x.var((0, 1, 2))
    assert deviation(network(x).numpy(), (x - m) / np.sqrt(v + 0.8) * gamma + beta) < 1e-12
    after = network.dump()
    assert deviation(after["check/batchNorm/runningMean"], 0.1 * mean + 0.9 * m) < 1e-6
    assert deviation(after["check/batchNorm/runningVariance"], 0.1 * variance + 0.9 * v) < 1e-6


def main():
    from safetensors.numpy import load_file, save_file
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description="Makes the fixtures of the trajectory tests.")
    p.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    p.add_argument("--output", default=os.path.join(here, "../Tests/TrainingTests/Fixtures"))
    p.add_argument("--seed", type=int, default=1, help="the first seed to try")
    p.add_argument("--check", action="store_true", help="compare with the files, write nothing")
    a = p.parse_args()
    for name in a.models:
        if name not in MODELS:
            p.error(f"no model {name}; there are {', '.join(MODELS)}")
    names = a.models or list(MODELS)
    if any(MODELS[n].framework == "keras" for n in names):
        check_keras_layouts()
    for name in names:
        tensors, metadata = make(name, a.seed)
        path = os.path.normpath(os.path.join(a.output, name + ".safetensors"))
        if not a.check:
            save_file(tensors, path, metadata)
            os.chmod(path, 0o644)
            print(f"{path}: {os.path.getsize(path) / 1000:.0f} kB")
            continue
        old = load_file(path)
        if old.keys() != tensors.keys():
            sys.exit(f"{path}: other tensors")
        for tensor, value in tensors.items():
            d = deviation(value, old[tensor])
            if tensor not in MODELS[name].loose and d > 2 * SPREAD:
                sys.exit(f"{path}: {tensor} deviates by {d:.1e}")
        print(f"{path}: agrees")


if __name__ == "__main__":
    main()
