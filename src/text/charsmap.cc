// Sentencepiece's compiled normalization rules: see charsmap.h. The shortest matching key replaces a whole grapheme of
// less than six bytes: odd, but what the reference does, and what models were trained with.
#include "text/charsmap.h"

#include <utf8proc.h>

#include <array>
#include <cstring>

#include "base/error.h"
#include "text/unicode.h"

namespace transom::text {

std::string decode_base64(std::string_view s, std::string_view context) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<int8_t, 256> value;
  value.fill(-1);
  for (size_t i = 0; i < kDigits.size(); ++i) value[static_cast<unsigned char>(kDigits[i])] = static_cast<int8_t>(i);
  if (s.size() % 4 != 0) fail(Code::kCorrupt, context, "expected base64, got {} characters", s.size());
  for (int i = 0; i < 2 && !s.empty() && s.back() == '='; ++i) s.remove_suffix(1);
  std::string out;
  out.reserve(s.size() * 3 / 4);
  uint32_t bits = 0;
  int have = 0;
  for (char c : s) {
    const int v = value[static_cast<unsigned char>(c)];
    if (v < 0) fail(Code::kCorrupt, context, "expected base64, got byte 0x{:02x}", static_cast<unsigned char>(c));
    bits = bits << 6 | static_cast<uint32_t>(v);
    have += 6;
    if (have >= 8) out += static_cast<char>(bits >> (have -= 8) & 0xff);
  }
  return out;
}

Charsmap::Charsmap(std::string_view blob, std::string_view context) {
  uint32_t bytes = 0;
  if (blob.size() >= 4) std::memcpy(&bytes, blob.data(), 4);
  if (blob.size() < 4 || bytes > blob.size() - 4 || bytes < 4)
    fail(Code::kCorrupt, context, "expected a precompiled_charsmap, got {} bytes with a trie of {}", blob.size(), bytes);
  trie_.resize(bytes / 4);
  std::memcpy(trie_.data(), blob.data() + 4, trie_.size() * 4);
  replacements_ = blob.substr(4 + trie_.size() * 4);
  if (valid_utf8_prefix(replacements_) != replacements_.size())
    fail(Code::kCorrupt, context, "expected replacements in UTF-8 in the precompiled_charsmap, got other bytes");
}

std::optional<std::string_view> Charsmap::replacement(std::string_view s) const {
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  size_t node = offset(trie_[0]);
  for (const char ch : s) {
    const auto c = static_cast<unsigned char>(ch);
    if (c == 0) return std::nullopt;
    node ^= c;
    if (node >= trie_.size()) return std::nullopt;
    const uint32_t unit = trie_[node];
    if ((unit & (1u << 31 | 0xff)) != c) return std::nullopt;
    node ^= offset(unit);
    if (unit >> 8 & 1) {
      if (node >= trie_.size()) return std::nullopt;
      const size_t at = trie_[node] & 0x7fffffffu;
      if (at > replacements_.size()) return std::nullopt;
      const size_t end = std::min(replacements_.find('\0', at), replacements_.size());
      return std::string_view(replacements_).substr(at, end - at);
    }
  }
  return std::nullopt;
}

size_t grapheme_end(std::string_view s, size_t at) {
  Decoded d = decode_utf8(s.data() + at);
  utf8proc_int32_t state = 0;
  for (at += d.len; at < s.size();) {
    const Decoded next = decode_utf8(s.data() + at);
    const bool breaks = utf8proc_grapheme_break_stateful(static_cast<int32_t>(d.c), static_cast<int32_t>(next.c), &state);
    const bool control = d.c < 0x20 || d.c == 0x7f || props(d.c).gc() == kCc;
    if (breaks && (control || !props(next.c).joins_previous())) break;
    d = next;
    at += d.len;
  }
  return at;
}

std::string Charsmap::apply(std::string_view s, size_t* start) const {
  std::string out;
  out.reserve(s.size() + 16);
  size_t new_start = 0;
  const size_t old_start = start ? *start : 0;
  const auto one = [&](size_t at, size_t end) {
    const std::string_view part = s.substr(at, end - at);
    const auto r = replacement(part);
    out += r ? *r : part;
    if (at < old_start) new_start = out.size();
    return r.has_value();
  };
  for (size_t at = 0; at < s.size();) {
    const bool simple = at + 1 < s.size() && static_cast<unsigned char>(s[at]) < 0x80 &&
                        static_cast<unsigned char>(s[at + 1]) < 0x80 && s[at] != '\r';
    const size_t end = simple ? at + 1 : grapheme_end(s, at);
    if (end - at < 6) {
      const std::string_view whole = s.substr(at, end - at);
      if (const auto r = replacement(whole)) {
        out += *r;
        if (at < old_start) {
          const size_t first = r->empty() ? 0 : utf8_len((*r)[0]);
          new_start = out.size() - r->size() + (utf8_len(whole[0]) == whole.size() ? r->size() : first);
        }
        at = end;
        continue;
      }
    }
    while (at < end) {
      const size_t n = utf8_len(s[at]);
      one(at, at + n);
      at += n;
    }
  }
  // What is dropped at the beginning leaves no trace: what comes after it counts as the beginning.
  if (old_start > 0 && new_start == 0 && !out.empty()) new_start = utf8_len(out[0]);
  if (start) *start = new_start;
  return out;
}

}  // namespace transom::text
