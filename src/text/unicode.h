// UTF-8 and the character properties that Hugging Face `tokenizers` goes by (unicode_tables.inc says why they are its own).
// Functions on text expect valid UTF-8 unless they say otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace transom::text {

// General categories, in the order of the table.
enum Gc : uint8_t {
  kCn, kLu, kLl, kLt, kLm, kLo, kMn, kMc, kMe, kNd, kNl, kNo, kPc, kPd, kPs,
  kPe, kPi, kPf, kPo, kSm, kSc, kSk, kSo, kZs, kZl, kZp, kCc, kCf, kCo, kCs, kGcCount
};

// Properties of one code point as a bit set.
class CharProps {
 public:
  explicit CharProps(uint32_t bits) : bits_(bits) {}
  Gc gc() const { return static_cast<Gc>(bits_ & 0xff); }
  bool safe_in(int form) const { return bits_ >> (8 + form) & 1; }  // 0 NFC, 1 NFD, 2 NFKC, 3 NFKD
  bool space() const { return bits_ >> 12 & 1; }
  bool numeric() const { return bits_ >> 13 & 1; }
  bool punctuation() const { return bits_ >> 14 & 1; }
  bool control() const { return bits_ >> 15 & 1; }
  bool nonspacing_mark() const { return bits_ >> 16 & 1; }
  bool combining_mark() const { return bits_ >> 17 & 1; }
  bool word() const { return bits_ >> 18 & 1; }        // \w of Rust's regex crate
  bool onig_word() const { return bits_ >> 19 & 1; }   // \w of Oniguruma
  bool unknown_to_normalization() const { return bits_ >> 20 & 1; }
  bool joins_previous() const { return bits_ >> 21 & 1; }
  bool han() const { return bits_ >> 22 & 1; }

 private:
  uint32_t bits_;
};

// The flat property table: one byte per code point, an index into the records.
struct UnicodeTable {
  const uint8_t* index;
  const uint32_t* records;
};
const UnicodeTable& unicode_table();

inline CharProps props(char32_t c) {
  const UnicodeTable& t = unicode_table();
  return CharProps(t.records[t.index[c < 0x110000 ? c : 0x10FFFF]]);
}

struct Decoded {
  char32_t c;
  uint32_t len;
};

// Decodes the character at p of valid UTF-8.
inline Decoded decode_utf8(const char* p) {
  const auto* s = reinterpret_cast<const unsigned char*>(p);
  if (s[0] < 0x80) return {s[0], 1};
  if (s[0] < 0xE0) return {static_cast<char32_t>((s[0] & 0x1F) << 6 | (s[1] & 0x3F)), 2};
  if (s[0] < 0xF0) return {static_cast<char32_t>((s[0] & 0x0F) << 12 | (s[1] & 0x3F) << 6 | (s[2] & 0x3F)), 3};
  return {static_cast<char32_t>((s[0] & 0x07) << 18 | (s[1] & 0x3F) << 12 | (s[2] & 0x3F) << 6 | (s[3] & 0x3F)), 4};
}

// Length of a character by its first byte (valid UTF-8).
inline uint32_t utf8_len(char first) {
  const auto b = static_cast<unsigned char>(first);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

// Start of the character that ends just before `end` (valid UTF-8, end > 0).
inline size_t previous_char(std::string_view s, size_t end) {
  do --end;
  while (end > 0 && (static_cast<unsigned char>(s[end]) & 0xC0) == 0x80);
  return end;
}

void append_utf8(std::string& out, char32_t c);
size_t count_chars(std::string_view s);

// Length of the longest valid prefix of any bytes.
size_t valid_utf8_prefix(std::string_view s);

// What stands at `s` when it does not start with a valid character: the length of the maximal part of a character
// (Unicode's substitution rule), and whether more bytes could still complete it.
struct BrokenPart {
  size_t len;
  bool may_continue;
};
BrokenPart broken_utf8_part(std::string_view s);

// Any bytes with each maximal broken part replaced by U+FFFD, as Rust's from_utf8_lossy.
std::string lossy_utf8(std::string_view s);

// Full lower-casing as Rust's char::to_lowercase, appended.
void append_lower(std::string& out, char32_t c);

// Script class of the UnicodeScripts pre-tokenizer (0 joins anything; kana count as Han).
uint8_t script_of(char32_t c);

// The byte-level alphabet of GPT-2: a printable character for each byte, and back (-1 when not in the alphabet).
char32_t byte_to_char(uint8_t b);
int char_to_byte(char32_t c);

}  // namespace transom::text
