#!/usr/bin/env python3
"""Tokenizer speed beside Hugging Face `tokenizers`, one thread each, in turn and in the same run, in processor time.

    python bench/tokenizer_bench.py BUILD_DIR/bench/tokenizer_bench TOKENIZER_DIR... [--mb 10] [--rounds 3]

The text: Python's own library (code and English), this repository, and lines mixed from the tokenizer corpus, in documents
of about 4 KB. Prints a table: load, encode, decode for both and the ratio (above 1: ours is faster).
"""
import argparse
import glob
import json
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer, __version__  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "scripts"))
from tokenizer_texts import CODE, SENTENCES  # noqa: E402


def make_text(size, seed=3):
    r = random.Random(seed)
    code = sorted(glob.glob(sysconfig.get_paths()["stdlib"] + "/*.py") + glob.glob(sysconfig.get_paths()["stdlib"] + "/*/*.py"))
    code = [p for p in code if "site-packages" not in p] + sorted(glob.glob(ROOT + "/src/**/*.cc", recursive=True) + glob.glob(ROOT + "/docs/*.md"))
    r.shuffle(code)
    words = [w for s in SENTENCES for w in s.split()]
    parts, total, at = [], 0, 0
    while total < size:
        if r.random() < 0.55 and code:
            body = open(code[at % len(code)], encoding="utf-8", errors="replace").read()
            at += 1
        else:
            lines = []
            for _ in range(60):
                lines.append(r.choice(SENTENCES) if r.random() < 0.3 else "".join(r.sample(words[r.randrange(len(words) - 40):][:40], 12)) if r.random() < 0.2
                             else " ".join(r.choice(words) + r.choice(["", "", "ing", "s", str(r.randrange(1000))]) for _ in range(12)))
            body = "\n".join(lines) + "\n" + r.choice(CODE)
        body = body.replace("\x1e", "")
        for i in range(0, len(body), 4000):
            parts.append(body[i:i + 4000])
            total += len(parts[-1].encode())
    return parts


def time_reference(path, documents, rounds):
    load, encode, decode = [], [], []
    for _ in range(rounds):
        t = time.process_time()
        tok = Tokenizer.from_file(path)
        load.append(time.process_time() - t)
        t = time.process_time()
        ids = [tok.encode(d, add_special_tokens=False).ids for d in documents]
        encode.append(time.process_time() - t)
        t = time.process_time()
        for i in ids:
            tok.decode(i, skip_special_tokens=False)
        decode.append(time.process_time() - t)
    return {"load_s": statistics.median(load), "encode_s": statistics.median(encode), "decode_s": statistics.median(decode), "tokens": sum(map(len, ids))}


def uncut(path, folder):
    """The path of a tokenizer.json that neither truncates nor pads, so that both sides do all of the text."""
    with open(path, encoding="utf-8") as f:
        j = json.load(f)
    if not j.get("truncation") and not j.get("padding"):
        return path
    j["truncation"] = j["padding"] = None
    out = os.path.join(folder, "tokenizer.json")
    with open(out, "w", encoding="utf-8") as f:
        json.dump(j, f, ensure_ascii=False)
    return out


def main():
    args = argparse.ArgumentParser()
    args.add_argument("binary")
    args.add_argument("tokenizers", nargs="+")
    args.add_argument("--mb", type=float, default=10)
    args.add_argument("--rounds", type=int, default=3)
    args = args.parse_args()
    documents = make_text(int(args.mb * 1e6))
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="") as f, tempfile.TemporaryDirectory() as folder:
        f.write("\x1e".join(documents))
        f.flush()
        size = sum(len(d.encode()) for d in documents)
        print(f"{size / 1e6:.1f} MB in {len(documents)} documents, processor time of one thread, tokenizers {__version__}")
        print(f"{'tokenizer':16} {'':8} {'ours':>10} {'reference':>10} {'ratio':>7}")
        for d in args.tokenizers:
            path = uncut(os.path.join(d, "tokenizer.json") if os.path.isdir(d) else d, folder)
            ours = json.loads(subprocess.run([args.binary, path, f.name, str(args.rounds)], check=True, capture_output=True, text=True).stdout)
            reference = time_reference(path, documents, args.rounds)
            assert ours["tokens"] == reference["tokens"], (ours, reference)
            name = os.path.basename(os.path.normpath(d))
            print(f"{name:16} {'load s':8} {ours['load_s']:10.3f} {reference['load_s']:10.3f} {reference['load_s'] / ours['load_s']:7.2f}")
            for key in ("encode", "decode"):
                a, b = size / 1e6 / ours[key + "_s"], size / 1e6 / reference[key + "_s"]
                print(f"{name:16} {key + ' MB/s':8} {a:8.1f} {b:10.1f} {a / b:7.2f}", flush=True)


main()
