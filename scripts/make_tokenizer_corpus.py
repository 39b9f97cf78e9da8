#!/usr/bin/env python3
"""Makes tests/text/data: the corpus of texts, small tokenizers, variants of them, and goldens by Hugging Face `tokenizers`.

    python scripts/make_tokenizer_corpus.py [--shared DIR]     writes everything (DIR: <name>/tokenizer.json.xz, real tokenizers)
    python scripts/make_tokenizer_corpus.py --fuzz-seeds       writes fuzz/corpus/tokenizer_json: each small variant over a few tokens
    python scripts/make_tokenizer_corpus.py --show NAME TEXT   what the library makes of one text (a JSON string) with a variant

Made with tokenizers 0.23.3, sentencepiece 0.2.3 (which compiles the character map). Files:
  corpus.json          the texts
  tokenizers/*.json    base tokenizers, trained here on the corpus
  variants.json        [{name, base, patch}]: a base with some fields replaced
  goldens.json         {name: [hash, ...]}: one hash for each ten texts over ids with and without special tokens, decoded text
                       with and without them, and for lists of arbitrary ids what they decode to (see golden_hash)
  shared_*.json.xz     full ids and texts for the real tokenizers
"""
import argparse
import base64
import json
import lzma
import os
import sys
import tempfile

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from tokenizer_texts import SENTENCES, texts

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.join(HERE, "..", "tests", "text", "data")
GROUP = 10
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
            r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]


def fnv(data, h=0xCBF29CE484222325):
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def golden_hash(h, ids, plain, text, skipped):
    for part in (ids, plain):
        h = fnv(b"".join(i.to_bytes(4, "little") for i in part) + b"\xff\xff\xff\xff", h)
    for part in (text, skipped):
        h = fnv(part.encode() + b"\xff", h)
    return h


