// The methods of str that search, split, join and strip, with Python's semantics (Objects/unicodeobject.c, restated).
// On Markup the results are Markup and text taken from arguments is escaped, as markupsafe does it.
#include "text/jinja/str_methods.h"

#include <algorithm>
#include <limits>

#include "text/jinja/args.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

// The part of a string that [start, end) selects, and whether start lies beyond the end (then nothing is found, not even "").
struct Window {
  std::string_view text;
  int64_t start = 0;
  bool valid = true;
};

Window window(Env& env, const Value& self, const Bound& b, size_t first) {
  const Str& s = self.str();
  const int64_t n = static_cast<int64_t>(s.length);
  const auto part = [&](size_t i, int64_t absent) {
    return b.has(i) && !b[i].is_none() ? index_arg(b[i], "slice indices must be integers or None or have an __index__ method") : absent;
  };
  int64_t start = part(first, 0), end = part(first + 1, kEnd);
  end = end > n ? n : end < 0 ? std::max<int64_t>(0, end + n) : end;
  if (start < 0) start = std::max<int64_t>(0, start + n);
  if (start > end) return {{}, start, false};
  env.work(s.text.size());
  const size_t begin = s.ascii() ? static_cast<size_t>(start) : char_offset(s.text, static_cast<size_t>(start));
  const size_t stop = s.ascii() ? static_cast<size_t>(end) : char_offset(s.text, static_cast<size_t>(end));
  return {std::string_view(s.text).substr(begin, stop - begin), start, true};
}

Value search(Env& env, const Value& self, Args& args, const char* name, bool backwards, bool must) {
  const Bound b = bind(args, name, {"sub", "start", "end"}, 1, Keywords::kRefused);
  const std::string& sub = str_arg(b[0], name);
  const Window w = window(env, self, b, 1);
  const size_t at = !w.valid ? std::string_view::npos : backwards ? w.text.rfind(sub) : w.text.find(sub);
  if (at == std::string_view::npos) {
    if (must) raise(Exc::kValue, "substring not found");
    return Value::integer(-1);
  }
  return Value::integer(w.start + static_cast<int64_t>(count_chars(w.text.substr(0, at))));
}

Value str_find(Env& e, const Value& s, Args& a) { return search(e, s, a, "find", false, false); }
Value str_rfind(Env& e, const Value& s, Args& a) { return search(e, s, a, "rfind", true, false); }
Value str_index(Env& e, const Value& s, Args& a) { return search(e, s, a, "index", false, true); }
Value str_rindex(Env& e, const Value& s, Args& a) { return search(e, s, a, "rindex", true, true); }

Value str_count(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "count", {"sub", "start", "end"}, 1, Keywords::kRefused);
  const std::string& sub = str_arg(b[0], "count");
  const Window w = window(env, self, b, 1);
  if (!w.valid) return Value::integer(0);
  if (sub.empty()) return Value::integer(static_cast<int64_t>(count_chars(w.text)) + 1);
  int64_t n = 0;
  for (size_t at = w.text.find(sub); at != std::string_view::npos; at = w.text.find(sub, at + sub.size())) ++n;
  return Value::integer(n);
}

Value affix(Env& env, const Value& self, Args& args, const char* name, bool suffix) {
  const Bound b = bind(args, name, {"affix", "start", "end"}, 1, Keywords::kRefused);
  const Window w = window(env, self, b, 1);
  const auto matches = [&](const Value& v) {
    if (!v.is_str()) raise(Exc::kType, std::string(name) + " first arg must be str or a tuple of str, not " + type_name(v));
    return w.valid && (suffix ? w.text.ends_with(v.text()) : w.text.starts_with(v.text()));
  };
  if (!b[0].is(Type::kTuple)) return Value::boolean(matches(b[0]));
  for (const Value& v : b[0].items())
    if (matches(v)) return Value::boolean(true);
  return Value::boolean(false);
}

Value str_startswith(Env& e, const Value& s, Args& a) { return affix(e, s, a, "startswith", false); }
Value str_endswith(Env& e, const Value& s, Args& a) { return affix(e, s, a, "endswith", true); }

Value str_removeprefix(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "removeprefix", {"prefix"}, 1, Keywords::kRefused);
  const std::string& prefix = str_arg(b[0], "removeprefix");
  const bool hit = self.text().starts_with(prefix);
  return env.str(hit ? self.text().substr(prefix.size()) : self.text(), self.str().markup);
}

Value str_removesuffix(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "removesuffix", {"suffix"}, 1, Keywords::kRefused);
  const std::string& suffix = str_arg(b[0], "removesuffix");
  const bool hit = !suffix.empty() && self.text().ends_with(suffix);
  return env.str(hit ? self.text().substr(0, self.text().size() - suffix.size()) : self.text(), self.str().markup);
}

