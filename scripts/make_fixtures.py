#!/usr/bin/env python3
"""Writes tests/fixtures/: tiny random checkpoints and what Python transformers computes from them.

    pip install -r scripts/requirements-fixtures.txt
    python scripts/make_fixtures.py [llama gemma3 bert …]     (default: all that need no real model)

The files are checked in; run this only to add a case or to move to other versions (tests/fixtures/README.md).
"""

import argparse
import importlib
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

PARTS = ["llama", "decoders", "alibi", "remote", "newer", "moe", "latent", "grouped", "recurrent", "rotary", "gemma3", "bert", "encoders", "seq2seq",
         "whisper", "beams", "translation", "train", "lora", "text", "gguf_tiny", "quantized"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=PARTS)
    args = parser.parse_args()
    import torch
    import transformers

    torch.manual_seed(0)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for part in args.parts:
        importlib.import_module(f"fixtures.{part}").run()


if __name__ == "__main__":
    main()
