// Byte-pair encoding: the pair of neighbours with the lowest merge rank is joined, leftmost first, until no pair is left.
// Short words scan for the lowest rank; long ones (whole texts, where there is no pre-tokenizer) keep a heap: O(n log n).
// Meaning as Hugging Face `tokenizers`, models/bpe.
#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "base/error.h"
#include "text/model.h"
#include "text/unicode.h"
#include "text/word_cache.h"

namespace transom::text {
namespace {

constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();
constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // ▁

// Pairs of ids to the rank of their merge. An entry is one word: left id, right id, rank, in as many bits as they need.
class MergeTable {
 public:
  MergeTable(size_t merges, size_t ids, std::string_view context)
      : slots_(std::bit_ceil(merges * 2 + 2), kEmpty), results_(merges), shift_(64 - std::bit_width(slots_.size() - 1)),
        id_bits_(std::max<int>(1, std::bit_width(ids))), rank_bits_(64 - 2 * id_bits_) {
    if (rank_bits_ < 1 || static_cast<int>(std::bit_width(merges)) >= rank_bits_)
      fail(Code::kUnsupported, context, "expected fewer than 2^{} merges for {} tokens, got {}", rank_bits_ - 1, ids, merges);
  }

  void prefetch(int32_t left, int32_t right) const { __builtin_prefetch(&slots_[slot(pair(left, right))], 1); }
  void set(int32_t left, int32_t right, uint32_t rank, int32_t result) {
    const uint64_t p = pair(left, right);
    size_t i = slot(p);
    while (slots_[i] != kEmpty && slots_[i] >> rank_bits_ != p) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = p << rank_bits_ | rank;
    results_[rank] = result;
  }
  // kNoRank when the pair has no merge.
  uint32_t rank(int32_t left, int32_t right) const {
    const uint64_t p = pair(left, right);
    for (size_t i = slot(p);; i = (i + 1) & (slots_.size() - 1)) {
      if (slots_[i] == kEmpty) return kNoRank;
      if (slots_[i] >> rank_bits_ == p) return static_cast<uint32_t>(slots_[i] & ((uint64_t{1} << rank_bits_) - 1));
    }
  }
  int32_t result(uint32_t rank) const { return results_[rank]; }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // no pair: ids are below 2^id_bits - 1
  uint64_t pair(int32_t left, int32_t right) const {
    return uint64_t{static_cast<uint32_t>(left)} << id_bits_ | static_cast<uint32_t>(right);
  }
  size_t slot(uint64_t pair) const { return (pair ^ pair >> 29) * 0x9E3779B97F4A7C15u >> shift_; }
  std::vector<uint64_t> slots_;
  std::vector<int32_t> results_;
  int shift_, id_bits_, rank_bits_;
};

class Bpe : public Model {
 public:
  Bpe(const TokenizerModel& spec, const Vocabulary& vocabulary, bool byte_level, std::string_view context)
      : vocabulary_(vocabulary), byte_level_(byte_level), byte_fallback_(spec.byte_fallback), ignore_merges_(spec.ignore_merges),
        fuse_unk_(spec.fuse_unk), prefix_(spec.continuing_subword_prefix), suffix_(spec.end_of_word_suffix),
        merges_(std::max(spec.merges.size(), spec.merge_ids.size()), vocabulary.tokens().size(), context), byte_ids_(byte_token_ids(vocabulary)) {
    if (spec.unk_token) unk_ = *spec.unk_token, has_unk_ = true, unk_id_ = vocabulary.find(unk_);
    add_merges(spec, context);
    for (int b = 0; b < 256; ++b) {
      std::string mapped;
      append_utf8(mapped, byte_to_char(static_cast<uint8_t>(b)));
      level_ids_[b] = vocabulary.find(mapped);
    }
    const bool plain = prefix_.empty() && suffix_.empty() && !byte_level_;
    // Unknown characters must leave a symbol behind, or what they stood between becomes neighbours.
    const bool keeps_all = has_unk_ || (byte_fallback_ && std::count(byte_ids_.begin(), byte_ids_.end(), -1) == 0);
    splits_at_space_ = plain && keeps_all && splits_at_space_ && vocabulary.find(kSpaceMark) >= 0;
  }

