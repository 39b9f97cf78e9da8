// MergeByScore: see merge_by_score.h. Ties, frozen user-defined symbols, unused pieces (split again into what they were
// merged from) and runs of unknown characters go as in sentencepiece 0.2.3.
#include "text/merge_by_score.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "base/error.h"

namespace transom::text {
namespace {

constexpr int kMaxResegmentDepth = 100;  // as sentencepiece bounds it

// A character's length by its first byte, also in broken UTF-8.
size_t char_length(std::string_view s) {
  static constexpr uint8_t kLengths[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
  return std::min<size_t>(s.size(), kLengths[static_cast<uint8_t>(s[0]) >> 4]);
}

uint64_t mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD1B54A32D192ED03u);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

uint64_t hash_bytes(std::string_view s) {
  uint64_t h = s.size();
  const char* p = s.data();
  size_t n = s.size();
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    h = mix(h, word);
  }
  uint64_t word = 0;
  if (n != 0) std::memcpy(&word, p, n);
  return mix(h, word);
}

// Maps a float to an integer of the same order (-0 below +0), so that ties are exact.
uint32_t total_order(float score) {
  const uint32_t bits = std::bit_cast<uint32_t>(score);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

bool mergeable(PieceType type) {
  return type == PieceType::kNormal || type == PieceType::kUserDefined || type == PieceType::kUnused;
}

}  // namespace

struct MergeByScore::Symbol {
  std::string_view piece;  // empty when merged into its left neighbour
  int prev, next;
  int32_t id;  // -1 until a merge made it
  bool frozen;
};

struct MergeByScore::Pair {
  uint32_t order;
  int left, right;
  uint32_t size;
  int32_t id;
  // For std::push_heap: the worse pair is "less".
  bool operator<(const Pair& o) const { return order != o.order ? order < o.order : left > o.left; }
};

struct MergeByScore::Work {
  std::vector<Symbol> symbols;
  std::vector<Pair> heap;
  std::unordered_map<std::string_view, std::pair<std::string_view, std::string_view>> made_of;  // unused pieces only
  bool after_unknown = false;
};

MergeByScore::MergeByScore(TokenizerModel model, std::string_view context) : model_(std::move(model)) {
  if (model_.scores.size() != model_.tokens.size())
    fail(Code::kCorrupt, context, "expected {} scores, one a token, got {}", model_.tokens.size(), model_.scores.size());
  build_table(context);
  build_joins();
  if (model_.unk_token)
    for (size_t i = 0; i < model_.tokens.size() && unk_id_ < 0; ++i)
      if (model_.tokens[i] == *model_.unk_token) unk_id_ = static_cast<int32_t>(i);
  if (!model_.byte_fallback) return;
  byte_ids_.assign(256, -1);
  for (size_t i = 0; i < model_.tokens.size(); ++i) {
    const int byte = byte_of_piece(model_.tokens[i]);
    if (byte >= 0 && (model_.type(i) == PieceType::kByte || byte_ids_[byte] < 0)) byte_ids_[byte] = static_cast<int32_t>(i);
  }
  for (int b = 0; b < 256; ++b)
    if (byte_ids_[b] < 0) fail(Code::kCorrupt, context, "expected a token <0x{:02X}> for byte fallback, got none", b);
}

void MergeByScore::build_table(std::string_view context) {
  const size_t n = model_.tokens.size();
  table_.assign(std::bit_ceil(std::max<size_t>(16, n * 2)), {});
  order_.resize(n);
  std::vector<std::pair<std::string_view, int32_t>> user_defined;
  for (size_t i = 0; i < n; ++i) {
    const std::string_view piece = model_.tokens[i];
    order_[i] = total_order(static_cast<float>(model_.scores[i]));
    if (!mergeable(model_.type(i)) || piece.empty()) continue;
    has_unused_ |= model_.type(i) == PieceType::kUnused;
    if (model_.type(i) == PieceType::kUserDefined) user_defined.emplace_back(piece, static_cast<int32_t>(i));
    max_piece_ = std::max(max_piece_, piece.size());
    const uint64_t h = hash_bytes(piece);
    size_t slot = h & (table_.size() - 1);
    for (; table_[slot].id >= 0; slot = (slot + 1) & (table_.size() - 1))
      if (model_.tokens[table_[slot].id] == piece)
        fail(Code::kCorrupt, context, "expected unique pieces, got ids {} and {} for the same one", table_[slot].id, i);
    table_[slot] = {static_cast<uint32_t>(h >> 32), static_cast<int32_t>(i)};
  }
  user_defined_ = ByteTrie(std::move(user_defined));
}

int32_t MergeByScore::find(std::string_view piece) const {
  if (piece.size() > max_piece_) return -1;
  const uint64_t h = hash_bytes(piece);
  const uint32_t tag = static_cast<uint32_t>(h >> 32);
  for (size_t slot = h & (table_.size() - 1); table_[slot].id >= 0; slot = (slot + 1) & (table_.size() - 1))
    if (table_[slot].tag == tag && model_.tokens[table_[slot].id] == piece) return table_[slot].id;
  return -1;
}

namespace {
uint64_t join_bit(std::string_view left, std::string_view right) {
  uint32_t a = 0, b = 0;
  std::memcpy(&a, left.data(), std::min<size_t>(4, left.size()));
  std::memcpy(&b, right.data(), std::min<size_t>(4, right.size()));
  return mix(a, b);
}
}  // namespace

void MergeByScore::build_joins() {
  size_t characters = 0;
  for (const std::string& t : model_.tokens) characters += t.size();
  joins_.assign(std::bit_ceil(std::clamp<size_t>(characters / 16, 64, size_t{1} << 17)), 0);
  for (size_t i = 0; i < model_.tokens.size(); ++i) {
    if (!mergeable(model_.type(i))) continue;
    std::string_view rest = model_.tokens[i], previous;
    while (!rest.empty()) {
      const std::string_view c = rest.substr(0, char_length(rest));
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

void MergeByScore::encode(std::string_view text, std::vector<int32_t>& out) const {
  if (model_.ignore_merges) {
    const int32_t whole = find(text);
    if (whole >= 0) {
      out.push_back(whole);
      return;
    }
  }
  Work work;
  while (!text.empty()) {
    const size_t known = user_defined_.empty() ? 0 : user_defined_.longest_match(text);
    const std::string_view c = text.substr(0, known != 0 ? known : char_length(text));
    text.remove_prefix(c.size());
    const int index = static_cast<int>(work.symbols.size());
    // A piece that was not used may come apart again by how it was merged elsewhere in the text: no cuts then.
    if (index > 0 && !has_unused_ &&
        (known != 0 || work.symbols.back().frozen || !may_join(work.symbols.back().piece, c))) {
      merge(work);
      for (int i = 0; i >= 0; i = work.symbols[i].next) add_piece(work.symbols[i].piece, work.symbols[i].id, work, out, 0);
      work.symbols.clear();
    }
    const int at = static_cast<int>(work.symbols.size());
    if (at > 0) work.symbols.back().next = at;
    work.symbols.push_back({c, at - 1, -1, -1, known != 0});
  }
  merge(work);
  for (int i = work.symbols.empty() ? -1 : 0; i >= 0; i = work.symbols[i].next)
    add_piece(work.symbols[i].piece, work.symbols[i].id, work, out, 0);
}

void MergeByScore::try_pair(Work& work, int left, int right) const {
  if (left < 0 || right < 0) return;
  const Symbol &l = work.symbols[left], &r = work.symbols[right];
  if (l.frozen || r.frozen) return;
  const std::string_view piece(l.piece.data(), l.piece.size() + r.piece.size());
  const int32_t id = find(piece);
  if (id < 0) return;
  work.heap.push_back({order_[id], left, right, static_cast<uint32_t>(piece.size()), id});
  std::push_heap(work.heap.begin(), work.heap.end());
  if (has_unused_ && model_.type(id) == PieceType::kUnused) work.made_of[piece] = {l.piece, r.piece};
}

void MergeByScore::merge(Work& work) const {
  work.heap.clear();
  for (size_t i = 1; i < work.symbols.size(); ++i) try_pair(work, static_cast<int>(i) - 1, static_cast<int>(i));
  while (!work.heap.empty()) {
    const Pair best = work.heap.front();
    std::pop_heap(work.heap.begin(), work.heap.end());
    work.heap.pop_back();
    Symbol &l = work.symbols[best.left], &r = work.symbols[best.right];
    if (l.piece.empty() || r.piece.empty() || l.piece.size() + r.piece.size() != best.size) continue;  // out of date
    l.piece = std::string_view(l.piece.data(), best.size);
    l.id = best.id;
    l.next = r.next;
    if (r.next >= 0) work.symbols[r.next].prev = best.left;
    r.piece = {};
    try_pair(work, l.prev, best.left);
    try_pair(work, best.left, l.next);
  }
}

void MergeByScore::add_unknown(std::string_view piece, bool& after_unknown, std::vector<int32_t>& out) const {
  if (!byte_ids_.empty()) {
    for (char c : piece) out.push_back(byte_ids_[static_cast<uint8_t>(c)]);
  } else if (unk_id_ >= 0 && !(after_unknown && model_.fuse_unk)) {
    out.push_back(unk_id_);
  }
  after_unknown = true;
}

void MergeByScore::add_piece(std::string_view piece, int32_t id, Work& work, std::vector<int32_t>& out, int depth) const {
  if (id < 0) id = find(piece);
  if (id < 0) return add_unknown(piece, work.after_unknown, out);
  if (has_unused_ && model_.type(id) == PieceType::kUnused && depth <= kMaxResegmentDepth) {
    const auto parts = work.made_of.find(piece);
    if (parts == work.made_of.end()) return add_unknown(piece, work.after_unknown, out);
    const auto [left, right] = parts->second;
    add_piece(left, -1, work, out, depth + 1);
    return add_piece(right, -1, work, out, depth + 1);
  }
  work.after_unknown = false;
  out.push_back(id);
}

}  // namespace transom::text
