// Reference attention over packed or paged keys and values, one query head at a time, and its backward.
// Mask, score modifications and sinks: kernels.h.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/row.h"
#include "tensor/quant.h"

namespace transom::ref {
namespace {

// What one query row sees: keys [begin, end) of its sequence, and where each lies.
struct Visible {
  const AttentionArgs& a;
  int32_t seq, position, begin, end;

  Visible(const AttentionArgs& args, int64_t t) : a(args), seq(0) {
    const SequenceTable& q = a.seqs;
    while (q.q_start[seq + 1] <= t) ++seq;
    const int32_t len = q.kv_len[seq];
    position = len - (q.q_start[seq + 1] - static_cast<int32_t>(t));
    begin = 0;
    end = a.mask.causal ? position + 1 : len;
    if (a.mask.window > 0) {
      begin = std::max(begin, position - a.mask.window + 1);
      end = std::min(end, position + a.mask.window);
    }
    if (a.mask.chunk > 0) begin = std::max(begin, position / a.mask.chunk * a.mask.chunk);
  }
  int64_t row(int32_t j) const {
    const SequenceTable& q = a.seqs;
    if (!q.pages) return (q.k_start ? q.k_start : q.q_start)[seq] + j;
    return int64_t{q.pages[int64_t{seq} * q.max_pages + j / q.page_size]} * q.page_size + j % q.page_size;
  }
  // Where the distance of key j lies in the relative scores.
  int64_t bucket(int32_t j) const {
    const RelativeScores& r = a.mod.relative;
    return r.bucket[std::clamp(j - position, -r.reach, r.reach) + r.reach];
  }
  // The score of key j for head h, and the derivative of the score with respect to scale * q·k.
  double score(int64_t t, int64_t h, int32_t j, double* slope = nullptr) const {
    const int64_t hd = a.q.cols / a.heads, kv = h / (a.heads / a.kv_heads), r = row(j);
    double x = 0;
    for (int64_t i = 0; i < hd; ++i) x += load(a.q, t, h * hd + i) * load(a.k, r, kv * hd + i);
    x *= a.scale;
    if (slope) *slope = 1;
    if (a.mod.softcap > 0) {
      const double th = std::tanh(x / a.mod.softcap);
      x = a.mod.softcap * th;
      if (slope) *slope = 1 - th * th;
    }
    if (a.mod.alibi) x += double{a.mod.alibi[h]} * (j - position);
    const RelativeScores& rel = a.mod.relative;
    if (!rel.bucket) return x;
    const int64_t b = bucket(j);
    if (rel.by_head) x += load(rel.by_head, b, h);
    if (rel.by_query) x += load(rel.by_query, t, h * rel.buckets + b);
    if (rel.by_key) x += load(rel.by_key, r, h * rel.buckets + b);
    return x;
  }
};

void keep_row(const View& cache, int64_t slot, const ConstView& from, int64_t t) {
  std::vector<float> row(from.cols);
  for (int64_t c = 0; c < from.cols; ++c) row[c] = static_cast<float>(load(from, t, c));
  quantize_row(cache.dtype, row.data(), static_cast<std::byte*>(cache.data) + row_bytes(cache.dtype, slot * cache.stride), from.cols);
}

}  // namespace

void kv_write(const KvWriteArgs& a, Stream& s) {
  parallel(s, a.k.rows, [&](int64_t t) {
    keep_row(a.k_cache, a.slots[t], a.k, t);
    keep_row(a.v_cache, a.slots[t], a.v, t);
  });
}

void attention(const AttentionArgs& a, Stream& s) {
  const int64_t vd = a.out.cols / a.heads;
  parallel(s, a.q.rows * a.heads, [&](int64_t i) {
    const int64_t t = i / a.heads, h = i % a.heads, kv = h / (a.heads / a.kv_heads);
    const Visible keys(a, t);
    std::vector<double> p(keys.end - keys.begin);
    double top = a.mod.sinks ? a.mod.sinks[h] : -std::numeric_limits<double>::infinity();
    for (int32_t j = keys.begin; j < keys.end; ++j) top = std::max(top, p[j - keys.begin] = keys.score(t, h, j));
    double sum = a.mod.sinks ? std::exp(a.mod.sinks[h] - top) : 0;
    for (double& x : p) sum += x = std::exp(x - top);
    std::vector<double> out(vd, 0.0);
    for (int32_t j = keys.begin; j < keys.end; ++j) {
      const int64_t r = keys.row(j);
      for (int64_t c = 0; c < vd; ++c) out[c] += p[j - keys.begin] / sum * load(a.v, r, kv * vd + c);
    }
    for (int64_t c = 0; c < vd; ++c) store(a.out, t, h * vd + c, out[c]);
    if (a.lse) a.lse[t * a.heads + h] = static_cast<float>(top + std::log(sum));
  });
}

// Absorbed: (K latent)·q = latent·(Kᵀ q), Σ p (V latent) = V (Σ p latent).
void latent_attention(const LatentAttentionArgs& a, Stream& s) {
  const int64_t qd = a.q.cols / a.heads, L = a.latent.cols, R = a.rope.cols, nope = qd - R, vd = a.out.cols / a.heads;
  const AttentionArgs shape{.q = a.q, .k = a.latent, .v = a.latent, .out = a.out, .seqs = a.seqs, .mask = a.mask};
  parallel(s, a.heads, [&](int64_t h) {
    std::vector<float> w((nope + vd) * L);
    for (int64_t r = 0; r < nope + vd; ++r) decode_row(a.weight, h * (nope + vd) + r, 0, w.data() + r * L, L);
    for (int64_t t = 0; t < a.q.rows; ++t) {
      const Visible keys(shape, t);
      std::vector<double> q(L, 0.0), sum(L, 0.0), p;
      for (int64_t r = 0; r < nope; ++r)
        for (int64_t c = 0; c < L; ++c) q[c] += load(a.q, t, h * qd + r) * w[r * L + c];
      double top = -std::numeric_limits<double>::infinity(), total = 0;
      for (int32_t j = keys.begin; j < keys.end; ++j) {
        double x = 0;
        for (int64_t c = 0; c < L; ++c) x += q[c] * load(a.latent, keys.row(j), c);
        for (int64_t c = 0; c < R; ++c) x += load(a.q, t, h * qd + nope + c) * load(a.rope, keys.row(j), c);
        top = std::max(top, p.emplace_back(x * a.scale));
      }
      for (double& x : p) total += x = std::exp(x - top);
      for (int32_t j = keys.begin; j < keys.end; ++j)
        for (int64_t c = 0; c < L; ++c) sum[c] += p[j - keys.begin] / total * load(a.latent, keys.row(j), c);
      for (int64_t r = 0; r < vd; ++r) {
        double y = 0;
        for (int64_t c = 0; c < L; ++c) y += sum[c] * w[(nope + r) * L + c];
        store(a.out, t, h * vd + r, y);
      }
    }
  });
}

namespace {

// The gradient `d` of one score flows to the relative scores that were added to it.
void add_relative(const AttentionGradArgs& g, const Visible& keys, int64_t t, int64_t h, int32_t j, double d) {
  const RelativeScores& rel = g.forward.mod.relative;
  if (!rel.bucket) return;
  const int64_t b = keys.bucket(j);
  if (g.by_head_acc) accumulate(g.by_head_acc, b, h, d);
  if (g.by_query_acc) accumulate(g.by_query_acc, t, h * rel.buckets + b, d);
  if (g.by_key_acc) accumulate(g.by_key_acc, keys.row(j), h * rel.buckets + b, d);
}

}  // namespace

// dP = dout·v, dS = P (dP - Σ P dP); dq += scale dS k, dk += scale dS q, dv += P dout. A sink is a key without a value: its dS is
// -P Σ P dP.
void attention_grad(const AttentionGradArgs& g, Stream& s) {
  const AttentionArgs& a = g.forward;
  const int64_t hd = a.q.cols / a.heads, vd = a.out.cols / a.heads, group = a.heads / a.kv_heads;
  parallel(s, a.kv_heads, [&](int64_t kv) {  // one thread owns a kv head: its dk and dv have one writer
    for (int64_t h = kv * group; h < (kv + 1) * group; ++h)
      for (int64_t t = 0; t < a.q.rows; ++t) {
        const Visible keys(a, t);
        double delta = 0;
        for (int64_t c = 0; c < vd; ++c) delta += load(g.dout, t, h * vd + c) * load(a.out, t, h * vd + c);
        if (g.dsinks_acc) g.dsinks_acc[h] -= static_cast<float>(std::exp(a.mod.sinks[h] - a.lse[t * a.heads + h]) * delta);
        std::vector<double> dq(hd, 0.0);
        for (int32_t j = keys.begin; j < keys.end; ++j) {
          const int64_t r = keys.row(j);
          double slope = 1, dp = 0;
          const double p = std::exp(keys.score(t, h, j, &slope) - a.lse[t * a.heads + h]);
          for (int64_t c = 0; c < vd; ++c) {
            const double d = load(g.dout, t, h * vd + c);
            dp += d * load(a.v, r, kv * vd + c);
            accumulate(g.dv_acc, r, kv * vd + c, p * d);
          }
          add_relative(g, keys, t, h, j, p * (dp - delta));
          const double ds = p * (dp - delta) * slope * a.scale;
          for (int64_t c = 0; c < hd; ++c) {
            dq[c] += ds * load(a.k, r, kv * hd + c);
            accumulate(g.dk_acc, r, kv * hd + c, ds * load(a.q, t, h * hd + c));
          }
        }
        for (int64_t c = 0; c < hd; ++c) accumulate(g.dq_acc, t, h * hd + c, dq[c]);
      }
  });
}

}  // namespace transom::ref
