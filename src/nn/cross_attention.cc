// CrossAttention: see cross_attention.h.
#include "nn/cross_attention.h"

namespace transom::nn {
namespace {

using Axis = Split::Axis;

Bias bias(bool there) { return there ? Bias::kRequired : Bias::kNone; }

}  // namespace

CrossAttention::CrossAttention(const Scope& s, const AttentionSpec& a)
    : spec_(a),
      q_(s / a.q, a.hidden, a.heads * a.head_dim, {Axis::kOut, a.head_dim}, bias(a.qkv_bias)),
      kv_(s, a.hidden, {projections(a)[1], projections(a)[2]}),
      out_(s / a.o, a.heads * a.head_dim, a.hidden, {Axis::kIn, a.head_dim}, bias(a.out_bias)),
      state_(s.state({.k_dim = a.kv_heads * a.head_dim, .v_dim = a.kv_heads * a.head_dim, .tokens = StateSpec::Tokens::kSource, .head_dim = a.head_dim})) {}

Tensor CrossAttention::forward(Ctx& cx, const Tensor& x) const {
  const Tensor q = q_.forward(cx, x);
  std::vector<Tensor> kv(2);
  if (cx.source) kv = kv_.forward(*cx.source, cx.source->encoded);
  return out_.forward(cx, ops::cross_attention(cx, q, kv[0], kv[1],
                                               {.heads = spec_.heads, .kv_heads = spec_.kv_heads,
                                                .scale = static_cast<float>(spec_.scale), .mask = {.causal = false}, .state = state_}));
}

}  // namespace transom::nn
