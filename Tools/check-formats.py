#!/usr/bin/env python3
"""Checks the module Formats against NumPy, safetensors and Pillow, by hand:

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy safetensors pillow
    FOLDER=/tmp/formats && mkdir -p $FOLDER
    /tmp/venv/bin/python Tools/check-formats.py write $FOLDER
    FORMATS_FOLDER=$FOLDER swift test --filter InterchangeTests
    /tmp/venv/bin/python Tools/check-formats.py read $FOLDER

`write` makes files for the Swift tests to read, `read` reads those that they wrote.
"""
import gzip
import os
import sys

import numpy as np
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file


def write(folder):
    folder = os.path.join(folder, "python")
    os.makedirs(folder, exist_ok=True)
    base = np.arange(6).reshape(2, 3)
    for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4".split():
        for order, name in (("<", "le"), (">", "be")):
            array = base.astype(order + code)
            np.save(f"{folder}/{code}-{name}-c.npy", array)
            np.save(f"{folder}/{code}-{name}-f.npy", np.asfortranarray(array))
    np.save(f"{folder}/b1.npy", base % 2 == 1)
    tensors = {"f4": base.astype("f4"), "f2": base.astype("f2"), "i8": base.astype("i8"),
               "u1": base.astype("u1")}
    save_file(tensors, f"{folder}/a.safetensors", metadata={"k": "v\n"})
    random = np.random.default_rng(1)
    for mode, channels in (("L", 1), ("LA", 2), ("RGB", 3), ("RGBA", 4)):
        ramp = np.add.outer(np.arange(37) * 3, np.arange(53) * 2)[..., None] + np.arange(channels)
        pixels = (ramp + random.integers(0, 20, ramp.shape)).astype("u1")
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode).save(
            f"{folder}/{mode}.png")
        save_pixels(f"{folder}/{mode}.pixels", pixels)
        if mode == "RGB":
            # 64 colours would be packed into 4 or 8 bits; with 200 it is 8.
            palette = Image.fromarray(pixels).quantize(200)
            palette.save(f"{folder}/P.png", bits=8)
            save_pixels(f"{folder}/P.pixels", np.asarray(palette.convert("RGB")))


def save_pixels(path, pixels):
    with open(path, "wb") as file:
        np.save(file, pixels)


def read(folder):
    floats = (np.arange(24, dtype="f4") / np.float32(7) - 1).astype("f4")
    f4 = np.load(f"{folder}/f4.npy")
    assert f4.dtype == "<f4" and f4.shape == (2, 3, 4) and (f4.ravel() == floats).all()
    f8 = np.load(f"{folder}/f8.npy")
    assert f8.dtype == "<f8" and (f8 == floats).all()
    i4 = np.load(f"{folder}/i4.npy")
    assert i4.dtype == "<i4" and i4.shape == () and i4 == -5
    b1 = np.load(f"{folder}/b1.npy")
    assert b1.dtype == bool and b1.shape == (3, 1) and b1.ravel().tolist() == [True, False, True]
    with safe_open(f"{folder}/a.safetensors", framework="np") as file:
        assert set(file.keys()) == {"flag", "G.weight", "step", "none"}
        assert file.metadata()["program"] == 'layer "é"\n'
        assert len(file.metadata()["checksum"]) == 16
        assert (file.get_tensor("G.weight") == floats.reshape(2, 3, 4)).all()
        assert file.get_tensor("step") == 469 and file.get_tensor("none").shape == (0, 2)
        assert file.get_tensor("flag").tolist() == [True, False, True]
    for channels, mode in enumerate(("L", "LA", "RGB", "RGBA"), 1):
        image = Image.open(f"{folder}/c{channels}.png")
        index = np.arange(40 * 30 * channels)
        assert image.mode == mode and image.size == (40, 30)
        assert (np.asarray(image).ravel() == (index * index // 97) % 256).all()
    for channels in (1, 3):
        gif = Image.open(f"{folder}/c{channels}.gif")
        assert gif.n_frames == 5 and gif.info["loop"] == 0 and gif.info["duration"] == 200
        for frame in range(5):
            gif.seek(frame)
            wanted = Image.open(f"{folder}/grid-c{channels}-{frame}.png")
            drawn = np.asarray(gif.convert(wanted.mode)).astype(int)
            error = abs(drawn - np.asarray(wanted).astype(int))
            # Grey is exact; dithering to 6×7×6 colours errs by less than one level.
            assert error.max() <= (0 if channels == 1 else 51), (channels, frame, error.max())
    with gzip.open(f"{folder}/a.idx.gz") as file:
        assert file.read() == bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])
    print("all files read as written")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "read"):
        sys.exit(__doc__)
    {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
