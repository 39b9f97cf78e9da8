#!/usr/bin/env python3
"""Writes the goldens of tests/tensor/quant_test.cc, made with gguf 0.19.0 and torch 2.9.1.  Usage:
make_quant_goldens.py tests/tensor/data

quant_decode.bin: records of (name length u8, name, elements u32, bytes u32, raw blocks, float32 values) for every type:
random blocks with finite scales, and blocks of all-zero and all-one bits where they decode to finite numbers.
quant_encode.bin: the same with float32 inputs first and the encoded bytes after (elements u32, bytes u32, inputs, raw).
half.bin: 256 float32 each of F8_E4M3, F8_E5M2, F8_E4M3FNUZ, F8_E5M2FNUZ;
then 4096 float32 inputs, their binary16 and their bfloat16 roundings by torch."""
import struct
import sys

import gguf.quants as q
import numpy as np
import torch
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as T

OUT = sys.argv[1]
rng = np.random.default_rng(20240501)
# Byte offsets of the half-precision factors in a block; IQ1_M's is scattered over the top nibbles of four words.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q8_1": [0, 2], "Q2_K": [80, 82],
          "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ1_S": [0], "IQ2_XXS": [0], "IQ2_XS": [0],
          "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ4_NL": [0], "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64]}
SIZES = {"Q8_1": (32, 36)}  # ggml's present struct; the package still lists an older one


def record(f, name, n, raw, values, encoded=False):
    raw, values = raw.tobytes(), values.astype("<f4").tobytes()
    f.write(bytes([len(name)]) + name.encode() + struct.pack("<II", n, len(raw)))
    f.write(values + raw if encoded else raw + values)


def random_blocks(name, count):
    block, size = SIZES.get(name) or GGML_QUANT_SIZES[T[name]]
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    raw[0], raw[1] = 0, 255
    scales = (rng.standard_normal((count, 2)) * 0.02).astype(np.float16)
    scales[2] = np.array([6e-8, -3e-6], np.float16)  # denormals
    for i, offset in enumerate(HALVES.get(name, [])):
        raw[:, offset:offset + 2] = scales[:, i:i + 1].view(np.uint8)
    if name == "IQ1_M":
        bits = scales[:, 0].copy().view(np.uint16)
        for i in range(4):
            raw[:, 48 + 2 * i + 1] = (raw[:, 48 + 2 * i + 1] & 0x0F) | ((bits >> (4 * i)) & 15).astype(np.uint8) << 4
    if name == "MXFP4":
        raw[:, 0] = rng.integers(100, 140, count)
        raw[:4, 0] = [0, 1, 2, 250]
    if name == "Q8_K":
        raw[:, :4] = (rng.standard_normal((count, 1)) * 0.02).astype("<f4").view(np.uint8)
    return block, raw


def decode(name, block, raw):
    if name == "Q8_K":
        return raw[:, :4].copy().view("<f4") * raw[:, 4:260].view(np.int8).astype(np.float32)
    if name == "Q8_1":
        return raw[:, :2].copy().view(np.float16).astype(np.float32) * raw[:, 4:].view(np.int8).astype(np.float32)
    return q.dequantize(raw, T[name])


with open(f"{OUT}/quant_decode.bin", "wb") as f:
    for name in [*HALVES, "IQ1_M", "MXFP4", "Q8_K"]:
        block, raw = random_blocks(name, 12)
        values = decode(name, block, raw).reshape(12, block)
        assert np.isfinite(values).all(), name
        record(f, name, 12 * block, raw, values)

with open(f"{OUT}/quant_encode.bin", "wb") as f:
    for name in ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "F16", "BF16"]:
        x = (rng.standard_normal((16, 32)) * np.exp(rng.uniform(-6, 3, (16, 1)))).astype(np.float32)
        x[0] = 0
        x[1] = np.arange(32) - 16  # ties and equal extremes
        x[2] = np.where(np.arange(32) % 2, 1.5, -1.5)
        record(f, name, x.size, q.quantize(x, T[name]).view(np.uint8), x, encoded=True)

with open(f"{OUT}/half.bin", "wb") as f:
    for t in [torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz]:
        f.write(torch.arange(256, dtype=torch.uint8).view(t).float().numpy().astype("<f4").tobytes())
    bits = rng.integers(0, 2**32, 4096, dtype=np.uint32)
    bits[:2048] = (bits[:2048] & 0x807FFFFF) | (rng.integers(98, 146, 2048).astype(np.uint32) << 23)  # near binary16's range
    bits[2048:2560] &= 0xFFFFF000  # many exact ties
    bits[:16] = [0, 0x80000000, 1, 0x7F800000, 0xFF800000, 0x477FEFFF, 0x477FF000, 0x33000000, 0x33000001, 0x387FFFFF,
                 0x38800000, 0x7F7FFFFF, 0x7F7F7FFF, 0x7F7F8000, 0x3F808000, 0x3F818000]
    x = torch.from_numpy(bits.view(np.float32).copy())
    x = torch.where(torch.isnan(x), torch.ones_like(x), x)
    f.write(x.numpy().tobytes() + x.half().view(torch.int16).numpy().tobytes() + x.bfloat16().view(torch.int16).numpy().tobytes())
