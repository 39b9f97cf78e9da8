// str.format as the sandbox runs it (string.Formatter with guarded field access), and the format-spec mini-language.
#include <algorithm>
#include <cmath>

#include "text/jinja/args.h"
#include "text/jinja/format.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/str_methods.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

struct Spec {
  char32_t fill = ' ', align = 0;
  bool fill_given = false, alternate = false, no_minus_zero = false;
  char sign = '-', grouping = 0, type = 0;
  int64_t width = -1, precision = -1;
};

bool is_align(char32_t c) { return c == '<' || c == '>' || c == '=' || c == '^'; }

int64_t read_number(std::string_view s, size_t& at) {
  int64_t n = -1;
  for (; at < s.size() && s[at] >= '0' && s[at] <= '9'; ++at) n = std::max<int64_t>(n, 0) * 10 + (s[at] - '0');
  if (n > (1 << 30)) raise(Exc::kValue, "Too many decimal digits in format string");
  return n;
}

Spec parse_spec(std::string_view s, char32_t default_align) {
  Spec f;
  f.align = default_align;
  bool align_given = false;
  size_t at = 0, after = 0;
  char32_t first = 0;
  if (!s.empty()) first = next_char(s, after);
  if (after < s.size() && is_align(static_cast<unsigned char>(s[after]))) {
    f.fill = first, f.align = static_cast<unsigned char>(s[after]), f.fill_given = align_given = true;
    at = after + 1;
  } else if (is_align(first)) {
    f.align = first, align_given = true;
    at = 1;
  }
  const auto peek = [&](char c) { return at < s.size() && s[at] == c; };
  if (peek('+') || peek('-') || peek(' ')) f.sign = s[at++];
  else f.sign = 0;
  if (peek('z')) f.no_minus_zero = true, ++at;
  if (peek('#')) f.alternate = true, ++at;
  if (!f.fill_given && peek('0')) {
    f.fill = '0', f.fill_given = true, ++at;
    if (!align_given && default_align == '>') f.align = '=';
  }
  f.width = read_number(s, at);
  if (peek(',')) f.grouping = ',', ++at;
  if (peek('_')) {
    if (f.grouping) raise(Exc::kValue, "Cannot specify both ',' and '_'.");
    f.grouping = '_', ++at;
  }
  if (peek(',')) raise(Exc::kValue, f.grouping == ',' ? "Cannot specify ',' with ','." : "Cannot specify both ',' and '_'.");
  if (peek('.')) {
    ++at;
    f.precision = read_number(s, at);
    if (f.precision < 0) raise(Exc::kValue, "Format specifier missing precision");
  }
  if (s.size() - at > 1) raise(Exc::kValue, "Invalid format specifier");
  if (at < s.size()) f.type = s[at];
  return f;
}

std::string pad(Env& env, const Spec& f, const std::string& sign, const std::string& body) {
  const int64_t missing = std::max<int64_t>(0, f.width - static_cast<int64_t>(count_chars(sign) + count_chars(body)));
  env.check_size(static_cast<uint64_t>(missing) * 4);
  env.work(static_cast<size_t>(missing));
  const int64_t left = f.align == '>' ? missing : f.align == '^' ? missing / 2 : 0;
  const auto fill = [&](int64_t n) {
    std::string out;
    for (int64_t i = 0; i < n; ++i) append_char(out, f.fill);
    return out;
  };
  if (f.align == '=') return sign + fill(missing) + body;
  return fill(left) + sign + body + fill(missing - left);
}

// Inserts separators into `digits`, filling with zeros until `min_width` characters are there.
std::string grouped(Env& env, std::string digits, char separator, int group, int64_t min_width) {
  env.check_size(static_cast<uint64_t>(std::max<int64_t>(0, min_width)));
  std::string reversed;
  int64_t remaining = static_cast<int64_t>(digits.size());
  bool first = true;
  while (remaining > 0 || min_width > 0 || first) {
    if (!first) reversed += separator, --min_width;
    const int64_t take = std::min<int64_t>(group, std::max<int64_t>({remaining, min_width, 1}));
    for (int64_t i = 0; i < take; ++i, --remaining) reversed += remaining > 0 ? digits[static_cast<size_t>(remaining) - 1] : '0';
    remaining = std::max<int64_t>(remaining, 0);
    min_width -= take;
    first = false;
  }
  return {reversed.rbegin(), reversed.rend()};
}