def arbitrary_ids(size, count=60):
    """Lists of ids that no encoder would write, by a generator that the test repeats."""
    x = 12345
    for n in range(count):
        ids = []
        for _ in range(1 + n % 12):
            x = (x * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
            ids.append((x >> 33) % size)
        yield ids


def results(tok, text):
    ids, plain = tok.encode(text).ids, tok.encode(text, add_special_tokens=False).ids
    return ids, plain, tok.decode(ids, skip_special_tokens=False), tok.decode(ids)


def goldens_of(tok, corpus):
    out = []
    for at in range(0, len(corpus), GROUP):
        h = 0xCBF29CE484222325
        for t in corpus[at:at + GROUP]:
            h = golden_hash(h, *results(tok, t))
        out.append("%016x" % h)
    h = 0xCBF29CE484222325
    for ids in arbitrary_ids(tok.get_vocab_size()):
        h = golden_hash(h, [], [], tok.decode(ids, skip_special_tokens=False), tok.decode(ids))
    return out + ["%016x" % h]


# ---- the base tokenizers


def training_lines():
    lines = [s for s in SENTENCES for _ in range(2)] + [t for t in texts() if 4 < len(t) < 300]
    return [t for t in lines if "\x00" not in t]


def charsmap():
    """A small character map, compiled by sentencepiece."""
    import sentencepiece as spm
    with tempfile.TemporaryDirectory() as d:
        rules = {"ﬁ": "fi", "ﬂ": "fl", "①": "1", "Ａ": "A", "Ｂ": "B", "１": "1", "\u00a0": " ", "\u3000": " ", "\t": " ", "\n": " ", "é": "e\u0301",
                 "e\u0301\u0323": "E", "A\u030a": "Å", "㎏": "kg", "\u200d": "", "…": "...", "ﾊﾟ": "パ", "ｶ": "カ", "Ⅷ": "VIII", "\u00ad": "", "½": "1/2"}
        with open(d + "/rules.tsv", "w") as f:
            for a, b in rules.items():
                f.write(" ".join("%X" % ord(c) for c in a) + "\t" + " ".join("%X" % ord(c) for c in b) + "\n")
        with open(d + "/text", "w") as f:
            f.write("\n".join(s.replace("\n", " ") for s in SENTENCES))
        spm.SentencePieceTrainer.train(input=d + "/text", model_prefix=d + "/m", vocab_size=700, model_type="char", normalization_rule_tsv=d + "/rules.tsv",
                                       character_coverage=0.98, hard_vocab_limit=False, minloglevel=2)
        from sentencepiece import sentencepiece_model_pb2 as pb
        m = pb.ModelProto()
        m.ParseFromString(open(d + "/m.model", "rb").read())
        return base64.b64encode(m.normalizer_spec.precompiled_charsmap).decode()


def train(tok, trainer, below=0x110000):
    tok.train_from_iterator([t for t in training_lines() if all(ord(c) < below or c in "▁世界你好" for c in t)], trainer)
    return tok


def bases():
    byte_tokens = ["<0x%02X>" % b for b in range(256)]
    out = {}
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    train(t, trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"] + byte_tokens, limit_alphabet=160, show_progress=False))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    j = json.loads(t.to_str())
    j["added_tokens"] = [a for a in j["added_tokens"] if not a["content"].startswith("<0x")]
    out["llama2"] = j

    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    train(t, trainers.BpeTrainer(vocab_size=620, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    out["bytelevel"] = json.loads(t.to_str())

    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    t.normalizer = normalizers.BertNormalizer()
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    train(t, trainers.WordPieceTrainer(vocab_size=800, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], limit_alphabet=200, show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    t.decoder = decoders.WordPiece()
    out["wordpiece"] = json.loads(t.to_str())

    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Precompiled(base64.b64decode(charsmap()))
    t.pre_tokenizer = pre_tokenizers.Metaspace()
    train(t, trainers.UnigramTrainer(vocab_size=700, special_tokens=["<s>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False), 0x500)
    t.post_processor = processors.BertProcessing(("</s>", 1), ("<s>", 0))
    t.decoder = decoders.Metaspace()
    out["unigram"] = json.loads(t.to_str())

    t = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    t.pre_tokenizer = pre_tokenizers.Whitespace()
    train(t, trainers.WordLevelTrainer(vocab_size=500, special_tokens=["[UNK]", "[CLS]"], show_progress=False))
    out["wordlevel"] = json.loads(t.to_str())

    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    train(t, trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>"], limit_alphabet=120, continuing_subword_prefix="##", end_of_word_suffix="</w>", show_progress=False))
    t.decoder = decoders.BPEDecoder()
    out["affixes"] = json.loads(t.to_str())

    # Merges cross everything, so that ids show where a pre-tokenizer cuts.
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    train(t, trainers.BpeTrainer(vocab_size=1100, special_tokens=["<unk>"] + byte_tokens, limit_alphabet=180, show_progress=False))
    j = json.loads(t.to_str())
    j["added_tokens"] = j["added_tokens"][:1]
    out["crossing"] = j
    for j in out.values():
        if "merges" in j["model"]:
            j["model"]["merges"] = [" ".join(m) if all(" " not in p for m in j["model"]["merges"] for p in m) else m for m in j["model"]["merges"]]
    return out


# ---- variants


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def regex(p):
    return {"Regex": p}


def string(s):
    return {"String": s}


def byte_level(add_prefix_space=False, use_regex=False):
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": use_regex}


def metaspace(scheme="always", split=True, replacement="▁"):
    return {"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": split}


def seq(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def bert(clean=True, chinese=True, accents=None, lower=True):
    return {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": accents, "lowercase": lower}


def added(content, **flags):
    base = {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return {**base, **flags}


ADDED = [added("ADDED_L", lstrip=True), added("ADDED_R", rstrip=True), added("ADDED_B", lstrip=True, rstrip=True, special=True),
         added("ADDED_W", single_word=True), added("ADDED_N", normalized=True), added("ÀDDED_Ñ", normalized=True, special=True), added("TOKEN_A"),
         added("TOKEN_AB", special=True), added(" TOKEN_ABC "), added("  "), added("<mask>", lstrip=True, special=True), added("\n\n"),
         added("[MASK]", normalized=True, single_word=True, lstrip=True, rstrip=True)]


def normalizer_variants(unigram):
    n = {
        "nfc": {"type": "NFC"}, "nfd": {"type": "NFD"}, "nfkc": {"type": "NFKC"}, "nfkd": {"type": "NFKD"}, "lowercase": {"type": "Lowercase"},
        "nmt": {"type": "Nmt"}, "accents": {"type": "StripAccents"}, "accents-nfd": seq("normalizers", {"type": "NFD"}, {"type": "StripAccents"}),
        "strip": {"type": "Strip", "strip_left": True, "strip_right": True}, "strip-left": {"type": "Strip", "strip_left": True, "strip_right": False},
        "strip-right": {"type": "Strip", "strip_left": False, "strip_right": True}, "prepend": {"type": "Prepend", "prepend": "x▁"},
        "replace": {"type": "Replace", "pattern": string("a"), "content": "aba"}, "replace-regex": {"type": "Replace", "pattern": regex(r"\s+"), "content": "_"},
        "replace-empty": {"type": "Replace", "pattern": regex("x*"), "content": "-"}, "replace-none": {"type": "Replace", "pattern": string(""), "content": "."},
        "replace-words": {"type": "Replace", "pattern": regex(r"(?<=\w)(\d+)\b"), "content": "#"}, "bytelevel": {"type": "ByteLevel"},
        "precompiled": unigram["normalizer"], "bert": bert(), "bert-cased": bert(lower=False), "bert-accents": bert(accents=True, lower=False),
        "bert-raw": bert(clean=False, chinese=False, accents=False, lower=False), "bert-lower": bert(clean=False, chinese=False, accents=False),
        "xlnet": seq("normalizers", {"type": "Replace", "pattern": string("``"), "content": '"'}, {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"},
                     unigram["normalizer"], {"type": "Replace", "pattern": regex(" {2,}"), "content": " "}),
    }
    for name, value in n.items():
        yield "normalizer/" + name, "crossing", {"normalizer": value}


def pre_tokenizer_variants():
    p = {
        "whitespace": {"type": "Whitespace"}, "whitespace-split": {"type": "WhitespaceSplit"}, "bert": {"type": "BertPreTokenizer"},
        "digits": {"type": "Digits", "individual_digits": False}, "digits-each": {"type": "Digits", "individual_digits": True},
        "delimiter": {"type": "CharDelimiterSplit", "delimiter": "o"}, "scripts": {"type": "UnicodeScripts"}, "fixed": {"type": "FixedLength", "length": 5},
        "fixed-1": {"type": "FixedLength", "length": 1}, "bytelevel": byte_level(True, True), "bytelevel-plain": byte_level(True, False),
        "metaspace": metaspace(), "metaspace-first": metaspace("first"), "metaspace-never": metaspace("never"), "metaspace-whole": metaspace("first", False),
        "metaspace-other": metaspace("always", True, "_"), "many": seq("pretokenizers", {"type": "WhitespaceSplit"}, {"type": "Digits", "individual_digits": True},
                                                                        {"type": "Punctuation", "behavior": "Isolated"}, {"type": "FixedLength", "length": 4}),
        "scripts-seq": seq("pretokenizers", {"type": "UnicodeScripts"}, {"type": "WhitespaceSplit"}),
        "t5": seq("pretokenizers", {"type": "WhitespaceSplit"}, metaspace()),
        "split-first": seq("pretokenizers", split(string("a"), "MergedWithNext"), metaspace("first")),
        "starcoder": seq("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level(False, True)),
        "deepseek": seq("pretokenizers", *[split(regex(r), "Isolated") for r in DEEPSEEK], byte_level()),
        "gpt2-regex": split(regex(GPT2), "Isolated"), "llama3": split(regex(LLAMA3), "Isolated"), "llama3-removed": split(regex(LLAMA3), "Removed", True),
        "qwen2": split(regex(QWEN2), "Isolated"), "o200k": split(regex(O200K), "Removed", True),
        "bloom": split(regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "Isolated"),
        "lookbehind": split(regex(r"(?<=\d)(?=\p{L})|\b"), "Isolated"), "clip": split(regex(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "Removed", True),
        "kimi": split(regex(r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+|\p{N}{1,3}|\s+"), "Isolated"),
    }
    for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
        p["punctuation-" + b] = {"type": "Punctuation", "behavior": b}
        for invert in (False, True):
            tail = b + ("-invert" if invert else "")
            p["string-" + tail] = split(string(" "), b, invert)
            p["regex-" + tail] = split(regex(r"[\d\s]|an?"), b, invert)
            p["empty-" + tail] = split(regex(r"x*"), b, invert)
    for name, value in p.items():
        yield "pre_tokenizer/" + name, "crossing", {"pre_tokenizer": value}


def decoder_variants():
    strip = {"type": "Strip", "content": "a", "start": 2, "stop": 0}
    d = {
        "none": None, "bytelevel": byte_level(), "metaspace": metaspace(), "metaspace-never": metaspace("never"), "fuse": {"type": "Fuse"},
        "wordpiece": {"type": "WordPiece", "prefix": "a", "cleanup": True}, "wordpiece-raw": {"type": "WordPiece", "prefix": "##", "cleanup": False},
        "bpe": {"type": "BPEDecoder", "suffix": "e"}, "bpe-empty": {"type": "BPEDecoder", "suffix": ""}, "bytefallback": {"type": "ByteFallback"},
        "ctc": {"type": "CTC", "pad_token": "e", "word_delimiter_token": "a", "cleanup": True}, "ctc-raw": {"type": "CTC", "pad_token": "<unk>", "word_delimiter_token": "|", "cleanup": False},
        "replace": {"type": "Replace", "pattern": string("a"), "content": "<->"}, "replace-regex": {"type": "Replace", "pattern": regex("[aeiou]"), "content": ""},
        "strip": strip, "fuse-strip": seq("decoders", {"type": "Fuse"}, strip), "fuse-replace": seq("decoders", {"type": "Fuse"}, {"type": "Replace", "pattern": string("e a"), "content": "=="}),
        "fuse-regex": seq("decoders", {"type": "Fuse"}, {"type": "Replace", "pattern": regex("e+ *"), "content": "E"}),
        "fuse-metaspace": seq("decoders", {"type": "Fuse"}, metaspace()), "fuse-wordpiece": seq("decoders", {"type": "Fuse"}, {"type": "WordPiece", "prefix": "x", "cleanup": True}),
        "fuse-bpe": seq("decoders", {"type": "Fuse"}, {"type": "BPEDecoder", "suffix": " a"}), "fuse-bytelevel": seq("decoders", {"type": "Fuse"}, byte_level()),
        "bytelevel-replace": seq("decoders", byte_level(), {"type": "Replace", "pattern": string("</w>"), "content": " "}),
        "fallback-twice": seq("decoders", {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "ByteFallback"}),
    }
    for name, value in d.items():
        yield "decoder/" + name, "bytelevel" if "bytelevel" in name else "crossing", {"decoder": value}


def other_variants():
    for base in ("llama2", "bytelevel", "wordpiece", "unigram", "crossing"):
        yield "added/" + base, base, {"added_tokens": ADDED}
    yield "added/lower", "crossing", {"added_tokens": ADDED, "normalizer": seq("normalizers", {"type": "Lowercase"}, {"type": "Prepend", "prepend": "▁"})}
    # Two tokens with one normalized form match in no fixed order in the library.
    yield "added/nfkd", "crossing", {"added_tokens": [t for t in ADDED if t["content"] != "ÀDDED_Ñ"], "normalizer": seq("normalizers", {"type": "NFKD"}, {"type": "StripAccents"}), "pre_tokenizer": metaspace("first")}
    yield "added/other-ids", "wordlevel", {"added_tokens": [added("zzz", id=9000), added("TOKEN_A", id=3), added("[UNK]", id=7, special=True), added("TOKEN_A", id=8, special=True)]}
    for name, t in {"right": ("Right", 7), "left": ("Left", 7), "one": ("Right", 2), "none": ("Right", 0), "less": ("Left", 1)}.items():
        yield "truncation/" + name, "wordpiece", {"truncation": {"direction": t[0], "max_length": t[1], "strategy": "LongestFirst", "stride": 0}}
    yield "truncation/plain", "crossing", {"truncation": {"direction": "Left", "max_length": 5, "strategy": "OnlyFirst", "stride": 0}}
    yield "processor/sequence", "bytelevel", {"post_processor": seq("processors", byte_level(), {"type": "TemplateProcessing", "single": [
        {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {"X": {"id": "X", "ids": [5, 6], "tokens": ["a", "b"]}}})}
    yield "processor/template-bert", "bytelevel", {"post_processor": seq("processors", {"type": "TemplateProcessing", "single": [
        {"SpecialToken": {"id": "X", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {"X": {"id": "X", "ids": [5], "tokens": ["a"]}}},
        {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}, {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": True})}
    yield "model/ignore-merges", "bytelevel", {"model.ignore_merges": True}
    yield "model/no-fallback", "llama2", {"model.byte_fallback": False}
    yield "model/no-fallback-no-fuse", "llama2", {"model.byte_fallback": False, "model.fuse_unk": False}
    yield "model/no-unk", "llama2", {"model.byte_fallback": False, "model.unk_token": None}
    yield "model/no-pieces", "llama2", {"normalizer": {"type": "Replace", "pattern": string(" "), "content": "▁"}, "pre_tokenizer": split(string(" "), "MergedWithPrevious")}
    yield "model/ignore-merges-whole", "llama2", {"model.ignore_merges": True}
    yield "model/unigram-bytes", "unigram-bytes", {}
    yield "model/wordpiece-long", "wordpiece", {"model.max_input_chars_per_word": 5, "normalizer": None}
    yield "model/byte-level-unk", "bytelevel-gaps", {}


def variants(base):
    for name in base:
        if not name.startswith(("unigram-", "bytelevel-")):
            yield name, name, {}
    yield from normalizer_variants(base["unigram"])
    yield from pre_tokenizer_variants()
    yield from decoder_variants()
    yield from other_variants()


def derived(base):
    """Bases made from others by hand."""
    j = json.loads(json.dumps(base["unigram"]))
    j["model"]["vocab"] += [["<0x%02X>" % b, -20.0] for b in range(256)]
    j["model"]["byte_fallback"] = True
    j["decoder"] = seq("decoders", {"type": "ByteFallback"}, metaspace())
    base["unigram-bytes"] = j
    j = json.loads(json.dumps(base["bytelevel"]))
    gone = {"x", "Ġ", "Ã"}
    j["model"]["merges"] = [m for m in j["model"]["merges"] if not any(g in m for g in gone)]
    keep = [t for t in j["model"]["vocab"] if not any(g in t for g in gone)]
    j["model"]["vocab"] = {t: i for i, t in enumerate(keep)}
    j["model"]["unk_token"] = "<unk>"
    j["model"]["fuse_unk"] = True
    base["bytelevel-gaps"] = j


def patched(base, patch):
    j = json.loads(json.dumps(base))
    for key, value in patch.items():
        if key.startswith("model."):
            j["model"][key[6:]] = value
        else:
            j[key] = value
    return j


def write_json(name, value, indent=None):
    with open(os.path.join(DATA, name), "w") as f:
        json.dump(value, f, ensure_ascii=True, indent=indent, separators=(",", ":") if indent is None else None)
        f.write("\n")


def write_shared(directory, corpus):
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name, "tokenizer.json.xz")
        if not os.path.exists(path):
            continue
        tok = Tokenizer.from_str(lzma.open(path, "rt", encoding="utf-8").read())
        items = [results(tok, t) for t in corpus]
        lists = list(arbitrary_ids(tok.get_vocab_size(), 200))
        value = {"ids": [i[0] for i in items], "plain": [i[1] for i in items], "text": [i[2] for i in items], "skipped": [i[3] for i in items],
                 "arbitrary": [[tok.decode(i, skip_special_tokens=False), tok.decode(i)] for i in lists]}
        with lzma.open(os.path.join(DATA, "shared_%s.json.xz" % name), "wb", preset=9) as f:
            f.write(json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode())
        print(name, sum(len(i[0]) for i in items), "ids")


def tiny(j):
    """The same pipeline on a handful of tokens."""
    j = json.loads(json.dumps(j))
    m = j["model"]
    tokens = ["<unk>", "<s>", "</s>", "[UNK]", "h", "e", "l", "o", "▁", "Ġ", "Ã", "x", "he", "ll", "##l", "##o", "o</w>", "<0xE2>", "<0xFF>", "1", "Hello"]
    if m["type"] == "Unigram":
        m["vocab"] = [[t, -float(i)] for i, t in enumerate(tokens)]
        m["unk_id"] = 0
    else:
        m["vocab"] = {t: i for i, t in enumerate(tokens)}
    if "merges" in m:
        m["merges"] = ["h e", "l l"] if not m.get("continuing_subword_prefix") else []
    return j


def write_seeds(base):
    folder = os.path.join(HERE, "..", "fuzz", "corpus", "tokenizer_json")
    os.makedirs(folder, exist_ok=True)
    for name, b, patch in variants(base):
        text = json.dumps(tiny(patched(base[b], patch)), ensure_ascii=False)
        if len(text) < 4000:
            with open(os.path.join(folder, name.replace("/", "-")), "w") as f:
                f.write(text)


def load_bases():
    folder = os.path.join(DATA, "tokenizers")
    return {n[:-5]: json.load(open(os.path.join(folder, n))) for n in sorted(os.listdir(folder))}


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--shared")
    args.add_argument("--keep", action="store_true", help="keep the base tokenizers as they are")
    args.add_argument("--fuzz-seeds", action="store_true", help="write only the seeds of the fuzz target")
    args.add_argument("--show", nargs=2, metavar=("NAME", "TEXT"))
    args = args.parse_args()
    if args.show:
        base = load_bases()
        patch = {n: patched(base[b], p) for n, b, p in variants(base)}[args.show[0]]
        print(json.dumps(results(Tokenizer.from_str(json.dumps(patch)), json.loads(args.show[1]))))
        return
    if args.fuzz_seeds:
        return write_seeds(load_bases())
    os.makedirs(os.path.join(DATA, "tokenizers"), exist_ok=True)
    corpus = texts()
    write_json("corpus.json", corpus)
    if not args.keep:
        base = bases()
        derived(base)
        for name, j in base.items():
            write_json("tokenizers/%s.json" % name, j)
    base = load_bases()
    table, goldens = [], {}
    for name, b, patch in variants(base):
        tok = Tokenizer.from_str(json.dumps(patched(base[b], patch)))
        try:
            goldens[name] = goldens_of(tok, corpus)
        except BaseException as e:
            sys.exit("%s: %s" % (name, e))
        table.append({"name": name, "base": b, "patch": patch})
    write_json("variants.json", table)
    write_json("goldens.json", goldens)
    print(len(corpus), "texts", len(table), "variants")
    if args.shared:
        write_shared(args.shared, corpus)


main()
