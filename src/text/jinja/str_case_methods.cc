// The methods of str that map case, ask for character classes, and pad (Objects/unicodeobject.c, restated).
#include <algorithm>

#include "text/jinja/args.h"
#include "text/jinja/number.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/str_methods.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

template <std::string (*F)(std::string_view)>
Value mapped(Env& env, const Value& self, Args& args) {
  bind(args, "str method", {}, 0, Keywords::kRefused);
  env.work(self.text().size() * 2);
  return env.str(F(self.text()), self.str().markup);
}

// All characters have the property, and there is one.
template <bool (*F)(char32_t)>
Value all_are(Env& env, const Value& self, Args& args) {
  bind(args, "str method", {}, 0, Keywords::kRefused);
  const std::string& s = self.text();
  env.work(s.size());
  for (size_t p = 0; p < s.size();)
    if (!F(next_char(s, p))) return Value::boolean(false);
  return Value::boolean(!s.empty());
}

Value str_isprintable(Env& env, const Value& self, Args& args) {
  if (self.text().empty()) return Value::boolean(true);
  return all_are<is_printable>(env, self, args);
}

Value str_isascii(Env&, const Value& self, Args& args) {
  bind(args, "isascii", {}, 0, Keywords::kRefused);
  return Value::boolean(self.str().ascii());
}

Value str_isidentifier(Env&, const Value& self, Args& args) {
  bind(args, "isidentifier", {}, 0, Keywords::kRefused);
  return Value::boolean(is_identifier(self.text()));
}

// Some character is of the wanted case, none of the other or of title case.
bool only_case(std::string_view s, bool want_lower) {
  bool seen = false;
  for (size_t p = 0; p < s.size();) {
    const char32_t c = next_char(s, p);
    if (is_title(c) || (want_lower ? is_upper(c) : is_lower(c))) return false;
    seen = seen || (want_lower ? is_lower(c) : is_upper(c));
  }
  return seen;
}

Value str_islower(Env& env, const Value& self, Args& args) {
  bind(args, "islower", {}, 0, Keywords::kRefused);
  env.work(self.text().size());
  return Value::boolean(only_case(self.text(), true));
}
Value str_isupper(Env& env, const Value& self, Args& args) {
  bind(args, "isupper", {}, 0, Keywords::kRefused);
  env.work(self.text().size());
  return Value::boolean(only_case(self.text(), false));
}

Value str_istitle(Env& env, const Value& self, Args& args) {
  bind(args, "istitle", {}, 0, Keywords::kRefused);
  env.work(self.text().size());
  bool cased = false, previous = false;
  for (size_t p = 0; p < self.text().size();) {
    const char32_t c = next_char(self.text(), p);
    const bool starts = is_upper(c) || is_title(c), continues = is_lower(c);
    if ((starts && previous) || (continues && !previous)) return Value::boolean(false);
    previous = starts || continues;
    cased = cased || previous;
  }
  return Value::boolean(cased);
}

std::string fill_arg(Env& env, const Value& self, const Bound& b, const char* name) {
  if (!b.has(1)) return " ";
  str_arg(b[1], name);
  const std::string fill = self.str().markup ? escaped(env, b[1]) : b[1].text();
  if (count_chars(fill) != 1) raise(Exc::kType, "The fill character must be exactly one character long");
  return fill;
}

std::string repeated(std::string_view s, int64_t n) {
  std::string out;
  for (int64_t i = 0; i < n; ++i) out += s;
  return out;
}

// Padding of `left` and `right` characters around a string.
std::string padded(Env& env, const Str& s, int64_t left, int64_t right, std::string_view fill) {
  left = std::max<int64_t>(left, 0), right = std::max<int64_t>(right, 0);
  const uint64_t bound = env.limits.bytes;
  env.check_size(std::min<uint64_t>(static_cast<uint64_t>(left), bound) * fill.size() +
                 std::min<uint64_t>(static_cast<uint64_t>(right), bound) * fill.size() + s.text.size());
  env.work(static_cast<size_t>(left + right));
  return repeated(fill, left) + s.text + repeated(fill, right);
}

Value str_ljust(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "ljust", {"width", "fillchar"}, 1, Keywords::kRefused);
  const int64_t pad = index_arg(b[0]) - static_cast<int64_t>(self.str().length);
  return env.str(padded(env, self.str(), 0, pad, fill_arg(env, self, b, "ljust")), self.str().markup);
}
Value str_rjust(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "rjust", {"width", "fillchar"}, 1, Keywords::kRefused);
  const int64_t pad = index_arg(b[0]) - static_cast<int64_t>(self.str().length);
  return env.str(padded(env, self.str(), pad, 0, fill_arg(env, self, b, "rjust")), self.str().markup);
}
Value str_center(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "center", {"width", "fillchar"}, 1, Keywords::kRefused);
  return env.str(center_text(env, self.str(), index_arg(b[0]), fill_arg(env, self, b, "center")), self.str().markup);
}

