"""GGUF files of Llama 3.2 1B's shape with random weights, for benches: bytes at random, scales that keep activations finite, and a
vocabulary of bytes and their merges, as many as Llama's, that text can be cut with. Needs numpy and the gguf package.

  python random_gguf.py TYPE FILE        TYPE: q4_0, q8_0, bf16
"""
import os
import sys

HIDDEN, INNER, LAYERS, HEADS, KV_HEADS, VOCAB = 2048, 8192, 16, 32, 8, 128256
HEAD = HIDDEN // HEADS
CONTROL = 256  # the last tokens


def byte_names():
    """The printable character that stands for each byte in byte-level BPE."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return [chr(b) if b in plain else chr(256 + others.index(b)) for b in range(256)]


def merged(names, count, random):
    """Pairs of earlier tokens, each another text."""
    tokens, known, pairs = list(names), set(names), []
    while len(pairs) < count:
        for i, j in random.integers(0, 1 << 30, (count, 2)):
            pair = tokens[i % len(tokens)], tokens[j % len(tokens)]
            text = "".join(pair)
            if len(text) > 12 or text in known or len(pairs) == count:
                continue
            known.add(text)
            tokens.append(text)
            pairs.append(pair)
    return pairs


def matrix(kind, rows, cols, random):
    """The bytes of a matrix [rows, cols]."""
    import numpy as np

    if kind == "bf16":
        values = random.standard_normal((rows, cols), np.float32) * np.float32(0.02)
        return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    size = 18 if kind == "q4_0" else 34
    blocks = random.integers(0, 256, (rows, cols // 32, size), np.uint8)
    blocks[:, :, :2] = np.frombuffer(np.float16(0.02 / (4.6 if kind == "q4_0" else 74)).tobytes(), np.uint8)
    return blocks.reshape(rows, -1)


def write(kind, path):
    import gguf
    import numpy as np

    types = {"q4_0": gguf.GGMLQuantizationType.Q4_0, "q8_0": gguf.GGMLQuantizationType.Q8_0, "bf16": gguf.GGMLQuantizationType.BF16}
    random = np.random.default_rng(1)
    w = gguf.GGUFWriter(path, "llama")
    w.add_context_length(131072)
    w.add_embedding_length(HIDDEN)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(INNER)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV_HEADS)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(HEAD)
    w.add_rope_freq_base(500000.0)
    w.add_vocab_size(VOCAB)
    names = byte_names()
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("llama-bpe")
    merges = merged(names, VOCAB - CONTROL - len(names), random)
    w.add_token_list([*names, *("".join(m) for m in merges), *(f"<|reserved_{i}|>" for i in range(CONTROL))])
    w.add_token_types([gguf.TokenType.NORMAL] * (VOCAB - CONTROL) + [gguf.TokenType.CONTROL] * CONTROL)
    w.add_token_merges([" ".join(m) for m in merges])
    w.add_bos_token_id(VOCAB - 2)
    w.add_eos_token_id(VOCAB - 1)
    w.add_add_bos_token(True)

    def add(name, rows, cols):
        w.add_tensor(name, matrix(kind, rows, cols, random), raw_dtype=types[kind])

    add("token_embd.weight", VOCAB, HIDDEN)
    w.add_tensor("output_norm.weight", np.ones(HIDDEN, np.float32))
    for i in range(LAYERS):
        block = f"blk.{i}."
        for norm in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"{block}{norm}.weight", np.ones(HIDDEN, np.float32))
        for name, rows, cols in (("attn_q", HIDDEN, HIDDEN), ("attn_k", KV_HEADS * HEAD, HIDDEN), ("attn_v", KV_HEADS * HEAD, HIDDEN),
                                 ("attn_output", HIDDEN, HIDDEN), ("ffn_gate", INNER, HIDDEN), ("ffn_up", INNER, HIDDEN),
                                 ("ffn_down", HIDDEN, INNER)):
            add(f"{block}{name}.weight", rows, cols)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("q4_0", "q8_0", "bf16"):
        sys.exit("random_gguf: expected q4_0, q8_0 or bf16 and the file to write, got: " + " ".join(sys.argv[1:]))
    kind, path = sys.argv[1:]
    partial = path + ".part"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(kind, partial)
    os.replace(partial, path)


if __name__ == "__main__":
    main()