  void encode(std::string_view piece, ModelScratch& scratch, std::vector<int32_t>& out) const override {
    if (piece.empty()) return;
    if (!splits_at_space_ || piece.size() <= WordCache::kMaxKey / 2) return encode_word(piece, scratch, out);
    if (ignore_merges_ && piece.size() <= vocabulary_.longest()) {
      const int32_t id = vocabulary_.find(piece);
      if (id >= 0) return out.push_back(id);
    }
    // No merge reaches across the start of a "▁" that follows another character (few exceptions): the parts merge alone.
    size_t from = 0;
    for (size_t at = piece.find(kSpaceMark, 1); at != std::string_view::npos; at = piece.find(kSpaceMark, at + 1)) {
      if (joins_space_[static_cast<uint8_t>(piece[at - 1])] || (at - from >= 3 && piece.substr(at - 3, 3) == kSpaceMark)) continue;
      encode_part(piece.substr(from, at - from), scratch, out);
      from = at;
    }
    encode_part(piece.substr(from), scratch, out);
  }

 private:
  void add_merges(const TokenizerModel& spec, std::string_view context);
  struct MergeNotes {
    std::string joined;
    int32_t last = -2;   // result of the merge before
    bool twins = false;  // the table has a string twice: no guessing
  };
  void note_merge(int32_t left, int32_t right, uint32_t rank, MergeNotes& notes, std::string_view context);