Value str_zfill(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "zfill", {"width"}, 1, Keywords::kRefused);
  const int64_t pad = index_arg(b[0]) - static_cast<int64_t>(self.str().length);
  if (pad <= 0) return self;
  std::string out = padded(env, self.str(), pad, 0, "0");
  const char first = self.text().empty() ? '\0' : self.text()[0];
  if (first == '+' || first == '-') std::swap(out[0], out[static_cast<size_t>(pad)]);
  return env.str(std::move(out), self.str().markup);
}

Value str_expandtabs(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "expandtabs", {"tabsize"}, 0);
  const int64_t size = int_arg(b, 0, 8);
  std::string out;
  int64_t column = 0;
  for (size_t p = 0; p < self.text().size();) {
    const size_t begin = p;
    const char32_t c = next_char(self.text(), p);
    if (c == '\t') {
      if (size <= 0) continue;
      const int64_t n = size - column % size;
      env.check_size(out.size() + static_cast<uint64_t>(n));
      env.work(static_cast<size_t>(n));
      out.append(static_cast<size_t>(n), ' ');
      column += n;
      continue;
    }
    out += self.text().substr(begin, p - begin);
    column = c == '\n' || c == '\r' ? 0 : column + 1;
  }
  return env.str(std::move(out), self.str().markup);
}

Value str_translate(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "translate", {"table"}, 1, Keywords::kRefused);
  std::string out;
  for (size_t p = 0; p < self.text().size();) {
    env.step();
    const char32_t c = next_char(self.text(), p);
    const Value key = Value::integer(c);
    if (!b[0].is(Type::kDict) && !b[0].is_seq() && !b[0].is_str())
      raise(Exc::kType, "'" + type_name(b[0]) + "' object is not subscriptable");
    Value to = get_item(env, b[0], key);
    if (to.is_undefined()) to = key;
    if (to.is_none()) continue;
    if (to.is_str()) out += to.text();
    else if (to.is_int() && clamp_int(to) >= 0 && clamp_int(to) <= 0x10ffff) append_char(out, static_cast<char32_t>(clamp_int(to)));
    else raise(Exc::kType, "character mapping must return integer, None or str");
    env.check_size(out.size());
  }
  return env.str(std::move(out), self.str().markup);
}

Value str_maketrans(Env& env, const Value&, Args& args) {
  const Bound b = bind(args, "maketrans", {"x", "y", "z"}, 1, Keywords::kRefused);
  DictMaker m(env);
  if (!b.has(1)) {
    if (!b[0].is(Type::kDict)) raise(Exc::kType, "if you give only one argument to maketrans it must be a dict");
    for (const auto& [k, v] : b[0].dict().entries) {
      if (k.is_str() && k.str().length != 1) raise(Exc::kValue, "string keys in translate table must be of length 1");
      size_t p = 0;
      m.set(k.is_str() ? Value::integer(next_char(k.text(), p)) : k, v);
    }
    return m.take();
  }
  const std::u32string from = to_chars32(str_arg(b[0], "maketrans")), to = to_chars32(str_arg(b[1], "maketrans"));
  if (from.size() != to.size()) raise(Exc::kValue, "the first two maketrans arguments must have equal length");
  for (size_t i = 0; i < from.size(); ++i) m.set(Value::integer(from[i]), Value::integer(to[i]));
  if (b.has(2))
    for (char32_t c : to_chars32(str_arg(b[2], "maketrans"))) m.set(Value::integer(c), Value::none());
  return m.take();
}

Value str_encode(Env&, const Value&, Args&) { raise(Exc::kUnsupported, "bytes are not supported"); }

constexpr std::pair<std::string_view, Native> kMethods[] = {
    {"capitalize", mapped<capitalize>}, {"casefold", mapped<casefold>}, {"center", str_center}, {"encode", str_encode},
    {"expandtabs", str_expandtabs}, {"isalnum", all_are<is_alnum>}, {"isalpha", all_are<is_alpha>}, {"isascii", str_isascii},
    {"isdecimal", all_are<is_decimal>}, {"isdigit", all_are<is_digit>}, {"isidentifier", str_isidentifier},
    {"islower", str_islower}, {"isnumeric", all_are<is_numeric>}, {"isprintable", str_isprintable},
    {"isspace", all_are<is_space>}, {"istitle", str_istitle}, {"isupper", str_isupper}, {"ljust", str_ljust},
    {"lower", mapped<lower>}, {"maketrans", str_maketrans}, {"rjust", str_rjust}, {"swapcase", mapped<swapcase>},
    {"title", mapped<title>}, {"translate", str_translate}, {"upper", mapped<upper>}, {"zfill", str_zfill},
};

}  // namespace

Native find_str_case_method(std::string_view name) {
  for (const auto& [n, f] : kMethods)
    if (n == name) return f;
  return find_str_format_method(name);
}

std::string center_text(Env& env, const Str& s, int64_t width, std::string_view fill) {
  const int64_t margin = std::max<int64_t>(0, width - static_cast<int64_t>(s.length));
  const int64_t left = margin / 2 + (margin & width & 1);
  return padded(env, s, left, margin - left, fill);
}

}  // namespace transom::jinja
