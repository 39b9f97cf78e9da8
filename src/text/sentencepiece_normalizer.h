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
#include "text/normalizer.h"

namespace transom::text {

struct SentencePieceNormalizerSpec {
  std::string charsmap;  // precompiled_charsmap as stored; empty for the identity
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;
  bool prefix_every_piece = true;  // false: no dummy prefix but at the very start of the input
  std::vector<std::string> user_defined;
};

class SentencePieceNormalizer final : public Normalizer {
 public:
  // Throws Error{kCorrupt} on a broken map; `context` names the file.
  SentencePieceNormalizer(SentencePieceNormalizerSpec spec, std::string_view context);

  void apply(NormalizedText& text) const override;

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

class StageJson;
// From the stage {"type": "SentencePiece", …} that load_sentencepiece writes (field names as in NormalizerSpec; the map in base64).
std::unique_ptr<Normalizer> make_sentencepiece_normalizer(const StageJson& stage);

}  // namespace transom::text
