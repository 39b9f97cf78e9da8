// Gemma 4's block: sandwich norms, perhaps a mixture of experts beside the feed-forward and an input of its own, and a scalar.
#pragma once

#include <memory>
#include <optional>

#include "nn/blocks.h"
#include "nn/mlp.h"
#include "nn/moe.h"
#include "nn/per_layer.h"

namespace transom {

// g(N x), or N g(N x) + N m(x) with a mixture m, which norms for itself.
class Gemma4FeedForward final : public nn::Layer {
 public:
  Gemma4FeedForward(const Scope& layer, const nn::NormSpec& norm, const nn::MlpSpec& mlp, const std::optional<nn::MoeSpec>& moe);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  nn::NormLayer norm_;
  nn::Mlp mlp_;
  std::unique_ptr<const nn::Moe> moe_;
  std::optional<nn::NormLayer> mlp_post_norm_, moe_post_norm_;
};

// x + N f(N x);  x + N g(x);  x + own(x);  scalar * x
struct Gemma4Block final : nn::Block {
  nn::NormLayer mixer_norm, mixer_post_norm;
  nn::LayerPtr mixer;
  Gemma4FeedForward feed_forward;
  nn::NormLayer feed_forward_post_norm;
  std::optional<nn::PerLayerGate> own;
  const Param* scalar;

  Gemma4Block(const Scope& layer, const nn::NormSpec& norm, nn::LayerPtr f, const nn::MlpSpec& mlp, const std::optional<nn::MoeSpec>& moe,
              std::optional<nn::PerLayerGate> gate);
  nn::Hidden forward(Ctx& cx, nn::Hidden h) const override;
};

}  // namespace transom
