"""TensorFlow on the CPU: one full GAN training step. Modes: function (tf.function), xla
(tf.function(jit_compile=True)), keras (dcgan-fashion and dense-gan only: the tutorials' own
predict + train_on_batch calls)."""
import os
from bench_common import *

a = args(["function", "xla", "keras"])
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np
import tensorflow as tf
from tensorflow.keras import Sequential, Input, layers as l
tf.config.threading.set_intra_op_parallelism_threads(a.threads)
tf.config.threading.set_inter_op_parallelism_threads(a.threads)
tf.keras.utils.set_random_seed(0)
M, B, Z = a.model, BATCH[a.model], LATENT[a.model]
Adam = tf.keras.optimizers.Adam
LR = lambda s: l.LeakyReLU(negative_slope=s)
if M == "fashion-gan":
    c = lambda o, k: l.Conv2D(o, k, padding="same")
    G = Sequential([Input((128,)), l.Dense(6272), LR(.2), l.Reshape((7, 7, 128)), l.UpSampling2D(), c(128, 5), LR(.2),
                    l.UpSampling2D(), c(128, 5), LR(.2), c(128, 4), LR(.2), c(128, 4), LR(.2),
                    l.Conv2D(1, 4, padding="same", activation="sigmoid")])
    b = lambda o: [l.Conv2D(o, 5), LR(.2), l.Dropout(.4)]
    D = Sequential([Input((28, 28, 1)), *b(32), *b(64), *b(128), *b(256), l.Flatten(), l.Dropout(.4),
                    l.Dense(1, activation="sigmoid")])
    og, od = Adam(1e-4), Adam(1e-5)
elif M == "dcgan-mnist":
    t = lambda o, s, **k: l.Conv2DTranspose(o, 5, strides=s, padding="same", use_bias=False, **k)
    G = Sequential([Input((100,)), l.Dense(12544, use_bias=False), l.BatchNormalization(), LR(.3), l.Reshape((7, 7, 256)),
                    t(128, 1), l.BatchNormalization(), LR(.3), t(64, 2), l.BatchNormalization(), LR(.3),
                    t(1, 2, activation="tanh")])
    D = Sequential([Input((28, 28, 1)), l.Conv2D(64, 5, strides=2, padding="same"), LR(.3), l.Dropout(.3),
                    l.Conv2D(128, 5, strides=2, padding="same"), LR(.3), l.Dropout(.3), l.Flatten(), l.Dense(1)])
    og, od = Adam(1e-4), Adam(1e-4)
elif M == "dcgan-fashion":
    G = Sequential([Input((100,)), l.Dense(512), l.Activation("relu"), l.BatchNormalization(), l.Dense(3136),
                    l.Activation("relu"), l.BatchNormalization(), l.Reshape((7, 7, 64)),
                    l.Conv2DTranspose(32, 5, strides=2, padding="same"), l.Activation("relu"), l.BatchNormalization(),
                    l.Conv2DTranspose(1, 5, strides=2, padding="same", activation="tanh")])
    D = Sequential([Input((28, 28, 1)), l.Conv2D(32, 5, strides=2, padding="same"), LR(.2),
                    l.Conv2D(64, 5, strides=2, padding="same"), LR(.2), l.Flatten(), l.Dense(1, activation="sigmoid")])
    og, od = Adam(1e-3), Adam(1e-3)
elif M == "dense-gan":
    d = lambda o: [l.Dense(o), LR(.2), l.Dropout(.3)]
    G = Sequential([Input((100,)), *d(256), *d(512), *d(1024), l.Dense(784, activation="tanh"), l.Reshape((28, 28))])
    D = Sequential([Input((28, 28)), l.Flatten(), l.Dense(512), LR(.2), l.Dense(256), LR(.2), l.Dense(1, activation="sigmoid")])
    og, od = Adam(1e-4, .5), Adam(2e-4, .5)
else:
    d = lambda o: [l.Dense(o), l.BatchNormalization(momentum=.9, epsilon=.8), LR(.2)]
    G = Sequential([Input((100,)), l.Dense(128), LR(.2), *d(256), *d(512), *d(1024), l.Dense(784, activation="tanh"),
                    l.Reshape((28, 28, 1))])
    D = Sequential([Input((28, 28, 1)), l.Flatten(), l.Dense(512), LR(.2), l.Dense(256), LR(.2), l.Dense(1, activation="sigmoid")])
    og, od = Adam(2e-4, .5), Adam(2e-4, .5)

lo, hi = RANGE[M]
shape = (B, 28, 28) if M == "dense-gan" else (B, 28, 28, 1)
rng = np.random.default_rng(0)
NPOOL = [(rng.random(shape, dtype=np.float32) * (hi - lo) + lo).astype(np.float32) for _ in range(4)]
POOL = [tf.constant(x) for x in NPOOL]
bce = tf.keras.losses.BinaryCrossentropy(from_logits=M == "dcgan-mnist")
ones, zeros, ones2 = tf.ones((B, 1)), tf.zeros((B, 1)), tf.ones((2 * B, 1))
gv, dv = G.trainable_variables, D.trainable_variables
og.build(gv)
od.build(dv)
noise = (lambda n: tf.random.uniform((n, Z), -1., 1.)) if M == "dcgan-fashion" else (lambda n: tf.random.normal((n, Z)))


