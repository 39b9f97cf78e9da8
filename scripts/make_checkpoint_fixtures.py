#!/usr/bin/env python3
"""Writes tests/checkpoint/data/ (files made by torch.save, with the same tensors as safetensors for comparison, and
hostile ones) and the seeds of fuzz/corpus/{safetensors,gguf,pickle}. Made with torch 2.9.1, safetensors 0.8.0, gguf 0.19.0.
Usage: make_checkpoint_fixtures.py REPOSITORY"""
import io
import os
import pickle
import sys
import zipfile

import gguf
import numpy as np
import torch
from safetensors.torch import save, save_file

ROOT = sys.argv[1]
DATA, CORPUS = f"{ROOT}/tests/checkpoint/data", f"{ROOT}/fuzz/corpus"
torch.manual_seed(7)


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def saved(obj, **options):
    out = io.BytesIO()
    torch.save(obj, out, **options)
    return out.getvalue()


def rezip(data, method=zipfile.ZIP_STORED, **replace):
    """The same records in a zip file that Python writes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", method) as new:
        for i in old.infolist():
            new.writestr(i.filename, replace.get(i.filename.split("/")[-1].replace(".", "_"), old.read(i)))
    return out.getvalue()


def state():
    w, base = torch.randn(4, 6), torch.randn(40)
    d = {"w": w, "tied": w, "transposed": w.t(), "slice": base[3:15].view(3, 4), "column": base.view(8, 5)[:, 2],
         "permuted": base[:24].view(2, 3, 4).permute(2, 0, 1), "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3),
         "ones": torch.randn(1, 3, 1), "parameter": torch.nn.Parameter(torch.randn(2, 2))}
    for t in [torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
              torch.float8_e5m2fnuz]:
        d[str(t)] = torch.randn(5).to(t)
    for t in [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64]:
        d[str(t)] = torch.arange(100, 105).to(t)
    d["torch.bool"] = torch.tensor([True, False, True])
    d["torch.complex64"] = torch.randn(3, dtype=torch.complex64)
    return d


class Evil:
    def __reduce__(self):
        return (os.system, ("touch transom-was-here",))


def data_files():
    d = state()
    save_file({k: v.detach().contiguous().clone() for k, v in d.items()}, f"{DATA}/state.safetensors")
    module = torch.nn.Linear(3, 2)  # its state dict carries _metadata
    save_file({k: v.clone() for k, v in module.state_dict().items()}, f"{DATA}/linear.safetensors")
    write(f"{DATA}/state.bin", saved(d))
    write(f"{DATA}/state_protocol4.bin", saved(d, pickle_protocol=4))
    write(f"{DATA}/linear.bin", saved(module.state_dict()))
    nested = {"epoch": 3, "lr": 0.1, "name": "x", "steps": [1, 2**40, -7], "none": None, "state_dict": module.state_dict()}
    write(f"{DATA}/linear_nested.bin", saved(nested))
    write(f"{DATA}/linear_rezipped.bin", rezip(saved(module.state_dict())))
    write(f"{DATA}/bad_compressed.bin", rezip(saved(module.state_dict()), zipfile.ZIP_DEFLATED))
    write(f"{DATA}/bad_big_endian.bin", rezip(saved(module.state_dict()), byteorder=b"big"))
    write(f"{DATA}/bad_legacy.bin", saved(module.state_dict(), _use_new_zipfile_serialization=False))
    write(f"{DATA}/bad_evil.bin", rezip(saved(module.state_dict()), data_pkl=pickle.dumps({"w": Evil()}, 2)))
    write(f"{DATA}/bad_expanded.bin", saved({"w": torch.ones(1).expand(1 << 40)}))
    write(f"{DATA}/bad_conjugate.bin", saved({"w": torch.randn(2, dtype=torch.complex64).conj()}))
    write(f"{DATA}/bad_sparse.bin", saved({"w": torch.eye(2).to_sparse()}))
    write(f"{DATA}/bad_module.bin", saved(module))


def gguf_file(path, tensors, **keys):
    w = gguf.GGUFWriter(path, "llama")
    for k, v in keys.items():
        w.add_key_value(f"t.{k}", v, gguf.GGUFValueType.get_type(v)) if not isinstance(v, list) else w.add_array(f"t.{k}", v)
    for name, (data, t) in tensors.items():
        raw = gguf.quants.quantize(data, t) if t is not None else data
        w.add_tensor(name, raw, raw_dtype=t)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def seeds():
    t = torch.arange(6, dtype=torch.float32)
    write(f"{CORPUS}/safetensors/two", save({"a": t, "b": t.half().view(2, 3)}, {"format": "pt"}))
    write(f"{CORPUS}/safetensors/empty", save({"e": torch.zeros(0, 2), "s": torch.tensor(1.0)}))
    write(f"{CORPUS}/safetensors/types", save({str(k): v for k, v in state().items() if v.dtype.itemsize == 1}))
    x = np.arange(64, dtype=np.float32).reshape(2, 32)
    gguf_file(f"{CORPUS}/gguf/plain", {"a": (x, None), "b": (x, gguf.GGMLQuantizationType.Q4_0)}, n=7, f=1.5, s="text", l=["x", "yz"], i=[1, 2])
    gguf_file(f"{CORPUS}/gguf/none", {}, flag=True)
    module = torch.nn.Linear(2, 1)
    write(f"{CORPUS}/pickle/zip", saved(module.state_dict()))
    write(f"{CORPUS}/pickle/zip_transposed", saved({"w": torch.randn(2, 3).t(), "s": torch.tensor(1.0)}))
    write(f"{CORPUS}/pickle/rezipped", rezip(saved({"b": torch.ones(2, dtype=torch.bfloat16)})))
    for name, obj, protocol in [("p2", {"w": t, "h": t.half()}, 2), ("p4", {"w": t, "f8": t.to(torch.float8_e5m2)}, 4),
                                ("nested", {"epoch": 1, "l": [1.5, None, 2**40], "state_dict": module.state_dict()}, 2)]:
        z = zipfile.ZipFile(io.BytesIO(saved(obj, pickle_protocol=protocol)))
        write(f"{CORPUS}/pickle/{name}", z.read("archive/data.pkl"))
    write(f"{CORPUS}/pickle/evil", pickle.dumps({"w": Evil()}, 2))


data_files()
seeds()
