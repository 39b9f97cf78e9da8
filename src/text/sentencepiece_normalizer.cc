// SentencePieceNormalizer: see sentencepiece_normalizer.h.
#include "text/sentencepiece_normalizer.h"

#include <cstring>

#include "base/error.h"
#include "text/charsmap.h"
#include "text/stage_json.h"

namespace transom::text {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81", kReplacement = "\xEF\xBF\xBD";
constexpr size_t kMaxMatches = 32;  // sentencepiece looks at the first 32 rules that match at a place

// Length of the well-formed character at the start of `s`, 0 when it is broken.
size_t valid_char(std::string_view s) {
  const auto b = [&](size_t i) { return static_cast<uint8_t>(s[i]); };
  const auto trail = [&](size_t i) { return i < s.size() && (b(i) & 0xC0) == 0x80; };
  if (b(0) < 0x80) return 1;
  if ((b(0) & 0xE0) == 0xC0) return trail(1) && b(0) >= 0xC2 ? 2 : 0;
  if ((b(0) & 0xF0) == 0xE0) {
    if (!trail(1) || !trail(2)) return 0;
    const uint32_t c = (b(0) & 0x0Fu) << 12 | (b(1) & 0x3Fu) << 6 | (b(2) & 0x3Fu);
    return c >= 0x800 && !(c >= 0xD800 && c < 0xE000) ? 3 : 0;
  }
  if ((b(0) & 0xF8) == 0xF0) {
    if (!trail(1) || !trail(2) || !trail(3)) return 0;
    const uint32_t c = (b(0) & 0x07u) << 18 | (b(1) & 0x3Fu) << 12 | (b(2) & 0x3Fu) << 6 | (b(3) & 0x3Fu);
    return c >= 0x10000 && c <= 0x10FFFF ? 4 : 0;
  }
  return 0;
}

}  // namespace

SentencePieceNormalizer::SentencePieceNormalizer(SentencePieceNormalizerSpec spec, std::string_view context)
    : spec_(std::move(spec)) {
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (const std::string& s : spec_.user_defined) keys.emplace_back(s, 0);
  user_defined_ = ByteTrie(std::move(keys));
  const std::string_view map = spec_.charsmap;
  if (map.empty()) return;
  uint32_t size = 0;
  if (map.size() <= sizeof(size)) fail(Code::kCorrupt, context, "expected a precompiled charsmap, got {} bytes", map.size());
  std::memcpy(&size, map.data(), sizeof(size));
  if (size % 4 != 0 || size == 0 || size >= map.size() - sizeof(size))
    fail(Code::kCorrupt, context, "expected the charsmap's trie to fit in {} bytes, got {}", map.size() - sizeof(size), size);
  units_.resize(size / 4);
  std::memcpy(units_.data(), map.data() + sizeof(size), size);
  replacements_ = map.substr(sizeof(size) + size);
  if (replacements_.back() != '\0') fail(Code::kCorrupt, context, "expected the charsmap to end with a NUL, got another byte");
}

uint32_t SentencePieceNormalizer::unit(size_t index) const { return index < units_.size() ? units_[index] : 0x80000000u; }

// Walks the double array: a unit has its label in bits 0-7 and 31, "has a leaf" in bit 8, the offset to its children in
// bits 10-30, shifted by 8 more when bit 9 is set.
SentencePieceNormalizer::Step SentencePieceNormalizer::mapped(std::string_view text) const {
  const auto offset = [](uint32_t u) { return static_cast<size_t>(u >> 10) << ((u & (1u << 9)) >> 6); };
  size_t longest = 0, value = 0, matches = 0;
  size_t node = offset(unit(0));
  for (size_t i = 0; i < text.size() && matches < kMaxMatches; ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    node ^= byte;
    const uint32_t u = unit(node);
    if ((u & 0x800000FFu) != byte || node >= units_.size()) break;
    node ^= offset(u);
    if ((u >> 8 & 1) == 0) continue;
    longest = i + 1;
    value = unit(node) & 0x7FFFFFFFu;
    ++matches;
  }
  if (longest == 0 || value >= replacements_.size()) return {{}, 0};
  const std::string_view to = replacements_.substr(value);
  return {to.substr(0, to.find('\0')), longest};
}

SentencePieceNormalizer::Step SentencePieceNormalizer::step(std::string_view text) const {
  if (!user_defined_.empty()) {
    const size_t n = user_defined_.longest_match(text);
    if (n != 0) return {text.substr(0, n), n};
  }
  if (!units_.empty()) {
    const Step s = mapped(text);
    if (s.consumed != 0) return s;
  }
  const size_t n = valid_char(text);
  if (n == 0) return {kReplacement, 1};
  return {text.substr(0, n), n};
}

void SentencePieceNormalizer::apply(NormalizedText& normalized) const {
  const bool prefix = spec_.add_dummy_prefix && (spec_.prefix_every_piece || normalized.start_bytes > 0);
  std::string_view text = normalized.s;
  std::string out;
  const bool collapse = spec_.remove_extra_whitespaces;
  const std::string_view space = spec_.escape_whitespaces ? kSpaceSymbol : " ";
  while (collapse && !text.empty()) {
    const Step s = step(text);
    if (s.to != " ") break;
    text.remove_prefix(s.consumed);
  }
  if (text.empty()) {
    normalized = {};
    return;
  }
  out.reserve(text.size() + text.size() / 2);
  if (prefix && !spec_.treat_whitespace_as_suffix) out += space;
  bool after_space = collapse;
  while (!text.empty()) {
    const Step s = step(text);
    std::string_view to = s.to;
    while (after_space && to.starts_with(' ')) to.remove_prefix(1);
    for (char c : to) {
      if (c == ' ') out += space;
      else out += c;
    }
    if (!to.empty()) after_space = collapse && to.back() == ' ';
    text.remove_prefix(s.consumed);
  }
  while (collapse && out.ends_with(space)) out.resize(out.size() - space.size());
  if (spec_.add_dummy_prefix && spec_.treat_whitespace_as_suffix) out += space;
  normalized = {std::move(out), normalized.start_bytes > 0 ? size_t{1} : 0};
}

std::unique_ptr<Normalizer> make_sentencepiece_normalizer(const StageJson& stage) {
  SentencePieceNormalizerSpec spec;
  spec.charsmap = decode_base64(stage.string("precompiled_charsmap"), stage.where());
  spec.add_dummy_prefix = stage.boolean("add_dummy_prefix");
  spec.prefix_every_piece = stage.string("prefix_scheme") == "always";
  spec.remove_extra_whitespaces = stage.boolean("remove_extra_whitespaces");
  spec.escape_whitespaces = stage.boolean("escape_whitespaces");
  spec.treat_whitespace_as_suffix = stage.boolean("treat_whitespace_as_suffix");
  for (const Json& s : stage.array("user_defined")) {
    if (!s.is_string()) fail(Code::kCorrupt, stage.where(), "expected strings as 'user_defined', got {}", s.type_name());
    spec.user_defined.push_back(s.get<std::string>());
  }
  return std::make_unique<SentencePieceNormalizer>(std::move(spec), stage.where());
}

}  // namespace transom::text
