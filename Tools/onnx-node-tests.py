"""Runs the node tests of the ONNX standard with `gan-exec eval` and writes down which we reproduce:

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install onnx numpy
    swift build --product gan-exec
    ONNX_PYTHON=/tmp/venv/bin/python Tools/onnx-node-tests

The cases are made by the package `onnx` itself. Each model that is imported is run on its inputs and
must give the outputs within the tolerance of the case (10^-3 of the value and 10^-7 unless it says
otherwise; for outputs in 16 bits, two units of their last place, since we compute in 32). Written are

- Sources/Interchange/NODE-TESTS.md: the names of all cases, passed, wrong, or not supported and why;
- Tests/InterchangeTests/Fixtures/onnx-nodes.bin.gz: the passed cases, for the Swift tests.

GAN_EXEC names the program (default: .build/release/gan-exec, else .build/debug/gan-exec). The exit
status is 1 where a case is wrong: imported, but not reproduced.
"""
import concurrent.futures
import gzip
import os
import re
import subprocess
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.node import collect_testcases

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "Sources/Interchange/NODE-TESTS.md")
FIXTURE = os.path.join(ROOT, "Tests/InterchangeTests/Fixtures/onnx-nodes.bin.gz")
# A case of more bytes is in the table, but not in the fixture.
LARGEST_CASE = 12_000
UNITS_OF_16_BITS = {TensorProto.FLOAT16: 2.0**-9, TensorProto.BFLOAT16: 2.0**-6}


def program():
    paths = [os.environ.get("GAN_EXEC"), ".build/release/gan-exec", ".build/debug/gan-exec"]
    for path in filter(None, paths):
        path = os.path.join(ROOT, path)
        if os.path.exists(path):
            return path
    sys.exit("no gan-exec: build it with `swift build --product gan-exec`, or set GAN_EXEC")


def tensor(value, info):
    """The value of an input or output as a TensorProto with its name; None for what is no tensor."""
    if not isinstance(value, TensorProto):
        if not info.type.HasField("tensor_type") or isinstance(value, (list, dict, type(None))):
            return None
        try:
            value = numpy_helper.from_array(np.asarray(value))
        except Exception:
            return None
    copy = TensorProto()
    copy.CopyFrom(value)
    copy.name = info.name
    return copy


def array(proto):
    """The elements as NumPy can save and we can read them; None where there is no such type."""
    values = numpy_helper.to_array(proto)
    if proto.data_type == TensorProto.BFLOAT16:
        values = values.astype(np.float32)
    return values if values.dtype.kind in "fiub" else None


def tensors(values, infos):
    found = [tensor(value, info) for value, info in zip(values, infos)]
    return None if any(t is None for t in found) else found


def reasons(message):
    """What is missing, from our error: the lines of the list, or the message itself."""
    lines = re.findall(r"^  ([^\n]+?): (?:one node|\d+ nodes) \(", message, re.M)
    if lines:
        return lines
    first = message.strip().split("\n")[0]
    first = re.sub(r"^gan-exec: (\S*model\.onnx: )?", "", first)
    first = re.sub(r"the (node|input|output) '[^']*'", r"an \1", first)
    # Arrays lie in a folder that has another name each time.
    first = re.sub(
        r"\S*\.npy: arrays of the type '([^']+)' are not supported.*",
        r"the element type \1 cannot be read from .npy",
        first,
    )
    first = re.sub(r"\S*/([^/\s]+\.npy)", r"\1", first)
    return [re.sub(r" at byte \d+", "", first)]


def compare(case, expected, path):
    """An empty text, or what is wrong."""
    found = np.load(path)
    for want in expected:
        if want.name not in found:
            return f"no output {want.name}"
        a, b = found[want.name], numpy_helper.to_array(want)
        if a.shape != b.shape:
            return f"shape {a.shape}, expected {b.shape}"
        a, b = a.astype(np.float64), b.astype(np.float64)
        relative = max(case.rtol, UNITS_OF_16_BITS.get(want.data_type, 0))
        if not np.allclose(a, b, rtol=relative, atol=case.atol, equal_nan=True):
            return f"error {np.nanmax(np.abs(a - b)):.3g}"
    return ""