Value strip_method(Env& env, const Value& self, Args& args, const char* name, bool left, bool right) {
  const Bound b = bind(args, name, {"chars"}, 0, Keywords::kRefused);
  if (b.has(0) && !b[0].is_none() && !b[0].is_str()) raise(Exc::kType, std::string(name) + " arg must be None or str");
  return strip_value(env, self, b.get(0, Value::none()), left, right);
}
Value str_strip(Env& e, const Value& s, Args& a) { return strip_method(e, s, a, "strip", true, true); }
Value str_lstrip(Env& e, const Value& s, Args& a) { return strip_method(e, s, a, "lstrip", true, false); }
Value str_rstrip(Env& e, const Value& s, Args& a) { return strip_method(e, s, a, "rstrip", false, true); }

using Parts = std::vector<std::string_view>;

Parts split_space(std::string_view s, int64_t limit) {
  Parts out;
  size_t p = 0;
  while (p < s.size()) {
    const std::string_view rest = strip(s.substr(p), true, false);
    if (rest.empty()) break;
    const size_t begin = s.size() - rest.size();
    if (limit >= 0 && static_cast<int64_t>(out.size()) >= limit) {
      out.push_back(s.substr(begin));
      return out;
    }
    size_t end = begin;
    for (p = begin; p < s.size(); end = p)
      if (is_space(next_char(s, p))) break;
    out.push_back(s.substr(begin, end - begin));
    if (end == s.size()) break;
  }
  return out;
}

Parts rsplit_space(std::string_view s, int64_t limit) {
  Parts out;
  for (;;) {
    s = strip(s, false, true);
    if (s.empty()) break;
    if (limit >= 0 && static_cast<int64_t>(out.size()) >= limit) {
      out.push_back(s);
      break;
    }
    size_t begin = s.size();
    for (size_t p = s.size(); p > 0; begin = p)
      if (is_space(previous_char(s, p))) break;
    out.push_back(s.substr(begin));
    s = s.substr(0, begin);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

Parts split_sep(std::string_view s, std::string_view sep, int64_t limit) {
  Parts out;
  size_t from = 0;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t at = s.find(sep, from);
    if (at == std::string_view::npos) break;
    out.push_back(s.substr(from, at - from));
    from = at + sep.size();
  }
  out.push_back(s.substr(from));
  return out;
}

Parts rsplit_sep(std::string_view s, std::string_view sep, int64_t limit) {
  Parts out;
  while (limit < 0 || static_cast<int64_t>(out.size()) < limit) {
    const size_t at = s.rfind(sep);
    if (at == std::string_view::npos) break;
    out.push_back(s.substr(at + sep.size()));
    s = s.substr(0, at);
  }
  out.push_back(s);
  std::reverse(out.begin(), out.end());
  return out;
}

Value list_of(Env& env, const Parts& parts, bool markup) {
  std::vector<Value> out;
  out.reserve(parts.size());
  for (const std::string_view p : parts) out.push_back(env.str(p, markup));
  return env.list(std::move(out));
}

Value split_method(Env& env, const Value& self, Args& args, const char* name, bool backwards) {
  const Bound b = bind(args, name, {"sep", "maxsplit"}, 0);
  const int64_t limit = int_arg(b, 1, -1);
  env.work(self.text().size() * 2);
  if (!b.has(0) || b[0].is_none())
    return list_of(env, backwards ? rsplit_space(self.text(), limit) : split_space(self.text(), limit), self.str().markup);
  if (!b[0].is_str()) raise(Exc::kType, "must be str or None, not " + type_name(b[0]));
  if (b[0].text().empty()) raise(Exc::kValue, "empty separator");
  const std::string& sep = b[0].text();
  return list_of(env, backwards ? rsplit_sep(self.text(), sep, limit) : split_sep(self.text(), sep, limit), self.str().markup);
}
Value str_split(Env& e, const Value& s, Args& a) { return split_method(e, s, a, "split", false); }
Value str_rsplit(Env& e, const Value& s, Args& a) { return split_method(e, s, a, "rsplit", true); }

Value str_splitlines(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "splitlines", {"keepends"}, 0);
  std::vector<Value> out;
  for (const auto& line : split_lines(self.text(), int_arg(b, 0, 0) != 0)) out.push_back(env.str(line, self.str().markup));
  return env.list(std::move(out));
}

