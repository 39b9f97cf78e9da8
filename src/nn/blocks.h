// The residual blocks that decoder and encoder layers are made of (x: residual stream, N: norms, f: mixer, g: feed-forward):
//   PreNorm   x + f(N x);  x + g(N x)            Llama, Qwen, GPT-2 …
//   Sandwich  x + N f(N x);  x + N g(N x)        Gemma 2 and 3
//   PostNorm  N(x + f(x));  N(x + g(x))          BERT (Vaswani et al. 2017)
//   Reordered x + N f(x);  x + N g(x)            OLMo 2
//   Single    x + f(N x)                         Mamba
//   Parallel  x + f(N x) + g(N' x)               GPT-NeoX, GPT-J, Phi, Cohere (N' is N in the latter three)
//   PreNormChain, PostNormChain                  the same as their namesakes, for any number of sublayers: decoders with
//                                                cross-attention have three (T5; BART)
// A family with a shape of its own brings its own Block.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "nn/layer.h"
#include "nn/norm.h"

namespace transom::nn {

class Block {
 public:
  virtual ~Block() = default;
  virtual Hidden forward(Ctx& cx, Hidden h) const = 0;
};

using LayerPtr = std::unique_ptr<const Layer>;

// layer<Attention>(scope, spec)
template <class L, class... Args>
LayerPtr layer(Args&&... args) {
  return std::make_unique<const L>(std::forward<Args>(args)...);
}

struct PreNorm final : Block {
  NormLayer mixer_norm;
  LayerPtr mixer;
  NormLayer mlp_norm;
  LayerPtr mlp;
  float residual_scale = 1.f;  // multiplies both sublayers' outputs (Granite, MiniCPM)

  PreNorm(NormLayer n1, LayerPtr f, NormLayer n2, LayerPtr g, float scale = 1.f);
  Hidden forward(Ctx& cx, Hidden h) const override;
};

struct Sandwich final : Block {
  NormLayer mixer_norm;
  LayerPtr mixer;
  NormLayer mixer_post_norm, mlp_norm;
  LayerPtr mlp;
  NormLayer mlp_post_norm;

  Sandwich(NormLayer n1, LayerPtr f, NormLayer n2, NormLayer n3, LayerPtr g, NormLayer n4);
  Hidden forward(Ctx& cx, Hidden h) const override;
};

struct PostNorm final : Block {
  LayerPtr mixer;
  NormLayer mixer_norm;
  LayerPtr mlp;
  NormLayer mlp_norm;

  PostNorm(LayerPtr f, NormLayer n1, LayerPtr g, NormLayer n2);
  Hidden forward(Ctx& cx, Hidden h) const override;
};

struct Reordered final : Block {
  LayerPtr mixer;
  NormLayer mixer_norm;
  LayerPtr mlp;
  NormLayer mlp_norm;

  Reordered(LayerPtr f, NormLayer n1, LayerPtr g, NormLayer n2);
  Hidden forward(Ctx& cx, Hidden h) const override;
};

struct Single final : Block {
  NormLayer mixer_norm;
  LayerPtr mixer;

  Single(NormLayer n, LayerPtr f);
  Hidden forward(Ctx& cx, Hidden h) const override;
};

struct Sublayer {
  NormLayer norm;
  LayerPtr layer;
};

struct PreNormChain final : Block {
  std::vector<Sublayer> parts;

  template <class... Parts>
  explicit PreNormChain(Parts&&... p) {
    (parts.push_back(std::forward<Parts>(p)), ...);
  }
  Hidden forward(Ctx& cx, Hidden h) const override;
};

struct PostNormChain final : Block {
  std::vector<Sublayer> parts;

  template <class... Parts>
  explicit PostNormChain(Parts&&... p) {
    (parts.push_back(std::forward<Parts>(p)), ...);
  }
  Hidden forward(Ctx& cx, Hidden h) const override;
};

struct Parallel final : Block {
  NormLayer mixer_norm;
  LayerPtr mixer;
  std::optional<NormLayer> mlp_norm;  // absent: the mixer's serves both
  LayerPtr mlp;

  Parallel(NormLayer n1, LayerPtr f, std::optional<NormLayer> n2, LayerPtr g);
  Hidden forward(Ctx& cx, Hidden h) const override;
};

}  // namespace transom::nn
