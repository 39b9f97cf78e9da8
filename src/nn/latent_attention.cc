// LatentAttention: see latent_attention.h.
#include "nn/latent_attention.h"

namespace transom::nn {
namespace {

using Axis = Split::Axis;

std::vector<FusedLinear::Segment> inputs(const LatentAttentionSpec& a) {
  const int64_t head = a.nope_dim + a.rope_dim;
  const Bias bias = a.bias ? Bias::kRequired : Bias::kNone;
  const FusedLinear::Segment queries = a.query_rank ? FusedLinear::Segment{"q_a_proj", a.query_rank, {}, bias}
                                                    : FusedLinear::Segment{"q_proj", a.heads * head, {Axis::kOut, head}};
  return {queries, {"kv_a_proj_with_mqa", a.rank + a.rope_dim, {}, bias}};
}

NormSpec latent_norm(const LatentAttentionSpec& a, int64_t size) { return {.size = size, .eps = a.norm_eps}; }

}  // namespace

LatentAttention::LatentAttention(const Scope& s, const LatentAttentionSpec& a)
    : spec_(a),
      in_(s, a.hidden, inputs(a)),
      norm_(s / "kv_a_layernorm", latent_norm(a, a.rank)),
      expand_((s / "kv_b_proj").matrix("weight", a.heads * (a.nope_dim + a.value_dim), a.rank, {Axis::kOut, a.nope_dim + a.value_dim})),
      out_(s / "o_proj", a.heads * a.value_dim, a.hidden, {Axis::kIn, a.value_dim}, a.bias ? Bias::kRequired : Bias::kNone),
      state_(s.state({.k_dim = a.rank + a.rope_dim, .v_dim = 0, .window = a.mask.window})) {
  if (a.query_rank == 0) return;
  query_norm_.emplace(s / "q_a_layernorm", latent_norm(a, a.query_rank));
  query_.emplace(s / "q_b_proj", a.query_rank, a.heads * (a.nope_dim + a.rope_dim), Split{Axis::kOut, a.nope_dim + a.rope_dim});
}

Tensor LatentAttention::forward(Ctx& cx, const Tensor& x) const {
  const std::vector<Tensor> in = in_.forward(cx, x);
  Tensor q = query_ ? query_->forward(cx, query_norm_->forward(cx, in[0])) : in[0];
  const Tensor latent = norm_.forward(cx, ops::columns(cx, in[1], 0, spec_.rank));
  Tensor rotated = ops::columns(cx, in[1], spec_.rank, spec_.rope_dim);
  const RopeTables t = spec_.rope->tables(cx);
  ops::rope(cx, q, t, spec_.heads, spec_.rope->interleaved, spec_.nope_dim);
  ops::rope(cx, rotated, t, 1, spec_.rope->interleaved);
  return out_.forward(cx, ops::latent_attention(cx, q, latent, rotated, {.heads = spec_.heads, .value = spec_.value_dim,
                                                                         .scale = static_cast<float>(spec_.scale), .mask = spec_.mask,
                                                                         .expand = expand_, .state = state_}));
}

}  // namespace transom::nn
