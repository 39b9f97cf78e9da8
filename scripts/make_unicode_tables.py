#!/usr/bin/env python3
"""Writes src/text/unicode_tables.inc: the character properties that Hugging Face `tokenizers` works with.

That library mixes several versions of the Unicode database (the Rust standard library's, its regex engines', older tables
for punctuation, marks and normalization), so the properties are measured on the library itself, one character at a time.
Made with tokenizers 0.23.3; normalization forms are compared with Python's unicodedata (Unicode 14, as utf8proc 2.8).

    python scripts/make_unicode_tables.py > src/text/unicode_tables.inc
"""
import sys
import unicodedata

from tokenizers import Regex, normalizers as N, pre_tokenizers as P

CPS = [c for c in range(1, 0x110000) if not 0xD800 <= c <= 0xDFFF]
ALL = "".join(map(chr, CPS))
GC = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co Cs".split()


def removed(normalizer):
    left = set(map(ord, normalizer.normalize_str(ALL)))
    return {c for c in CPS if c not in left}


def regex_set(pattern):
    return removed(N.Replace(Regex(pattern), ""))


def splits(pre_tokenizer):
    return {c for c in CPS if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) > 1}


def ccc_known(c):
    """Whether the library reorders c as Unicode 14 does."""
    ccc = unicodedata.combining(chr(c))
    s = "a" + chr(c) + "\u0334" if ccc > 1 else "a\u0300" + chr(c)
    return N.NFD().normalize_str(s) == unicodedata.normalize("NFD", s)


def normalization_flags():
    """Bits: c stays as it is and never interacts with a neighbour in NFC, NFD, NFKC, NFKD; c is unknown to the library."""
    second, flags, unknown = set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3)), {}, set()
    forms = [("NFC", N.NFC()), ("NFD", N.NFD()), ("NFKC", N.NFKC()), ("NFKD", N.NFKD())]
    for c in CPS:
        d = unicodedata.decomposition(chr(c))
        if d and not d.startswith("<") and len(d.split()) == 2:
            second.add(int(d.split()[1], 16))
        if unicodedata.combining(chr(c)) and not ccc_known(c):
            unknown.add(c)
        if any(n.normalize_str(chr(c)) != unicodedata.normalize(f, chr(c)) for f, n in forms):
            unknown.add(c)
            unknown |= {ord(x) for x in unicodedata.normalize("NFD", chr(c))} - {c} if c == 0x11938 else set()
    for c in CPS:
        bits = 0
        for i, (form, n) in enumerate(forms):
            same = unicodedata.normalize(form, chr(c)) == chr(c) and unicodedata.combining(chr(c)) == 0
            if c in unknown or (same and not (form.endswith("C") and c in second)):
                bits |= 1 << i
        flags[c] = bits
    return flags, unknown


def scripts():
    """Script classes as the UnicodeScripts pre-tokenizer sees them: 0 joins anything, else a number per script."""
    pre = P.UnicodeScripts()

    def apart(ref, cps):
        text = "".join(ref + chr(c) for c in cps)
        cuts = {o[0] for _, o in pre.pre_tokenize_str(text)}
        return {c for i, c in enumerate(cps) if 2 * i + 1 in cuts}

    real = sorted(apart("a", CPS) | apart("я", CPS))
    ranges, start = [], real[0]
    cuts = {o[0] for _, o in pre.pre_tokenize_str("".join(map(chr, real)))}
    for i, c in enumerate(real):
        if i and (i in cuts or c != real[i - 1] + 1):
            ranges.append((start, real[i - 1]))
            start = c
    ranges.append((start, real[-1]))
    heads, out, number = [r[0] for r in ranges], {}, 0
    while heads:
        number += 1
        other = apart(chr(heads[0]), heads)
        for h in heads:
            if h not in other:
                out[h] = number
        heads = [h for h in heads if h in other]
    return [(a, b, out[a]) for a, b in ranges]


