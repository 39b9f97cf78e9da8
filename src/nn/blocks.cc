// The residual blocks: see blocks.h.
#include "nn/blocks.h"

namespace transom::nn {

PreNorm::PreNorm(NormLayer n1, LayerPtr f, NormLayer n2, LayerPtr g, float scale)
    : mixer_norm(n1), mixer(std::move(f)), mlp_norm(n2), mlp(std::move(g)), residual_scale(scale) {}

Hidden PreNorm::forward(Ctx& cx, Hidden h) const {
  const Tensor a = mixer_norm.absorb(cx, h);
  h.pending = mixer->forward(cx, a);
  h.scale = residual_scale;
  const Tensor b = mlp_norm.absorb(cx, h);
  h.pending = mlp->forward(cx, b);
  h.scale = residual_scale;
  return h;
}

Sandwich::Sandwich(NormLayer n1, LayerPtr f, NormLayer n2, NormLayer n3, LayerPtr g, NormLayer n4)
    : mixer_norm(n1), mixer(std::move(f)), mixer_post_norm(n2), mlp_norm(n3), mlp(std::move(g)), mlp_post_norm(n4) {}

Hidden Sandwich::forward(Ctx& cx, Hidden h) const {
  const Tensor a = mixer_norm.absorb(cx, h);
  h.pending = mixer_post_norm.forward(cx, mixer->forward(cx, a));
  const Tensor b = mlp_norm.absorb(cx, h);
  h.pending = mlp_post_norm.forward(cx, mlp->forward(cx, b));
  return h;
}

PostNorm::PostNorm(LayerPtr f, NormLayer n1, LayerPtr g, NormLayer n2)
    : mixer(std::move(f)), mixer_norm(n1), mlp(std::move(g)), mlp_norm(n2) {}

Hidden PostNorm::forward(Ctx& cx, Hidden h) const {
  h.pending = mixer->forward(cx, h.x);
  h.x = mixer_norm.absorb(cx, h);
  h.pending = mlp->forward(cx, h.x);
  h.x = mlp_norm.absorb(cx, h);
  return h;
}

Reordered::Reordered(LayerPtr f, NormLayer n1, LayerPtr g, NormLayer n2)
    : mixer(std::move(f)), mixer_norm(n1), mlp(std::move(g)), mlp_norm(n2) {}

Hidden Reordered::forward(Ctx& cx, Hidden h) const {
  const auto settled = [&cx](const Hidden& now) { return now.pending ? ops::add(cx, now.x, now.pending, now.scale) : now.x; };
  h = {.x = settled(h), .pending = {}};
  h.pending = mixer_norm.forward(cx, mixer->forward(cx, h.x));
  h = {.x = settled(h), .pending = {}};
  h.pending = mlp_norm.forward(cx, mlp->forward(cx, h.x));
  return h;
}

Single::Single(NormLayer n, LayerPtr f) : mixer_norm(n), mixer(std::move(f)) {}

Hidden Single::forward(Ctx& cx, Hidden h) const {
  const Tensor a = mixer_norm.absorb(cx, h);
  h.pending = mixer->forward(cx, a);
  return h;
}

Hidden PreNormChain::forward(Ctx& cx, Hidden h) const {
  for (const Sublayer& s : parts) {
    const Tensor a = s.norm.absorb(cx, h);
    h.pending = s.layer->forward(cx, a);
  }
  return h;
}

Hidden PostNormChain::forward(Ctx& cx, Hidden h) const {
  for (const Sublayer& s : parts) {
    h.pending = s.layer->forward(cx, h.x);
    h.x = s.norm.absorb(cx, h);
  }
  return h;
}

Parallel::Parallel(NormLayer n1, LayerPtr f, std::optional<NormLayer> n2, LayerPtr g)
    : mixer_norm(n1), mixer(std::move(f)), mlp_norm(n2), mlp(std::move(g)) {}

Hidden Parallel::forward(Ctx& cx, Hidden h) const {
  const Tensor a = mixer_norm.absorb(cx, h);
  const Tensor b = mlp_norm ? mlp_norm->forward(cx, h.x) : a;
  const Tensor f = mixer->forward(cx, a);
  h.pending = ops::add(cx, f, mlp->forward(cx, b));
  return h;
}

}  // namespace transom::nn
