// The models of tokenizer.json: each turns one pre-token into ids. Immutable after construction, shared between threads;
// what a call needs to work on stands in its ModelScratch.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_spec.h"
#include "text/vocabulary.h"

namespace transom::text {

struct ModelScratch {
  struct Symbol {
    int32_t id;
    int32_t prev, next;
  };
  struct Best {
    double score;
    int32_t start, id;
  };
  // MergeByScore's: a stretch of the text (empty when merged into its left neighbour), and a pair that may be joined.
  struct MergeSymbol {
    std::string_view piece;
    int32_t prev, next;
    int32_t id;  // -1 until a merge made it
    bool frozen;
  };
  struct MergePair {
    uint32_t order;
    int32_t left, right;
    uint32_t size;
    int32_t id;
  };
  std::vector<MergeSymbol> merge_symbols;
  std::vector<MergePair> merge_pairs;
  std::vector<int32_t> ids;
  std::vector<uint32_t> ranks;
  std::vector<Symbol> symbols;
  std::vector<uint64_t> heap;
  std::vector<Best> best;
  std::string text;
  // The text of each run of unknown characters, where somebody asks: sentencepiece's models note them.
  std::vector<std::string_view>* unknown = nullptr;
};

// Adds `piece` to a scratch's `unknown`, to the last run if it goes on.
inline void note_unknown(std::vector<std::string_view>& unknown, std::string_view piece, bool goes_on) {
  if (goes_on && !unknown.empty()) unknown.back() = {unknown.back().data(), unknown.back().size() + piece.size()};
  else unknown.push_back(piece);
}

class Model {
 public:
  virtual ~Model() = default;
  // Appends the ids of one pre-token (valid UTF-8, or raw bytes for a byte-level BPE). Throws Error{kInvalidArgument} where
  // an unknown token is needed and the vocabulary has none.
  virtual void encode(std::string_view piece, ModelScratch& scratch, std::vector<int32_t>& out) const = 0;
};

// `vocabulary` must outlive the model. With `byte_level`, pieces are raw bytes, each standing for its character in the
// byte-level alphabet (BPE only). Throws Error{kCorrupt} naming the token that a merge or setting misses.
std::unique_ptr<Model> make_bpe(const TokenizerModel& spec, const Vocabulary& vocabulary, bool byte_level, std::string_view context);
std::unique_ptr<Model> make_word_piece(const TokenizerModel& spec, const Vocabulary& vocabulary);
std::unique_ptr<Model> make_word_level(const TokenizerModel& spec, const Vocabulary& vocabulary);
std::unique_ptr<Model> make_unigram(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context);
// merge_by_score.h and sentencepiece_unigram.h.
std::unique_ptr<Model> make_merge_by_score(const TokenizerModel& spec, const Vocabulary& vocabulary, bool byte_level, std::string_view context);
std::unique_ptr<Model> make_sentencepiece_unigram(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context);
// Of a spec with `pieces` (pieces_by_text.cc). Throws Error{kCorrupt} when `vocabulary` lacks the unknown token.
std::unique_ptr<Model> make_pieces_by_text(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context);

// The ids of the byte tokens <0x00> … <0xFF>, -1 where one is missing.
std::vector<int32_t> byte_token_ids(const Vocabulary& vocabulary);

}  // namespace transom::text
