#!/usr/bin/env python3
"""Runs build/transom on fixtures and real models and compares with their goldens (tests/fixtures/README.md). Needs no
packages. Prints one line a fixture and mode; exit 1 if any is off.

    scripts/check_logits.py                            every fixture, one pass
    scripts/check_logits.py llama-mha gemma3 --modes plain,cached,chunk
    scripts/check_logits.py --real smollm2 --prompts 4 last-position logits and greedy text of a real model
"""

import argparse
import array
import ast
import glob
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIXTURES = os.path.join(ROOT, "tests", "fixtures")
MODES = {"plain": [], "cached": ["--cached"], "chunk": ["--chunk", "7"]}


def read_npy(path):
    with open(path, "rb") as f:
        data = f.read()
    size = int.from_bytes(data[8:10], "little")
    header = ast.literal_eval(data[10:10 + size].decode())
    kind = {"<f4": "f", "<i4": "i", "<i8": "q"}[header["descr"]]
    flat = array.array(kind, data[10 + size:])
    shape = header["shape"]
    width = shape[-1] if len(shape) > 1 else len(flat)
    return [flat[i:i + width] for i in range(0, len(flat), width)]


def transom(args, *words):
    command = [args.transom, *words, "--json", "--kernels", args.kernels]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip().splitlines()[-1] if run.stderr.strip() else f"exit {run.returncode}")
    return json.loads(run.stdout)


def csv(ids):
    return ",".join(map(str, ids))


def distance(rows, golden):
    if len(rows) != len(golden) or any(len(a) != len(b) for a, b in zip(rows, golden)):
        raise RuntimeError(f"shape [{len(rows)}, {len(rows[0])}], golden [{len(golden)}, {len(golden[0])}]")
    worst = max(abs(x - y) for a, b in zip(rows, golden) for x, y in zip(a, b))
    if any(x != x for a in rows for x in a):
        raise RuntimeError("NaN")
    return worst


def check_fixture(args, name, mode):
    """The largest absolute difference over all cases; the limit."""
    directory = os.path.join(FIXTURES, name)
    with open(os.path.join(directory, "golden.json")) as f:
        golden = json.load(f)
    if "base" in golden:
        return None
    model = os.path.join(directory, "model.gguf") if os.path.exists(os.path.join(directory, "model.gguf")) else directory
    worst = 0.0
    for case in golden["cases"]:
        if golden["kind"] == "logits":
            rows = transom(args, "logits", model, "--ids", csv(case["ids"]), *MODES[mode])["logits"]
            worst = max(worst, distance(rows, read_npy(os.path.join(directory, case["logits"]))))
        elif mode == "plain" and case.get("type_ids") is None:
            rows = transom(args, "embed", model, "--ids", csv(case["ids"]), "--pooling", "none")["embeddings"]
            worst = max(worst, distance(rows, read_npy(os.path.join(directory, case["hidden"]))))
    return worst, 1e-4


def check_real(args, name):
    directory = os.path.join(FIXTURES, name)
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    with open(os.path.join(directory, "logits.json")) as f:
        golden = json.load(f)
    model = os.path.join(cache, "transom", "models", name, golden["file"])
    failed = False
    top, sample = read_npy(os.path.join(directory, "top.npy")), read_npy(os.path.join(directory, "sample.npy"))
    for case, values, every in zip(golden["cases"], top, sample):
        row = transom(args, "logits", model, "--ids", csv(case["ids"]), "--last")["logits"][0]
        error = max(max(abs(row[i] - v) for i, v in zip(case["top_ids"], values)),
                    max(abs(a - b) for a, b in zip(row[::golden["stride"]], every)))
        off = error / case["std"] > 1e-3
        failed |= off
        print(f"{name:16} last logits, {len(case['ids']):4} ids: {error / case['std']:.1e} of their std{' FAIL' * off}")
    with open(os.path.join(directory, "greedy.json")) as f:
        prompts = json.load(f)["cases"][: args.prompts]
    for number, case in enumerate(prompts):
        out = transom(args, "generate", model, "--ids", csv(case["ids"]), "--max-tokens", "64", "--temperature", "0",
                      "--ignore-eos")["ids"]
        same = next((i for i, (a, b) in enumerate(zip(out, case["tokens"])) if a != b), min(len(out), 64))
        tie = same < 64 and same < len(out) and case["gaps"][same] < 1e-3
        off = same < 64 and not tie
        failed |= off
        print(f"{name:16} greedy {number:2}: {same} equal{' (a tie)' if tie else ''}{' FAIL' * off}")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fixtures", nargs="*")
    parser.add_argument("--transom", default=os.path.join(ROOT, "build", "transom"))
    parser.add_argument("--kernels", default="ref")
    parser.add_argument("--modes", default="plain")
    parser.add_argument("--real", action="append", default=[], choices=["smollm2", "gemma3-270m"])
    parser.add_argument("--prompts", type=int, default=20)
    args = parser.parse_args()
    everything = sorted(os.path.basename(os.path.dirname(p)) for p in glob.glob(os.path.join(FIXTURES, "*", "golden.json")))
    names = args.fixtures or ([] if args.real else everything)
    failed = False
    for name in names:
        for mode in args.modes.split(","):
            try:
                result = check_fixture(args, name, mode)
                if result is None:
                    continue
                worst, limit = result
                off, text = worst > limit, f"{worst:.1e}"
            except (RuntimeError, OSError, ValueError, KeyError) as e:
                off, text = True, str(e)
            failed |= off
            print(f"{name:28} {mode:7} {text}{' FAIL' * off}")
    for name in args.real:
        failed |= check_real(args, name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
