// Character tables: expanded once from the generated runs, then read-only.
#include "text/unicode.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <memory>

namespace transom::text {
namespace {

struct LowerRun {
  uint32_t first, last;
  int step, delta;
};
struct ScriptRun {
  uint32_t first, last;
  uint8_t script;
};

#include "text/unicode_tables.inc"

struct Tables {
  std::unique_ptr<uint8_t[]> index{new uint8_t[0x110000]};
  UnicodeTable view{};
  Tables() {
    size_t at = 0;
    for (uint32_t run : kRuns) {
      std::memset(index.get() + at, static_cast<int>(run & 0xff), run >> 8);
      at += run >> 8;
    }
    view = {index.get(), kRecords};
  }
};

constexpr std::array<uint16_t, 256> make_byte_chars() {
  std::array<uint16_t, 256> t{};
  uint16_t next = 256;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    t[b] = printable ? static_cast<uint16_t>(b) : next++;
  }
  return t;
}
constexpr std::array<uint16_t, 256> kByteChars = make_byte_chars();

constexpr std::array<int16_t, 512> make_char_bytes() {
  std::array<int16_t, 512> t{};
  for (auto& v : t) v = -1;
  for (int b = 0; b < 256; ++b) t[kByteChars[b]] = static_cast<int16_t>(b);
  return t;
}
constexpr std::array<int16_t, 512> kCharBytes = make_char_bytes();

// Length of the valid character at s, 0 when there is none (also overlong forms and surrogates).
size_t valid_char(std::string_view s) {
  const auto* b = reinterpret_cast<const unsigned char*>(s.data());
  const auto tail = [&](size_t i) { return i < s.size() && (b[i] & 0xC0) == 0x80; };
  if (s.empty()) return 0;
  if (b[0] < 0x80) return 1;
  if (b[0] < 0xC2 || b[0] > 0xF4) return 0;
  if (b[0] < 0xE0) return tail(1) ? 2 : 0;
  if (b[0] < 0xF0) {
    if (!tail(1) || !tail(2)) return 0;
    if (b[0] == 0xE0 && b[1] < 0xA0) return 0;
    if (b[0] == 0xED && b[1] > 0x9F) return 0;
    return 3;
  }
  if (!tail(1) || !tail(2) || !tail(3)) return 0;
  if (b[0] == 0xF0 && b[1] < 0x90) return 0;
  if (b[0] == 0xF4 && b[1] > 0x8F) return 0;
  return 4;
}

}  // namespace

const UnicodeTable& unicode_table() {
  static const Tables tables;
  return tables.view;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

size_t count_chars(std::string_view s) {
  size_t n = 0;
  for (char c : s) n += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return n;
}

size_t valid_utf8_prefix(std::string_view s) {
  size_t i = 0;
  while (i < s.size()) {
    while (i + 8 <= s.size()) {
      uint64_t w;
      std::memcpy(&w, s.data() + i, 8);
      if (w & 0x8080808080808080u) break;
      i += 8;
    }
    const size_t n = i < s.size() ? valid_char(s.substr(i)) : 0;
    if (n == 0) break;
    i += n;
  }
  return i;
}

BrokenPart broken_utf8_part(std::string_view s) {
  const auto* b = reinterpret_cast<const unsigned char*>(s.data());
  if (b[0] < 0xC2 || b[0] > 0xF4) return {1, false};
  const size_t want = b[0] < 0xE0 ? 2 : b[0] < 0xF0 ? 3 : 4;
  unsigned char low = 0x80, high = 0xBF;
  if (b[0] == 0xE0) low = 0xA0;
  if (b[0] == 0xED) high = 0x9F;
  if (b[0] == 0xF0) low = 0x90;
  if (b[0] == 0xF4) high = 0x8F;
  size_t n = 1;
  for (; n < want && n < s.size(); ++n) {
    if (b[n] < low || b[n] > high) return {n, false};
    low = 0x80, high = 0xBF;
  }
  return {n, n == s.size() && n < want};
}

std::string lossy_utf8(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  while (!s.empty()) {
    const size_t good = valid_utf8_prefix(s);
    out.append(s.substr(0, good));
    s.remove_prefix(good);
    if (s.empty()) break;
    out += "\xEF\xBF\xBD";
    s.remove_prefix(broken_utf8_part(s).len);
  }
  return out;
}

void append_lower(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return;
  }
  if (c == 0x130) {  // the one character whose lower case is two: i and a dot above
    out += "i\xCC\x87";
    return;
  }
  const auto* it = std::upper_bound(std::begin(kLowerRuns), std::end(kLowerRuns), c,
                                    [](char32_t v, const LowerRun& r) { return v < r.first; });
  if (it != std::begin(kLowerRuns)) {
    --it;
    if (c <= it->last && (c - it->first) % static_cast<uint32_t>(it->step) == 0) c += it->delta;
  }
  append_utf8(out, c);
}

uint8_t script_of(char32_t c) {
  if (c == 0) c = 1;  // the measured table begins at 1
  const auto* it = std::upper_bound(std::begin(kScriptRuns), std::end(kScriptRuns), c,
                                    [](char32_t v, const ScriptRun& r) { return v < r.first; });
  if (it == std::begin(kScriptRuns)) return 0;
  --it;
  return c <= it->last ? it->script : 0;
}

char32_t byte_to_char(uint8_t b) { return kByteChars[b]; }
int char_to_byte(char32_t c) { return c < 512 ? kCharBytes[c] : -1; }

}  // namespace transom::text
