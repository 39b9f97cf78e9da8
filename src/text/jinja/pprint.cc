// pprint: see pprint.h. After Python's Lib/pprint.py, restated.
#include "text/jinja/pprint.h"

#include <algorithm>
#include <vector>

#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/str_methods.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

constexpr int64_t kWidth = 80;

class Printer {
 public:
  explicit Printer(Env& env) : env_(env) {}
  std::string take() { return std::move(out_); }

  void format(const Value& v, int64_t indent, int64_t allowance, int level) {
    const DepthGuard guard(env_);
    const std::string text = flat(v);
    env_.check_size(out_.size() + text.size());
    if (static_cast<int64_t>(count_chars(text)) <= kWidth - indent - allowance) {
      out_ += text;
    } else if (v.is(Type::kDict)) {
      dict(v.dict(), indent, allowance, level);
    } else if (v.is_seq() && !v.seq().group) {
      const bool list = v.is(Type::kList);
      const std::string close = list ? "]" : v.items().size() == 1 ? ",)" : ")";
      out_ += list ? '[' : '(';
      items(v.items(), indent, allowance + static_cast<int64_t>(close.size()), level);
      out_ += close;
    } else if (v.is_str() && !v.str().markup) {
      string(v.text(), indent, allowance, level);
    } else {
      out_ += text;
    }
  }

 private:
  // repr() with sorted keys.
  std::string flat(const Value& v) {
    env_.work(v.obj() ? v.obj()->bytes : 0);
    std::string out;
    if (v.is(Type::kDict)) {
      for (const auto* e : sorted(v.dict())) out += (out.empty() ? "" : ", ") + flat(e->first) + ": " + flat(e->second);
      return "{" + out + "}";
    }
    if (v.is_seq() && !v.seq().group) {
      for (size_t i = 0; i < v.items().size(); ++i) out += (i ? ", " : "") + flat(v.items()[i]);
      if (v.is(Type::kList)) return "[" + out + "]";
      return "(" + out + (v.items().size() == 1 ? ",)" : ")");
    }
    return repr(env_, v);
  }

  std::vector<const Dict::Entry*> sorted(const Dict& d) {
    std::vector<const Dict::Entry*> order;
    for (const auto& e : d.entries) order.push_back(&e);
    stable_sort_values(order, [&](const Dict::Entry* a, const Dict::Entry* b) {
      try {
        return less(env_, a->first, b->first);
      } catch (const PyError& e) {
        if (e.exc != Exc::kType) throw;
        return type_name(a->first) < type_name(b->first);
      }
    });
    return order;
  }

  void dict(const Dict& d, int64_t indent, int64_t allowance, int level) {
    out_ += '{';
    const auto order = sorted(d);
    for (size_t i = 0; i < order.size(); ++i) {
      const std::string key = flat(order[i]->first);
      if (i) out_ += ",\n" + std::string(static_cast<size_t>(indent + 1), ' ');
      out_ += key + ": ";
      const bool last = i + 1 == order.size();
      format(order[i]->second, indent + 1 + static_cast<int64_t>(count_chars(key)) + 2, last ? allowance + 1 : 1, level + 1);
    }
    out_ += '}';
  }

  void items(const std::vector<Value>& values, int64_t indent, int64_t allowance, int level) {
    for (size_t i = 0; i < values.size(); ++i) {
      if (i) out_ += ",\n" + std::string(static_cast<size_t>(indent + 1), ' ');
      format(values[i], indent + 1, i + 1 == values.size() ? allowance : 1, level + 1);
    }
  }

  static int64_t shown(std::string_view s) { return static_cast<int64_t>(count_chars(repr_string(s))); }

  // The pieces of one line that is too long: words with the white space after them, as many as fit.
  void split_line(std::string_view line, int64_t width, int64_t last_width, std::vector<std::string>& chunks) {
    std::vector<std::string_view> parts;
    for (size_t p = 0; p < line.size();) {
      const size_t begin = p;
      const auto skip = [&](bool space) {
        for (size_t q = p; p < line.size() && is_space(next_char(line, q)) == space;) p = q;
      };
      skip(false), skip(true);
      parts.push_back(line.substr(begin, p - begin));
    }
    std::string current;
    for (size_t j = 0; j < parts.size(); ++j) {
      env_.work(current.size());
      const std::string candidate = current + std::string(parts[j]);
      if (shown(candidate) > (j + 1 == parts.size() ? last_width : width)) {
        if (!current.empty()) chunks.push_back(repr_string(current));
        current = parts[j];
      } else {
        current = candidate;
      }
    }
    if (!current.empty()) chunks.push_back(repr_string(current));
  }

  void string(std::string_view s, int64_t indent, int64_t allowance, int level) {
    const bool top = level == 1;
    if (top) ++indent, ++allowance;
    const int64_t width = kWidth - indent;
    std::vector<std::string> chunks;
    const std::vector<std::string> lines = split_lines(s, true);
    std::string rep;
    for (size_t i = 0; i < lines.size(); ++i) {
      const bool last = i + 1 == lines.size();
      rep = repr_string(lines[i]);
      if (shown(lines[i]) <= width - (last ? allowance : 0)) chunks.push_back(rep);
      else split_line(lines[i], width, width - (last ? allowance : 0), chunks);
    }
    if (chunks.size() == 1) {
      out_ += rep;
      return;
    }
    if (top) out_ += '(';
    for (size_t i = 0; i < chunks.size(); ++i) {
      if (i) out_ += "\n" + std::string(static_cast<size_t>(indent), ' ');
      out_ += chunks[i];
    }
    if (top) out_ += ')';
  }

  Env& env_;
  std::string out_;
};

}  // namespace

std::string pretty_print(Env& env, const Value& v) {
  Printer p(env);
  p.format(v, 0, 0, 1);
  return p.take();
}

}  // namespace transom::jinja
