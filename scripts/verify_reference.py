#!/usr/bin/env python3
"""The Python side of `transom verify`: reads one JSON request on stdin, runs the model with transformers, writes one JSON
object on stdout. Exit 0 with a result, 1 with {"error": {"kind", "message"}}: kind is "request", "missing_package", "load"
or "run". Nothing else ever goes to stdout.

Request   {"protocol": 1, "model": directory or .gguf file,
           "texts": [str …]            ids of each, as the model's tokenizer gives them (add_special_tokens true unless false)
           "sequences": [[id …] …]     one pass over each
           "hidden": "full" | "summary" | "none", "logits": "all" | "last" | "none",
           "greedy": {"ids": [id …], "steps": n},
           "dtype": "float32", "threads": n, "trust_remote_code": false}
Result    {"protocol": 1, "versions", "class", "decisions", "notes": [str …], "seconds": {"import", "load", "run"},
           "texts": [{"ids", "decoded"} …],
           "sequences": [{"hidden": [array …], "logits": array} …]    hidden: embeddings, then the output of each layer
                                                                     (the last one after the final norm)
           "greedy": {"tokens", "gaps"}}
array     {"shape": [T, D], "f32": base64 of little-endian float32}, or for "summary" {"shape", "mean", "std", "max"}
"""

import base64
import json
import math
import os
import sys
import time

PROTOCOL = 1


class Failed(Exception):
    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def one_line(error):
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:500]


def gguf_settings(path):
    """What transformers leaves out when it reads a GGUF file: config overrides, factors of the rope frequencies, notes."""
    from gguf import GGUFReader

    reader = GGUFReader(path)
    keys = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("tokenizer.")}
    arch = keys.get("general.architecture", "")
    overrides, notes, factors = {}, [], None
    if arch == "gemma3" and f"{arch}.attention.key_length" in keys:
        overrides["query_pre_attn_scalar"] = keys[f"{arch}.attention.key_length"]
        scaling = keys.get(f"{arch}.rope.scaling.type")
        if scaling == "linear":
            overrides["rope_parameters"] = {
                "sliding_attention": {"rope_type": "default",
                                      "rope_theta": keys.get(f"{arch}.rope.freq_base_swa", 10000.0)},
                "full_attention": {"rope_type": "linear", "factor": keys[f"{arch}.rope.scaling.factor"],
                                   "rope_theta": keys[f"{arch}.rope.freq_base"]}}
            notes.append("rope.scaling.* of the GGUF file was applied to the reference's global layers")
        embedding = next((t for t in reader.tensors if t.name == "token_embd.weight"), None)
        if embedding is not None:
            overrides["vocab_size"] = int(embedding.shape[1])
    for tensor in reader.tensors:
        if tensor.name == "rope_freqs.weight":
            factors = tensor.data.copy()
            notes.append("rope_freqs.weight of the GGUF file was applied to the reference's rotation")
    return overrides, factors, notes


def load_model(request, torch, transformers):
    path = request["model"]
    options = {"dtype": getattr(torch, request.get("dtype", "float32")), "attn_implementation": "eager",
               "trust_remote_code": bool(request.get("trust_remote_code", False))}
    notes = []
    if path.endswith(".gguf"):
        overrides, factors, notes = gguf_settings(path)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            os.path.dirname(path) or ".", gguf_file=os.path.basename(path), **options, **overrides)
        if factors is not None:
            model.model.rotary_emb.inv_freq /= torch.from_numpy(factors)
    else:
        config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=options["trust_remote_code"])
        names = " ".join(config.architectures or [])
        kind = (transformers.AutoModelForCausalLM if "ForCausalLM" in names or "LMHeadModel" in names else
                transformers.AutoModelForSequenceClassification if "ForSequenceClassification" in names else
                transformers.AutoModel)
        model = kind.from_pretrained(path, **options)
    return model.eval(), notes


def load_tokenizer(request, transformers):
    """tokenizer.json itself where there is one: AutoTokenizer rebuilds some pipelines by class name."""
    path = request["model"]
    file = os.path.join(path, "tokenizer.json")
    if os.path.isfile(file):
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(file)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return "tokenizers", (lambda text, special: tokenizer.encode(text, add_special_tokens=special).ids,
                              lambda ids: tokenizer.decode(ids, skip_special_tokens=False))
    where = {"gguf_file": os.path.basename(path)} if path.endswith(".gguf") else {}
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        (os.path.dirname(path) or ".") if where else path, **where,
        trust_remote_code=bool(request.get("trust_remote_code", False)))
    return "AutoTokenizer", (lambda text, special: tokenizer(text, add_special_tokens=special).input_ids,
                             lambda ids: tokenizer.decode(ids, skip_special_tokens=False))


