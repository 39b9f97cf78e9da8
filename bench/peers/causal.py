"""The peers of bench/compare_openvino: makes a random model of Llama 3.2 1B's shape and its exports; reads one request a line, answers each
with one line, as passes_bench.

  causal.py checkpoint DIRECTORY                          by a Python with torch and transformers
  causal.py export HF_DIRECTORY DIRECTORY int4|int8|bf16  by one with optimum-intel
  causal.py openvino DIRECTORY int4|int8|bf16 THREADS
  causal.py torch HF_DIRECTORY bf16 THREADS
Requests: {"do": "prefill", "prompt": [ids], "out": FILE}, {"do": "decode", "prompt": [ids], "next": [ids]}.
"""
import json
import sys
import time

import numpy as np


def checkpoint(path):
    import torch
    import transformers

    torch.manual_seed(1)
    c = transformers.LlamaConfig(vocab_size=128256, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32,
                                 num_key_value_heads=8, head_dim=64, max_position_embeddings=131072, rope_theta=500000.0, rms_norm_eps=1e-5,
                                 tie_word_embeddings=True, bos_token_id=128000, eos_token_id=128001)
    transformers.LlamaForCausalLM(c).to(torch.bfloat16).save_pretrained(path)


def export(path, out, kind):
    from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig

    int4 = OVWeightQuantizationConfig(bits=4, sym=True, group_size=32, ratio=1.0)
    options = {"int4": {"quantization_config": int4}, "int8": {"load_in_8bit": True}, "bf16": {"load_in_8bit": False}}[kind]
    OVModelForCausalLM.from_pretrained(path, export=True, compile=False, **options).save_pretrained(out)


class OpenVino:
    def __init__(self, path, kind, threads):
        import openvino

        core = openvino.Core()
        model = core.read_model(path + "/openvino_model.xml")
        self.last_row_only(model)
        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        if kind == "bf16":
            options["INFERENCE_PRECISION_HINT"] = "bf16"
        compiled = core.compile_model(model, "CPU", options)
        self.names = {i.any_name for i in compiled.inputs}
        self.request = compiled.create_infer_request()

    @staticmethod
    def last_row_only(model):
        """Logits of the last token alone, as OpenVINO GenAI asks for them: the export gives those of every token of a prompt."""
        from openvino import opset13

        node = model.output("logits").get_node().input_value(0).get_node()
        while node.get_type_name() != "MatMul":
            node = node.input_value(0).get_node()
        rows = node.input_value(0)
        last = opset13.gather(rows, opset13.constant([-1], np.int64), opset13.constant(1, np.int64))
        node.input(0).replace_source_output(last.output(0))
        model.validate_nodes_and_infer_types()

    def start(self):
        self.request.reset_state()
        self.past = 0

    def step(self, ids):
        n, past = len(ids), self.past
        inputs = {"input_ids": np.array([ids], np.int64), "attention_mask": np.ones((1, past + n), np.int64),
                  "position_ids": np.arange(past, past + n, dtype=np.int64)[None], "beam_idx": np.zeros(1, np.int32)}
        self.request.infer({k: v for k, v in inputs.items() if k in self.names})
        self.past += n
        return self.request.get_output_tensor(0).data


class Torch:
    def __init__(self, path, kind, threads):
        import torch
        import transformers

        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, attn_implementation="sdpa").eval()

    def start(self):
        self.state = None

    def step(self, ids):
        out = self.model(input_ids=self.torch.tensor([ids]), past_key_values=self.state, use_cache=True, logits_to_keep=1)
        self.state = out.past_key_values
        return out.logits


def serve(peer):
    for line in sys.stdin:
        asked = json.loads(line)
        peer.start()
        start = time.perf_counter()
        row = peer.step(asked["prompt"])
        if asked["do"] == "decode":
            start = time.perf_counter()
            for id in asked["next"]:
                row = peer.step([id])
        seconds = time.perf_counter() - start
        if "out" in asked:
            (row if isinstance(row, np.ndarray) else row.float().numpy()).reshape(-1).astype(np.float32).tofile(asked["out"])
        print(json.dumps({"seconds": seconds, "columns": row.shape[-1]}), flush=True)


def main():
    if sys.argv[1] == "checkpoint":
        checkpoint(sys.argv[2])
    elif sys.argv[1] == "export":
        export(*sys.argv[2:])
    else:
        serve({"openvino": OpenVino, "torch": Torch}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4])))


if __name__ == "__main__":
    main()
