// Code points, properties and case mappings: see unicode.h. The rules for capital sigma and for titles are those of
// CPython's Objects/unicodeobject.c, restated.
#include "text/jinja/unicode.h"

#include <algorithm>
#include <span>

#include "text/jinja/unicode_tables.h"

namespace transom::jinja {
namespace {

using tables::CaseMap;
using tables::Range;

bool in_ranges(std::span<const Range> ranges, char32_t c) {
  const auto it = std::upper_bound(ranges.begin(), ranges.end(), c, [](char32_t v, const Range& r) { return v < r.first; });
  return it != ranges.begin() && c <= std::prev(it)->last;
}

std::optional<int> run_value(std::span<const tables::ValueRun> runs, char32_t c) {
  const auto it =
      std::upper_bound(runs.begin(), runs.end(), c, [](char32_t v, const tables::ValueRun& r) { return v < r.first; });
  if (it == runs.begin() || c > std::prev(it)->last) return std::nullopt;
  return std::prev(it)->value + static_cast<int>(c - std::prev(it)->first);
}

void append_mapped(std::string& out, const CaseMap& map, char32_t c) {
  const auto s = std::lower_bound(map.specials.begin(), map.specials.end(), c,
                                  [](const tables::CaseSpecial& e, char32_t v) { return e.from < v; });
  if (s != map.specials.end() && s->from == c) {
    for (char32_t t : s->to)
      if (t) append_char(out, t);
    return;
  }
  const auto it =
      std::upper_bound(map.runs.begin(), map.runs.end(), c, [](char32_t v, const tables::CaseRun& r) { return v < r.first; });
  if (it != map.runs.begin()) {
    const auto& r = *std::prev(it);
    if (c <= r.last && (c - r.first) % static_cast<char32_t>(r.stride) == 0)
      c = static_cast<char32_t>(static_cast<int64_t>(c) + r.delta);
  }
  append_char(out, c);
}

bool is_ignorable(char32_t c) { return in_ranges(tables::kIgnorable, c); }

// Whether a capital sigma at [begin, end) ends a word: a cased letter before it and none after, ignorables skipped.
bool final_sigma(std::string_view s, size_t begin, size_t end) {
  bool before = false;
  for (size_t p = begin; p > 0;) {
    const char32_t c = previous_char(s, p);
    if (is_ignorable(c)) continue;
    before = is_cased(c);
    break;
  }
  if (!before) return false;
  for (size_t p = end; p < s.size();) {
    const char32_t c = next_char(s, p);
    if (!is_ignorable(c)) return !is_cased(c);
  }
  return true;
}

// Lower-cases the character at [begin, end).
void append_lower(std::string& out, std::string_view s, char32_t c, size_t begin, size_t end) {
  if (c == 0x3a3) append_char(out, final_sigma(s, begin, end) ? 0x3c2 : 0x3c3);
  else append_mapped(out, tables::kToLower, c);
}

bool is_ascii(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

char32_t next_char(std::string_view s, size_t& pos) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char b = byte(pos);
  if (b < 0x80) return static_cast<char32_t>(s[pos++]);
  const int extra = b >= 0xf0 ? 3 : b >= 0xe0 ? 2 : 1;
  if (b < 0xc2 || b > 0xf4 || pos + static_cast<size_t>(extra) >= s.size()) return ++pos, 0xfffd;
  char32_t c = b & (0x3f >> extra);
  for (int i = 1; i <= extra; ++i) {
    if ((byte(pos + static_cast<size_t>(i)) & 0xc0) != 0x80) return ++pos, 0xfffd;
    c = (c << 6) | (byte(pos + static_cast<size_t>(i)) & 0x3f);
  }
  if ((extra == 2 && c < 0x800) || (extra == 3 && (c < 0x10000 || c > 0x10ffff))) return ++pos, 0xfffd;
  pos += static_cast<size_t>(extra) + 1;
  return c;
}

char32_t previous_char(std::string_view s, size_t& pos) {
  size_t start = pos - 1;
  while (start > 0 && pos - start < 4 && (static_cast<unsigned char>(s[start]) & 0xc0) == 0x80) --start;
  size_t end = start;
  const char32_t c = next_char(s, end);
  if (end != pos) return --pos, 0xfffd;
  pos = start;
  return c;
}

void append_char(std::string& out, char32_t c) {
  const auto put = [&](char32_t b) { out += static_cast<char>(static_cast<unsigned char>(b)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | (c >> 6)), put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | (c >> 12)), put(0x80 | ((c >> 6) & 0x3f)), put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | (c >> 18)), put(0x80 | ((c >> 12) & 0x3f)), put(0x80 | ((c >> 6) & 0x3f)), put(0x80 | (c & 0x3f));
  }
}

std::string char_string(char32_t c) {
  std::string s;
  append_char(s, c);
  return s;
}

size_t count_chars(std::string_view s) {
  size_t n = 0;
  for (char c : s) n += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return n;
}

size_t char_offset(std::string_view s, size_t index) {
  size_t pos = 0;
  for (; index > 0 && pos < s.size(); --index) next_char(s, pos);
  return pos;
}

