// A TokenizerSpec turned into code: the one object behind a Tokenizer.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/model.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer_spec.h"
#include "transom/tokenizer.h"

namespace transom::text {

// Compiles a spec; `context` (a path) names it in errors. Throws Error{kCorrupt, kUnsupported}.
Tokenizer compile_tokenizer(TokenizerSpec spec, std::string_view context);

}  // namespace transom::text

namespace transom {

struct Tokenizer::Impl {
  struct Truncation {
    size_t max_length;
    bool left;
    bool only_second;
  };
  // What an id stands for in decoding and in the public queries.
  struct Added {
    text::AddedToken token;
    std::string decoded;  // its normalized form, when it is matched normalized
  };

  Impl(text::TokenizerSpec spec, std::string_view context);

  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens, std::optional<int64_t> max_tokens) const;
  // The string that the decoder gets for an id; null when the id is outside the vocabulary.
  const std::string* decoded_token(int32_t id) const;
  // The bytes that a token stands for in text.
  std::string bytes_of(int32_t id, std::string_view token) const;
  int32_t size() const { return size_; }

  std::string context;
  std::shared_ptr<const text::Vocabulary> table;
  const text::Vocabulary& vocabulary;  // *table
  std::unordered_map<int32_t, Added> added;
  std::unordered_map<std::string, int32_t> added_ids;
  std::unordered_set<std::string> special_tokens;
  std::unique_ptr<text::Normalizer> normalizer;
  std::unique_ptr<text::PreTokenizerChain> chain;
  std::unique_ptr<text::Model> model;
  std::unique_ptr<text::PostProcessor> post_processor;
  std::unique_ptr<text::Decoder> decoder;
  text::AddedTokenMatcher raw_matcher, normalized_matcher;
  std::optional<Truncation> truncation;
  std::optional<text::TokenizerSpec::LeadingToken> leading;
  std::optional<int32_t> bos_id, eos_id, pad_id, unk_id;
  bool byte_level = false;         // the model works on raw bytes
  bool maps_bytes = false;         // it works on characters that stand for bytes
  bool byte_fallback = false;
  bool decodes_bytes = false;      // the decoder has a ByteLevel stage

 private:
  struct Call;
  void add_tokens(const std::vector<text::AddedToken>& tokens);
  void set_truncation(const Json& json);
  // Takes a token off the beginning of a text; returns its bytes.
  size_t encode_leading(std::string_view text, Call& call) const;
  void encode_raw(std::string_view text, Call& call) const;
  void encode_broken(std::string_view bytes, Call& call) const;
  void encode_normalized(text::Piece piece, Call& call) const;
  void truncate(std::vector<int32_t>& ids, bool add_special_tokens, const Truncation& cut) const;
  int32_t size_ = 0;
};

}  // namespace transom
