#!/usr/bin/env python3
"""The Python side of `transom verify`: reads one JSON request on stdin, runs the model with transformers, writes one JSON
object on stdout. Exit 0 with a result, 1 with {"error": {"kind", "message"}}: kind is "request", "missing_package", "load"
or "run". Nothing else ever goes to stdout.

Request   {"protocol": 1, "model": directory or .gguf file,
           "texts": [str …]            ids of each, as the model's tokenizer gives them (add_special_tokens true unless false)
           "sequences": [{"ids": [id …], "source": [id …], "frames": [n, bins]} …]     one pass over each; what an encoder-decoder's
                                       encoder reads is source, or made-up frames (sines)
           "modules": {name: tensor}   outputs of the modules that have these tensors (with the base model's prefix or without)
           "hidden": "full" | "summary" | "none", "logits": "all" | "last" | "none",
           "greedy": {"ids", "source", "frames" as above, "steps": n},
           "dtype": "float32", "threads": n, "trust_remote_code": false}
Result    {"protocol": 1, "versions", "class", "decisions", "notes": [str …], "seconds": {"import", "load", "run"},
           "texts": [{"ids", "decoded"} …]      or "tokenizer_error" where transformers has no tokenizer for it,
           "sequences": [{"hidden": [array …], "logits": array, "modules": {name: array}} …]
                                       hidden: embeddings, then the output of each layer (the last one after the final norm); of an
                                       encoder-decoder the decoder's, and "encoder_hidden"
           "greedy": {"tokens", "gaps"}}
array     {"shape": [T, D], "f32": base64 of little-endian float32}, or for "summary" {"shape", "mean", "std", "max"}
"""

import base64
import inspect
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


def model_class(config, transformers):
    names = " ".join(config.architectures or [])
    if getattr(config, "is_encoder_decoder", False):
        return transformers.AutoModelForSpeechSeq2Seq if "Whisper" in names else transformers.AutoModelForSeq2SeqLM
    for task in ("SequenceClassification", "TokenClassification", "QuestionAnswering", "MaskedLM", "PreTraining", "ImageTextToText", "CausalLM"):
        if f"For{task}" in names or (task == "CausalLM" and "LMHeadModel" in names):
            return getattr(transformers, f"AutoModelFor{task}")
    # A multimodal model's text model is what is compared.
    return transformers.AutoModelForCausalLM if "ForConditionalGeneration" in names else transformers.AutoModel


def load_model(request, torch, transformers):
    path = request["model"]
    options = {"dtype": getattr(torch, request.get("dtype", "float32")), "attn_implementation": "eager",
               "trust_remote_code": bool(request.get("trust_remote_code", False))}
    if hasattr(transformers.PreTrainedModel, "set_experts_implementation"):
        options["experts_implementation"] = "eager"  # the grouped product takes no rows of less than 16 bytes
    notes = []
    if path.endswith(".gguf"):
        overrides, factors, notes = gguf_settings(path)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            os.path.dirname(path) or ".", gguf_file=os.path.basename(path), **options, **overrides)
        if factors is not None:
            model.model.rotary_emb.inv_freq /= torch.from_numpy(factors)
    else:
        config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=options["trust_remote_code"])
        if config.model_type == "falcon" and getattr(config, "alibi", False):
            options["attn_implementation"] = "sdpa"  # eager adds the bias of its positions twice
            notes.append("the reference runs Falcon's ALiBi with sdpa")
        model = model_class(config, transformers).from_pretrained(path, **options)
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


def inputs(sequence, torch):
    """The keyword arguments of a pass over a sequence."""
    ids = torch.tensor([sequence["ids"]])
    if sequence.get("source"):
        return {"input_ids": torch.tensor([sequence["source"]]), "decoder_input_ids": ids}
    if sequence.get("frames"):
        rows, bins = sequence["frames"]
        made_up = torch.sin(0.37 * torch.arange(rows * bins, dtype=torch.float64)).float()
        return {"input_features": made_up.view(rows, bins).T[None], "decoder_input_ids": ids}
    return {"input_ids": ids}


def watch(model, wanted, found):
    """Hooks that note the outputs of the modules which hold the wanted tensors."""
    modules = dict(model.named_modules())
    prefix = getattr(model, "base_model_prefix", "")
    for name, tensor in wanted.items():
        module = tensor.removesuffix(".weight")
        for spelled in (module, f"{prefix}.{module}", module.removeprefix(f"{prefix}.")):
            if spelled in modules:
                def note(_, __, y, name=name):
                    y = y[0] if isinstance(y, tuple) else y
                    found[name] = array(y.reshape(-1, y.shape[-1]))
                modules[spelled].register_forward_hook(note)
                break


def without_cache(model):
    return {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}


