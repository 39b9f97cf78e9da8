// Sharing attention among the team's threads. The work is a list of tiles (sequence, kv head, up to kAttentionRows rows),
// taken as threads become free. When there are too few tiles and the context is long, as in decoding, the keys are shared
// too: the parts of each tile's segments are formed separately and merged after a barrier, with the same result.
#include <algorithm>
#include <atomic>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/cpu/linear.h"

namespace transom::cpu {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How the rows of each sequence become tiles.
struct Tiling {
  const AttentionArgs& a;
  bool one_order;
  int threads;
  int64_t most_kvs = 1;  // of a tile of few rows
  static constexpr int64_t kLeastRows = 32;

  // As many kv heads a tile as leave each thread several pieces of work: their keys lie side by side.
  Tiling(const AttentionArgs& args, bool one, int team) : a(args), one_order(one), threads(team) {
    int64_t pieces = 0;
    for (int32_t s = 0; s < a.seqs.count; ++s) pieces += a.kv_heads * ceil_div(a.seqs.kv_len[s], kAttentionSegment);
    most_kvs = std::clamp<int64_t>(pieces / (4 * threads), 1, a.kv_heads);
  }
  int64_t rows(int32_t s) const { return int64_t{a.seqs.q_start[s + 1] - a.seqs.q_start[s]} * (a.heads / a.kv_heads); }
  bool few(int32_t s) const { return !one_order && rows(s) <= kFewAttentionRows; }
  int64_t kvs(int32_t s) const { return few(s) ? std::min(most_kvs, kFewHeads) : 1; }
  // What a tile loads of keys serves all its rows; where there are few keys, smaller ones see less that is masked.
  int64_t tile_rows(int32_t s) const {
    int64_t size = a.seqs.kv_len[s] < 1024 ? kAttentionRows / 2 : kAttentionRows;
    while (size > kLeastRows && ceil_div(rows(s), size) * a.kv_heads < 4 * threads) size /= 2;
    return size;
  }
  int64_t count(int32_t s) const { return ceil_div(rows(s), tile_rows(s)) * ceil_div(a.kv_heads, kvs(s)); }
  // Tile `i` of sequence s: the last rows, which see the most keys, come first.
  AttentionTile tile(int32_t s, int64_t i) const {
    const int64_t strips = ceil_div(a.kv_heads, kvs(s)), kv = i % strips * kvs(s);
    const int64_t size = tile_rows(s), r0 = (count(s) / strips - 1 - i / strips) * size;
    return {s, kv, std::min(kvs(s), a.kv_heads - kv), r0, std::min(size, rows(s) - r0), few(s)};
  }
  // f(tile, its number, i % per_tile) for the tiles that this thread claims.
  template <class Call>
  void claim(std::atomic<int64_t>& next, int64_t per_tile, Call&& f) const {
    int32_t s = 0;
    int64_t before = 0;
    for (;;) {
      const int64_t i = next.fetch_add(1, std::memory_order_relaxed), at = i / per_tile;
      while (at >= before + count(s)) {
        before += count(s);
        if (++s == a.seqs.count) return;
      }
      f(tile(s, at - before), at, i % per_tile);
    }
  }
};

// Sequences in a row that see the same keys and only those, as one: the beginnings of a beam search over one source. Where the
// position of a row has no meaning, so have the borders between them.
struct SharedKeys {
  std::vector<int32_t> q_start, kv_len, pages;

  bool join(const AttentionArgs& a) {
    const SequenceTable& t = a.seqs;
    const bool by_position = a.mask.causal || a.mask.window > 0 || a.mask.chunk > 0 || a.mod.alibi || a.mod.relative.bucket;
    const auto same = [&](int32_t s) {
      const int32_t* own = t.pages + int64_t{s} * t.max_pages;
      const int64_t used = (t.kv_len[s] + t.page_size - 1) / t.page_size;
      return t.kv_len[s] == t.kv_len[s - 1] && std::equal(own, own + used, own - t.max_pages);
    };
    if (by_position || !t.pages || t.count < 2 || !same(1)) return false;
    for (int32_t s = 0; s < t.count; ++s) {
      if (s > 0 && same(s)) continue;
      q_start.push_back(t.q_start[s]);
      kv_len.push_back(t.kv_len[s]);
      pages.insert(pages.end(), t.pages + int64_t{s} * t.max_pages, t.pages + int64_t{s + 1} * t.max_pages);
    }
    q_start.push_back(t.q_start[t.count]);
    return true;
  }
};

void share_attention(const Primitives& p, const AttentionArgs& a, Stream& s, bool one_order) {
  const int size = s.team->size();
  const Tiling tiling(a, one_order, size);
  int64_t tiles = 0, work = 0;
  for (int32_t i = 0; i < a.seqs.count; ++i) {
    tiles += tiling.count(i);
    work += a.seqs.kv_len[i] * tiling.rows(i) * a.kv_heads;
  }
  if (tiles == 0) return;
  const int64_t segments = ceil_div(a.seqs.max_kv_len, kAttentionSegment);
  const bool alone = size == 1 || work * (a.q.cols / a.heads) < 32768;
  const bool split = !alone && segments > 1 && tiles < 2 * size;
  const int64_t own = (static_cast<int64_t>(p.attention_scratch(a)) + 63) / 64 * 64, part = p.attention_part_floats(a);
  std::byte* memory = s.scratch(static_cast<size_t>(own * size + (split ? tiles * segments * part * 4 : 0)));
  float* parts = reinterpret_cast<float*>(memory + own * size);
  std::atomic<int64_t> next{0}, next_merge{0};
  const auto task = [&](int rank, int) {
    std::byte* scratch = memory + own * rank;
    if (!split) return tiling.claim(next, 1, [&](const AttentionTile& t, int64_t, int64_t) { p.attention(a, t, scratch); });
    tiling.claim(next, segments, [&](const AttentionTile& t, int64_t i, int64_t segment) {
      p.attention_part(a, t, segment, parts + (i * segments + segment) * part, scratch);
    });
    s.team->barrier();
    tiling.claim(next_merge, 1, [&](const AttentionTile& t, int64_t i, int64_t) {
      p.attention_merge(a, t, segments, parts + i * segments * part, scratch);
    });
  };
  alone ? task(0, 1) : s.team->run(task);
}

}  // namespace

void run_attention(const Primitives& p, const AttentionArgs& a, Stream& s, bool one_order) {
  CHECK(a.heads % a.kv_heads == 0 && a.q.cols % a.heads == 0 && a.out.cols % a.heads == 0);
  SharedKeys shared;
  AttentionArgs joined = a;
  if (shared.join(a)) {
    joined.seqs.count = static_cast<int32_t>(shared.kv_len.size());
    joined.seqs.q_start = shared.q_start.data();
    joined.seqs.kv_len = shared.kv_len.data();
    joined.seqs.pages = shared.pages.data();
  }
  share_attention(p, joined, s, one_order);
}

}  // namespace transom::cpu
