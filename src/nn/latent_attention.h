// Multi-head latent attention (DeepSeek-AI 2024, DeepSeek-V2): keys and values of all heads come from one small latent of each
// token, beside which only the rotated part of its key is kept; queries may come through a latent of their own.
#pragma once

#include <memory>
#include <optional>

#include "nn/layer.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/rope.h"

namespace transom::nn {

struct LatentAttentionSpec {
  int64_t hidden = 0, heads = 0;
  int64_t query_rank = 0;  // of the queries' latent; 0: they have none
  int64_t rank = 0;        // of the keys' and values'
  int64_t nope_dim = 0, rope_dim = 0, value_dim = 0;  // of a head: its key without and with rotation, its value
  double scale = 0;
  std::shared_ptr<const RopeSpec> rope;
  AttentionMask mask;
  double norm_eps = 1e-6;  // of the latents
  bool bias = false;       // of the projections to the latents and of the output
};

class LatentAttention final : public Layer {
 public:
  LatentAttention(const Scope& s, const LatentAttentionSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  LatentAttentionSpec spec_;
  FusedLinear in_;  // to the queries or their latent, and to the latent with the key's rotated part
  std::optional<NormLayer> query_norm_;
  std::optional<Linear> query_;
  NormLayer norm_;
  const Param* expand_;
  Linear out_;
  int32_t state_;
};

}  // namespace transom::nn