def states_from_embedding(model, ids, states):
    """The embeddings, each layer's output but the last one's, and the norm's. RWKV's as if it did not halve them every few layers, and
    its embeddings after their norm, which is the first layer's."""
    embedded, every = model.get_input_embeddings()(ids), getattr(model.config, "rescale_every", 0)
    first = getattr(model.base_model, "blocks", [None])[0]
    if hasattr(first, "pre_ln"):
        embedded = first.pre_ln(embedded)
    layers = [h * 2 ** ((i + 1) // every) if every else h for i, h in enumerate(states[:-2])]
    return (embedded, *layers, states[-1])


def run_sequence(request, model, sequence, torch):
    hidden, logits, modules = request.get("hidden", "none"), request.get("logits", "last"), {}
    if request.get("modules"):
        watch(model, request["modules"], modules)
    y = model(**inputs(sequence, torch), output_hidden_states=hidden != "none", **without_cache(model))
    out = {"modules": modules} if request.get("modules") else {}
    if hidden != "none":
        states = y.decoder_hidden_states if "decoder_hidden_states" in y else y.hidden_states
        if type(y).__name__.startswith(("Mamba", "FalconMamba", "Rwkv")):  # after each layer, and after the norm: elsewhere before each layer
            states = states_from_embedding(model, torch.tensor([sequence["ids"]]), states)
        if states[0].dim() == 4:  # several streams, of which the first is compared, and what the norm makes of all (Gemma 3n)
            states = (*(s[0] for s in states), model.base_model(**inputs(sequence, torch), use_cache=False).last_hidden_state)
        out["hidden"] = [array(h[0], hidden == "summary") for h in states]
        if "encoder_hidden_states" in y:
            out["encoder_hidden"] = [array(h[0], hidden == "summary") for h in y.encoder_hidden_states]
    if logits != "none" and "start_logits" in y:
        out["logits"] = array(torch.stack([y.start_logits[0], y.end_logits[0]], -1))
    elif logits != "none" and (hasattr(y, "logits") or "prediction_logits" in y):
        scores = y.logits if hasattr(y, "logits") else y.prediction_logits
        rows = scores[0] if scores.dim() == 3 else scores
        out["logits"] = array(rows[-1:] if logits == "last" else rows)
    elif logits != "none":
        out["last_hidden"] = array(y.last_hidden_state[0])
    return out


def run_greedy(request, model, torch):
    if request.get("source") or request.get("frames"):
        return run_greedy_decoder(request, model, torch)
    x, cache, tokens, gaps = torch.tensor([request["ids"]]), None, [], []
    takes = inspect.signature(model.forward).parameters
    keeps = "past_key_values" in takes  # a recurrence's state goes by other names
    for _ in range(int(request["steps"])):
        at = len(request["ids"]) + len(tokens)
        # Not every model counts on from its cache.
        where = {"position_ids": torch.arange(at - x.shape[1], at)[None]} if keeps and "position_ids" in takes else {}
        y = model(input_ids=x, past_key_values=cache, use_cache=True, **where) if keeps else model(input_ids=x, **without_cache(model))
        cache, top = y.past_key_values if keeps else None, y.logits[0, -1].float().topk(2)
        gap = float(top.values[0] - top.values[1])
        gaps.append(gap if math.isfinite(gap) else 0.0)
        tokens.append(int(top.indices[0]))
        x = top.indices[:1][None] if keeps else torch.cat([x, top.indices[:1][None]], 1)
    return {"tokens": tokens, "gaps": gaps}


def run_greedy_decoder(request, model, torch):
    """Of an encoder-decoder: a whole pass for each token."""
    ids, gaps = list(request["ids"]), []
    for _ in range(int(request["steps"])):
        top = model(**inputs({**request, "ids": ids}, torch), use_cache=False).logits[0, -1].float().topk(2)
        gaps.append(float(top.values[0] - top.values[1]))
        ids.append(int(top.indices[0]))
    return {"tokens": ids[len(request["ids"]):], "gaps": gaps}


def setting(config, key):
    """The config's value, None if it has none; a list of the values where layers differ."""
    layers = getattr(config, "per_layer_config", None)
    if not layers:
        return getattr(config, key, None)
    values = sorted({getattr(layer, key, None) for layer in layers}, key=str)
    return values[0] if len(values) == 1 else values


def decisions(model):
    config = getattr(model.config, "text_config", None) or model.config
    heads, hidden = setting(config, "num_attention_heads"), getattr(config, "hidden_size", None)
    size = setting(config, "head_dim") or getattr(config, "d_kv", None) or (hidden // heads if heads and hidden else None)
    head, words = model.get_output_embeddings(), model.get_input_embeddings()
    tied = head is not None and getattr(head, "weight", None) is getattr(words, "weight", 0)
    kinds = getattr(config, "layer_types", None)
    window = getattr(config, "sliding_window", None)
    mask = {kind: kinds.count(kind) for kind in sorted(set(kinds))} if kinds else None
    return {"head_size": size, "rope": getattr(config, "rope_parameters", None), "mask": {**(mask or {}), **({"window": window} if window else {})} or None,
            "tied_head": tied, "attention": model.config._attn_implementation, "dtype": str(model.dtype)}


def answer(request):
    if request.get("protocol") != PROTOCOL:
        raise Failed("request", f"expected protocol {PROTOCOL}, got {request.get('protocol')}")
    if not isinstance(request.get("model"), str) or not os.path.exists(request["model"]):
        raise Failed("request", f"model: expected a directory or .gguf file, got {request.get('model')!r}")
    request["model"] = request["model"].rstrip("/") or "/"
    files = [name for name in os.listdir(request["model"]) if name.endswith(".gguf")] if os.path.isdir(request["model"]) else []
    if len(files) == 1 and not os.path.exists(os.path.join(request["model"], "config.json")):
        request["model"] = os.path.join(request["model"], files[0])
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
            try:
                out["tokenizer"], (encode, decode) = load_tokenizer(request, transformers)
            except Exception as e:  # the model may be compared all the same
                out["tokenizer_error"] = one_line(e)
            else:
                special = bool(request.get("add_special_tokens", True))
                all_ids = [list(encode(text, special)) for text in request["texts"]]
                out["texts"] = [{"ids": ids, "decoded": decode(ids)} for ids in all_ids]
        if request.get("sequences") or request.get("greedy"):
            model, out["notes"] = load_model(request, torch, transformers)
            out["class"] = type(model).__name__
            out["decisions"] = decisions(model)
    except Failed:
        raise
    except Exception as e:  # whatever a model's own code raises becomes the one error line
        raise Failed("load", one_line(e))
    loaded = time.monotonic()
    try:
        with torch.inference_mode():
            out["sequences"] = [run_sequence(request, model, s, torch) for s in request.get("sequences", [])]
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
