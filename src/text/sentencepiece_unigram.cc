// SentencePieceUnigram: see sentencepiece_unigram.h.
#include "text/sentencepiece_unigram.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "base/error.h"

namespace transom::text {
namespace {

constexpr float kUnknownPenalty = 10.0f;
constexpr float kRescaleAbove = 100000.0f;  // long texts: sums are shifted back to 0 so that floats keep their digits

size_t char_length(std::string_view s) {
  static constexpr uint8_t kLengths[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
  return std::min<size_t>(s.size(), kLengths[static_cast<uint8_t>(s[0]) >> 4]);
}

float user_defined_score(size_t bytes) { return static_cast<float>(0.1 * static_cast<double>(bytes - 1)); }

// The best path that ends at a byte of the text.
struct Best {
  int64_t start = -1;
  float score = 0;
  int32_t id = -1;
};

}  // namespace

SentencePieceUnigram::SentencePieceUnigram(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context)
    : scores_(spec.scores.begin(), spec.scores.end()), types_(spec.types) {
  const std::vector<std::string>& tokens = vocabulary.tokens();
  if (scores_.size() != tokens.size()) fail(Code::kCorrupt, context, "expected {} scores, one a token, got {}", tokens.size(), scores_.size());
  types_.resize(tokens.size(), PieceType::kNormal);
  float worst = FLT_MAX;
  std::vector<std::pair<std::string_view, int32_t>> keys;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const bool normal = types_[i] == PieceType::kNormal;
    if (!std::isfinite(scores_[i])) fail(Code::kCorrupt, context, "expected finite scores, got {} for id {}", scores_[i], i);
    if (normal) worst = std::min(worst, scores_[i]);
    if (normal || types_[i] == PieceType::kUserDefined) keys.emplace_back(tokens[i], static_cast<int32_t>(i));
  }
  if (spec.byte_fallback) byte_ids_ = byte_token_ids(vocabulary);
  for (size_t b = 0; b < byte_ids_.size(); ++b)
    if (byte_ids_[b] < 0) fail(Code::kCorrupt, context, "expected a token <0x{:02X}> for byte fallback, got none", b);
  if (spec.unk_token) unk_id_ = vocabulary.find(*spec.unk_token);
  if (unk_id_ < 0 && byte_ids_.empty()) fail(Code::kCorrupt, context, "expected an unknown token, got none");
  unk_score_ = worst - kUnknownPenalty;
  pieces_ = ByteTrie(std::move(keys));
}

void SentencePieceUnigram::encode(std::string_view text, ModelScratch& scratch, std::vector<int32_t>& out) const {
  if (text.empty()) return;
  std::vector<Best> best(text.size() + 1);
  size_t frontier = 0;
  for (size_t at = 0; at < text.size();) {
    float here = best[at].score;
    if (here < -kRescaleAbove || here > kRescaleAbove) {
      for (size_t i = at; i <= frontier; ++i)
        if (i == at || best[i].start >= 0) best[i].score -= here;
      here = 0;
    }
    const auto offer = [&](size_t length, float score, int32_t id) {
      Best& b = best[at + length];
      frontier = std::max(frontier, at + length);
      const float sum = score + here;
      if (b.start < 0 || sum > b.score) b = {static_cast<int64_t>(at), sum, id};
    };
    const size_t character = char_length(text.substr(at));
    bool single = false;
    pieces_.each_match(text.substr(at), [&](size_t length, int32_t id) {
      const bool user = types_[id] == PieceType::kUserDefined;
      offer(length, user ? user_defined_score(length) : scores_[id], id);
      single |= length == character;
    });
    if (!single) offer(character, unk_score_, -1);
    at += character;
  }
  std::vector<std::pair<size_t, size_t>> path;  // ends and starts, from the right
  for (size_t end = text.size(); end > 0; end = static_cast<size_t>(best[end].start)) path.emplace_back(best[end].start, end);
  bool after_unknown = false;
  for (auto it = path.rbegin(); it != path.rend(); ++it) {
    const int32_t id = best[it->second].id;
    if (id >= 0) out.push_back(id);
    else if (!byte_ids_.empty())
      for (size_t i = it->first; i < it->second; ++i) out.push_back(byte_ids_[static_cast<uint8_t>(text[i])]);
    else if (!after_unknown) out.push_back(unk_id_);
    if (id < 0 && scratch.unknown) note_unknown(*scratch.unknown, text.substr(it->first, it->second - it->first), after_unknown);
    after_unknown = id < 0;
  }
}

std::unique_ptr<Model> make_sentencepiece_unigram(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context) {
  return std::make_unique<SentencePieceUnigram>(spec, vocabulary, context);
}

}  // namespace transom::text
