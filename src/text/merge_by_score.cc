// MergeByScore: see merge_by_score.h. Ties, frozen user-defined symbols, unused pieces (split again into what they were
// merged from) and runs of unknown characters go as in sentencepiece 0.2.3.
#include "text/merge_by_score.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <unordered_map>

#include "base/error.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

constexpr int kMaxResegmentDepth = 100;  // as sentencepiece bounds it
constexpr size_t kShort = 32;            // parts of up to so many symbols are merged by scanning

using Symbol = ModelScratch::MergeSymbol;
using Pair = ModelScratch::MergePair;

// Maps a float to an integer of the same order (-0 below +0), so that ties are exact. 0 is below every score.
uint32_t total_order(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

bool mergeable(PieceType type) {
  return type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused || type == PieceType::kUndefined;
}

// A token's bytes out of the byte-level alphabet; "" when it is not written in it.
std::string raw_bytes(std::string_view token) {
  std::string out;
  for (size_t i = 0; i < token.size();) {
    const Decoded d = decode_utf8(token.data() + i);
    const int b = char_to_byte(d.c);
    if (b < 0) return "";
    out += static_cast<char>(b);
    i += d.len;
  }
  return out;
}

uint64_t join_bit(std::string_view left, std::string_view right) {
  char both[8] = {};
  std::memcpy(both, left.data(), std::min<size_t>(4, left.size()));
  std::memcpy(both + 4, right.data(), std::min<size_t>(4, right.size()));
  uint64_t h;
  std::memcpy(&h, both, sizeof(h));
  h = (h ^ h >> 31) * 0x9E3779B97F4A7C15u;
  return (h ^ h >> 29) * 0xD1B54A32D192ED03u >> 20;
}

// The worse pair is "less", for std::push_heap.
bool worse(const Pair& a, const Pair& b) { return a.order != b.order ? a.order < b.order : a.left > b.left; }

}  // namespace

// One encode().
struct MergeByScore::Run {
  ModelScratch& scratch;
  std::vector<int32_t>& out;
  std::unordered_map<std::string_view, std::pair<std::string_view, std::string_view>> made_of;  // unused pieces only
  bool after_unknown = false, met_unknown = false;
};

MergeByScore::MergeByScore(const TokenizerModel& spec, const Vocabulary& vocabulary, bool byte_level, std::string_view context)
    : vocabulary_(vocabulary), pieces_(byte_level ? &raw_ : &vocabulary), types_(spec.types), byte_level_(byte_level),
      fuse_unk_(spec.fuse_unk), ignore_merges_(spec.ignore_merges) {
  const std::vector<std::string>& tokens = vocabulary.tokens();
  if (spec.scores.size() != tokens.size()) fail(Code::kCorrupt, context, "expected {} scores, one a token, got {}", tokens.size(), spec.scores.size());
  types_.resize(tokens.size(), PieceType::kNormal);
  order_.resize(tokens.size());
  std::vector<std::pair<std::string_view, int32_t>> user_defined;
  for (size_t i = 0; i < tokens.size(); ++i) {
    order_[i] = total_order(static_cast<float>(spec.scores[i]));
    has_unused_ |= types_[i] == PieceType::kUnused;
    if (types_[i] == PieceType::kUserDefined) user_defined.emplace_back(tokens[i], static_cast<int32_t>(i));
  }
  user_defined_ = ByteTrie(std::move(user_defined));
  if (byte_level) {
    std::vector<std::string> raw(tokens.size());
    for (size_t i = 0; i < tokens.size(); ++i)
      if (mergeable(types_[i])) raw[i] = raw_bytes(tokens[i]);
    raw_ = Vocabulary(std::move(raw));
  }
  if (spec.unk_token) unk_id_ = vocabulary.find(*spec.unk_token);
  if (spec.byte_fallback) set_bytes(context);
  set_joins();
}

void MergeByScore::set_bytes(std::string_view context) {
  byte_ids_ = byte_token_ids(vocabulary_);
  for (int b = 0; b < 256; ++b)
    if (byte_ids_[b] < 0) fail(Code::kCorrupt, context, "expected a token <0x{:02X}> for byte fallback, got none", b);
}

int32_t MergeByScore::find(std::string_view piece) const {
  if (piece.size() > pieces_->longest()) return -1;
  const int32_t id = pieces_->find(piece);
  return id >= 0 && mergeable(types_[id]) ? id : -1;
}