std::u32string to_chars32(std::string_view s) {
  std::u32string out;
  out.reserve(s.size());
  for (size_t p = 0; p < s.size();) out += next_char(s, p);
  return out;
}

std::string from_chars32(std::u32string_view s) {
  std::string out;
  for (char32_t c : s) append_char(out, c);
  return out;
}

std::string valid_utf8(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  for (size_t p = 0; p < s.size();) append_char(out, next_char(s, p));
  return out;
}

bool has_surrogate(std::string_view s) {
  for (size_t i = 0; i + 1 < s.size(); ++i)
    if (static_cast<unsigned char>(s[i]) == 0xed && static_cast<unsigned char>(s[i + 1]) >= 0xa0) return true;
  return false;
}

bool is_alpha(char32_t c) {
  if (c < 0x80) return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
  return in_ranges(tables::kAlpha, c);
}
bool is_decimal(char32_t c) { return decimal_value(c).has_value(); }
bool is_digit(char32_t c) { return c < 0x80 ? (c >= '0' && c <= '9') : run_value(tables::kDigit, c).has_value(); }
bool is_numeric(char32_t c) { return c < 0x80 ? (c >= '0' && c <= '9') : in_ranges(tables::kNumeric, c); }
bool is_alnum(char32_t c) { return is_alpha(c) || is_decimal(c) || is_digit(c) || is_numeric(c); }
bool is_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
  return in_ranges(tables::kSpace, c);
}
bool is_printable(char32_t c) { return c < 0x7f ? c >= 0x20 : in_ranges(tables::kPrintable, c); }
bool is_lower(char32_t c) { return c < 0x80 ? (c >= 'a' && c <= 'z') : in_ranges(tables::kLower, c); }
bool is_upper(char32_t c) { return c < 0x80 ? (c >= 'A' && c <= 'Z') : in_ranges(tables::kUpper, c); }
bool is_title(char32_t c) { return c >= 0x80 && in_ranges(tables::kTitle, c); }
bool is_cased(char32_t c) { return c < 0x80 ? is_alpha(c) : in_ranges(tables::kCased, c); }
bool is_id_start(char32_t c) { return c < 0x80 ? is_alpha(c) || c == '_' : in_ranges(tables::kIdStart, c); }
bool is_id_continue(char32_t c) {
  return c < 0x80 ? is_id_start(c) || is_digit(c) : in_ranges(tables::kIdContinue, c);
}
bool is_word(char32_t c) { return c == '_' || is_alnum(c); }
std::optional<int> decimal_value(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9' ? std::optional<int>(static_cast<int>(c - '0')) : std::nullopt;
  return run_value(tables::kDecimal, c);
}

std::string lower(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  if (is_ascii(s)) {
    for (char c : s) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return out;
  }
  for (size_t p = 0; p < s.size();) {
    const size_t begin = p;
    const char32_t c = next_char(s, p);
    append_lower(out, s, c, begin, p);
  }
  return out;
}

std::string upper(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  if (is_ascii(s)) {
    for (char c : s) out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    return out;
  }
  for (size_t p = 0; p < s.size();) append_mapped(out, tables::kToUpper, next_char(s, p));
  return out;
}

std::string title(std::string_view s) {
  std::string out;
  bool previous_cased = false;
  for (size_t p = 0; p < s.size();) {
    const size_t begin = p;
    const char32_t c = next_char(s, p);
    if (previous_cased) append_lower(out, s, c, begin, p);
    else append_mapped(out, tables::kToTitle, c);
    previous_cased = is_cased(c);
  }
  return out;
}

std::string capitalize(std::string_view s) {
  std::string out;
  for (size_t p = 0; p < s.size();) {
    const size_t begin = p;
    const char32_t c = next_char(s, p);
    if (begin == 0) append_mapped(out, tables::kToTitle, c);
    else append_lower(out, s, c, begin, p);
  }
  return out;
}

std::string swapcase(std::string_view s) {
  std::string out;
  for (size_t p = 0; p < s.size();) {
    const size_t begin = p;
    const char32_t c = next_char(s, p);
    if (is_upper(c)) append_lower(out, s, c, begin, p);
    else if (is_lower(c)) append_mapped(out, tables::kToUpper, c);
    else append_char(out, c);
  }
  return out;
}

std::string casefold(std::string_view s) {
  std::string out;
  for (size_t p = 0; p < s.size();) append_mapped(out, tables::kToFold, next_char(s, p));
  return out;
}

std::string_view strip(std::string_view s, bool left, bool right) {
  size_t begin = 0, end = s.size();
  while (left && begin < end) {
    size_t p = begin;
    if (!is_space(next_char(s, p))) break;
    begin = p;
  }
  while (right && end > begin) {
    size_t p = end;
    if (!is_space(previous_char(s, p))) break;
    end = p;
  }
  return s.substr(begin, end - begin);
}

bool is_identifier(std::string_view s) {
  if (s.empty()) return false;
  size_t p = 0;
  if (!is_id_start(next_char(s, p))) return false;
  while (p < s.size())
    if (!is_id_continue(next_char(s, p))) return false;
  return true;
}

}  // namespace transom::jinja
