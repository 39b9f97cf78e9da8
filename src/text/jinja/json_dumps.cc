// json.dumps as the tojson filter of transformers uses it (Python's Lib/json/encoder.py, restated).
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "text/jinja/number.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

class Dumper {
 public:
  Dumper(Env& env, const JsonStyle& style) : env_(env), style_(style) {}
  std::string take() { return std::move(out_); }

  void write(const Value& v, int level) {
    env_.work(0);
    env_.check_size(out_.size());
    switch (v.type()) {
      case Type::kNone: out_ += "null"; return;
      case Type::kBool: out_ += v.small() ? "true" : "false"; return;
      case Type::kInt:
      case Type::kBigInt: out_ += int_text(v); return;
      case Type::kFloat: out_ += number(v.real()); return;
      case Type::kStr: string(v.text()); return;
      case Type::kList:
      case Type::kTuple: list(v.items(), level); return;
      case Type::kDict: dict(v.dict(), level); return;
      default: raise(Exc::kType, "Object of type " + type_name(v) + " is not JSON serializable");
    }
  }

 private:
  static std::string number(double f) {
    if (std::isnan(f)) return "NaN";
    if (std::isinf(f)) return f > 0 ? "Infinity" : "-Infinity";
    return float_repr(f);
  }

  void unicode_escape(uint32_t c) { out_ += fmt::format("\\u{:04x}", c); }

  void string(std::string_view s) {
    env_.work(s.size());
    out_ += '"';
    for (size_t p = 0; p < s.size();) {
      const unsigned char b = static_cast<unsigned char>(s[p]);
      if (b >= 0x80 && style_.ensure_ascii) {
        const uint32_t c = next_char(s, p);
        if (c < 0x10000) unicode_escape(c);
        else unicode_escape(0xd7c0 + (c >> 10)), unicode_escape(0xdc00 + (c & 0x3ff));
        continue;
      }
      ++p;
      switch (b) {
        case '"': out_ += "\\\""; break;
        case '\\': out_ += "\\\\"; break;
        case '\n': out_ += "\\n"; break;
        case '\r': out_ += "\\r"; break;
        case '\t': out_ += "\\t"; break;
        case '\f': out_ += "\\f"; break;
        case '\b': out_ += "\\b"; break;
        default:
          if (b < 0x20) unicode_escape(b);
          else out_ += static_cast<char>(b);
      }
    }
    out_ += '"';
  }

  void line(int level) {
    if (!style_.pretty) return;
    env_.check_size(out_.size() + style_.indent.size() * static_cast<size_t>(level));
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += style_.indent;
  }

  void list(const std::vector<Value>& items, int level) {
    if (items.empty()) {
      out_ += "[]";
      return;
    }
    out_ += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i) out_ += style_.item_separator;
      line(level + 1);
      write(items[i], level + 1);
    }
    line(level);
    out_ += ']';
  }

  void key(const Value& k) {
    switch (k.type()) {
      case Type::kStr: string(k.text()); return;
      case Type::kNone: string("null"); return;
      case Type::kBool: string(k.small() ? "true" : "false"); return;
      case Type::kInt:
      case Type::kBigInt: string(int_text(k)); return;
      case Type::kFloat: string(number(k.real())); return;
      default: raise(Exc::kType, "keys must be str, int, float, bool or None, not " + type_name(k));
    }
  }

  void dict(const Dict& d, int level) {
    if (d.entries.empty()) {
      out_ += "{}";
      return;
    }
    std::vector<const Dict::Entry*> order;
    for (const auto& e : d.entries) order.push_back(&e);
    if (style_.sort_keys)
      stable_sort_values(order, [&](const Dict::Entry* a, const Dict::Entry* b) { return less(env_, a->first, b->first); });
    out_ += '{';
    for (size_t i = 0; i < order.size(); ++i) {
      if (i) out_ += style_.item_separator;
      line(level + 1);
      key(order[i]->first);
      out_ += style_.key_separator;
      write(order[i]->second, level + 1);
    }
    line(level);
    out_ += '}';
  }

  Env& env_;
  const JsonStyle& style_;
  std::string out_;
};

}  // namespace

std::string json_dumps(Env& env, const Value& v, const JsonStyle& style) {
  Dumper dumper(env, style);
  dumper.write(v, 0);
  return dumper.take();
}

}  // namespace transom::jinja
