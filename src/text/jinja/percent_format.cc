// The % operator of strings: see format.h.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "text/jinja/format.h"
#include "text/jinja/objects.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

struct Spec {
  bool left = false, plus = false, space = false, alternate = false, zero = false;
  int64_t width = 0, precision = -1;
  char type = 0;
};

class Percent {
 public:
  Percent(Env& env, const Value& format, const Value& args)
      : env_(env), s_(format.text()), markup_(format.str().markup), args_(args), many_(args.is(Type::kTuple)) {
    mapping_ = args.is(Type::kDict) || args.is(Type::kList) || args.is_undefined() || args.as<Range>();
    single_ = args;
  }

  std::string run() {
    while (at_ < s_.size()) {
      const size_t percent = s_.find('%', at_);
      out_ += s_.substr(at_, percent == std::string::npos ? percent : percent - at_);
      if (percent == std::string::npos) break;
      at_ = percent + 1;
      conversion();
      env_.check_size(out_.size());
    }
    const bool left_over = many_ ? used_ < args_.items().size() : used_ == 0;
    if (left_over && !mapping_) raise(Exc::kType, "not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  char take() {
    if (at_ >= s_.size()) raise(Exc::kValue, "incomplete format");
    return s_[at_++];
  }

  Value next_arg() {
    if (keyed_) {
      if (used_++ > 0) raise(Exc::kType, "not enough arguments for format string");
      return single_;
    }
    if (many_ ? used_ >= args_.items().size() : used_ > 0) raise(Exc::kType, "not enough arguments for format string");
    return many_ ? args_.items()[used_++] : (++used_, single_);
  }

  void key() {
    if (!mapping_) raise(Exc::kType, "format requires a mapping");
    const size_t begin = at_;
    for (int open = 1; open > 0;) {
      const char c = at_ < s_.size() ? s_[at_++] : '\0';
      if (c == '\0' && at_ >= s_.size()) raise(Exc::kValue, "incomplete format key");
      open += c == '(' ? 1 : c == ')' ? -1 : 0;
    }
    const std::string name = s_.substr(begin, at_ - begin - 1);
    if (args_.is_undefined()) args_.undefined().fail();
    if (!args_.is(Type::kDict)) raise(Exc::kType, "indices must be integers or slices, not str");
    const Value* found = args_.dict().find(name);
    if (!found) raise(Exc::kKey, repr_string(name));
    single_ = *found;
    keyed_ = true, used_ = 0;
  }

  int64_t number(char& c) {
    if (c == '*') {
      const Value v = next_arg();
      if (!v.is_int()) raise(Exc::kType, "* wants int");
      c = take();
      return std::clamp<int64_t>(clamp_int(v), -(1 << 30), 1 << 30);
    }
    int64_t n = 0;
    for (; c >= '0' && c <= '9'; c = take()) n = std::min<int64_t>(n * 10 + (c - '0'), 1 << 30);
    return n;
  }

  void conversion() {
    Spec f;
    char c = take();
    if (c == '(') key(), c = take();
    for (;; c = take()) {
      if (c == '-') f.left = true;
      else if (c == '+') f.plus = true;
      else if (c == ' ') f.space = true;
      else if (c == '#') f.alternate = true;
      else if (c == '0') f.zero = true;
      else break;
    }
    f.width = number(c);
    if (f.width < 0) f.left = true, f.width = -f.width;
    if (c == '.') {
      c = take();
      f.precision = std::max<int64_t>(0, number(c));
    }
    if (c == 'h' || c == 'l' || c == 'L') c = take();
    f.type = c;
    if (c == '%') {
      out_ += '%';
      return;
    }
    write(f, next_arg());
  }

  void write(const Spec& f, const Value& v) {
    switch (f.type) {
      case 's': return text(f, markup_ ? escaped(env_, v) : to_str(env_, v));
      case 'r':
      case 'a': {
        const std::string s = f.type == 'r' ? repr(env_, v) : ascii_repr(env_, v);
        return text(f, markup_ ? escape_html(s) : s);
      }
      case 'c': return character(f, v);
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o': return integer(f, v);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G': return real(f, v);
      default: raise(Exc::kValue, std::string("unsupported format character '") + f.type + "'");
    }
  }

  void text(const Spec& f, std::string s) {
    if (f.precision >= 0 && count_chars(s) > static_cast<size_t>(f.precision))
      s.resize(char_offset(s, static_cast<size_t>(f.precision)));
    pad(f, "", s);
  }

  void character(const Spec& f, const Value& v) {
    if (v.is_str() && v.str().length == 1) return pad(f, "", v.text());
    if (!v.is_int()) raise(Exc::kType, "%c requires int or char");
    const int64_t c = clamp_int(v);
    if (c < 0 || c > 0x10ffff) raise(Exc::kOverflow, "%c arg not in range(0x110000)");
    pad(f, "", char_string(static_cast<char32_t>(c)));
  }

  void integer(const Spec& f, const Value& v) {
    if (v.is_undefined()) v.undefined().fail();
    const bool decimal = f.type == 'd' || f.type == 'i' || f.type == 'u';
    if (!v.is_number() || (v.is(Type::kFloat) && !decimal))
      raise(Exc::kType, std::string("%") + f.type + " format: " + (decimal ? "a real number" : "an integer") + " is required, not " + type_name(v));
    const Value n = v.is(Type::kFloat) ? double_to_int(env_, v.real()) : v;
    std::string digits = int_text(n, decimal ? 10 : f.type == 'o' ? 8 : 16);
    const bool negative = digits[0] == '-';
    if (negative) digits.erase(0, 1);
    if (f.type == 'X') digits = upper(digits);
    if (f.precision > static_cast<int64_t>(digits.size())) {
      env_.check_size(static_cast<uint64_t>(f.precision));
      digits.insert(0, static_cast<size_t>(f.precision) - digits.size(), '0');
    }
    std::string prefix = negative ? "-" : f.plus ? "+" : f.space ? " " : "";
    if (f.alternate && !decimal) prefix += f.type == 'o' ? "0o" : f.type == 'x' ? "0x" : "0X";
    pad(f, prefix, digits, true);
  }

  void real(const Spec& f, const Value& v) {
    if (v.is_undefined()) v.undefined().fail();
    if (!v.is_number()) raise(Exc::kType, "must be real number, not " + type_name(v));
    std::string s = print_double(env_, to_double(v), f.type, f.precision < 0 ? 6 : f.precision, f.alternate);
    std::string prefix;
    if (s[0] == '-') prefix = "-", s.erase(0, 1);
    else if (f.plus) prefix = "+";
    else if (f.space) prefix = " ";
    pad(f, prefix, s, true);
  }

  // Fills to the width: with zeros after the sign, or with spaces on one side.
  void pad(const Spec& f, const std::string& prefix, const std::string& body, bool number = false) {
    const int64_t missing = f.width - static_cast<int64_t>(count_chars(prefix) + count_chars(body));
    if (missing > 0) env_.check_size(out_.size() + static_cast<uint64_t>(missing)), env_.work(static_cast<size_t>(missing));
    const std::string fill(static_cast<size_t>(std::max<int64_t>(0, missing)), f.zero && number && !f.left ? '0' : ' ');
    if (f.left) out_ += prefix + body + fill;
    else if (f.zero && number) out_ += prefix + fill + body;
    else out_ += fill + prefix + body;
  }

  Env& env_;
  const std::string& s_;
  bool markup_;
  const Value& args_;
  bool many_, mapping_ = false, keyed_ = false;
  Value single_;
  size_t at_ = 0, used_ = 0;
  std::string out_;
};

}  // namespace

