// DisentangledAttention: see disentangled.h.
#include "nn/disentangled.h"

#include "base/error.h"

namespace transom::nn {
namespace {

Linear projection(const Scope& s, const DisentangledSpec& d) {
  return {s, d.hidden, d.heads * d.head_dim, {Split::Axis::kOut, d.head_dim}, Bias::kRequired};
}

}  // namespace

DisentangledAttention::DisentangledAttention(const Scope& s, const DisentangledSpec& d)
    : spec_(d),
      q_(projection(s / d.q, d)),
      k_(projection(s / d.k, d)),
      v_(projection(s / d.v, d)),
      out_(s / d.o, d.heads * d.head_dim, d.hidden, {Split::Axis::kIn, d.head_dim}, Bias::kRequired) {
  if (d.shared_projections) return;
  if (d.content_to_position) position_k_.emplace(projection(s / d.position_k, d));
  if (d.position_to_content) position_q_.emplace(projection(s / d.position_q, d));
}

ops::Relative DisentangledAttention::scores(Ctx& cx, const Tensor& q, const Tensor& k) const {
  // The projections of positions serve all sequences of the step, so none of their adapters can change them.
  if (!cx.adapters.empty()) fail(Code::kUnsupported, "adapter", "expected none over disentangled attention, got one");
  const RelativeEmbeddings& e = *spec_.relative;
  Tensor positions = ops::whole_table(cx, *e.table);
  if (e.norm) positions = e.norm->forward(cx, positions);
  ops::Relative r{.bucket = ops::upload(cx, e.buckets.bucket), .reach = e.buckets.reach(), .buckets = e.buckets.count};
  const auto scale = static_cast<float>(spec_.scale);
  if (spec_.content_to_position)
    r.by_query = ops::head_products(cx, q, (position_k_ ? *position_k_ : k_).forward(cx, positions), spec_.heads, scale);
  if (spec_.position_to_content)
    r.by_key = ops::head_products(cx, k, (position_q_ ? *position_q_ : q_).forward(cx, positions), spec_.heads, scale);
  return r;
}

Tensor DisentangledAttention::forward(Ctx& cx, const Tensor& x) const {
  const Tensor q = q_.forward(cx, x), k = k_.forward(cx, x), v = v_.forward(cx, x);
  return out_.forward(cx, ops::attention(cx, q, k, v,
                                         {.heads = spec_.heads, .kv_heads = spec_.heads, .scale = static_cast<float>(spec_.scale),
                                          .mask = {.causal = false}, .relative = scores(cx, q, k)}));
}

}  // namespace transom::nn