def run(executable, case):
    """(state, reasons, inputs, outputs) of a case; state is passed, wrong or unsupported."""
    inputs, outputs = case.data_sets[0]
    inputs = tensors(inputs, case.model.graph.input)
    outputs = tensors(outputs, case.model.graph.output)
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.onnx")
        onnx.save(case.model, model)
        command = [executable, "eval", model, "--output", os.path.join(folder, "out.npz")]
        if inputs is None:
            # Sequences and optional values: the refusal is what we want to see.
            names = [info.name for info in case.model.graph.input]
            inputs = [numpy_helper.from_array(np.zeros(1, np.float32), name) for name in names]
        for proto in inputs:
            values = array(proto)
            if values is None:
                values = np.zeros(tuple(proto.dims), np.float32)
            path = os.path.join(folder, f"{len(command)}.npy")
            np.save(path, values)
            command += ["--input", f"{proto.name}={path}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode not in (0, 3):
            return "wrong", [f"exit code {done.returncode}: {done.stderr.strip()}"], [], []
        if done.returncode == 3:
            return "unsupported", reasons(done.stderr), [], []
        if outputs is None:
            return "wrong", ["values that are no tensors"], [], []
        problem = compare(case, outputs, os.path.join(folder, "out.npz"))
        return ("wrong" if problem else "passed"), [problem], inputs, outputs


def field(number, data):
    """A length-delimited field of a message."""
    length = b""
    rest = len(data)
    while rest >= 0x80:
        length += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + data


def stored(case, inputs, outputs):
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    model.graph.ClearField("doc_string")
    message = field(1, case.name.encode()) + field(2, model.SerializeToString(deterministic=True))
    for proto in inputs:
        message += field(3, proto.SerializeToString(deterministic=True))
    for proto in outputs:
        message += field(4, proto.SerializeToString(deterministic=True))
    return message


def table(results, left_out):
    def names(list):
        return ", ".join(f"`{name}`" for name in list) + "\n"

    passed = [n for n, r in results.items() if r[0] == "passed"]
    wrong = [n for n, r in results.items() if r[0] == "wrong"]
    missing = [n for n, r in results.items() if r[0] == "unsupported"]
    text = "# Node tests of the ONNX standard\n\n"
    text += f"Written by `Tools/onnx-node-tests` with onnx {onnx.__version__}; not by hand.\n\n"
    text += f"| cases | passed | wrong | not supported |\n| --- | --- | --- | --- |\n"
    text += f"| {len(results)} | {len(passed)} | {len(wrong)} | {len(missing)} |\n\n"
    text += (
        "A case of several nodes (`_expanded`) is not supported where one of them is not. Imported and run by "
        "`gan-exec eval`, within the tolerances of the cases.\n"
    )
    text += f"\n## Passed\n\n{names(passed)}"
    if left_out:
        text += f"\nToo large for the stored file of the Swift tests: {names(left_out)}"
    text += "\n## Wrong\n\nImported, but with other results than the standard's.\n\n"
    text += "".join(f"- `{name}`: {results[name][1][0]}\n" for name in wrong) or "None.\n"
    text += "\n## Not supported\n\nBy what is missing; a case that misses several things stands at each.\n"
    groups = {}
    for name in missing:
        for reason in results[name][1]:
            groups.setdefault(reason, []).append(name)
    for reason in sorted(groups, key=lambda r: (-len(groups[r]), r)):
        text += f"\n**{reason}** ({len(groups[reason])}): {names(groups[reason])}"
    return text


def main():
    executable = program()
    cases = [case for case in collect_testcases(None) if case.model is not None]
    cases.sort(key=lambda case: case.name)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(lambda case: run(executable, case), cases))
    results = {case.name: result for case, result in zip(cases, found)}
    content = b""
    left_out = []
    for case in cases:
        state, _, inputs, outputs = results[case.name]
        if state != "passed":
            continue
        message = stored(case, inputs, outputs)
        if len(message) > LARGEST_CASE:
            left_out.append(case.name)
        else:
            content += field(1, message)
    os.makedirs(os.path.dirname(FIXTURE), exist_ok=True)
    with open(FIXTURE, "wb") as file:
        file.write(gzip.compress(content, 9, mtime=0))
    with open(TABLE, "w") as file:
        file.write(table(results, left_out))
    counts = {}
    for state, *_ in results.values():
        counts[state] = counts.get(state, 0) + 1
    print(counts, f"fixture of {os.path.getsize(FIXTURE)} bytes, {len(left_out)} left out")
    return 1 if counts.get("wrong") else 0


if __name__ == "__main__":
    sys.exit(main())
