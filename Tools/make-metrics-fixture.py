#!/usr/bin/env python3
"""Makes the fixture of the metrics' tests: values by NumPy and SciPy for small random sets.

    python3 -m venv venv && venv/bin/pip install numpy scipy safetensors
    venv/bin/python Tools/make-metrics-fixture.py [--output F] [--check]

Comes in:  nothing; the sets are drawn from a seed.
Goes out:  Tests/TrainingTests/Fixtures/metrics.safetensors, all F64. For each CASE:
  CASE/a, CASE/b          two sets, [images, features], of different sizes and spreads; a is the judged one
  CASE/directions         unit vectors, [directions, features], for the sliced Wasserstein distance
  CASE/expected           frechet, kernel, precision, recall, swd
The cases: `plain`; `singular`, fewer images than features, two of them always zero; `equal`, one set twice.
frechet by scipy.linalg.sqrtm of the product of the covariances, or, where that is singular and sqrtm fails, of
the symmetric product S1 C2 S1 with the root S1 of C1 by numpy.linalg.eigh; kernel is the unbiased MMD of the
whole sets; swd is the mean of scipy.stats.wasserstein_distance.
--check compares with the file that is there instead of writing it.
"""
import argparse
import os
import sys

import numpy as np
import scipy
import scipy.linalg
import scipy.stats
from safetensors.numpy import load_file, save_file

NEIGHBOURS = 3


def frechet(a, b):
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    distance = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb)
    if min(len(a), len(b)) > 2 * a.shape[1]:
        return distance - 2 * np.trace(scipy.linalg.sqrtm(ca @ cb)).real
    values, vectors = np.linalg.eigh(ca)
    root = vectors @ np.diag(np.sqrt(np.maximum(values, 0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ cb @ root)
    return distance - 2 * np.sqrt(np.maximum(inner, 0)).sum()


def kernel(a, b):
    def k(x, y):
        return (x @ y.T / x.shape[1] + 1) ** 3

    m, n = len(a), len(b)
    aa, bb = k(a, a), k(b, b)
    return ((aa.sum() - np.trace(aa)) / (m * (m - 1)) + (bb.sum() - np.trace(bb)) / (n * (n - 1))
            - 2 * k(a, b).mean())


def manifold_share(points, centres):
    """The share of points in the ball of at least one centre."""
    within = np.sqrt(((centres[:, None] - centres[None]) ** 2).sum(-1))
    np.fill_diagonal(within, np.inf)
    radius = np.sort(within, axis=1)[:, NEIGHBOURS - 1]
    distance = np.sqrt(((points[:, None] - centres[None]) ** 2).sum(-1))
    return (distance <= radius[None]).any(1).mean()


def swd(a, b, directions):
    return np.mean([scipy.stats.wasserstein_distance(a @ d, b @ d) for d in directions])


def values(a, b, directions):
    return np.array([frechet(a, b), kernel(a, b), manifold_share(a, b), manifold_share(b, a),
                     swd(a, b, directions)])


def cases():
    random = np.random.default_rng(6)
    mix = random.normal(size=(12, 12)) / 3
    plain = (random.normal(size=(90, 12)) @ mix + 0.3, random.normal(size=(70, 12)))
    singular = (random.normal(size=(20, 26)), random.normal(size=(17, 26)) * 1.5 + 0.2)
    for x in singular:
        x[:, 3] = x[:, 25] = 0
    equal = random.normal(size=(40, 9))
    for name, (a, b) in [("plain", plain), ("singular", singular), ("equal", (equal, equal))]:
        # What the tests read are floats in part: round first.
        a, b = (x.astype(np.float32).astype(np.float64) for x in (a, b))
        directions = random.normal(size=(16, a.shape[1]))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        yield name, a, b, directions


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    default = os.path.join(root, "Tests/TrainingTests/Fixtures/metrics.safetensors")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", default=default)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    tensors = {}
    for name, a, b, directions in cases():
        expected = values(a, b, directions)
        print(name, *(f"{value:.12g}" for value in expected))
        tensors |= {f"{name}/a": a, f"{name}/b": b, f"{name}/directions": directions,
                    f"{name}/expected": expected}
    if not arguments.check:
        save_file(tensors, arguments.output,
                  metadata={"numpy": np.__version__, "scipy": scipy.__version__})
        return 0
    there = load_file(arguments.output)
    same = there.keys() == tensors.keys() and all(
        np.allclose(there[key], tensors[key], rtol=1e-9, atol=1e-12) for key in tensors)
    print("as stored" if same else "different from what is stored")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
