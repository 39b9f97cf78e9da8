"""The peers of bench/compare_seq2seq and bench/compare_encoder: reads one request a line, answers each with one line, as passes_bench.

  passes.py ctranslate2 DIRECTORY COMPUTE_TYPE THREADS
  passes.py openvino MODEL.onnx f32|bf16 THREADS
  passes.py onnxruntime MODEL.onnx f32 THREADS
"""
import json
import sys
import time

import numpy as np


class CTranslate2:
    def __init__(self, path, compute_type, threads):
        import ctranslate2

        self.ct = ctranslate2
        with open(path + "/config.json") as f:
            self.whisper = "alignment_heads" in json.load(f)
        load = ctranslate2.models.Whisper if self.whisper else ctranslate2.Translator
        self.model = load(path, device="cpu", compute_type=compute_type, intra_threads=threads, inter_threads=1)

    def generate(self, asked):
        n, beams = asked["tokens"], asked.get("beams", 1)
        if self.whisper:
            frames = np.fromfile(asked["features"], np.float32).reshape(-1, asked["columns"]).T[None]
            sound = self.ct.StorageView.from_array(np.ascontiguousarray(frames))
            start = time.perf_counter()
            result = self.model.generate(sound, [asked["prompt"]], beam_size=beams, suppress_blank=False, suppress_tokens=asked["suppress"],
                                         max_length=len(asked["prompt"]) + n)
            return {"seconds": time.perf_counter() - start, "tokens": result[0].sequences_ids[0]}
        start = time.perf_counter()
        result = self.model.translate_batch([["t%d" % i for i in asked["source"]]], beam_size=beams, min_decoding_length=n, max_decoding_length=n)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "tokens": [int(t[1:]) if t[0] == "t" else -1 for t in result[0].hypotheses[0]]}


class OpenVino:
    def __init__(self, path, kind, threads):
        import openvino

        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": kind}
        self.request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()

    def hidden(self, inputs):
        self.request.infer(inputs)
        return self.request.get_output_tensor(0).data


class OnnxRuntime:
    def __init__(self, path, kind, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def hidden(self, inputs):
        return self.session.run(None, inputs)[0]


def hidden(model, asked):
    ids = np.array(asked["texts"], np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    start = time.perf_counter()
    rows = model.hidden(inputs)
    seconds = time.perf_counter() - start
    if "out" in asked:
        np.asarray(rows, np.float32).tofile(asked["out"])
    return {"seconds": seconds, "columns": rows.shape[-1]}


def main():
    peer = {"ctranslate2": CTranslate2, "openvino": OpenVino, "onnxruntime": OnnxRuntime}[sys.argv[1]]
    model = peer(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(model.generate(asked) if asked["do"] == "generate" else hidden(model, asked)), flush=True)


if __name__ == "__main__":
    main()
