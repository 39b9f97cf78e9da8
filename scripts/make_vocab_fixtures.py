#!/usr/bin/env python3
"""Writes tests/text/data/vocab/: texts, tiny vocabularies of the formats that are not tokenizer.json, and golden ids.

Made with sentencepiece 0.2.3, tiktoken 0.14.0, tokenizers 0.23.3 and gguf 0.19.0 (the tests need none of them).
Run from the repository root: python scripts/make_vocab_fixtures.py [--fuzz-seeds] [--gemma3 tokenizer.json] [--smollm2 FILE.gguf]

--fuzz-seeds writes the seeds of two fuzz targets instead. The WordPiece trainer breaks ties at random: vocab.txt differs
from run to run. The other two options write golden ids of real vocabularies: Gemma 3's from its tokenizer.json, SmolLM2's from its GGUF file's
tokens and merges in the pipeline of its tokenizer.json (digits one by one, then GPT-2's byte level).
"""
import argparse
import base64
import io
import json
import pathlib
import random
import struct

import sentencepiece
import tiktoken
from sentencepiece import sentencepiece_model_pb2

OUT = pathlib.Path("tests/text/data/vocab")

SENTENCES = """The quick brown fox jumps over the lazy dog.
Pack my box with five dozen liquor jugs; how vexingly quick daft zebras jump!
In the beginning there was a small program that read one file and printed another.
She sells sea shells by the sea shore, and the shells she sells are sea shells, I'm sure.
def add(a, b):\n    return a + b\n\n\nprint(add(1, 22), add(333, 4444))
Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.
Voix ambiguë d'un cœur qui, au zéphyr, préfère les jattes de kiwis.
El pingüino Wenceslao hizo kilómetros bajo exhaustiva lluvia y frío, añoraba a su querido cachorro.
Съешь же ещё этих мягких французских булок, да выпей чаю.
Θέλει αρετή και τόλμη η ελευθερία.
いろはにほへと ちりぬるを 色は匂へど 散りぬるを
我能吞下玻璃而不伤身体。他说的确实在理。
다람쥐 헌 쳇바퀴에 타고파
نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر
ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले
เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน
3.14159 2.71828 1,000,000 12:30 2024-02-29 0xDEADBEEF 50% $19.99 №5 ½ ² Ⅷ
https://example.org/a/b?c=d&e=f#g user@example.org /usr/local/lib/libfoo.so.1.2
{"key": [1, 2.5, null, true], "nested": {"a": "b\\n"}}
It's we're they'll I'd you've don't CAN'T WON'T He'S""".split("\n")
SENTENCES = [s.replace("\\n", "\n") for s in SENTENCES]

ODD = ["", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n ", "a", " a", "a ", " a ", "  a  b  ", "\u2581", "\u2581\u2581a",
       "a\u2581b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaa aaaa aaaaa", "hahahahahaha", "=" * 70,
       " " * 50, " " * 33 + "x", "\t\t\tx", "a\u00a0b", "a\u3000b", "a\u2003b\u200bc", "e\u0301 \u00e9 E\u0301", "\ufb01ne \uff26\uff55\uff4c\uff4c",
       "\u1e9b\u0323", "\u212b \u2126", "\ud55c\uae00 \u1112\u1161\u11ab", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family",
       "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", "\u2764\ufe0f", "\x00", "a\x00b", "\x01\x02\x7f", "\u0085\u2028\u2029", "\ufeffbom", "\ufffd",
       "\U0010ffff", "\ue000", "\u0378", "caf\u00e9", "CAFE\u0301", "\u0130stanbul \u0131", "\u01c5 \u01f0", "\u00df \u1e9e SS",
       "<0x41>", "<0x0A>", "<s>", "</s>", "<unk>", "[UNK]", "<pad>", "<sep>", "<sep><sep>", "a<sep>b", " <sep> ", "foo_barfoo_bar", "foo_ba",
       "1", "12", "123", "1234", "12345", "123456789", "\u0663\u0664\u0665", "\u4e09\u5341", "!?!?", "...", "\u2026", "--", "---", "\u2014",
       "()[]{}<>", "@#$%^&*", "\\", "/", "\"quoted\"", "\u201cquoted\u201d", "'", "''", "'s", " 's", "x's y'S", "`code`", "a_b-c.d,e;f:g",
       "\u0e40\u0e1b\u0e47\u0e19", "\u0915\u094d\u0937", "\u0628\u0650\u0633\u0652\u0645\u0650", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
       "\u30cf\u309a \u30d1 \u210c", "\u4e2d\u6587English\u6df7\u5408", "x\u0300\u0301\u0302\u0303\u0304", "\u00bd \u00b2 \u2167 \u2460"]