// A symbol is a byte, or a character: its length goes by the first byte, also in broken UTF-8.
size_t MergeByScore::symbol_length(std::string_view text) const {
  if (byte_level_) return 1;
  const auto first = static_cast<uint8_t>(text[0]);
  return first < 0xC0 ? 1 : std::min<size_t>(text.size(), utf8_len(text[0]));
}

void MergeByScore::set_joins() {
  size_t bytes = 0;
  for (const std::string& t : pieces_->tokens()) bytes += t.size();
  joins_.assign(std::bit_ceil(std::clamp<size_t>(bytes / 16, 64, size_t{1} << 17)), 0);
  for (size_t i = 0; i < types_.size(); ++i) {
    if (!mergeable(types_[i])) continue;
    std::string_view rest = pieces_->tokens()[i], previous;
    while (!rest.empty()) {
      const std::string_view c = rest.substr(0, symbol_length(rest));
      if (!previous.empty()) {
        const uint64_t bit = join_bit(previous, c) & (joins_.size() * 64 - 1);
        joins_[bit / 64] |= uint64_t{1} << (bit % 64);
      }
      previous = c;
      rest.remove_prefix(c.size());
    }
  }
}

bool MergeByScore::may_join(std::string_view left, std::string_view right) const {
  const uint64_t bit = join_bit(left, right) & (joins_.size() * 64 - 1);
  return joins_[bit / 64] >> (bit % 64) & 1;
}

void MergeByScore::encode(std::string_view text, ModelScratch& scratch, std::vector<int32_t>& out) const {
  if (ignore_merges_) {
    const int32_t whole = find(text);
    if (whole >= 0) return out.push_back(whole);
  }
  Run run{scratch, out, {}};
  size_t part = 0;  // where the part that is still to be merged starts
  std::string_view previous;
  bool after_frozen = false;
  scratch.merge_symbols.clear();
  for (size_t at = 0; at < text.size();) {
    const size_t known = user_defined_.empty() ? 0 : user_defined_.longest_match(text.substr(at));
    const std::string_view c = text.substr(at, known != 0 ? known : symbol_length(text.substr(at)));
    // A piece that is not used comes apart by how it was merged anywhere in the text: no cuts then.
    if (at > part && !has_unused_ && (known != 0 || after_frozen || !may_join(previous, c))) {
      encode_part(text.substr(part, at - part), run);
      part = at;
    }
    const auto index = static_cast<int32_t>(scratch.merge_symbols.size());
    if (index > 0) scratch.merge_symbols.back().next = index;
    scratch.merge_symbols.push_back({c, index - 1, -1, -1, known != 0});
    previous = c;
    after_frozen = known != 0;
    at += c.size();
  }
  encode_part(text.substr(part), run);
}

// Merges the symbols gathered, which make up `part`, and leaves none.
void MergeByScore::encode_part(std::string_view part, Run& run) const {
  std::vector<Symbol>& symbols = run.scratch.merge_symbols;
  if (symbols.empty()) return;
  const bool cacheable = symbols.size() > 2 && part.size() <= WordCache::kMaxKey && !has_unused_;
  const uint64_t hash = cacheable ? hash_bytes(part) : 0;
  if (cacheable && cache_.find(part, hash, run.out)) {
    run.after_unknown = false;
    return symbols.clear();
  }
  const size_t before = run.out.size();
  run.met_unknown = false;
  if (symbols.size() <= kShort && !has_unused_) merge_short(run);
  else merge(run);
  add_symbols(run);
  symbols.clear();
  if (cacheable && !run.met_unknown && run.out.size() - before <= WordCache::kMaxIds)
    cache_.insert(part, hash, std::span(run.out).subspan(before));
}

