#!/usr/bin/env python3
"""Writes src/text/jinja/unicode_*.cc (argument: that folder): character properties and case mappings as Python 3.11 (Unicode 14.0) has them.

Everything is asked of Python's own str methods, so that the tables are exact where Python's definitions differ from
the character database's (full case mappings, printable, identifiers).
"""
import sys
import unicodedata

assert unicodedata.unidata_version == "14.0.0", "run with Python 3.11"
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def ranges(predicate):
    out = []
    for c in ALL:
        if predicate(chr(c)):
            if out and out[-1][1] == c - 1:
                out[-1][1] = c
            else:
                out.append([c, c])
    return out


def cased(x):
    return (x + "\u03a3").lower()[-1] == "\u03c2"


def ignorable(x):
    return ("A" + x + "\u03a3").lower()[-1] == "\u03c2" and not cased(x)


def lines(items, width=118):
    line = ""
    for item in items:
        if line and len(line) + len(item) + 2 > width:
            yield "    " + line.rstrip()
            line = ""
        line += item + ", "
    if line:
        yield "    " + line.rstrip()


def emit_ranges(out, name, predicate):
    got = ranges(predicate)
    out.append(f"constexpr Range {name}Ranges[] = {{")
    out.extend(lines("{0x%x, 0x%x}" % (a, b) for a, b in got))
    out.append("};")


def emit_values(out, name, function):
    """Runs of characters whose value rises by one: {first, last, value of the first}."""
    runs = []
    for c in ALL:
        v = function(chr(c), None)
        if v is None:
            continue
        if runs and runs[-1][1] == c - 1 and runs[-1][2] + (c - runs[-1][0]) == v:
            runs[-1][1] = c
        else:
            runs.append([c, c, v])
    out.append(f"constexpr ValueRun {name}Runs[] = {{")
    out.extend(lines("{0x%x, 0x%x, %d}" % tuple(r) for r in runs))
    out.append("};")


def emit_case(out, name, function):
    simple, special = [], []
    for c in ALL:
        s = function(chr(c))
        if s == chr(c):
            continue
        if len(s) > 1:
            special.append((c, s))
        else:
            simple.append((c, ord(s) - c))
    runs = []
    for c, d in simple:  # {first, last, stride, delta}
        if runs and runs[-1][3] == d:
            first, last, stride, _ = runs[-1]
            if stride == 0 and c - last in (1, 2):
                runs[-1][1:3] = [c, c - last]
                continue
            if stride and c - last == stride:
                runs[-1][1] = c
                continue
        runs.append([c, c, 0, d])
    out.append(f"constexpr CaseRun {name}Runs[] = {{")
    out.extend(lines("{0x%x, 0x%x, %d, %d}" % (a, b, s or 1, d) for a, b, s, d in runs))
    out.append("};")
    out.append(f"constexpr CaseSpecial {name}Specials[] = {{")
    out.extend(lines("{0x%x, {%s}}" % (c, ", ".join("0x%x" % ord(x) for x in s)) for c, s in special))
    out.append("};")


PROPERTIES = {
    "kAlpha": str.isalpha, "kIdStart": str.isidentifier, "kIdContinue": lambda x: ("a" + x).isidentifier(),
    "kSpace": str.isspace, "kPrintable": str.isprintable, "kLower": str.islower, "kUpper": str.isupper,
    "kTitle": lambda x: unicodedata.category(x) == "Lt", "kCased": cased, "kIgnorable": ignorable,
    "kNumeric": str.isnumeric,
}
VALUES = {"kDecimal": unicodedata.decimal, "kDigit": unicodedata.digit}
CASES = {"kToLower": str.lower, "kToUpper": str.upper, "kToTitle": str.title, "kToFold": str.casefold}
FILES = {
    "unicode_letters": ["kAlpha", "kIdStart", "kIdContinue"],
    "unicode_classes": ["kSpace", "kPrintable", "kLower", "kUpper", "kTitle", "kCased", "kIgnorable"],
    "unicode_mappings": ["kNumeric", "kDecimal", "kDigit", "kToLower", "kToUpper", "kToTitle", "kToFold"],
}


def write(path, names):
    out = [
        "// Unicode 14.0 as Python 3.11's str methods see it: " + ", ".join(n[1:] for n in names) + ".",
        "// Written by scripts/make_jinja_unicode.py; not for editing by hand.",
        '#include "text/jinja/unicode_tables.h"',
        "",
        "namespace transom::jinja::tables {",
        "namespace {",
        "",
    ]
    exports = []
    for name in names:
        if name in PROPERTIES:
            emit_ranges(out, name, PROPERTIES[name])
            exports.append(f"const std::span<const Range> {name}{{{name}Ranges}};")
        elif name in VALUES:
            emit_values(out, name, VALUES[name])
            exports.append(f"const std::span<const ValueRun> {name}{{{name}Runs}};")
        else:
            emit_case(out, name, CASES[name])
            exports.append(f"const CaseMap {name}{{{name}Runs, {name}Specials}};")
    out += ["", "}  // namespace", "", *exports, "", "}  // namespace transom::jinja::tables"]
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join(out) + "\n")


for stem, names in FILES.items():
    write(f"{sys.argv[1]}/{stem}.cc", names)
