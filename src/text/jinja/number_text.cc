// Numbers from text and floats to text, as Python's int(), float() and repr() do it.
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

// Strips white space and writes every script's decimal digits as ASCII, as Python does before it parses a number.
std::string ascii_number(std::string_view text) {
  std::string out;
  const std::string_view s = strip(text);
  for (size_t p = 0; p < s.size();) {
    const char32_t c = next_char(s, p);
    if (c < 0x80) out += static_cast<char>(c);
    else if (const auto d = decimal_value(c)) out += static_cast<char>('0' + *d);
    else out += '?';
  }
  return out;
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char l = static_cast<char>(c | 0x20);
  return l >= 'a' && l <= 'z' ? l - 'a' + 10 : 99;
}

// Removes single underscores between digits; nothing when one stands elsewhere.
bool drop_underscores(std::string& s, bool leading_allowed) {
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] != '_') {
      out += s[i];
      continue;
    }
    const bool before = i > 0 ? s[i - 1] != '_' && digit_of(s[i - 1]) < 36 : leading_allowed;
    if (!before || i + 1 >= s.size() || digit_of(s[i + 1]) >= 36) return false;
  }
  s = std::move(out);
  return true;
}

[[noreturn]] void bad_int(std::string_view text, int base) {
  raise(Exc::kValue, "invalid literal for int() with base " + std::to_string(base) + ": '" + std::string(text.substr(0, 60)) + "'");
}

}  // namespace

Value parse_int(Env& env, std::string_view text, int base) {
  if (base != 0 && (base < 2 || base > 36)) raise(Exc::kValue, "int() base must be >= 2 and <= 36, or 0");
  std::string s = ascii_number(text);
  env.work(s.size());
  const bool negative = !s.empty() && s[0] == '-';
  if (!s.empty() && (s[0] == '-' || s[0] == '+')) s.erase(0, 1);
  bool prefixed = false;
  if (s.size() > 1 && s[0] == '0') {
    const char l = static_cast<char>(s[1] | 0x20);
    const int named = l == 'x' ? 16 : l == 'o' ? 8 : l == 'b' ? 2 : 0;
    if (named && (base == 0 || base == named)) s.erase(0, 2), base = named, prefixed = true;
  }
  if (base == 0) {
    base = 10;
    if (s.size() > 1 && s[0] == '0' && s.find_first_not_of("0_") != std::string::npos) bad_int(text, 0);
  }
  if (!drop_underscores(s, prefixed) || s.empty()) bad_int(text, base);
  for (char c : s)
    if (digit_of(c) >= base) bad_int(text, base);
  return int_from_digits(&env.heap, (negative ? "-" : "") + s, base);
}

double parse_float(std::string_view text) {
  std::string s = ascii_number(text);
  const auto bad = [&]() { raise(Exc::kValue, "could not convert string to float: '" + std::string(text.substr(0, 60)) + "'"); };
  if (s.find('_') != std::string::npos) {
    for (size_t i = 0; i < s.size(); ++i)
      if (s[i] == '_' && (i == 0 || i + 1 == s.size() || digit_of(s[i - 1]) > 9 || digit_of(s[i + 1]) > 9)) bad();
    std::erase(s, '_');
  }
  std::string_view body = s;
  if (!body.empty() && (body[0] == '-' || body[0] == '+')) body.remove_prefix(1);
  const std::string word = lower(body);
  if (word == "inf" || word == "infinity") return s[0] == '-' ? -HUGE_VAL : HUGE_VAL;
  if (word == "nan") return std::nan("");
  if (body.empty() || body.find_first_not_of("0123456789.eE+-") != std::string_view::npos) bad();
  char* end = nullptr;
  const double d = std::strtod(s.c_str(), &end);
  if (end != s.c_str() + s.size()) bad();
  return d;
}

std::string float_repr(double f) {
  if (std::isnan(f)) return "nan";
  if (std::isinf(f)) return f < 0 ? "-inf" : "inf";
  char buffer[40];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, f, std::chars_format::scientific).ptr;
  std::string_view s(buffer, static_cast<size_t>(end - buffer));
  std::string sign;
  if (s[0] == '-') sign = "-", s.remove_prefix(1);
  const size_t e = s.find('e');
  std::string digits(1, s[0]);
  if (e > 2) digits += s.substr(2, e - 2);
  const int exponent = std::atoi(std::string(s.substr(e + 1)).c_str());
  const int n = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    std::string out = sign + digits[0];
    if (n > 1) out += "." + digits.substr(1);
    out += exponent < 0 ? "e-" : "e+";
    const int m = std::abs(exponent);
    return out + (m < 10 ? "0" : "") + std::to_string(m);
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  if (n <= exponent + 1) return sign + digits + std::string(static_cast<size_t>(exponent + 1 - n), '0') + ".0";
  return sign + digits.substr(0, static_cast<size_t>(exponent) + 1) + "." + digits.substr(static_cast<size_t>(exponent) + 1);
}

}  // namespace transom::jinja
