// BPE whose merge order is a property of the merged piece: of all neighbours whose concatenation is a piece, the pair with
// the best score is joined first, the leftmost among equals. This is sentencepiece's BPE (bpe_model.cc), and tiktoken's
// with score = -rank; a list of merges cannot say it exactly, because ties between two splits of one piece would get a rank.
//
// encode() is O(n log n): the text is first cut wherever two neighbouring characters occur in no piece (no merge can cross
// such a place), and each part is merged, with a heap when it is long.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"
#include "text/model.h"
#include "text/word_cache.h"

namespace transom::text {

class MergeByScore final : public Model {
 public:
  // Takes scores, types, byte_fallback, fuse_unk, ignore_merges and unk_token of `spec`. With `byte_level`, pieces are raw
  // bytes (see make_bpe). Throws Error{kCorrupt} on a missing score or byte token; `context` names the file.
  MergeByScore(const TokenizerModel& spec, const Vocabulary& vocabulary, bool byte_level, std::string_view context);

  void encode(std::string_view text, ModelScratch& scratch, std::vector<int32_t>& out) const override;

 private:
  struct Run;

  int32_t find(std::string_view piece) const;
  size_t symbol_length(std::string_view text) const;
  bool may_join(std::string_view left, std::string_view right) const;
  void set_bytes(std::string_view context);
  void set_joins();

  void encode_part(std::string_view part, Run& run) const;
  void merge(Run& run) const;
  void merge_short(Run& run) const;
  void try_pair(Run& run, int32_t left, int32_t right) const;
  void add_symbols(Run& run) const;
  void add_piece(std::string_view piece, int32_t id, Run& run, int depth) const;
  void add_unknown(std::string_view piece, Run& run) const;

  const Vocabulary& vocabulary_;
  Vocabulary raw_;            // byte level: the tokens as bytes
  const Vocabulary* pieces_;  // raw_ or vocabulary_
  std::vector<PieceType> types_;
  std::vector<uint32_t> order_;  // by id: scores mapped to integers of the same order
  std::vector<uint64_t> joins_;  // Bloom filter over neighbouring characters inside pieces
  ByteTrie user_defined_;
  std::vector<int32_t> byte_ids_;  // 256 ids, or empty without byte fallback
  WordCache cache_;
  int32_t unk_id_ = -1;
  bool byte_level_, fuse_unk_, ignore_merges_, has_unused_ = false;
};

}  // namespace transom::text
