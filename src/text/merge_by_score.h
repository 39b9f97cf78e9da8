// BPE whose merge order is a property of the merged piece: of all neighbours whose concatenation is a piece, the pair with
// the best score is joined first, the leftmost among equals. This is sentencepiece's BPE (bpe_model.cc), and tiktoken's
// with score = -rank; a list of merges cannot say it exactly, because ties between two splits of one piece would get a rank.
//
// encode() is O(n log n): the text is first cut wherever two neighbouring characters occur in no piece (no merge can cross
// such a place), and each part is merged with a heap.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_trie.h"
#include "text/tokenizer_spec.h"

namespace transom::text {

class MergeByScore {
 public:
  // Takes tokens, scores, types, byte_fallback, fuse_unk, ignore_merges and unk_token of `model`. Throws on a vocabulary
  // that breaks its own rules (double pieces, missing bytes); `context` names the file.
  MergeByScore(TokenizerModel model, std::string_view context);

  // Appends the ids of `text` (any bytes; a character's length goes by its first byte).
  void encode(std::string_view text, std::vector<int32_t>& out) const;

  // The id of a piece that merges may produce, -1 if there is none.
  int32_t find(std::string_view piece) const;

 private:
  struct Symbol;
  struct Pair;
  struct Work;

  void add_unknown(std::string_view piece, bool& after_unknown, std::vector<int32_t>& out) const;
  void add_piece(std::string_view piece, int32_t id, Work& work, std::vector<int32_t>& out, int depth) const;
  void merge(Work& work) const;
  void try_pair(Work& work, int left, int right) const;
  bool may_join(std::string_view left, std::string_view right) const;
  void build_table(std::string_view context);
  void build_joins();

  TokenizerModel model_;
  std::vector<uint32_t> order_;  // by id: scores mapped to integers of the same order
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;
  };
  std::vector<Slot> table_;  // open addressing, size a power of two
  std::vector<uint64_t> joins_;  // Bloom filter over neighbouring characters inside pieces
  ByteTrie user_defined_;
  std::vector<int32_t> byte_ids_;  // 256 ids, or empty without byte fallback
  size_t max_piece_ = 0;
  int32_t unk_id_ = -1;
  bool has_unused_ = false;
};

}  // namespace transom::text
