// latent_attention: the kernel's own row, or composed. Expanded, keys and values of all heads are formed and attended to: for whole
// texts and training. Absorbed, all heads attend to the latents themselves, as to one head's keys of L + R columns of which the
// first L are the values: per pair of tokens more work, but nothing is formed of what earlier steps kept.
#include "ops/require.h"

namespace transom::ops {
namespace {

// Columns [first, first + count) of each head; a step of 0 means that all heads share them.
struct HeadPart {
  Tensor t;
  int64_t step = 0, first = 0;

  View of(int64_t head, int64_t count) const { return t.columns(head * step + first, count).view; }
  // All heads' as rows of one view, if they lie at one distance.
  bool regular() const { return t.rows() == 1 || t.view.stride == t.cols(); }
  View rows(int64_t heads, int64_t count) const {
    View v = t.columns(first, count).view;
    v.rows = t.rows() * heads;
    v.stride = step;
    return v;
  }
};

void move(Ctx& cx, const HeadPart& from, const HeadPart& to, int64_t heads, int64_t count, float b) {
  const bool shared = from.step == 0 || to.step == 0;
  if (from.regular() && to.regular() && !shared)
    return cx.kernels.axpby({.x = from.rows(heads, count), .y = to.rows(heads, count), .b = b}, cx.stream);
  for (int64_t h = 0; h < heads; ++h) cx.kernels.axpby({.x = from.of(h, count), .y = to.of(h, count), .b = b}, cx.stream);
}

// to = from; on a tape the gradient of `from` takes what flows to `to`, of shared columns from every head.
void copy(Ctx& cx, const HeadPart& from, const HeadPart& to, int64_t heads, int64_t count) {
  move(cx, from, to, heads, count, 0.f);
  if (!cx.tape) return;
  cx.tape->record([from, to, heads, count](Ctx& cx) {
    if (!cx.tape->has_grad(to.t) || from.t.node < 0) return;
    const auto grad = [&cx](HeadPart p) {
      p.t = {.view = cx.tape->grad(cx, p.t), .owner = {}};
      return p;
    };
    move(cx, grad(to), grad(from), heads, count, 1.f);
  });
}

struct Shape {
  int64_t heads, query, rope, nope, value, latent;
};

Tensor joined(Ctx& cx, int64_t rows, int64_t cols) {
  Tensor t = cx.arena.tensor(cx.dtype, rows, cols);
  if (cx.tape) cx.tape->track(t);
  return t;
}

Tensor expanded(Ctx& cx, const Tensor& q, const Tensor& latent, const Tensor& rope, const LatentAttentionParam& p, const Shape& s) {
  const Tensor kv = linear(cx, latent, {p.expand, nullptr});
  const int64_t each = s.nope + s.value;
  const Tensor k = joined(cx, q.rows(), q.cols()), v = joined(cx, q.rows(), s.heads * s.value);
  copy(cx, {kv, each, 0}, {k, s.query, 0}, s.heads, s.nope);
  copy(cx, {rope, 0, 0}, {k, s.query, s.nope}, s.heads, s.rope);
  copy(cx, {kv, each, s.nope}, {v, s.value, 0}, s.heads, s.value);
  return attention(cx, q, k, v, {.heads = s.heads, .kv_heads = s.heads, .scale = p.scale, .mask = p.mask});
}

Tensor absorbed(Ctx& cx, const Tensor& q, const KvState& kept, const LatentAttentionParam& p, const Shape& s) {
  for (const AdapterRows& a : cx.adapters)
    if (a.adapter->factors.contains(p.expand))
      fail(Code::kUnsupported, "adapter", "expected no factors for {}, got some: its weight is absorbed into the queries", p.expand->name);
  const auto product = require(cx, cx.kernels.head_linear, "head_linear");
  const WeightView w = p.expand->weight.view;
  const int64_t key = s.latent + s.rope;
  const Tensor wide = joined(cx, q.rows(), s.heads * key), sums = joined(cx, q.rows(), s.heads * s.latent);
  const Tensor out = joined(cx, q.rows(), s.heads * s.value);
  product({.x = q.view, .weight = w, .y = wide.view, .heads = s.heads, .first = 0, .rows = s.nope, .transposed = true}, cx.stream);
  move(cx, {q, s.query, s.nope}, {wide, key, s.latent}, s.heads, s.rope, 0.f);
  ConstView values = kept.k;
  values.cols = s.latent;
  cx.kernels.attention({.q = wide.view, .k = kept.k, .v = values, .out = sums.view, .seqs = cx.batch.paged[kept.group], .heads = s.heads,
                        .scale = p.scale, .mask = p.mask}, cx.stream);
  product({.x = sums.view, .weight = w, .y = out.view, .heads = s.heads, .first = s.nope, .rows = s.value}, cx.stream);
  return out;
}

}  // namespace

Tensor latent_attention(Ctx& cx, const Tensor& q, const Tensor& latent, const Tensor& rope, const LatentAttentionParam& p) {
  Shape s{.heads = p.heads, .query = q.cols() / p.heads, .rope = rope.cols(), .nope = 0, .value = p.value, .latent = latent.cols()};
  s.nope = s.query - s.rope;
  CHECK(q.cols() % p.heads == 0 && s.nope > 0 && p.expand->cols == s.latent && p.expand->rows == s.heads * (s.nope + s.value));
  const bool keeps = p.state >= 0 && !cx.states.empty();
  const auto part = [&s](View v, bool of_rope) { return Tensor{.view = v, .owner = {}}.columns(of_rope ? s.latent : 0, of_rope ? s.rope : s.latent).view; };
  if (keeps) {
    const KvState& kept = cx.states[p.state];
    cx.kernels.kv_write({.k = latent.view, .v = rope.view, .slots = cx.batch.slots[kept.group], .k_cache = part(kept.k, false),
                         .v_cache = part(kept.k, true)}, cx.stream);
  }
  if (cx.kernels.latent_attention && !cx.tape) {
    const Tensor out = cx.arena.tensor(cx.dtype, q.rows(), s.heads * s.value);
    LatentAttentionArgs a{.q = q.view, .latent = latent.view, .rope = rope.view, .weight = p.expand->weight.view, .out = out.view,
                          .seqs = cx.batch.packed, .heads = s.heads, .scale = p.scale, .mask = p.mask};
    if (keeps) {
      a.latent = part(cx.states[p.state].k, false);
      a.rope = part(cx.states[p.state].k, true);
      a.seqs = cx.batch.paged[cx.states[p.state].group];
    }
    cx.kernels.latent_attention(a, cx.stream);
    return out;
  }
  return keeps && !cx.batch.whole ? absorbed(cx, q, cx.states[p.state], p, s) : expanded(cx, q, latent, rope, p, s);
}

}  // namespace transom::ops
