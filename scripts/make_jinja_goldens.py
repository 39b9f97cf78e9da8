#!/usr/bin/env python3
"""Goldens for the Jinja engine and chat templates, from Python: transformers 5.23.0, jinja2 3.1.6, Python 3.11.

  make_jinja_goldens.py cases       tests/text/data/jinja_cases.txt -> jinja_cases.json: each template with its result
  make_jinja_goldens.py templates   the templates of scripts/fetch_llamacpp_vocabs x template_conversations.json
                                    -> template_goldens.json: a digest of each rendering, or how it fails
"""
import datetime
import hashlib
import json
import os
import pathlib
import sys

import jinja2
import transformers
from transformers.utils import chat_template_utils

assert transformers.__version__ == "5.23.0" and jinja2.__version__ == "3.1.6" and sys.version_info[:2] == (3, 11)
DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "text" / "data"


class FrozenClock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26, 12, 34, 56, 123456)


chat_template_utils.datetime = FrozenClock


def outcome(render):
    """{"text"}, {"raised": message of raise_exception} or {"error": type}."""
    try:
        text = render()
        text.encode("utf-8")
        return {"text": text}
    except jinja2.exceptions.TemplateError as e:
        return {"raised": str(e)} if type(e) is jinja2.exceptions.TemplateError else {"error": type(e).__name__}
    except Exception as e:
        return {"error": type(e).__name__}


def read_cases():
    """The cases file: JSON variables after "@vars", then one template a line ("\\n" stands for a line break), or several
    lines between "<<<" and ">>>"; "#" starts a comment line."""
    variables, cases, block = None, [], None
    for line in (DATA / "jinja_cases.txt").read_text(encoding="utf-8").split("\n"):
        if block is not None:
            if line == ">>>":
                cases.append("\n".join(block))
                block = None
            else:
                block.append(line)
        elif line == "<<<":
            block = []
        elif line.startswith("@vars "):
            variables = json.loads(line[6:])
        elif line.strip() and not line.startswith("#"):
            cases.append(line.replace("\\n", "\n").replace("\\r", "\r"))
    return variables, cases


def make_cases():
    variables, templates = read_cases()
    cases = []
    for t in templates:
        result = outcome(lambda: chat_template_utils._compile_jinja_template(t).render(**variables))
        cases.append({"template": t, **result})
    with open(DATA / "jinja_cases.json", "w", encoding="utf-8") as f:
        rows = ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases)
        f.write('{"variables": ' + json.dumps(variables, ensure_ascii=False) + ',\n"cases": [\n' + rows + "\n]}\n")
    print(len(cases), "cases,", sum("text" not in c for c in cases), "of them fail")


def data_dir():
    if os.environ.get("TRANSOM_TEST_DATA"):
        return pathlib.Path(os.environ["TRANSOM_TEST_DATA"])
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "transom" / "test-data"


def render_chat(source, data, conversation):
    # apply_chat_template: keys that are None are dropped, special tokens are variables
    messages = [{k: v for k, v in m.items() if v is not None} for m in conversation["messages"]]
    texts, _ = chat_template_utils.render_jinja_template(
        conversations=[messages], tools=data["tools"] if conversation.get("tools") else None,
        documents=data["documents"] if conversation.get("documents") else None, chat_template=source,
        add_generation_prompt=conversation.get("add_generation_prompt", True),
        **{**data["common"], **conversation.get("variables", {})})
    return texts[0]


def digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]


def make_templates():
    data = json.loads((DATA / "template_conversations.json").read_text(encoding="utf-8"))
    files = sorted((data_dir() / "llama-templates").glob("*.jinja"))
    assert len(files) == 70, "run scripts/fetch_llamacpp_vocabs first"
    rows, full = [], {}
    for f in files:
        source = f.read_text(encoding="utf-8")
        results = []
        for c in data["conversations"]:
            r = outcome(lambda: render_chat(source, data, c))
            results.append(digest(r["text"]) if "text" in r else "!" + r["raised"] if "raised" in r else "!!")
            if "text" in r and f.name in ("Qwen3-Coder.jinja", "openai-gpt-oss-120b.jinja") and c["name"] in ("system_tools", "tool_call_nested"):
                full[f"{f.name} {c['name']}"] = r["text"]
        rows.append(json.dumps(f.name) + ": " + json.dumps(results, ensure_ascii=False))
    with open(DATA / "template_goldens.json", "w", encoding="utf-8") as f:
        f.write('{"conversations": ' + json.dumps([c["name"] for c in data["conversations"]]) + ',\n"digests": {\n' + ",\n".join(rows)
                + '\n},\n"texts": ' + json.dumps(full, ensure_ascii=False, indent=1) + "}\n")
    print(len(rows) * len(data["conversations"]), "renderings")


{"cases": make_cases, "templates": make_templates}[sys.argv[1]]()
