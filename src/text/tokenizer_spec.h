// What a tokenizer is, as data, whatever file it came from: tokenizer.json is read into this, and sentencepiece,
// tiktoken, tekken, GGUF vocabularies and vocab/merges files are converted to the same pipeline. The pipeline stages keep
// tokenizer.json's own JSON shape, so that one compiler (pipeline.cc) turns them into code.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/piece.h"

namespace transom::text {

struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool single_word = false, lstrip = false, rstrip = false, normalized = false, special = false;
};

struct TokenizerModel {
  // kMergeByScore (merge_by_score.h) is the BPE of sentencepiece and tiktoken; kSentencePieceUnigram is sentencepiece's.
  enum class Kind { kBpe, kWordPiece, kUnigram, kWordLevel, kMergeByScore, kSentencePieceUnigram } kind = Kind::kBpe;
  std::vector<std::string> tokens;                          // by id; "" where an id is unused
  std::shared_ptr<const class Vocabulary> table;            // instead of `tokens`, when a reader has built it already
  std::vector<std::pair<std::string, std::string>> merges;  // BPE, in order of rank
  std::vector<std::pair<int32_t, int32_t>> merge_ids;       // BPE, the same as ids of `tokens`; used when not empty
  std::vector<double> scores;                               // by id: Unigram, kMergeByScore
  std::vector<PieceType> types;                             // by id: kMergeByScore, kSentencePieceUnigram; empty: all normal
  // Marian, M2M100: a text is cut as this model of sentencepiece does it, and `tokens` are looked up by the pieces' text.
  std::shared_ptr<const TokenizerModel> pieces;
  PieceType type(size_t id) const { return id < types.size() ? types[id] : PieceType::kNormal; }
  std::optional<std::string> unk_token;
  std::optional<int32_t> unk_id;                            // Unigram's own way to say it; wins over unk_token
  bool byte_fallback = false, ignore_merges = false, fuse_unk = false;
  std::string continuing_subword_prefix, end_of_word_suffix;
  int max_input_chars_per_word = 100;  // WordPiece
};

struct TokenizerSpec {
  TokenizerModel model;
  std::vector<AddedToken> added_tokens;
  Json normalizer, pre_tokenizer, post_processor, decoder;  // as in tokenizer.json; null when absent
  Json truncation, padding;
  std::optional<int32_t> bos_id, eos_id, pad_id, unk_id;
  // Marian: what stands between these two at the beginning of a text is a token, ">>fra<<".
  struct LeadingToken {
    std::string open, close;
  };
  std::optional<LeadingToken> leading;
};

}  // namespace transom::text
