#!/usr/bin/env python3
"""Checks the module Formats against NumPy, safetensors and Pillow:

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy safetensors pillow
    FOLDER=/tmp/formats && mkdir -p $FOLDER
    /tmp/venv/bin/python Tools/check-formats.py write $FOLDER
    FORMATS_FOLDER=$FOLDER swift test --filter InterchangeTests
    /tmp/venv/bin/python Tools/check-formats.py read $FOLDER

`write` makes files for the Swift tests to read, `read` reads those that they wrote. The small files of every kind of PNG
that the tests always read, with what Pillow makes of them, are made anew by

    /tmp/venv/bin/python Tools/check-formats.py fixtures Tests/FormatsTests/Fixtures
"""
import gzip
import io
import os
import struct
import sys
import tempfile
import zipfile
import zlib

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
    arrays = {"images": base.astype("u1"), "G/weight": np.asfortranarray(base.astype("f4")),
              "é": np.array(-5.0)}
    np.savez(f"{folder}/stored.npz", **arrays)
    np.savez_compressed(f"{folder}/deflated.npz", **arrays)
    pipe = Pipe()
    np.savez_compressed(pipe, **arrays)
    with open(f"{folder}/piped.npz", "wb") as file:
        file.write(pipe.bytes)
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
    kinds_folder = os.path.join(folder, "kinds")
    os.makedirs(kinds_folder, exist_ok=True)
    for name, path in pngs(kinds_folder, random, ((1, 1), (3, 5), (37, 29))):
        for mode, pixels in expected(name, path):
            save_pixels(f"{kinds_folder}/{name}.{mode}", pixels)
    sizes(folder, random)


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
         (0, 1, 1, 2))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# What Pillow reads otherwise: of 16-bit grey it clips instead of taking the high byte, and it holds
# a transparent colour of other than 8 bits against values that it has already brought to 8.
BY_HAND = {}


def fixtures(folder):
    """One safetensors file: NAME.png is a PNG file's bytes, NAME.L, .RGB and .RGBA its pixels."""
    os.makedirs(folder, exist_ok=True)
    tensors = {}
    with tempfile.TemporaryDirectory() as place:
        for name, path in pngs(place, np.random.default_rng(2), ((3, 5),)):
            with open(path, "rb") as file:
                tensors[f"{name}.png"] = np.frombuffer(file.read(), "u1")
            for mode, pixels in expected(name, path):
                tensors[f"{name}.{mode}"] = np.ascontiguousarray(pixels)
    save_file(tensors, f"{folder}/png-kinds.safetensors")


def pngs(folder, random, shapes):
    """A file of every kind: colour, depth, tRNS, interlaced or not, sizes that leave passes empty."""
    for color, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)),
                          (6, (8, 16))):
        for depth in depths:
            for clear in (False, True) if color in (0, 2, 3) else (False,):
                for interlaced in (False, True):
                    for width, height in shapes:
                        name = f"{color}-{depth}-{clear:d}-{interlaced:d}-{width}x{height}"
                        values = random.integers(0, 1 << depth, (height, width, CHANNELS[color]))
                        chunks, table, key = b"", None, values[0, 0]
                        if color == 3:
                            table = random.integers(0, 256, (1 << depth, 3)).astype("u1")
                            chunks += chunk(b"PLTE", table.tobytes())
                        if clear and color == 3:
                            chunks += chunk(b"tRNS", bytes(range(0, 1 << min(depth, 7))))
                        elif clear:
                            chunks += chunk(b"tRNS", key.astype(">u2").tobytes())
                        path = f"{folder}/{name}.png"
                        with open(path, "wb") as file:
                            file.write(png(values, depth, color, interlaced, chunks))
                        if color != 3 and (clear and depth != 8 or color == 0 and depth == 16):
                            BY_HAND[name] = by_hand(values, depth, key if clear else None)
                        yield name, path


def by_hand(values, depth, key):
    """RGBA by the standard: bits stretched or the high byte, alpha 0 where all values are the key's."""
    alpha = np.full(values.shape[:2], 255) if key is None else 255 * (values != key).any(-1)
    values = values >> 8 if depth == 16 else values * 255 // ((1 << depth) - 1)
    return np.concatenate([np.broadcast_to(values, values.shape[:2] + (3,)), alpha[..., None]],
                          -1).astype("u1")


def expected(name, path):
    rgba = Image.fromarray(BY_HAND[name]) if name in BY_HAND else Image.open(path)
    for mode in ("L", "RGB", "RGBA"):
        yield mode, np.asarray(rgba.convert(mode))


def png(values, depth, color, interlaced, chunks):
    height, width, _ = values.shape
    rows = b""
    for x, y, dx, dy in ADAM7 if interlaced else ((0, 0, 1, 1),):
        part = values[y::dy, x::dx]
        if part.size:
            rows += filtered(part, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"tEXt", b"a\0b") + chunks
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def filtered(part, depth):
    """Rows of packed values, each with another of the five filters."""
    pixel = max(1, part.shape[2] * depth // 8)
    above, out = None, b""
    for number, row in enumerate(part):
        bits = (row.reshape(-1, 1) >> np.arange(depth)[::-1] & 1).astype("u1").ravel()
        row = np.packbits(bits).astype(int)
        above = np.zeros_like(row) if above is None else above
        left = np.concatenate([np.zeros(pixel, int), row])[:len(row)]
        corner = np.concatenate([np.zeros(pixel, int), above])[:len(row)]
        guess = left + above - corner
        distances = [abs(guess - other) for other in (left, above, corner)]
        paeth = np.where((distances[0] <= distances[1]) & (distances[0] <= distances[2]), left,
                         np.where(distances[1] <= distances[2], above, corner))
        kind = number % 5
        row_out = row - (0, left, above, (left + above) // 2, paeth)[kind]
        out += bytes([kind]) + (row_out % 256).astype("u1").tobytes()
        above = row
    return out


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def sizes(folder, random):
    """Pictures of each number of channels at other sizes, by Pillow's bilinear filter.

    Pillow filters along the rows first; from 13 on, the other way round where that is less work, as with (300, 2).
    """
    for mode in ("L", "LA", "RGB", "RGBA"):
        picture = Image.open(f"{folder}/{mode}.png")
        for width, height in ((53, 37), (1, 1), (64, 64), (7, 90), (53, 5), (20, 36), (300, 37), (40, 30)):
            resized = picture.resize((width, height), Image.BILINEAR)
            save_pixels(f"{folder}/{mode}-{width}x{height}.resized", np.asarray(resized))


class Pipe(io.RawIOBase):
    """Takes bytes and cannot go back, so that sizes stand behind the data."""
    bytes = b""

    def writable(self):
        return True

    def write(self, data):
        self.bytes += bytes(data)
        return len(data)


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
    for name in ("stored", "deflated", "zip64"):
        with np.load(f"{folder}/{name}.npz") as arrays:
            assert arrays.files == ["G/weight", "é"], arrays.files
            assert (arrays["G/weight"] == floats.reshape(2, 3, 4)).all() and arrays["é"] == -5
        with zipfile.ZipFile(f"{folder}/{name}.npz") as archive:
            assert archive.testzip() is None
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
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "read", "fixtures"):
        sys.exit(__doc__)
    {"write": write, "read": read, "fixtures": fixtures}[sys.argv[1]](sys.argv[2])
