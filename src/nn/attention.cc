// Attention: see attention.h.
#include "nn/attention.h"

namespace transom::nn {
namespace {

using Axis = Split::Axis;

int64_t value_dim(const AttentionSpec& a) { return a.value_dim ? a.value_dim : a.head_dim; }

std::vector<FusedLinear::Segment> projections(const AttentionSpec& a) {
  const Split by_head{Axis::kOut, a.head_dim};
  const Bias bias = a.qkv_bias ? Bias::kRequired : Bias::kNone;
  std::vector<FusedLinear::Segment> segments = {{a.q, a.heads * a.head_dim, by_head, bias},
                                                {a.k, a.kv_heads * a.head_dim, by_head, bias},
                                                {a.v, a.kv_heads * value_dim(a), {Axis::kOut, value_dim(a)}, bias}};
  if (!a.gate.empty()) segments.push_back({a.gate, a.heads * value_dim(a), {Axis::kOut, value_dim(a)}, bias});
  return segments;
}

}  // namespace

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
    k_norm_ = declare("k_norm", spec.kv_heads);
  }
  if (spec.sinks) sinks_ = s.vector("sinks", spec.heads, {Axis::kOut, 1});
  // A causal layer keeps its keys and values; an encoder's sees only the step's own rows.
  if (spec.mask.causal)
    state_ = s.state({.k_dim = spec.kv_heads * spec.head_dim, .v_dim = spec.kv_heads * value_dim(spec), .window = spec.mask.window});
}

Tensor Attention::forward(Ctx& cx, const Tensor& x) const {
  std::vector<Tensor> qkv = qkv_.forward(cx, x);
  Tensor &q = qkv[0], &k = qkv[1], &v = qkv[2];
  if (q_norm_) {
    q = q_norm_->forward(cx, q, spec_.qk_norm_whole ? 1 : spec_.heads);
    k = k_norm_->forward(cx, k, spec_.qk_norm_whole ? 1 : spec_.kv_heads);
  }
  if (spec_.rope) {
    const RopeTables t = spec_.rope->tables(cx);
    ops::rope(cx, q, t, spec_.heads, spec_.rope->interleaved);
    ops::rope(cx, k, t, spec_.kv_heads, spec_.rope->interleaved);
  }
  if (spec_.value_scale != 1) v = ops::scale(cx, v, static_cast<float>(spec_.value_scale));
  ops::AttentionParam p{.heads = spec_.heads, .kv_heads = spec_.kv_heads, .scale = static_cast<float>(spec_.scale),
                              .mask = spec_.mask, .softcap = static_cast<float>(spec_.softcap), .sinks = sinks_, .state = state_};
  if (spec_.relative) p.relative = spec_.relative->scores(cx);
  const Tensor y = ops::attention(cx, q, k, v, p);
  return out_.forward(cx, spec_.gate.empty() ? y : ops::act_mul(cx, qkv[3], y, Activation::kSigmoid));
}

}  // namespace transom::nn
