// Unigram: the segmentation with the highest sum of scores (Viterbi over byte positions), as Hugging Face models/unigram:
// an unknown character costs the lowest score - 10, neighbouring unknown ones are one token, then maybe bytes.
#include <algorithm>
#include <bit>
#include <limits>

#include "base/error.h"
#include "text/model.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace transom::text {
namespace {

constexpr double kUnkPenalty = 10.0;

// A byte trie with its edges in one open-addressing table.
class Trie {
 public:
  explicit Trie(const std::vector<std::string>& tokens) {
    size_t edges = 0;
    for (const auto& t : tokens) edges += t.size();
    edges_.resize(std::bit_ceil(edges * 2 + 2));
    ids_.push_back(-1);
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (tokens[id].empty()) continue;
      uint32_t node = 0;
      for (const char c : tokens[id]) node = add(node, static_cast<uint8_t>(c));
      ids_[node] = static_cast<int32_t>(id);
    }
  }
  // The node below `node` along `b`, 0 when there is none (the root is never below).
  uint32_t child(uint32_t node, uint8_t b) const {
    const uint64_t key = (uint64_t{node} << 8 | b) + 1;
    for (size_t i = slot(key);; i = (i + 1) & (edges_.size() - 1)) {
      if (edges_[i].key == key) return edges_[i].node;
      if (edges_[i].key == 0) return 0;
    }
  }
  int32_t id(uint32_t node) const { return ids_[node]; }

 private:
  struct Edge {
    uint64_t key = 0;
    uint32_t node = 0;
  };
  size_t slot(uint64_t key) const { return key * 0x9E3779B97F4A7C15u >> 20 & (edges_.size() - 1); }
  uint32_t add(uint32_t node, uint8_t b) {
    const uint64_t key = (uint64_t{node} << 8 | b) + 1;
    size_t i = slot(key);
    for (; edges_[i].key != 0; i = (i + 1) & (edges_.size() - 1))
      if (edges_[i].key == key) return edges_[i].node;
    ids_.push_back(-1);
    edges_[i] = {key, static_cast<uint32_t>(ids_.size() - 1)};
    return edges_[i].node;
  }
  std::vector<Edge> edges_;
  std::vector<int32_t> ids_;
};

class Unigram : public Model {
 public:
  Unigram(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context)
      : vocabulary_(vocabulary), scores_(spec.scores), trie_(vocabulary.tokens()), byte_fallback_(spec.byte_fallback),
        byte_ids_(byte_token_ids(vocabulary)) {
    if (scores_.size() != vocabulary.tokens().size())
      fail(Code::kCorrupt, context, "expected a score for each of {} tokens, got {}", vocabulary.tokens().size(), scores_.size());
    if (spec.unk_id) unk_id_ = *spec.unk_id;
    else if (spec.unk_token) unk_id_ = vocabulary.find(*spec.unk_token);
    double lowest = std::numeric_limits<double>::infinity();
    for (const double s : scores_) lowest = s < lowest ? s : lowest;
    unk_score_ = lowest - kUnkPenalty;
  }

  void encode(std::string_view piece, ModelScratch& scratch, std::vector<int32_t>& out) const override {
    if (piece.empty()) return;
    if (piece.size() > WordCache::kMaxKey) return encode_uncached(piece, scratch, out);
    const uint64_t hash = hash_bytes(piece);
    if (cache_.find(piece, hash, out)) return;
    const size_t before = out.size();
    encode_uncached(piece, scratch, out);
    cache_.insert(piece, hash, std::span(out).subspan(before));
  }

 private:
  void encode_uncached(std::string_view piece, ModelScratch& scratch, std::vector<int32_t>& out) const {
    find_best(piece, scratch);
    const size_t before = out.size();
    // Backwards: a stretch of unknown characters is one token; ids are appended in reverse and turned around.
    size_t unknown_end = 0;
    for (size_t end = piece.size(); end > 0;) {
      const ModelScratch::Best& b = scratch.best[end];
      if (unk_id_ >= 0 && b.id == unk_id_) {
        if (unknown_end == 0) unknown_end = end;
      } else {
        if (unknown_end > 0) push_reversed(piece.substr(end, unknown_end - end), out);
        unknown_end = 0;
        push_reversed(piece.substr(b.start, end - b.start), out);
      }
      end = static_cast<size_t>(b.start);
    }
    if (unknown_end > 0) push_reversed(piece.substr(0, unknown_end), out);
    std::reverse(out.begin() + static_cast<ptrdiff_t>(before), out.end());
  }

  void find_best(std::string_view piece, ModelScratch& scratch) const {
    auto& best = scratch.best;
    best.assign(piece.size() + 1, {0.0, -1, 0});
    const auto offer = [&best](size_t end, double score, size_t start, int32_t id) {
      ModelScratch::Best& b = best[end];
      if (b.start < 0 || score > b.score) b = {score, static_cast<int32_t>(start), id};
    };
    for (size_t start = 0; start < piece.size();) {
      const double here = best[start].score;
      const size_t len = utf8_len(piece[start]);
      bool single = false;
      uint32_t node = 0;
      for (size_t i = start; i < piece.size(); ++i) {
        node = trie_.child(node, static_cast<uint8_t>(piece[i]));
        if (node == 0) break;
        const int32_t id = trie_.id(node);
        if (id < 0) continue;
        offer(i + 1, scores_[id] + here, start, id);
        single = single || i + 1 - start == len;
      }
      if (!single) {
        const ModelScratch::Best& b = best[start + len];
        if (unk_id_ < 0 && (b.start < 0 || unk_score_ + here > b.score))
          fail(Code::kInvalidArgument, "tokenizer", "expected an unknown token for {}, got a Unigram model without one", quote(piece.substr(start, len)));
        if (unk_id_ >= 0) offer(start + len, unk_score_ + here, start, unk_id_);
      }
      start += len;
    }
  }

  void push_reversed(std::string_view token, std::vector<int32_t>& out) const {
    const int32_t id = vocabulary_.find(token);
    if (id >= 0) return out.push_back(id);
    const auto known = [&](char c) { return byte_ids_[static_cast<uint8_t>(c)] >= 0; };
    if (byte_fallback_ && std::all_of(token.begin(), token.end(), known)) {
      for (size_t i = token.size(); i-- > 0;) out.push_back(byte_ids_[static_cast<uint8_t>(token[i])]);
      return;
    }
    if (unk_id_ < 0) fail(Code::kInvalidArgument, "tokenizer", "expected an unknown token, got a Unigram model without one");
    out.push_back(unk_id_);
  }

  const Vocabulary& vocabulary_;
  std::vector<double> scores_;
  Trie trie_;
  bool byte_fallback_;
  std::vector<int32_t> byte_ids_;
  int32_t unk_id_ = -1;
  double unk_score_ = 0;
  WordCache cache_;
};

}  // namespace

std::unique_ptr<Model> make_unigram(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context) {
  return std::make_unique<Unigram>(spec, vocabulary, context);
}

}  // namespace transom::text