def array(tensor, summary=False):
    rows = tensor.detach().float().contiguous()
    if summary:
        return {"shape": list(rows.shape), "mean": float(rows.mean()), "std": float(rows.std(unbiased=False)),
                "max": float(rows.abs().max())}
    return {"shape": list(rows.shape), "f32": base64.b64encode(rows.numpy().astype("<f4").tobytes()).decode()}


def run_sequence(request, model, ids, torch):
    hidden, logits = request.get("hidden", "none"), request.get("logits", "last")
    y = model(input_ids=torch.tensor([ids]), output_hidden_states=hidden != "none")
    out = {}
    if hidden != "none":
        out["hidden"] = [array(h[0], hidden == "summary") for h in y.hidden_states]
    if logits != "none" and hasattr(y, "logits"):
        rows = y.logits[0] if y.logits.dim() == 3 else y.logits
        out["logits"] = array(rows[-1:] if logits == "last" else rows)
    elif logits != "none":
        out["last_hidden"] = array(y.last_hidden_state[0])
    return out


def run_greedy(request, model, torch):
    x, cache, tokens, gaps = torch.tensor([request["ids"]]), None, [], []
    for _ in range(int(request["steps"])):
        y = model(input_ids=x, past_key_values=cache, use_cache=True)
        cache, top = y.past_key_values, y.logits[0, -1].float().topk(2)
        gap = float(top.values[0] - top.values[1])
        gaps.append(gap if math.isfinite(gap) else 0.0)
        tokens.append(int(top.indices[0]))
        x = top.indices[:1][None]
    return {"tokens": tokens, "gaps": gaps}


def answer(request):
    if request.get("protocol") != PROTOCOL:
        raise Failed("request", f"expected protocol {PROTOCOL}, got {request.get('protocol')}")
    if not isinstance(request.get("model"), str) or not os.path.exists(request["model"]):
        raise Failed("request", f"model: expected a directory or .gguf file, got {request.get('model')!r}")
    request["model"] = request["model"].rstrip("/") or "/"
    start = time.monotonic()
    try:
        import torch
        import transformers
        if request["model"].endswith(".gguf"):
            import gguf  # noqa: F401  (transformers needs it to read the file)
    except ImportError as e:
        raise Failed("missing_package", one_line(e))
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if request.get("threads"):
        torch.set_num_threads(int(request["threads"]))
    imported = time.monotonic()
    out = {"protocol": PROTOCOL, "versions": {"python": sys.version.split()[0], "torch": torch.__version__,
                                              "transformers": transformers.__version__}}
    try:
        if request.get("texts"):
            kind, (encode, decode) = load_tokenizer(request, transformers)
            special = bool(request.get("add_special_tokens", True))
            all_ids = [list(encode(text, special)) for text in request["texts"]]
            out["tokenizer"] = kind
            out["texts"] = [{"ids": ids, "decoded": decode(ids)} for ids in all_ids]
        if request.get("sequences") or request.get("greedy"):
            model, out["notes"] = load_model(request, torch, transformers)
            out["class"] = type(model).__name__
            out["decisions"] = {"attn_implementation": model.config._attn_implementation, "dtype": str(model.dtype),
                                "rope_parameters": getattr(model.config, "rope_parameters", None),
                                "layer_types": getattr(model.config, "layer_types", None)}
    except Failed:
        raise
    except Exception as e:  # whatever a model's own code raises becomes the one error line
        raise Failed("load", one_line(e))
    loaded = time.monotonic()
    try:
        with torch.inference_mode():
            out["sequences"] = [run_sequence(request, model, ids, torch) for ids in request.get("sequences", [])]
            if request.get("greedy"):
                out["greedy"] = run_greedy(request["greedy"], model, torch)
    except Exception as e:
        raise Failed("run", one_line(e))
    out["seconds"] = {"import": round(imported - start, 3), "load": round(loaded - imported, 3),
                      "run": round(time.monotonic() - loaded, 3)}
    return out


def main():
    # Libraries print where they like; the answer keeps the real stdout for itself.
    result = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        try:
            request = json.load(sys.stdin)
        except ValueError as e:
            raise Failed("request", one_line(e))
        if not isinstance(request, dict):
            raise Failed("request", "expected an object")
        out, code = answer(request), 0
    except Failed as e:
        out, code = {"protocol": PROTOCOL, "error": {"kind": e.kind, "message": str(e)}}, 1
    json.dump(out, result)
    result.write("\n")
    result.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
