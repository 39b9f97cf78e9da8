// Unigram segmentation exactly as sentencepiece 0.2.3 does it (unigram_model.cc, EncodeOptimized): the path of pieces with
// the best sum of scores, summed in 32-bit floats from the left; a character that is no piece costs the worst score - 10;
// a user-defined piece scores 0.1 (bytes - 1). Hugging Face's Unigram model sums doubles, so near-ties may differ.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"
#include "text/model.h"

namespace transom::text {

class SentencePieceUnigram final : public Model {
 public:
  // Takes scores, types, byte_fallback and unk_token. Throws on scores that are not finite, on missing bytes.
  SentencePieceUnigram(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context);

  void encode(std::string_view text, ModelScratch& scratch, std::vector<int32_t>& out) const override;

 private:
  std::vector<float> scores_;
  std::vector<PieceType> types_;
  ByteTrie pieces_;
  std::vector<int32_t> byte_ids_;  // 256 ids, or empty without byte fallback
  float unk_score_ = 0;
  int32_t unk_id_ = -1;
};

}  // namespace transom::text