// Sign, prefix, grouped digits and the rest (fraction, exponent, percent sign), padded.
std::string finish_number(Env& env, const Spec& f, bool negative, const std::string& prefix, std::string digits, const std::string& rest) {
  const std::string sign = (negative ? "-" : f.sign == '+' ? "+" : f.sign == ' ' ? " " : "") + prefix;
  if (f.grouping) {
    const bool quads = f.type == 'b' || f.type == 'o' || f.type == 'x' || f.type == 'X';
    const int64_t room = f.width - static_cast<int64_t>(sign.size() + rest.size());
    digits = grouped(env, digits, f.grouping, quads ? 4 : 3, f.fill == '0' && f.align == '=' ? room : 0);
  }
  return pad(env, f, sign, digits + rest);
}

[[noreturn]] void bad_type(const Spec& f, const Value& v) {
  raise(Exc::kValue, std::string("Unknown format code '") + f.type + "' for object of type '" + type_name(v) + "'");
}

std::string format_float(Env& env, const Spec& f, const Value& v) {
  char type = f.type;
  double d = to_double(v);
  if (type && std::string_view("eEfFgGn%").find(type) == std::string_view::npos) bad_type(f, v);
  if (type == 'n' && f.grouping) raise(Exc::kValue, "Cannot specify ',' with 'n'.");
  std::string s;
  if (type == 0 && f.precision < 0) {
    s = float_repr(d);
  } else if (type == 0) {
    s = print_double(env, d, 'g', std::max<int64_t>(1, f.precision), f.alternate);
    // repr-like: an exponent already at the precision, and one digit after the point
    const int exponent = d == 0 || !std::isfinite(d) ? 0 : std::atoi(print_double(env, d, 'e', std::max<int64_t>(1, f.precision) - 1, false).substr(
        print_double(env, d, 'e', std::max<int64_t>(1, f.precision) - 1, false).find('e') + 1).c_str());
    if (std::isfinite(d) && s.find('e') == std::string::npos && exponent == std::max<int64_t>(1, f.precision) - 1 && f.precision <= exponent + 1) {
      s = print_double(env, d, 'e', std::max<int64_t>(1, f.precision) - 1, f.alternate);
      const size_t e = s.find('e');
      std::string mantissa = s.substr(0, e);
      if (mantissa.find('.') != std::string::npos && !f.alternate) {
        while (mantissa.back() == '0') mantissa.pop_back();
        if (mantissa.back() == '.') mantissa.pop_back();
      }
      s = mantissa + s.substr(e);
    } else if (std::isfinite(d) && s.find_first_of(".e") == std::string::npos) {
      s += ".0";
    }
  } else {
    if (type == '%') d *= 100, type = 'f';
    if (type == 'n') type = 'g';
    s = print_double(env, d, type, f.precision < 0 ? 6 : f.precision, f.alternate);
    if (f.type == '%') s += '%';
  }
  bool negative = s[0] == '-';
  if (negative) s.erase(0, 1);
  if (negative && f.no_minus_zero && s.find_first_of("123456789in") == std::string::npos) negative = false;
  const size_t whole = s[0] >= '0' && s[0] <= '9' ? std::min(s.find_first_not_of("0123456789"), s.size()) : 0;
  if (whole == 0) return pad(env, f, negative ? "-" : f.sign == '+' ? "+" : f.sign == ' ' ? " " : "", s);
  return finish_number(env, f, negative, "", s.substr(0, whole), s.substr(whole));
}

