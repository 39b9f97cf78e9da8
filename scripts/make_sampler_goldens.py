#!/usr/bin/env python3
"""Writes tests/engine/sampler_golden.json: what transformers' own logits processors make of random logits.

The list of processors and their order come from generate()'s own code (GenerationMixin._get_logits_processor). The
frequency and presence penalties, which transformers lacks, follow OpenAI's formula and enter as a custom processor, which
generate() puts before temperature. Run with torch 2.9.1, transformers 5.23.0, numpy 2.4.6.
"""
import json
import pathlib

import numpy as np
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, LogitsProcessorList

VOCAB, EOS = 50, [2, 7]


class OpenAiPenalties:
    def __init__(self, prompt_length, frequency, presence):
        self.prompt_length, self.frequency, self.presence = prompt_length, frequency, presence

    def __call__(self, ids, scores):
        counts = torch.bincount(ids[0, self.prompt_length:], minlength=VOCAB)
        return scores - counts * self.frequency - (counts > 0) * self.presence


def cases():
    yield from ({"temperature": t} for t in (0.3, 0.7, 1.0, 1.7))
    yield from ({"top_k": k} for k in (1, 2, 10, 49, 50))
    yield from ({"top_p": p} for p in (0.1, 0.5, 0.9, 0.99))
    yield from ({"min_p": p} for p in (0.01, 0.2, 1.0))
    yield from ({"typical_p": p} for p in (0.05, 0.3, 0.9))
    yield from ({"repetition_penalty": r} for r in (0.7, 1.3))
    yield {"frequency_penalty": 0.7}
    yield {"frequency_penalty": -0.4, "presence_penalty": 1.1}
    yield {"presence_penalty": -1.5}
    yield {"logit_bias": [[3, 5.0], [4, -30.0], [11, 0.5]]}
    yield {"suppress_tokens": [1, 5, 9]}
    yield {"min_tokens": 3}
    yield {"min_tokens": 9}
    yield {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "min_p": 0.05}
    yield {"temperature": 1.5, "top_k": 30, "top_p": 0.95, "typical_p": 0.6}
    yield {"temperature": 0.9, "top_p": 0.95, "min_p": 0.02, "typical_p": 0.9}
    yield {"temperature": 2.0, "top_k": 40, "top_p": 0.8, "min_p": 0.1, "typical_p": 0.7, "repetition_penalty": 1.2,
           "frequency_penalty": 0.3, "presence_penalty": 0.2, "logit_bias": [[0, 2.0], [13, -3.0]], "min_tokens": 8}
    yield {"repetition_penalty": 1.5, "logit_bias": [[8, 4.0], [9, -4.0]], "top_k": 12}
    yield {"temperature": 0.0, "repetition_penalty": 1.8}
    yield {"temperature": 0.0, "frequency_penalty": 2.0, "top_k": 5}


def processed(model, case, logits, prompt, generated):
    greedy = case.get("temperature", 1.0) == 0
    names = {"logit_bias": None, "frequency_penalty": None, "presence_penalty": None, "min_tokens": "min_new_tokens"}
    known = {names.get(k, k): v for k, v in case.items() if names.get(k, k)}
    if greedy:
        known = {k: v for k, v in known.items() if k == "repetition_penalty"}
    if "logit_bias" in case:
        known["sequence_bias"] = [[[i], b] for i, b in case["logit_bias"]]
    config = GenerationConfig(do_sample=not greedy, eos_token_id=EOS, **known)
    model._prepare_special_tokens(config, device="cpu")
    custom = LogitsProcessorList()
    if "frequency_penalty" in case or "presence_penalty" in case:
        custom.append(OpenAiPenalties(len(prompt), case.get("frequency_penalty", 0.0), case.get("presence_penalty", 0.0)))
    processors = model._get_logits_processor(config, input_ids_seq_length=len(prompt), logits_processor=custom)
    scores = processors(torch.tensor([prompt + generated]), torch.from_numpy(logits)[None].clone())[0].double()
    if greedy:
        return [0.0 if i == int(scores.argmax()) else None for i in range(VOCAB)]
    logprobs = torch.log_softmax(scores, -1)
    return [None if torch.isinf(x) else float(x) for x in logprobs]


def main():
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCAB, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                                         num_attention_heads=1))
    rng = np.random.default_rng(20240)
    out = []
    for index, case in enumerate(cases()):
        logits = rng.normal(0, 2.5, VOCAB).astype(np.float32)
        if "top_k" in case and index % 2:
            logits = np.round(logits * 2) / 2  # with equal values
        prompt = rng.integers(0, VOCAB, 12).tolist()
        generated = rng.integers(0, VOCAB, 6).tolist()
        generated += generated[:2]
        out.append({"params": case, "logits": [float(x) for x in logits], "prompt": prompt, "generated": generated,
                    "logprobs": processed(model, case, logits, prompt, generated)})
    target = pathlib.Path(__file__).parent.parent / "tests" / "engine" / "sampler_golden.json"
    rows = ",\n".join(json.dumps(c) for c in out)
    target.write_text(f'{{"eos": {json.dumps(EOS)}, "vocab": {VOCAB}, "cases": [\n{rows}\n]}}\n')


if __name__ == "__main__":
    main()