def texts():
    rng = random.Random(7)
    out = SENTENCES + ODD
    words = " ".join(SENTENCES).split(" ")
    alphabet = "abcdefgh  \n\tABC123.,'\u00e9\u00df\u4e2d\u3042\u0430\U0001f600\u2581\u0301"
    for _ in range(60):
        out.append(" ".join(rng.choice(words) for _ in range(rng.randrange(2, 14))))
    for _ in range(60):
        out.append("".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 40))))
    for _ in range(20):
        out.append(rng.choice("ab \n") * rng.randrange(2, 80) + rng.choice(words))
    return list(dict.fromkeys(out))


def write_lines(path, rows):
    path.write_text("".join(json.dumps(r, separators=(",", ":"), ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


SPM_MODELS = {
    "bpe_bytes": dict(model_type="bpe", vocab_size=700, byte_fallback=True, normalization_rule_name="identity",
                      remove_extra_whitespaces=False, user_defined_symbols=["<sep>", "foo_bar", "\u2581\u2581", "\u2581\u2581\u2581"],
                      split_digits=True, allow_whitespace_only_pieces=True),
    "bpe_unk": dict(model_type="bpe", vocab_size=450, normalization_rule_name="nfkc", character_coverage=0.98, pad_id=3),
    "bpe_noprefix": dict(model_type="bpe", vocab_size=600, byte_fallback=True, normalization_rule_name="identity",
                         add_dummy_prefix=False, remove_extra_whitespaces=False, split_by_whitespace=False, bos_id=2, eos_id=1,
                         control_symbols=["<turn>"]),
    "unigram_nmt": dict(model_type="unigram", vocab_size=420, normalization_rule_name="nmt_nfkc", character_coverage=0.98,
                        user_defined_symbols=["<sep>"]),
    "unigram_bytes": dict(model_type="unigram", vocab_size=650, byte_fallback=True, normalization_rule_name="identity",
                          remove_extra_whitespaces=False, user_defined_symbols=["<sep>", "foo_bar"], pad_id=0, unk_id=2, bos_id=-1, eos_id=1),
    "unigram_suffix": dict(model_type="unigram", vocab_size=420, normalization_rule_name="identity", character_coverage=0.98,
                           treat_whitespace_as_suffix=True),
}


def sentencepiece_models(corpus):
    training = [line for s in SENTENCES * 4 for line in s.split("\n")]
    for name, options in SPM_MODELS.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(training), model_writer=model, hard_vocab_limit=False,
                                                 num_threads=1, minloglevel=2, **options)
        folder = OUT / f"spm_{name}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.model").write_bytes(model.getvalue())
        processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        write_lines(folder / "ids.jsonl", [processor.encode(t) for t in corpus])
    # Pieces marked unused, as restricting a vocabulary does: BPE merges through them and takes them apart again.
    for name in ("bpe_bytes", "unigram_bytes"):
        proto = sentencepiece_model_pb2.ModelProto()
        proto.ParseFromString((OUT / f"spm_{name}" / "tokenizer.model").read_bytes())
        for i, piece in enumerate(proto.pieces):
            if piece.type == piece.NORMAL and len(piece.piece) > 1 and i % 3 != 0:
                piece.type = piece.UNUSED
        folder = OUT / f"spm_{name.split('_')[0]}_unused"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.model").write_bytes(proto.SerializeToString())
        processor = sentencepiece.SentencePieceProcessor(model_proto=proto.SerializeToString())
        write_lines(folder / "ids.jsonl", [processor.encode(t) for t in corpus])


QWEN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KIMI = "|".join([
    r"[\p{Han}]+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
          r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_ranks(count):
    """A byte-pair vocabulary: the commonest neighbours of the training text are joined until there are `count` tokens."""
    import collections
    import regex
    words = collections.Counter(w.encode() for s in SENTENCES for w in regex.findall(QWEN, s))
    words = {w: ([bytes([b]) for b in w], n) for w, n in words.items()}
    ranks = [bytes([b]) for b in range(256)]
    # Bytes in an order of their own, so that a rank is not its byte.
    ranks.sort(key=lambda b: (not 33 <= b[0] < 127, b))
    while len(ranks) < count:
        pairs = collections.Counter()
        for parts, n in words.values():
            for a, b in zip(parts, parts[1:]):
                pairs[a + b] += n
        best = min(pairs, key=lambda p: (-pairs[p], p))
        ranks.append(best)
        for parts, _ in words.values():
            i = 0
            while i + 1 < len(parts):
                if parts[i] + parts[i + 1] == best:
                    parts[i:i + 2] = [best]
                i += 1
    # Pieces that overlap themselves: ties between two splits.
    for extra in (b"aa", b"aaa", b"aaaa", b"haha", b"ahah", b"===", b"=="):
        if extra not in ranks:
            ranks.append(extra)
    return ranks


def tiktoken_files(corpus):
    import unicodedata
    ranks = train_ranks(700)
    table = {b: i for i, b in enumerate(ranks)}
    lines = b"".join(base64.b64encode(b) + b" " + str(i).encode() + b"\n" for i, b in enumerate(ranks))

    folder = OUT / "tiktoken_qwen"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "qwen.tiktoken").write_bytes(lines)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 8192, "tokenizer_class": "QWenTokenizer"}\n')
    special = {t: len(ranks) + i for i, t in enumerate(["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)])}
    encoding = tiktoken.Encoding("qwen", pat_str=QWEN, mergeable_ranks=table, special_tokens=special)
    extra = ["<|im_start|>user\nHi<|im_end|>\n<|endoftext|>", "x<|extra_204|><|extra_205|>"]
    (folder / "texts.jsonl").unlink(missing_ok=True)
    write_lines(folder / "texts.jsonl", corpus + extra)
    write_lines(folder / "ids.jsonl", [encoding.encode(unicodedata.normalize("NFC", t), allowed_special="all") for t in corpus + extra])

    folder = OUT / "tiktoken_kimi"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiktoken.model").write_bytes(lines)
    n = len(ranks)
    named = {n: "[BOS]", n + 1: "[EOS]", n + 2: "<|im_end|>", n + 3: "<|im_user|>", n + 5: "<|im_middle|>", n + 254: "[UNK]", n + 255: "[PAD]"}
    config = {"added_tokens_decoder": {str(i): {"content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                                                "special": True} for i, t in named.items()},
              "bos_token": "[BOS]", "eos_token": "[EOS]", "pad_token": "[PAD]", "unk_token": "[UNK]", "tokenizer_class": "TikTokenTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
    special = {named.get(i, f"<|reserved_token_{i}|>"): i for i in range(n, n + 256)}
    encoding = tiktoken.Encoding("kimi", pat_str=KIMI, mergeable_ranks=table, special_tokens=special)
    extra = ["[BOS]<|im_user|>user<|im_middle|>Hi\u4e2dA\u6587<|im_end|>", f"<|reserved_token_{n + 100}|>x"]
    write_lines(folder / "texts.jsonl", corpus + extra)
    write_lines(folder / "ids.jsonl", [encoding.encode(t, allowed_special="all") for t in corpus + extra])

    folder = OUT / "tekken"
    folder.mkdir(parents=True, exist_ok=True)
    n_special = 20
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]"]
    tekken = {
        "config": {"pattern": TEKKEN, "num_vocab_tokens": len(ranks), "default_vocab_size": n_special + 650,
                   "default_num_special_tokens": n_special, "version": "v7"},
        "vocab": [{"rank": i, "token_bytes": base64.b64encode(b).decode(), "token_str": None} for i, b in enumerate(ranks)],
        "special_tokens": [{"rank": i, "token_str": t, "is_control": True} for i, t in enumerate(names)]}
    (folder / "tekken.json").write_text(json.dumps(tekken, separators=(",", ":")) + "\n")
    kept = {b: i for b, i in table.items() if i < 650}
    encoding = tiktoken.Encoding("tekken", pat_str=TEKKEN, mergeable_ranks=kept, special_tokens={})
    write_lines(folder / "ids.jsonl", [[i + n_special for i in encoding.encode(t, disallowed_special=())] for t in corpus])


def word_lists(corpus):
    """vocab.txt and vocab.json + merges.txt, each under two configurations."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    def bert(folder, lower, strip, chinese):
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower)
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        t.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=500, special_tokens=special, show_progress=False))
        t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        folder.mkdir(parents=True, exist_ok=True)
        by_id = sorted(t.get_vocab().items(), key=lambda p: p[1])
        (folder / "vocab.txt").write_text("".join(token + "\n" for token, _ in by_id), encoding="utf-8")
        write_lines(folder / "ids.jsonl", [t.encode(x).ids for x in corpus])

    bert(OUT / "bert_uncased", True, None, True)  # no tokenizer_config.json: these are the defaults
    bert(OUT / "bert_cased", False, True, False)
    (OUT / "bert_cased/tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "strip_accents": true, "tokenize_chinese_chars": false}\n')

    def byte_level(folder, special, template, config, pre, normalizer):
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre
        if normalizer:
            t.normalizer = normalizer
        trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False,
                                      initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
        t.train_from_iterator(SENTENCES, trainer)
        t.post_processor = template(t)
        folder.mkdir(parents=True, exist_ok=True)
        model = json.loads(t.to_str())["model"]
        (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        merges = "".join(" ".join(m) + "\n" for m in model["merges"])
        (folder / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
        if config:
            (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n")
        write_lines(folder / "ids.jsonl", [t.encode(x).ids for x in corpus])

    byte_level(OUT / "gpt2", ["<|endoftext|>"], lambda t: processors.ByteLevel(), None, pre_tokenizers.ByteLevel(add_prefix_space=False), None)
    byte_level(OUT / "roberta", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
               lambda t: processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=True),
               {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": True}, pre_tokenizers.ByteLevel(add_prefix_space=True), None)
    qwen2 = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(QWEN), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    byte_level(OUT / "qwen2", ["<|endoftext|>"], lambda t: processors.ByteLevel(), {"tokenizer_class": "Qwen2Tokenizer"}, qwen2, normalizers.NFC())


def real_vocabularies(corpus, gemma3, smollm2):
    from tokenizers import Tokenizer, models, pre_tokenizers
    if gemma3:
        t = Tokenizer.from_file(gemma3)
        write_lines(OUT / "gemma3_ids.jsonl", [t.encode(x).ids for x in corpus])
        write_lines(OUT / "gemma3_decoded.jsonl", [t.decode(t.encode(x).ids, skip_special_tokens=False) for x in corpus])
    if smollm2:
        import gguf
        fields = gguf.GGUFReader(smollm2).fields
        tokens = fields["tokenizer.ggml.tokens"].contents()
        merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
        types = fields["tokenizer.ggml.token_type"].contents()
        t = Tokenizer(models.BPE(vocab={x: i for i, x in enumerate(tokens)}, merges=merges))
        t.add_special_tokens([x for x, kind in zip(tokens, types) if kind == 3])
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        write_lines(OUT / "smollm2_ids.jsonl", [t.encode(x).ids for x in corpus])


def fuzz_seeds():
    """fuzz/corpus/sentencepiece and fuzz/corpus/vocabulary: the smallest file of each kind."""
    corpus = pathlib.Path("fuzz/corpus")
    lines = ["a b aa ab abc", "hello hello world", "sea shells"] * 3
    (corpus / "sentencepiece").mkdir(parents=True, exist_ok=True)
    (corpus / "vocabulary").mkdir(parents=True, exist_ok=True)
    rules = pathlib.Path("rules.tsv")
    rules.write_text("41\t61\nC4\t61 65\nFF21 FF22\t61 62\n")
    identity = dict(normalization_rule_name="identity")
    for name, options in {
            "bpe": dict(model_type="bpe", vocab_size=30, **identity),
            "bpe_bytes": dict(model_type="bpe", vocab_size=290, byte_fallback=True, user_defined_symbols=["<x>"], add_dummy_prefix=False, **identity),
            "unigram": dict(model_type="unigram", vocab_size=25, **identity),
            "unigram_suffix": dict(model_type="unigram", vocab_size=25, treat_whitespace_as_suffix=True, remove_extra_whitespaces=False, **identity),
            "charsmap": dict(model_type="unigram", vocab_size=25, normalization_rule_tsv=str(rules))}.items():
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, hard_vocab_limit=False, num_threads=1,
                                                 minloglevel=2, **options)
        (corpus / "sentencepiece" / name).write_bytes(model.getvalue())
    rules.unlink()
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString((corpus / "sentencepiece/bpe").read_bytes())
    for piece in proto.pieces:
        if len(piece.piece) > 1 and piece.type == piece.NORMAL:
            piece.type = piece.UNUSED
    (corpus / "sentencepiece/unused").write_bytes(proto.SerializeToString())

    def text(s):
        return struct.pack("<Q", len(s.encode())) + s.encode()

    def gguf(model, tokens, pre=None, scores=None, types=None, merges=None, charsmap=None, flags=()):
        pairs = [text("tokenizer.ggml.model") + struct.pack("<I", 8) + text(model)]
        if pre:
            pairs.append(text("tokenizer.ggml.pre") + struct.pack("<I", 8) + text(pre))

        def array(key, kind, items):
            pairs.append(text("tokenizer.ggml." + key) + struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items))
        array("tokens", 8, [text(t) for t in tokens])
        if scores:
            array("scores", 6, [struct.pack("<f", x) for x in scores])
        if types:
            array("token_type", 5, [struct.pack("<i", x) for x in types])
        if merges:
            array("merges", 8, [text(m) for m in merges])
        if charsmap:
            array("precompiled_charsmap", 0, [bytes([b]) for b in charsmap])
        for key, kind, value in flags:
            pairs.append(text("tokenizer.ggml." + key) + struct.pack("<IB" if kind == 7 else "<II", kind, value))
        return b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs)) + b"".join(pairs)

    seeds = {
        "llama": gguf("llama", ["<unk>", "<s>", "</s>", "\u2581", "h", "e", "he", "\u2581he", "  "], scores=[0, 0, 0, -1, -2, -3, -4, -5, -6],
                      types=[2, 3, 3, 1, 1, 1, 1, 1, 4], flags=[("bos_token_id", 4, 1), ("add_eos_token", 7, 1)]),
        "gpt2": gguf("gpt2", ["h", "e", "\u0120", "he", "\u0120he", "<|x|>", "1", "2"], pre="smollm", merges=["h e", "\u0120 he"],
                     types=[1, 1, 1, 1, 1, 3, 1, 1]),
        "gemma4": gguf("gemma4", ["<unk>", "h", "e", "\u2581", "he", "\u2581he"], merges=["h e", "\u2581 he"], types=[2, 1, 1, 1, 1, 1]),
        "bert": gguf("bert", ["[UNK]", "\u2581the", "he", "[CLS]"], types=[3, 1, 1, 3],
                     flags=[("unknown_token_id", 4, 0), ("cls_token_id", 4, 3)]),
        "t5": gguf("t5", ["<pad>", "</s>", "<unk>", "\u2581", "\u2581the", "he"], scores=[0, 0, 0, -1, -2, -3], types=[3, 3, 2, 1, 1, 1],
                   charsmap=struct.pack("<I", 8) + bytes(8) + b"a\0", flags=[("remove_extra_whitespaces", 7, 1)]),
        "kimi": gguf("gpt2", ["h", "e", "\u0120", "he", "\u0120he"], pre="kimi-k2"),
        "tiktoken": b"".join(base64.b64encode(t) + b" %d\n" % i for i, t in enumerate([b"h", b"e", b" ", b"he", b" he", b"\n"])),
        "tekken": json.dumps({
            "config": {"pattern": " ?\\p{L}+|\\s+", "num_vocab_tokens": 2, "default_vocab_size": 5, "default_num_special_tokens": 3, "version": "v3"},
            "vocab": [{"rank": 0, "token_bytes": "aA==", "token_str": "h"}, {"rank": 1, "token_bytes": "ZQ==", "token_str": "e"}],
            "special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": True}]}).encode(),
    }
    for name, data in seeds.items():
        (corpus / "vocabulary" / name).write_bytes(data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gemma3")
    parser.add_argument("--smollm2")
    parser.add_argument("--fuzz-seeds", action="store_true")
    args = parser.parse_args()
    if args.fuzz_seeds:
        return fuzz_seeds()
    OUT.mkdir(parents=True, exist_ok=True)
    corpus = texts()
    write_lines(OUT / "texts.jsonl", corpus)
    sentencepiece_models(corpus)
    tiktoken_files(corpus)
    word_lists(corpus)
    real_vocabularies(corpus, args.gemma3, args.smollm2)
    print(len(corpus), "texts")


if __name__ == "__main__":
    main()
