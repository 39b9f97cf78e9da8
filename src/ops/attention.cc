// rope and attention: positions, state, masks.
#include <algorithm>

#include "ops/require.h"

namespace transom::ops {
namespace {

RelativeScores scores_of(const Relative& r) {
  if (!r.bucket) return {};
  return {.bucket = r.bucket, .reach = r.reach, .buckets = r.buckets,
          .by_head = r.by_head.view, .by_query = r.by_query.view, .by_key = r.by_key.view};
}

void record_attention(Ctx& cx, const AttentionArgs& args, const Tensor& q, const Tensor& k, const Tensor& v,
                      const Tensor& out, const AttentionParam& p) {
  cx.tape->record([args, q, k, v, out, r = p.relative, sinks = p.sinks](Ctx& cx) {
    if (!cx.tape->has_grad(out)) return;
    const auto grad = [&cx](const Tensor& t) { return t.node >= 0 ? cx.tape->grad(cx, t) : View{}; };
    float* dsinks = cx.tape->trains(sinks) ? static_cast<float*>(cx.tape->param_grad(sinks, cx.kernels, cx.stream).data) : nullptr;
    require(cx, cx.kernels.attention_grad, "attention_grad")({.forward = args,
                                                              .dout = cx.tape->grad(cx, out),
                                                              .dq_acc = cx.tape->grad(cx, q),
                                                              .dk_acc = cx.tape->grad(cx, k),
                                                              .dv_acc = cx.tape->grad(cx, v),
                                                              .by_head_acc = grad(r.by_head),
                                                              .by_query_acc = grad(r.by_query),
                                                              .by_key_acc = grad(r.by_key),
                                                              .dsinks_acc = dsinks},
                                                             cx.stream);
  });
}

}  // namespace

RopeTables rope_tables(Ctx& cx, std::span<const float> inv_freq, float scale, std::span<const int32_t> axes) {
  CHECK(axes.empty() || axes.size() == inv_freq.size());
  const Arena::Lasting lasting(cx.arena);  // the layers share them
  const auto half = static_cast<int64_t>(inv_freq.size());
  RopeTables r{.key = nullptr,
               .cos = cx.arena.tensor(DType::kF32, cx.batch.rows, half),
               .sin = cx.arena.tensor(DType::kF32, cx.batch.rows, half)};
  const bool choose = !axes.empty() && cx.batch.axis_positions;
  cx.kernels.rope_table({.positions = choose ? cx.batch.axis_positions : cx.batch.positions, .inv_freq = upload(cx, inv_freq), .scale = scale,
                         .cos = r.cos.view, .sin = r.sin.view, .axis = choose ? upload(cx, axes) : nullptr}, cx.stream);
  return r;
}

void rope(Ctx& cx, Tensor& x, const RopeTables& t, int64_t heads, bool interleaved, int64_t first) {
  CHECK(x.cols() % heads == 0 && first + 2 * t.cos.cols() <= x.cols() / heads && t.cos.rows() == x.rows());
  cx.kernels.rope({.x = x.view, .cos = t.cos.view, .sin = t.sin.view, .heads = heads, .first = first, .interleaved = interleaved},
                  cx.stream);
  if (cx.tape)
    cx.tape->record([x, t, heads, interleaved, first](Ctx& cx) {
      if (!cx.tape->has_grad(x)) return;
      cx.kernels.rope({.x = cx.tape->grad(cx, x), .cos = t.cos.view, .sin = t.sin.view, .heads = heads, .first = first,
                       .interleaved = interleaved, .inverse = true}, cx.stream);
    });
}

template <class T>
static const T* uploaded(Ctx& cx, std::span<const T> host) {
  std::byte* device = cx.arena.allocate(host.size_bytes());
  cx.kernels.copy_to_device(device, host.data(), host.size_bytes(), cx.stream);
  return reinterpret_cast<const T*>(device);
}
const int32_t* upload(Ctx& cx, std::span<const int32_t> host) { return uploaded(cx, host); }
const float* upload(Ctx& cx, std::span<const float> host) { return uploaded(cx, host); }

Tensor position_growth(Ctx& cx, const GrowthRule& rule) {
  const Tensor y = cx.arena.tensor(DType::kF32, cx.batch.rows, 1);
  require(cx, cx.kernels.position_growth, "position_growth")({.positions = cx.batch.positions, .rule = rule, .y = y.view}, cx.stream);
  return y;
}

Tensor head_products(Ctx& cx, const Tensor& x, const Tensor& w, int64_t heads, float scale) {
  CHECK(x.cols() == w.cols() && x.cols() % heads == 0);
  const int64_t hd = x.cols() / heads, n = w.rows();
  Tensor y = cx.arena.tensor(DType::kF32, x.rows(), heads * n);
  const auto weight = [w, hd](int64_t h) -> WeightView {
    const View v = w.columns(h * hd, hd).view;
    return {static_cast<const std::byte*>(v.data), v.dtype, v.rows, v.cols, v.stride * info(v.dtype).bytes};
  };
  for (int64_t h = 0; h < heads; ++h) {
    const LinearSegment s{weight(h), nullptr, y.columns(h * n, n).view};
    cx.kernels.linear({.x = x.columns(h * hd, hd).view, .segments = {&s, 1}, .alpha = scale}, cx.stream);
  }
  if (!cx.tape) return y;
  cx.tape->track(y);
  cx.tape->record([x, w, y, heads, hd, n, scale, weight](Ctx& cx) {
    if (!cx.tape->has_grad(y)) return;
    const auto part = [](View v, int64_t begin, int64_t count) { return Tensor{.view = v, .owner = {}}.columns(begin, count).view; };
    const View dy = cx.tape->grad(cx, y);
    for (int64_t h = 0; h < heads; ++h) {
      const View d = part(dy, h * n, n);
      if (x.node >= 0)
        require(cx, cx.kernels.linear_grad_input, "linear_grad_input")(
            {.dy = d, .weight = weight(h), .dx_acc = part(cx.tape->grad(cx, x), h * hd, hd), .alpha = scale}, cx.stream);
      if (w.node >= 0)
        require(cx, cx.kernels.linear_grad_weight, "linear_grad_weight")(
            {.dy = d, .x = x.columns(h * hd, hd).view, .dw_acc = part(cx.tape->grad(cx, w), h * hd, hd), .alpha = scale}, cx.stream);
    }
  });
  return y;
}

namespace {

// Over the keys and values that k, v and seqs say; those of this step (absent when there are none) are kept at `slots` first when
// there is a state.
Tensor attend(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParam& p, SequenceTable seqs, const Batch* slots) {
  AttentionArgs a{.q = q.view, .k = k.view, .v = v.view, .out = {}, .seqs = seqs, .heads = p.heads,
                  .kv_heads = p.kv_heads, .scale = p.scale, .mask = p.mask, .mod = {.softcap = p.softcap, .alibi = p.alibi, .relative = scores_of(p.relative)}};
  if (p.sinks) a.mod.sinks = reinterpret_cast<const float*>(p.sinks->weight.view.data);
  if (p.state >= 0 && !cx.states.empty()) {
    const KvState& s = cx.states[p.state];
    if (k)
      cx.kernels.kv_write({.k = k.view, .v = v.view, .slots = slots->slots[s.group], .k_cache = s.k, .v_cache = s.v}, cx.stream);
    a.k = s.k;
    a.v = s.v;
    a.seqs = cx.batch.paged[s.group];
  }
  CHECK(a.k && p.heads % p.kv_heads == 0 && q.cols() % p.heads == 0 && a.k.cols == q.cols() / p.heads * p.kv_heads);
  Tensor out = cx.arena.tensor(cx.dtype, q.rows(), a.v.cols / p.kv_heads * p.heads);
  a.out = out.view;
  if (cx.tape) {
    CHECK(!a.seqs.pages);  // gradients are over whole packed sequences
    a.lse = reinterpret_cast<float*>(cx.arena.allocate(sizeof(float) * q.rows() * p.heads));
    cx.tape->track(out);
  }
  cx.kernels.attention(a, cx.stream);
  if (cx.tape) record_attention(cx, a, q, k, v, out, p);
  return out;
}

}  // namespace

Tensor attention(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParam& p) {
  if (p.state < 0 || !cx.states.empty()) return attend(cx, q, k, v, p, cx.batch.packed, &cx.batch);
  cx.step_keys.resize(std::max<size_t>(cx.step_keys.size(), static_cast<size_t>(p.state) + 1));
  KeysValues& step = cx.step_keys[p.state];
  if (k) step = {k, v};
  return attend(cx, q, step.k, step.v, p, cx.batch.packed, &cx.batch);
}

Tensor cross_attention(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParam& p) {
  SequenceTable seqs = cx.batch.packed;
  if (cx.source) {
    const SequenceTable& source = cx.source->batch.packed;
    seqs.kv_len = source.kv_len;
    seqs.k_start = source.q_start;
    seqs.max_kv_len = source.max_q_len;
  }
  return attend(cx, q, k, v, p, seqs, cx.source ? &cx.source->batch : nullptr);
}

Tensor sequence_means(Ctx& cx, const Tensor& x) {
  constexpr int64_t kColumns = 8;  // of queries and keys, all zero
  Tensor zero = cx.arena.tensor(cx.dtype, x.rows(), kColumns);
  cx.kernels.fill_zero(zero.view.data, static_cast<size_t>(x.rows() * kColumns * info(cx.dtype).bytes), cx.stream);
  if (cx.tape) cx.tape->track(zero);
  return attention(cx, zero, zero, x, {.mask = {.causal = false}});
}

}  // namespace transom::ops
