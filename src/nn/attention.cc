// Attention: see attention.h.
#include "nn/attention.h"

#include <bit>
#include <cmath>
#include <numeric>

namespace transom::nn {
namespace {

using Axis = Split::Axis;

int64_t value_dim(const AttentionSpec& a) { return a.value_dim ? a.value_dim : a.head_dim; }

}  // namespace

std::vector<FusedLinear::Segment> projections(const AttentionSpec& a) {
  const Split by_head{Axis::kOut, a.head_dim};
  const Bias bias = a.qkv_bias ? Bias::kRequired : Bias::kNone;
  std::vector<FusedLinear::Segment> s = {{a.q, a.heads * a.head_dim, by_head, bias}};
  if (a.state_of < 0) s.push_back({a.k, a.kv_heads * a.head_dim, by_head, a.k_bias ? bias : Bias::kNone});
  if (a.state_of < 0 && !a.v.empty()) s.push_back({a.v, a.kv_heads * value_dim(a), {Axis::kOut, value_dim(a)}, bias});
  if (!a.gate.empty()) s.push_back({a.gate, a.heads * value_dim(a), {Axis::kOut, value_dim(a)}, bias});
  return s;
}

std::vector<float> alibi_slopes(int64_t heads, double most) {
  const auto n = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(heads)));
  std::vector<float> slopes;
  for (int64_t i = 1; i <= n; ++i) slopes.push_back(static_cast<float>(std::exp2(-most * static_cast<double>(i) / static_cast<double>(n))));
  for (int64_t i = 1; n + i <= heads; ++i)
    slopes.push_back(static_cast<float>(std::exp2(-most * static_cast<double>(2 * i - 1) / static_cast<double>(2 * n))));
  return slopes;
}

void require_groups(const Config& c, int64_t heads, int64_t kv_heads) {
  c.require(heads % kv_heads == 0, "num_key_value_heads", "a divisor of num_attention_heads");
}

Attention::Attention(const Scope& s, const AttentionSpec& spec)
    : spec_(spec),
      qkv_(s, spec.hidden, projections(spec)),
      out_(s / spec.o, spec.heads * value_dim(spec), spec.hidden, {Axis::kIn, value_dim(spec)},
           spec.out_bias ? Bias::kRequired : Bias::kNone) {
  if (spec.qk_norm) {
    const auto declare = [&](const char* name, int64_t heads) {
      NormSpec norm = *spec.qk_norm;
      norm.size = spec.head_dim * (spec.qk_norm_whole ? heads : 1);
      return NormLayer(s / name, norm);
    };
    q_norm_ = declare("q_norm", spec.heads);
    if (spec.state_of < 0) k_norm_ = declare("k_norm", spec.kv_heads);
  }
  if (spec.v_norm && spec.state_of < 0) v_norm_.emplace(s / "v_norm", *spec.v_norm);
  if (spec.sinks) sinks_ = s.vector("sinks", spec.heads, {Axis::kOut, 1});
  // A causal layer keeps its keys and values; an encoder's sees only the step's own rows.
  state_ = spec.state_of;
  if (spec.mask.causal && state_ < 0)
    state_ = s.state({.k_dim = spec.kv_heads * spec.head_dim, .v_dim = spec.kv_heads * value_dim(spec),
                      .window = spec.mask.chunk > 0 ? spec.mask.chunk : spec.mask.window, .head_dim = std::gcd(spec.head_dim, value_dim(spec))});
}

// What becomes of queries and keys before they meet: norm, clip, rotation, growth. k is absent where it is an earlier layer's.
void Attention::position(Ctx& cx, Tensor& q, Tensor& k) const {
  if (q_norm_) q = q_norm_->forward(cx, q, spec_.qk_norm_whole ? 1 : spec_.heads);
  if (k_norm_) k = k_norm_->forward(cx, k, spec_.qk_norm_whole ? 1 : spec_.kv_heads);
  if (spec_.clip > 0)
    for (Tensor* t : {&q, &k})
      if (*t) *t = ops::clamp(cx, *t, static_cast<float>(spec_.clip));
  if (spec_.rope) {
    const RopeTables t = spec_.rope->tables(cx);
    ops::rope(cx, q, t, spec_.heads, spec_.rope->interleaved);
    if (k) ops::rope(cx, k, t, spec_.kv_heads, spec_.rope->interleaved);
  }
  if (spec_.growth) q = ops::scale_rows(cx, q, ops::position_growth(cx, *spec_.growth));
}

Tensor Attention::forward(Ctx& cx, const Tensor& x) const {
  std::vector<Tensor> qkv = qkv_.forward(cx, x);
  Tensor gate;
  if (!spec_.gate.empty()) gate = qkv.back(), qkv.pop_back();
  qkv.resize(3);  // absent ones are empty
  Tensor &q = qkv[0], &k = qkv[1], &v = qkv[2];
  if (k && !v) v = k;
  if (v_norm_) v = v_norm_->forward(cx, v, spec_.kv_heads);
  if (spec_.clip > 0) v = ops::clamp(cx, v, static_cast<float>(spec_.clip));
  if (spec_.value_scale != 1) v = ops::scale(cx, v, static_cast<float>(spec_.value_scale));
  position(cx, q, k);
  ops::AttentionParam p{.heads = spec_.heads, .kv_heads = spec_.kv_heads, .scale = static_cast<float>(spec_.scale),
                        .mask = spec_.mask, .softcap = static_cast<float>(spec_.softcap), .sinks = sinks_, .state = state_};
  if (spec_.relative) p.relative = spec_.relative->scores(cx);
  if (spec_.alibi) p.alibi = ops::upload(cx, *spec_.alibi);
  const Tensor y = ops::attention(cx, q, k, v, p);
  return out_.forward(cx, spec_.gate.empty() ? y : ops::act_mul(cx, gate, y, Activation::kSigmoid));
}

}  // namespace transom::nn