Value partition_method(Env& env, const Value& self, Args& args, const char* name, bool backwards) {
  const Bound b = bind(args, name, {"sep"}, 1, Keywords::kRefused);
  const std::string& sep = str_arg(b[0], name);
  if (sep.empty()) raise(Exc::kValue, "empty separator");
  const std::string_view s = self.text();
  const bool m = self.str().markup;
  const size_t at = backwards ? s.rfind(sep) : s.find(sep);
  if (at == std::string_view::npos) {
    Value empty = env.str(std::string(), m), whole = env.str(s, m);
    return backwards ? env.tuple({empty, empty, whole}) : env.tuple({whole, empty, empty});
  }
  return env.tuple({env.str(s.substr(0, at), m), env.str(sep, m), env.str(s.substr(at + sep.size()), m)});
}
Value str_partition(Env& e, const Value& s, Args& a) { return partition_method(e, s, a, "partition", false); }
Value str_rpartition(Env& e, const Value& s, Args& a) { return partition_method(e, s, a, "rpartition", true); }

Value str_join(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "join", {"iterable"}, 1, Keywords::kRefused);
  const Value it = iterate(env, b[0]);
  std::string out;
  Value v;
  for (int64_t i = 0; next(env, it, v); ++i) {
    if (!v.is_str() && !self.str().markup)
      raise(Exc::kType, "sequence item " + std::to_string(i) + ": expected str instance, " + type_name(v) + " found");
    if (i) out += self.text();
    out += self.str().markup ? escaped(env, v) : v.text();
    env.work(v.is_str() ? v.text().size() : 0);
    env.check_size(out.size());
  }
  return env.str(std::move(out), self.str().markup);
}

Value str_replace(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "replace", {"old", "new", "count"}, 2, Keywords::kRefused);
  const std::string& old = str_arg(b[0], "replace");
  str_arg(b[1], "replace");
  const std::string with = self.str().markup ? escaped(env, b[1]) : b[1].text();
  return env.str(replace_text(env, self.text(), old, with, int_arg(b, 2, -1)), self.str().markup);
}

constexpr std::pair<std::string_view, Native> kMethods[] = {
    {"count", str_count}, {"endswith", str_endswith}, {"find", str_find}, {"index", str_index}, {"join", str_join},
    {"lstrip", str_lstrip}, {"partition", str_partition}, {"removeprefix", str_removeprefix},
    {"removesuffix", str_removesuffix}, {"replace", str_replace}, {"rfind", str_rfind}, {"rindex", str_rindex},
    {"rpartition", str_rpartition}, {"rsplit", str_rsplit}, {"rstrip", str_rstrip}, {"split", str_split},
    {"splitlines", str_splitlines}, {"startswith", str_startswith}, {"strip", str_strip},
};

}  // namespace

Native find_str_method(std::string_view name) {
  for (const auto& [n, f] : kMethods)
    if (n == name) return f;
  return find_str_case_method(name);
}

Value strip_value(Env& env, const Value& self, const Value& chars, bool left, bool right) {
  const std::string& s = self.text();
  if (chars.is_none()) {
    const std::string_view cut = strip(s, left, right);
    return cut.size() == s.size() ? self : env.str(cut, self.str().markup);
  }
  const std::u32string set = to_chars32(chars.text());
  env.work(s.size());
  const auto in_set = [&](char32_t c) { return env.step(), set.find(c) != std::u32string::npos; };
  size_t begin = 0, end = s.size();
  for (size_t p = begin; left && begin < end; begin = p)
    if (!in_set(next_char(s, p))) break;
  for (size_t p = end; right && end > begin; end = p)
    if (!in_set(previous_char(s, p))) break;
  return env.str(s.substr(begin, end - begin), self.str().markup);
}

std::vector<std::string> split_lines(std::string_view s, bool keep_ends) {
  std::vector<std::string> out;
  size_t from = 0;
  for (size_t p = 0; p < s.size();) {
    const size_t end = p;
    const char32_t c = next_char(s, p);
    const bool breaks = (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (!breaks) continue;
    if (c == '\r' && p < s.size() && s[p] == '\n') ++p;
    out.emplace_back(s.substr(from, (keep_ends ? p : end) - from));
    from = p;
  }
  if (from < s.size()) out.emplace_back(s.substr(from));
  return out;
}

std::string replace_text(Env& env, std::string_view s, std::string_view old, std::string_view with, int64_t count) {
  env.work(s.size());
  std::string out;
  const auto put = [&](std::string_view part) {
    out += part;
    if (out.size() > s.size() + (1 << 20)) env.check_size(out.size());
  };
  size_t from = 0;
  for (int64_t n = 0; count < 0 || n < count; ++n) {
    if (old.empty()) {  // between all characters, and at both ends
      put(with);
      env.work(with.size());
      if (from >= s.size()) return out;
      const size_t begin = from;
      next_char(s, from);
      put(s.substr(begin, from - begin));
      continue;
    }
    const size_t at = s.find(old, from);
    if (at == std::string_view::npos) break;
    put(s.substr(from, at - from));
    put(with);
    env.work(with.size());
    from = at + old.size();
  }
  put(s.substr(from));
  return out;
}

}  // namespace transom::jinja
