// The normalization rules that sentencepiece compiles into its models ("precompiled_charsmap"): a Darts double-array trie
// from UTF-8 strings to offsets into a block of NUL-ended replacements. Format: u32 trie bytes, the trie, the block.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace transom::text {

class Charsmap {
 public:
  // Takes the binary form; Code::kCorrupt with `context` when sizes do not fit or the replacements are not UTF-8.
  Charsmap(std::string_view blob, std::string_view context);

  // Normalizes as Hugging Face `tokenizers` does, grapheme by grapheme. With `start` != 0, that many leading bytes stem from
  // the input's first character, and `start` becomes the same count for the result.
  std::string apply(std::string_view s, size_t* start = nullptr) const;

 private:
  // The replacement for the shortest key that `s` starts with.
  std::optional<std::string_view> replacement(std::string_view s) const;

  std::vector<uint32_t> trie_;
  std::string replacements_;
};

// Decodes base64 (with padding); Code::kCorrupt with `context` on anything else.
std::string decode_base64(std::string_view s, std::string_view context);

// End of the grapheme cluster that starts at `at`, as far as clusters under six bytes need it.
size_t grapheme_end(std::string_view s, size_t at);

}  // namespace transom::text
