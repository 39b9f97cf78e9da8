// Gemma4Block, Gemma4FeedForward: see gemma4_block.h.
#include "models/gemma4_block.h"

namespace transom {

Gemma4FeedForward::Gemma4FeedForward(const Scope& s, const nn::NormSpec& norm, const nn::MlpSpec& mlp, const std::optional<nn::MoeSpec>& moe)
    : norm_(s / "pre_feedforward_layernorm", norm), mlp_(s / "mlp", mlp) {
  if (!moe) return;
  moe_ = std::make_unique<const nn::Moe>(s, *moe);
  mlp_post_norm_.emplace(s / "post_feedforward_layernorm_1", norm);
  moe_post_norm_.emplace(s / "post_feedforward_layernorm_2", norm);
}

Tensor Gemma4FeedForward::forward(Ctx& cx, const Tensor& x) const {
  const Tensor y = mlp_.forward(cx, norm_.forward(cx, x));
  return moe_ ? ops::add(cx, mlp_post_norm_->forward(cx, y), moe_post_norm_->forward(cx, moe_->forward(cx, x))) : y;
}

Gemma4Block::Gemma4Block(const Scope& s, const nn::NormSpec& norm, nn::LayerPtr f, const nn::MlpSpec& mlp,
                         const std::optional<nn::MoeSpec>& moe, std::optional<nn::PerLayerGate> gate)
    : mixer_norm(s / "input_layernorm", norm), mixer_post_norm(s / "post_attention_layernorm", norm), mixer(std::move(f)),
      feed_forward(s, norm, mlp, moe), feed_forward_post_norm(s / "post_feedforward_layernorm", norm), own(std::move(gate)),
      scalar(frozen(s.vector("layer_scalar", 1))) {}

nn::Hidden Gemma4Block::forward(Ctx& cx, nn::Hidden h) const {
  const Tensor a = mixer_post_norm.forward(cx, mixer->forward(cx, mixer_norm.forward(cx, h.x)));
  h.x = ops::add(cx, h.x, a);
  h.x = ops::add(cx, h.x, feed_forward_post_norm.forward(cx, feed_forward.forward(cx, h.x)));
  if (own) h.x = ops::add(cx, h.x, own->forward(cx, h.x, h.per_layer));
  h.x = ops::scale_columns(cx, h.x, *scalar);
  return h;
}

}  // namespace transom
