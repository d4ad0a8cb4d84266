#!/usr/bin/env python3
"""Runs the peers' benchmarks one after the other and prints a table of the medians.

    TORCH_PYTHON=... TF_PYTHON=... JAX_PYTHON=... python3 run-all.py [--quick] [MODEL...]

Comes in: the interpreters of three environments (one not named is left out). Goes out: on standard
output a table; every run's JSON line in the file that --output names."""
import argparse, json, os, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = ["dense_gan", "vanilla_gan", "dcgan_fashion", "dcgan_mnist", "fashiongan"]
# Large tensors stay mapped, on huge pages, instead of mmap, munmap and page faults at every use.
TUNED = ("glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:"
         "glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=67108864")
# Environment variable, script, arguments, malloc.
RUNS = [("TORCH_PYTHON", "torch_bench.py", ["--layout", layout], malloc)
        for layout in ("nchw", "nhwc") for malloc in ("default", "tuned")]
RUNS += [("TF_PYTHON", "tf_bench.py", ["--mode", "function"], "default"),
         ("JAX_PYTHON", "jax_bench.py", ["--prng", "threefry2x32"], "tuned")]
SLOW = [("TORCH_PYTHON", "torch_bench.py", ["--mode", "compile", "--layout", "nhwc"], "tuned"),
        ("TF_PYTHON", "tf_bench.py", ["--mode", "function"], "tuned"),
        ("TF_PYTHON", "tf_bench.py", ["--mode", "xla"], "tuned"),
        ("JAX_PYTHON", "jax_bench.py", ["--prng", "rbg"], "tuned")]

p = argparse.ArgumentParser(description="Runs the peers' benchmarks.")
p.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
p.add_argument("--quick", action="store_true", help="leave out torch.compile, XLA and second tries")
p.add_argument("--threads", type=int, default=2)
p.add_argument("--output", metavar="FILE", help="append each run's JSON line to FILE")
a = p.parse_args()
for model in a.models:
    if model not in MODELS:
        p.error(f"no model {model}; there are {', '.join(MODELS)}")
runs = [r for r in RUNS + ([] if a.quick else SLOW) if os.environ.get(r[0])]
if not runs:
    sys.exit("name at least one interpreter: TORCH_PYTHON, TF_PYTHON, JAX_PYTHON")
print("| model | framework | mode | malloc | ms median | min | max | losses | other CPU % | steal % |")
print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
for model in a.models or MODELS:
    for variable, script, arguments, malloc in runs:
        env = dict(os.environ)
        env.pop("GLIBC_TUNABLES", None)
        if malloc == "tuned":
            env["GLIBC_TUNABLES"] = TUNED
        command = [env[variable], os.path.join(HERE, script), "--model", model, *arguments,
                   "--threads", str(a.threads)]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        lines = [l for l in done.stdout.splitlines() if l.startswith("{")]
        if not lines:
            print(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}", file=sys.stderr)
            continue
        r = dict(json.loads(lines[-1]), malloc=malloc)
        if a.output:
            with open(a.output, "a") as f:
                f.write(json.dumps(r) + "\n")
        losses = " ".join(str(l) for l in r["losses"])
        print(f"| {model} | {r['framework']} | {r['mode']} | {malloc} | {r['ms_median']} | {r['ms_min']} "
              f"| {r['ms_max']} | {losses} | {r['other_cpu_pct']} | {r['steal_pct']} |", flush=True)