// The best pair by looking at all: the same order as merge() without its heap.
void MergeByScore::merge_short(Run& run) const {
  std::vector<Symbol>& symbols = run.scratch.merge_symbols;
  struct Join {
    uint32_t order = 0;
    int32_t id = -1;
  } joins[kShort];
  const auto look = [&](size_t i) {
    if (i + 1 >= symbols.size() || symbols[i].frozen || symbols[i + 1].frozen) return Join{};
    const int32_t id = find({symbols[i].piece.data(), symbols[i].piece.size() + symbols[i + 1].piece.size()});
    return id < 0 ? Join{} : Join{order_[id], id};
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) joins[i] = look(i);
  while (symbols.size() > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < symbols.size(); ++i)
      if (joins[i].order > joins[best].order) best = i;
    if (joins[best].id < 0) break;
    symbols[best].piece = {symbols[best].piece.data(), symbols[best].piece.size() + symbols[best + 1].piece.size()};
    symbols[best].id = joins[best].id;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    for (size_t i = best + 1; i + 1 < symbols.size(); ++i) joins[i] = joins[i + 1];
    joins[best] = look(best);
    if (best > 0) joins[best - 1] = look(best - 1);
  }
  for (size_t i = 0; i < symbols.size(); ++i) symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i) + 1 : -1;
}

void MergeByScore::try_pair(Run& run, int32_t left, int32_t right) const {
  if (left < 0 || right < 0) return;
  const Symbol &l = run.scratch.merge_symbols[left], &r = run.scratch.merge_symbols[right];
  if (l.frozen || r.frozen) return;
  const std::string_view piece(l.piece.data(), l.piece.size() + r.piece.size());
  const int32_t id = find(piece);
  if (id < 0) return;
  run.scratch.merge_pairs.push_back({order_[id], left, right, static_cast<uint32_t>(piece.size()), id});
  if (has_unused_ && types_[id] == PieceType::kUnused) run.made_of[piece] = {l.piece, r.piece};
}

void MergeByScore::merge(Run& run) const {
  std::vector<Symbol>& symbols = run.scratch.merge_symbols;
  std::vector<Pair>& heap = run.scratch.merge_pairs;
  heap.clear();
  for (int32_t i = 1; i < static_cast<int32_t>(symbols.size()); ++i) try_pair(run, i - 1, i);
  std::make_heap(heap.begin(), heap.end(), worse);
  const auto push = [&](int32_t left, int32_t right) {
    const size_t before = heap.size();
    try_pair(run, left, right);
    if (heap.size() > before) std::push_heap(heap.begin(), heap.end(), worse);
  };
  while (!heap.empty()) {
    const Pair best = heap.front();
    std::pop_heap(heap.begin(), heap.end(), worse);
    heap.pop_back();
    Symbol &l = symbols[best.left], &r = symbols[best.right];
    if (l.piece.empty() || r.piece.empty() || l.piece.size() + r.piece.size() != best.size) continue;  // out of date
    l.piece = {l.piece.data(), best.size};
    l.id = best.id;
    l.next = r.next;
    if (r.next >= 0) symbols[r.next].prev = best.left;
    r.piece = {};
    push(l.prev, best.left);
    push(best.left, l.next);
  }
}

void MergeByScore::add_symbols(Run& run) const {
  const std::vector<Symbol>& symbols = run.scratch.merge_symbols;
  for (int32_t i = 0; i >= 0; i = symbols[i].next) add_piece(symbols[i].piece, symbols[i].id, run, 0);
}

void MergeByScore::add_piece(std::string_view piece, int32_t id, Run& run, int depth) const {
  if (id < 0) id = find(piece);
  if (id < 0) return add_unknown(piece, run);
  if (has_unused_ && types_[id] == PieceType::kUnused && depth <= kMaxResegmentDepth) {
    const auto parts = run.made_of.find(piece);
    if (parts == run.made_of.end()) return add_unknown(piece, run);
    const auto [left, right] = parts->second;
    add_piece(left, -1, run, depth + 1);
    return add_piece(right, -1, run, depth + 1);
  }
  run.after_unknown = false;
  run.out.push_back(id);
}

void MergeByScore::add_unknown(std::string_view piece, Run& run) const {
  if (!byte_ids_.empty()) {
    for (const char c : piece) run.out.push_back(byte_ids_[static_cast<uint8_t>(c)]);
  } else if (unk_id_ >= 0 && !(run.after_unknown && fuse_unk_)) {
    run.out.push_back(unk_id_);
  }
  if (run.scratch.unknown) note_unknown(*run.scratch.unknown, piece, run.after_unknown && fuse_unk_);
  run.after_unknown = run.met_unknown = true;
}

std::unique_ptr<Model> make_merge_by_score(const TokenizerModel& spec, const Vocabulary& vocabulary, bool byte_level, std::string_view context) {
  return std::make_unique<MergeByScore>(spec, vocabulary, byte_level, context);
}

}  // namespace transom::text