  void encode_word(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const {
    encode_cached(word, ignore_merges_, scratch, out);
  }
  void encode_part(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const {
    encode_cached(word, false, scratch, out);
  }

  void encode_cached(std::string_view word, bool whole_first, ModelScratch& scratch, std::vector<int32_t>& out) const {
    if (word.size() > WordCache::kMaxKey || whole_first != ignore_merges_) return encode_uncached(word, whole_first, scratch, out);
    const uint64_t hash = hash_bytes(word);
    if (cache_.find(word, hash, out)) return;
    const size_t before = out.size();
    encode_uncached(word, whole_first, scratch, out);
    cache_.insert(word, hash, std::span(out).subspan(before));
  }

  void encode_uncached(std::string_view word, bool whole_first, ModelScratch& scratch, std::vector<int32_t>& out) const {
    if (whole_first) {
      const int32_t id = find_whole(word, scratch);
      if (id >= 0) return out.push_back(id);
    }
    scratch.ids.clear();
    first_symbols(word, scratch);
    if (scratch.ids.size() <= 48) merge_scanning(scratch);
    else merge_with_heap(scratch);
    out.insert(out.end(), scratch.ids.begin(), scratch.ids.end());
  }

  int32_t find_whole(std::string_view word, ModelScratch& scratch) const {
    if (!byte_level_) return word.size() <= vocabulary_.longest() ? vocabulary_.find(word) : -1;
    if (word.size() > vocabulary_.longest()) return -1;
    scratch.text.clear();
    for (const char c : word) append_utf8(scratch.text, byte_to_char(static_cast<uint8_t>(c)));
    return vocabulary_.find(scratch.text);
  }

  // One symbol per character, with unknown ones as bytes or as the unknown token, or dropped.
  void first_symbols(std::string_view word, ModelScratch& scratch) const {
    bool unk = false;  // an unknown token that is still to be written: bytes overtake it, as in the reference
    const size_t n = word.size();
    for (size_t i = 0; i < n;) {
      const size_t len = byte_level_ ? 1 : utf8_len(word[i]);
      int32_t id;
      std::string_view s = word.substr(i, len);
      if (byte_level_) {
        id = level_ids_[static_cast<uint8_t>(word[i])];
        if (id < 0) {
          scratch.text.clear();
          append_utf8(scratch.text, byte_to_char(static_cast<uint8_t>(word[i])));
          s = scratch.text;
        }
      } else {
        if ((i > 0 && !prefix_.empty()) || (i + len == n && !suffix_.empty())) {
          scratch.text.assign(i > 0 ? prefix_ : std::string());
          scratch.text.append(s);
          if (i + len == n) scratch.text += suffix_;
          s = scratch.text;
        }
        id = vocabulary_.find(s);
      }
      i += len;
      if (id >= 0) {
        if (unk) scratch.ids.push_back(unk_id_);
        unk = false;
        scratch.ids.push_back(id);
      } else if (!(byte_fallback_ && push_bytes(s, scratch.ids)) && has_unk_) {
        if (unk_id_ < 0) fail(Code::kInvalidArgument, "tokenizer", "expected the unknown token {} in the vocabulary, got none", quote(unk_));
        if (unk && !fuse_unk_) scratch.ids.push_back(unk_id_);
        unk = true;
      }
    }
    if (unk) scratch.ids.push_back(unk_id_);
  }

  bool push_bytes(std::string_view s, std::vector<int32_t>& ids) const {
    for (const char c : s)
      if (byte_ids_[static_cast<uint8_t>(c)] < 0) return false;
    for (const char c : s) ids.push_back(byte_ids_[static_cast<uint8_t>(c)]);
    return true;
  }

  void merge_scanning(ModelScratch& scratch) const {
    std::vector<int32_t>& ids = scratch.ids;
    std::array<uint32_t, 48> ranks;
    size_t n = ids.size();
    for (size_t i = 0; i + 1 < n; ++i) ranks[i] = merges_.rank(ids[i], ids[i + 1]);
    while (n > 1) {
      size_t at = 0;
      for (size_t i = 1; i + 1 < n; ++i)
        if (ranks[i] < ranks[at]) at = i;
      if (ranks[at] == kNoRank) break;
      ids[at] = merges_.result(ranks[at]);
      for (size_t i = at + 1; i + 1 < n; ++i) {
        ids[i] = ids[i + 1];
        ranks[i] = i + 2 < n ? ranks[i + 1] : kNoRank;
      }
      --n;
      if (at > 0) ranks[at - 1] = merges_.rank(ids[at - 1], ids[at]);
      if (at + 1 < n) ranks[at] = merges_.rank(ids[at], ids[at + 1]);
    }
    ids.resize(n);
  }

  void merge_with_heap(ModelScratch& scratch) const;

  const Vocabulary& vocabulary_;
  bool byte_level_, byte_fallback_, ignore_merges_, fuse_unk_, has_unk_ = false, splits_at_space_ = true;
  std::string prefix_, suffix_, unk_;
  int32_t unk_id_ = -1;
  MergeTable merges_;
  std::vector<int32_t> byte_ids_;
  std::array<int32_t, 256> level_ids_{};
  std::array<bool, 256> joins_space_{};  // last bytes of what a merge joins to a following "▁…"
  WordCache cache_;
};

void Bpe::add_merges(const TokenizerModel& spec, std::string_view context) {
  MergeNotes notes{.joined = {}, .last = -2, .twins = vocabulary_.has_twins()};
  uint32_t rank = 0;
  constexpr size_t kAhead = 12;
  for (size_t i = 0; i < spec.merge_ids.size(); ++i) {
    if (i + kAhead < spec.merge_ids.size()) {
      const auto [left, right] = spec.merge_ids[i + kAhead];
      merges_.prefetch(left, right);
      __builtin_prefetch(&vocabulary_.tokens()[left]);
      __builtin_prefetch(&vocabulary_.tokens()[right]);
    }
    note_merge(spec.merge_ids[i].first, spec.merge_ids[i].second, rank++, notes, context);
  }
  if (!spec.merge_ids.empty()) return;
  for (const auto& [left, right] : spec.merges) {
    const int32_t l = vocabulary_.find(left), r = vocabulary_.find(right);
    if (l < 0 || r < 0)
      fail(Code::kCorrupt, context, "expected both parts of merge {} in the vocabulary, got no {}", rank, quote(l < 0 ? left : right));
    note_merge(l, r, rank++, notes, context);
  }
}

void Bpe::note_merge(int32_t left, int32_t right, uint32_t rank, MergeNotes& notes, std::string_view context) {
  const std::string& l = vocabulary_.tokens()[left];
  const std::string& r = vocabulary_.tokens()[right];
  if (r.size() < prefix_.size())
    fail(Code::kCorrupt, context, "expected the second part of merge {} to start with {}, got {}", rank, quote(prefix_), quote(r));
  notes.joined.assign(l);
  notes.joined.append(r, prefix_.size());
  // Most files list merges in the order of their results' ids: the last result or the next id is it without a search.
  int32_t id = -1;
  const auto& tokens = vocabulary_.tokens();
  for (int32_t guess = notes.last; guess <= notes.last + 1 && !notes.twins; ++guess)
    if (guess >= 0 && static_cast<size_t>(guess) < tokens.size() && tokens[guess] == notes.joined) id = guess;
  if (id < 0) id = vocabulary_.find(notes.joined);
  if (id < 0) fail(Code::kCorrupt, context, "expected the result of merge {} in the vocabulary, got no {}", rank, quote(notes.joined));
  notes.last = id;
  merges_.set(left, right, rank, id);
  const auto special = [&](int32_t part, const std::string& s) {
    return part == unk_id_ || (s.size() == 6 && s.starts_with("<0x"));
  };
  if (special(left, l) || special(right, r)) splits_at_space_ = false;
  if (r.starts_with(kSpaceMark) && !l.ends_with(kSpaceMark)) joins_space_[static_cast<uint8_t>(l.back())] = true;
}

// A heap of (rank, position) over a linked list of symbols. Entries that a merge has made stale are skipped when popped.
void Bpe::merge_with_heap(ModelScratch& scratch) const {
  auto& symbols = scratch.symbols;
  auto& heap = scratch.heap;
  const auto n = static_cast<int32_t>(scratch.ids.size());
  symbols.resize(n);
  heap.clear();
  for (int32_t i = 0; i < n; ++i) symbols[i] = {scratch.ids[i], i - 1, i + 1 < n ? i + 1 : -1};
  const auto push = [&](int32_t at, bool heapify) {
    const int32_t next = symbols[at].next;
    if (next < 0) return;
    const uint32_t rank = merges_.rank(symbols[at].id, symbols[next].id);
    if (rank == kNoRank) return;
    heap.push_back(uint64_t{rank} << 32 | static_cast<uint32_t>(at));
    if (heapify) std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  for (int32_t i = 0; i < n; ++i) push(i, false);
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const uint64_t top = heap.back();
    heap.pop_back();
    const auto at = static_cast<int32_t>(top & 0xffffffffu);
    if (symbols[at].id < 0 || symbols[at].next < 0) continue;
    const int32_t right = symbols[at].next;
    const auto rank = static_cast<uint32_t>(top >> 32);
    if (merges_.rank(symbols[at].id, symbols[right].id) != rank) continue;
    symbols[at].id = merges_.result(rank);
    symbols[at].next = symbols[right].next;
    symbols[right].id = -1;
    if (symbols[at].next >= 0) symbols[symbols[at].next].prev = at;
    if (symbols[at].prev >= 0) push(symbols[at].prev, true);
    push(at, true);
  }
  scratch.ids.clear();
  for (int32_t i = n > 0 ? 0 : -1; i >= 0; i = symbols[i].next) scratch.ids.push_back(symbols[i].id);
}

}  // namespace

std::vector<int32_t> byte_token_ids(const Vocabulary& vocabulary) {
  std::vector<int32_t> ids(256);
  for (int b = 0; b < 256; ++b) ids[b] = vocabulary.find(fmt::format("<0x{:02X}>", b));
  return ids;
}

std::unique_ptr<Model> make_bpe(const TokenizerModel& spec, const Vocabulary& vocabulary, bool byte_level, std::string_view context) {
  return std::make_unique<Bpe>(spec, vocabulary, byte_level, context);
}

}  // namespace transom::text
