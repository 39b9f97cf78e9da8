"""The peers of bench/compare_embed: reads one request a line, {"texts": […], "out": FILE}, and answers with the seconds that it took to
turn the texts into embeddings, tokenizing included.

  sentences.py sentence-transformers DIRECTORY batch=N THREADS
  sentences.py openvino DIRECTORY f32|bf16 THREADS       DIRECTORY: tokenizer.json and model.onnx, which pools
  sentences.py onnxruntime DIRECTORY f32 THREADS
"""
import json
import sys
import time

import numpy as np

BATCH, LONGEST = 32, 256


class SentenceTransformers:
    def __init__(self, path, batch, threads):
        import sentence_transformers
        import torch

        torch.set_num_threads(threads)
        self.model = sentence_transformers.SentenceTransformer(path, device="cpu")
        self.batch = int(batch.removeprefix("batch="))

    def embed(self, texts):
        return self.model.encode(texts, batch_size=self.batch, show_progress_bar=False)


class Exported:
    """Batches of texts of like length, the longest first, as sentence-transformers makes them."""

    def __init__(self, path):
        import tokenizers

        self.tokenizer = tokenizers.Tokenizer.from_file(path + "/tokenizer.json")
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()

    def embed(self, texts):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        rows = []
        for begin in range(0, len(order), BATCH):
            batch = self.tokenizer.encode_batch([texts[i] for i in order[begin:begin + BATCH]])
            ids = np.array([e.ids for e in batch], np.int64)
            rows.append(self.run({"input_ids": ids, "attention_mask": np.array([e.attention_mask for e in batch], np.int64)}))
        rows = np.concatenate(rows)
        out = np.empty_like(rows)
        out[order] = rows
        return out


class OpenVino(Exported):
    def __init__(self, path, kind, threads):
        super().__init__(path)
        import openvino

        options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": kind}
        self.request = openvino.Core().compile_model(path + "/model.onnx", "CPU", options).create_infer_request()

    def run(self, inputs):
        self.request.infer(inputs)
        return self.request.get_output_tensor(0).data.copy()


class OnnxRuntime(Exported):
    def __init__(self, path, kind, threads):
        super().__init__(path)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path + "/model.onnx", options, providers=["CPUExecutionProvider"])

    def run(self, inputs):
        return self.session.run(None, inputs)[0]


def main():
    kinds = {"sentence-transformers": SentenceTransformers, "openvino": OpenVino, "onnxruntime": OnnxRuntime}
    peer = kinds[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
    for line in sys.stdin:
        asked = json.loads(line)
        start = time.perf_counter()
        rows = peer.embed(asked["texts"])
        seconds = time.perf_counter() - start
        if "out" in asked:
            np.asarray(rows, np.float32).tofile(asked["out"])
        print(json.dumps({"seconds": seconds, "columns": rows.shape[-1]}), flush=True)


if __name__ == "__main__":
    main()