Value percent_format(Env& env, const Value& format, const Value& args) {
  env.work(format.text().size());
  Percent p(env, format, args);
  return env.str(p.run(), format.str().markup);
}

std::string ascii_repr(Env& env, const Value& v) {
  std::string out;
  const std::string s = repr(env, v);
  for (size_t p = 0; p < s.size();) {
    const char32_t c = next_char(s, p);
    if (c < 0x80) out += static_cast<char>(c);
    else out += fmt::format(fmt::runtime(c < 0x100 ? "\\x{:02x}" : c < 0x10000 ? "\\u{:04x}" : "\\U{:08x}"), static_cast<uint32_t>(c));
  }
  return out;
}

std::string print_double(Env& env, double f, char type, int64_t precision, bool alternate) {
  const bool big = type == 'E' || type == 'F' || type == 'G';
  if (!std::isfinite(f)) {
    const std::string word = std::isnan(f) ? "nan" : f < 0 ? "-inf" : "inf";
    return big ? upper(word) : word;
  }
  env.check_size(static_cast<uint64_t>(precision) + 400);
  env.work(static_cast<size_t>(precision));
  const std::string spec = std::string("%") + (alternate ? "#" : "") + ".*" + type;
  const int n = std::snprintf(nullptr, 0, spec.c_str(), static_cast<int>(precision), f);
  std::string out(static_cast<size_t>(n) + 1, '\0');
  std::snprintf(out.data(), out.size(), spec.c_str(), static_cast<int>(precision), f);
  out.pop_back();
  return out;
}

}  // namespace transom::jinja