std::string format_int(Env& env, const Spec& f, const Value& v) {
  if (f.type && std::string_view("eEfFgG%").find(f.type) != std::string_view::npos) return format_float(env, f, v);
  if (f.precision >= 0) raise(Exc::kValue, "Precision not allowed in integer format specifier");
  if (f.no_minus_zero) raise(Exc::kValue, "Negative zero coercion (z) not allowed in format specifier with integer format");
  if (f.type == 'c') {
    if (f.sign) raise(Exc::kValue, "Sign not allowed with integer format specifier 'c'");
    if (f.alternate) raise(Exc::kValue, "Alternate form (#) not allowed with integer format specifier 'c'");
    if (f.grouping) raise(Exc::kValue, "Cannot specify ',' with 'c'.");
    const int64_t c = clamp_int(v);
    if (c < 0 || c > 0x10ffff) raise(Exc::kOverflow, "%c arg not in range(0x110000)");
    return pad(env, f, "", char_string(static_cast<char32_t>(c)));
  }
  int base = 10;
  std::string prefix;
  switch (f.type) {
    case 0:
    case 'd':
    case 'n': break;
    case 'b': base = 2, prefix = "0b"; break;
    case 'o': base = 8, prefix = "0o"; break;
    case 'x': base = 16, prefix = "0x"; break;
    case 'X': base = 16, prefix = "0X"; break;
    default: bad_type(f, v);
  }
  if (f.grouping == ',' && base != 10) raise(Exc::kValue, std::string("Cannot specify ',' with '") + f.type + "'.");
  if (f.grouping && f.type == 'n') raise(Exc::kValue, "Cannot specify ',' with 'n'.");
  std::string digits = int_text(v, base);
  const bool negative = digits[0] == '-';
  if (negative) digits.erase(0, 1);
  if (f.type == 'X') digits = upper(digits);
  return finish_number(env, f, negative, f.alternate ? prefix : "", digits, "");
}

std::string format_text(Env& env, const Spec& f, const Value& v) {
  if (f.sign) raise(Exc::kValue, "Sign not allowed in string format specifier");
  if (f.no_minus_zero) raise(Exc::kValue, "Negative zero coercion (z) not allowed in string format specifier");
  if (f.alternate) raise(Exc::kValue, "Alternate form (#) not allowed in string format specifier");
  if (f.align == '=') raise(Exc::kValue, "'=' alignment not allowed in string format specifier");
  if (f.grouping) raise(Exc::kValue, "Cannot specify ',' with 's'.");
  if (f.type && f.type != 's') bad_type(f, v);
  std::string s = v.text();
  if (f.precision >= 0 && v.str().length > static_cast<size_t>(f.precision)) s.resize(char_offset(s, static_cast<size_t>(f.precision)));
  return pad(env, f, "", s);
}

// One run of str.format.
class Formatter {
 public:
  Formatter(Env& env, const Args& args, bool markup) : env_(env), args_(args), markup_(markup) {}

  std::string run(std::string_view s, int depth) {
    if (depth < 0) raise(Exc::kValue, "Max string recursion exceeded");
    std::string out;
    for (size_t at = 0; at < s.size();) {
      env_.step();
      const char c = s[at];
      if ((c == '{' || c == '}') && at + 1 < s.size() && s[at + 1] == c) {
        out += c, at += 2;
      } else if (c == '}') {
        raise(Exc::kValue, "Single '}' encountered in format string");
      } else if (c == '{') {
        out += field(s, ++at, depth);
        env_.check_size(out.size());
      } else {
        const size_t end = std::min(s.find_first_of("{}", at), s.size());
        out += s.substr(at, end - at);
        at = end;
      }
    }
    return out;
  }

 private:
  // A replacement field; `at` stands after its "{" and is moved past its "}".
  std::string field(std::string_view s, size_t& at, int depth) {
    const size_t begin = at;
    int open = 1;
    bool in_index = false;
    size_t name_end = std::string_view::npos;
    for (; at < s.size() && open > 0; ++at) {
      const char c = s[at];
      if (c == '{' && name_end == std::string_view::npos) raise(Exc::kValue, "unexpected '{' in field name");
      if (name_end == std::string_view::npos && c == '[') in_index = true;
      else if (name_end == std::string_view::npos && c == ']') in_index = false;
      else if (in_index && name_end == std::string_view::npos) continue;
      else if ((c == '!' || c == ':') && name_end == std::string_view::npos) name_end = at;
      else if (c == '{') ++open;
      else if (c == '}') --open;
    }
    if (open > 0) raise(Exc::kValue, "expected '}' before end of string");
    const size_t end = at - 1;
    std::string_view name = s.substr(begin, std::min(name_end, end) - begin), spec;
    char conversion = 0;
    size_t after = std::min(name_end, end);
    if (after < end && s[after] == '!') {
      if (after + 1 >= end) raise(Exc::kValue, "unmatched '{' in format spec");
      conversion = s[after + 1];
      after += 2;
      if (after < end && s[after] != ':') raise(Exc::kValue, "expected ':' after conversion specifier");
    }
    if (after < end) spec = s.substr(after + 1, end - after - 1);
    Value v = convert(lookup(name), conversion);
    const std::string inner = run(spec, depth - 1);
    if (!markup_) return format_value(env_, v, inner);
    if (v.is_str() && v.str().markup) {
      if (!inner.empty()) raise(Exc::kValue, "Unsupported format specification for Markup.");
      return v.text();
    }
    return escape_html(format_value(env_, v, inner));
  }