def d_update(loss_fn):
    with tf.GradientTape() as t:
        loss = loss_fn()
    od.apply_gradients(zip(t.gradient(loss, dv), dv))
    return loss


def g_update(z, y, training=True):
    with tf.GradientTape(watch_accessed_variables=False) as t:
        t.watch([v.value for v in gv])
        loss = bce(y, D(G(z, training=True), training=training))
    og.apply_gradients(zip(t.gradient(loss, gv), gv))
    return loss


def step_fashion_gan(x):
    fake = G(noise(B), training=False)
    def dl():
        # one D call on real and fake together; the tutorial calls it twice and concatenates (same maths)
        yh = D(tf.concat([x, fake], 0), training=True)
        y = tf.concat([.15 * tf.random.uniform((B, 1)), 1. - .15 * tf.random.uniform((B, 1))], 0)
        return bce(y, yh)
    ld = d_update(dl)
    return ld, g_update(noise(B), zeros, training=False)


def step_joint(x):
    z = noise(B)
    with tf.GradientTape(watch_accessed_variables=False) as tg, tf.GradientTape(watch_accessed_variables=False) as td:
        tg.watch([v.value for v in gv])
        td.watch([v.value for v in dv])
        fake = G(z, training=True)
        yr, yf = D(x, training=True), D(fake, training=True)
        lg = bce(ones, yf)
        ld = bce(ones, yr) + bce(zeros, yf)
    gg, gd = tg.gradient(lg, gv), td.gradient(ld, dv)
    og.apply_gradients(zip(gg, gv))
    od.apply_gradients(zip(gd, dv))
    return ld, lg


def step_dcgan_fashion(x):
    fake = G(noise(B), training=False)
    ld = d_update(lambda: bce(tf.concat([ones, zeros], 0), D(tf.concat([x, fake], 0), training=True)))
    return ld, g_update(noise(2 * B), ones2)


def step_dense_gan(x):
    fake = G(noise(B), training=False)
    l0 = d_update(lambda: bce(ones, D(x, training=True)))
    l1 = d_update(lambda: bce(zeros, D(fake, training=True)))
    return .5 * (l0 + l1), g_update(noise(B), ones)


def step_vanilla_gan(x):
    z = noise(B)
    fake = G(z, training=True)
    ld = d_update(lambda: bce(ones, D(x, training=True)) + bce(zeros, D(fake, training=True)))
    return ld, g_update(z, ones)


jit = a.mode == "xla"
count = 0
if a.mode == "keras":
    assert M in ("dcgan-fashion", "dense-gan")
    D.compile(loss="binary_crossentropy", optimizer=od, metrics=["accuracy"] if M == "dense-gan" else None, jit_compile=False)
    # Trace D's step while D is still trainable: with Keras 3 the tutorials' own order (freeze D before the first
    # train_on_batch, or at a new batch shape) silently trains nothing in D.
    x0 = np.concatenate(NPOOL[:2]) if M == "dcgan-fashion" else NPOOL[0]
    D.train_on_batch(x0, np.ones((len(x0), 1), np.float32))
    D.trainable = False
    gan = Sequential([Input((Z,)), G, D])
    gan.compile(loss="binary_crossentropy", optimizer=og, jit_compile=False)
    one, zero = np.ones((B, 1), np.float32), np.zeros((B, 1), np.float32)

    def step():
        global count
        count += 1
        x = NPOOL[count % 4]
        if M == "dense-gan":
            fake = G.predict(np.random.normal(0, 1, (B, Z)), verbose=0)
            a0 = D.train_on_batch(x, one)
            a1 = D.train_on_batch(fake, zero)
            lg = gan.train_on_batch(np.random.normal(0, 1, (B, Z)), one)
            return .5 * (a0[0] + a1[0]), lg
        fake = G.predict(np.random.uniform(-1, 1, (B, Z)), verbose=0)
        ld = D.train_on_batch(np.concatenate([x, fake]), np.concatenate([one, zero]))
        return ld, gan.train_on_batch(np.random.uniform(-1, 1, (2 * B, Z)), np.ones((2 * B, 1), np.float32))
else:
    # Both gradients at the same parameters, from one D(fake), or one update after the other.
    joint = M in ("dcgan-mnist", "vanilla-gan-tf")
    fn = tf.function(step_joint if joint else globals()["step_" + M.replace("-", "_")], jit_compile=jit)

    def step():
        global count
        count += 1
        ld, lg = fn(POOL[count % 4])
        return float(ld), float(lg)

zs = noise(SAMPLE_BATCH)
gen = tf.function(lambda z: G(z, training=False), jit_compile=jit)
import keras
measure(a, step, lambda: gen(zs).numpy(), dict(framework="tensorflow " + tf.__version__ + " keras " + keras.__version__, mode=a.mode))
