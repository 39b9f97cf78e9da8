// The normalizer of a sentencepiece model (normalizer.cc of sentencepiece 0.2.3): longest-prefix rewriting by the
// precompiled character map, white space collapsed and escaped to U+2581, the dummy prefix; user-defined symbols pass
// untouched and broken UTF-8 becomes one U+FFFD a byte.
// The map's bytes are <u32 size><double array of that many bytes><NUL-terminated replacements>, all bounds-checked here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"

namespace transom::text {

struct SentencePieceNormalizerSpec {
  std::string charsmap;  // precompiled_charsmap as stored; empty for the identity
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;
  std::vector<std::string> user_defined;
};

class SentencePieceNormalizer {
 public:
  // Throws Error{kCorrupt} on a broken map; `context` names the file.
  SentencePieceNormalizer(SentencePieceNormalizerSpec spec, std::string_view context);

  // The normalized form of one text. `at_start`: false leaves out the dummy prefix (a later piece of the same text).
  std::string normalize(std::string_view text, bool at_start = true) const;

 private:
  struct Step {
    std::string_view to;
    size_t consumed;
  };
  Step step(std::string_view text) const;
  Step mapped(std::string_view text) const;
  uint32_t unit(size_t index) const;

  SentencePieceNormalizerSpec spec_;
  ByteTrie user_defined_;
  std::vector<uint32_t> units_;    // the double array (darts-clone)
  std::string_view replacements_;  // into spec_.charsmap
};

}  // namespace transom::text