  Value convert(Value v, char conversion) {
    switch (conversion) {
      case 0: return v;
      case 's': return env_.str(to_str(env_, v));
      case 'r': return env_.str(repr(env_, v));
      case 'a': return env_.str(ascii_repr(env_, v));
      default: raise(Exc::kValue, std::string("Unknown conversion specifier ") + conversion);
    }
  }

  static bool all_digits(std::string_view s) {
    return !s.empty() && s.size() < 18 && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  Value lookup(std::string_view name) {
    size_t at = std::min(name.find_first_of(".["), name.size());
    std::string first(name.substr(0, at));
    if (first.empty()) {
      if (numbering_ == 2) raise(Exc::kValue, "cannot switch from manual field specification to automatic field numbering");
      numbering_ = 1;
      first = std::to_string(automatic_++);
    } else if (all_digits(first)) {
      if (numbering_ == 1) raise(Exc::kValue, "cannot switch from manual field specification to automatic field numbering");
      numbering_ = 2;
    }
    Value v = argument(first);
    while (at < name.size()) {
      if (name[at] == '.') {
        const size_t end = std::min(name.find_first_of(".[", at + 1), name.size());
        if (end == at + 1) raise(Exc::kValue, "Empty attribute in format string");
        v = get_attribute(env_, v, env_.str(name.substr(at + 1, end - at - 1)));
        at = end;
        continue;
      }
      if (name[at] != '[') raise(Exc::kValue, "Only '.' or '[' may follow ']' in format field specifier");
      const size_t end = name.find(']', at);
      if (end == std::string_view::npos) raise(Exc::kValue, "Missing ']' in format string");
      const std::string key(name.substr(at + 1, end - at - 1));
      if (key.empty()) raise(Exc::kValue, "Empty attribute in format string");
      v = get_item(env_, v, all_digits(key) ? int_from_digits(&env_.heap, key) : env_.str(key));
      at = end + 1;
    }
    return v;
  }

  Value argument(const std::string& name) {
    if (all_digits(name)) {
      const size_t i = static_cast<size_t>(std::stoull(name));
      if (i >= args_.positional.size()) raise(Exc::kIndex, "Replacement index " + name + " out of range for positional args tuple");
      return args_.positional[i];
    }
    for (const auto& [k, v] : args_.named)
      if (k == name) return v;
    raise(Exc::kKey, repr_string(name));
  }

  Env& env_;
  const Args& args_;
  bool markup_;
  int numbering_ = 0;  // 1 automatic, 2 manual
  size_t automatic_ = 0;
};

Value str_format_map(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "format_map", {"mapping"}, 1, Keywords::kRefused);
  if (!b[0].is(Type::kDict)) raise(Exc::kType, "format_map() argument must be a mapping");
  Args named;
  for (const auto& [k, v] : b[0].dict().entries)
    if (k.is_str()) named.named.emplace_back(k.text(), v);
  return str_format(env, self, named);
}

}  // namespace

std::string format_value(Env& env, const Value& v, std::string_view spec) {
  if (v.is_str()) return spec.empty() ? v.text() : format_text(env, parse_spec(spec, '<'), v);
  if (spec.empty()) return to_str(env, v);
  if (v.is_int()) return format_int(env, parse_spec(spec, '>'), v);
  if (v.is(Type::kFloat)) return format_float(env, parse_spec(spec, '>'), v);
  raise(Exc::kType, "unsupported format string passed to " + type_name(v) + ".__format__");
}

Value str_format(Env& env, const Value& self, Args& args) {
  env.work(self.text().size());
  return env.str(Formatter(env, args, self.str().markup).run(self.text(), 2), self.str().markup);
}

Native find_str_format_method(std::string_view name) {
  return name == "format" ? str_format : name == "format_map" ? str_format_map : nullptr;
}

}  // namespace transom::jinja