def extends():
    """Characters that join the one before them in a grapheme cluster: a charsmap that turns "a" into "X" drops them."""
    import base64
    import struct
    # A double-array trie with the single key "a": unit 0 is the root, see sentencepiece's Darts.
    units = [0] * 512
    units[0] = 1 << 10  # root: offset 1
    pos = 1 ^ ord("a")
    child = pos ^ 256
    units[pos] = ((child ^ pos) << 10) | (1 << 8) | ord("a")
    units[child] = 1 << 31
    blob = struct.pack("<I", len(units) * 4) + struct.pack("<%dI" % len(units), *units) + b"X\0"
    import json
    n = N.Precompiled(blob)
    assert n.normalize_str("abc") == "Xbc", n.normalize_str("abc")
    return {c for c in CPS if n.normalize_str("a" + chr(c)) == "X"}


def lower_runs():
    n, runs = N.Lowercase(), []
    low = [(c, ord(n.normalize_str(chr(c)))) for c in CPS if c != 0x130 and n.normalize_str(chr(c)) != chr(c)]
    for c, l in low:
        if runs:
            first, last, step, delta = runs[-1]
            if delta == l - c and (step == 0 or c - last == step) and c - last in (1, 2):
                runs[-1] = (first, c, c - last, delta)
                continue
        runs.append((c, c, 0, l - c))
    return [(a, b, s or 1, d) for a, b, s, d in runs]


def emit(name, ctype, values, per_line=118):
    print(f"constexpr {ctype} {name}[] = {{")
    line = " "
    for v in values:
        if len(line) + len(v) + 2 > per_line:
            print(line)
            line = " "
        line += " " + v + ","
    print(line + "\n};")


def main():
    gc = {}
    for i, g in enumerate(GC):
        if g not in ("Cn", "Cs"):
            for c in regex_set(r"\p{%s}" % g):
                gc[c] = i
    bert = N.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    marks = N.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    words = P.Whitespace()
    norm, unknown = normalization_flags()
    sets = [
        splits(P.WhitespaceSplit()),
        splits(P.Digits(True)),
        splits(P.Punctuation()),
        {c for c in removed(bert) if bert.normalize_str(chr(c)) == ""},
        {c for c in CPS if marks.normalize_str(chr(c)) == ""},
        removed(N.StripAccents()),
        set(CPS) - splits(words),
        regex_set(r"\w"),
        unknown,
        extends(),
        regex_set(r"\p{Han}"),
    ]
    records, index, runs, last = [], {}, [], None
    for c in range(0x110000):
        if 0xD800 <= c <= 0xDFFF:
            rec = GC.index("Cs")
        elif c == 0:
            rec = GC.index("Cc") | 15 << 8
        else:
            rec = gc.get(c, 0) | norm[c] << 8
            for i, s in enumerate(sets):
                if c in s:
                    rec |= 1 << (12 + i)
        if rec not in index:
            index[rec] = len(records)
            records.append(rec)
        if last == rec:
            runs[-1][0] += 1
        else:
            runs.append([1, index[rec]])
            last = rec
    assert len(records) <= 256, len(records)
    print("// Generated by scripts/make_unicode_tables.py from tokenizers 0.23.3; do not edit.")
    print("// Bits of a record: 0-7 general category, 8-11 safe in NFC NFD NFKC NFKD, then from 12: white space, numeric,")
    print("// punctuation, control, nonspacing mark, combining mark, word (regex crate), word (Oniguruma), unknown to")
    print("// normalization, joins the character before it in a grapheme cluster, Han.")
    emit("kRecords", "uint32_t", [hex(r) for r in records])
    print("// Runs over all code points: length << 8 | record.")
    emit("kRuns", "uint32_t", [hex(n << 8 | r) for n, r in runs])
    print("// Lower case: first, last, step, what to add. U+0130 is handled apart.")
    emit("kLowerRuns", "LowerRun", ["{%s,%s,%d,%d}" % (hex(a), hex(b), s, d) for a, b, s, d in lower_runs()])
    print("// Scripts: first, last, number.")
    emit("kScriptRuns", "ScriptRun", ["{%s,%s,%d}" % (hex(a), hex(b), s) for a, b, s in scripts()])
    print(len(records), "records", len(runs), "runs", file=sys.stderr)


main()
