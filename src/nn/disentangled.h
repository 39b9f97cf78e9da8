// Disentangled attention (He et al. 2021, DeBERTa): to the score of contents, q·k, come that of the query with the key's
// relative position and that of the key with the query's. Positions are rows of a table that all layers share.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "nn/layer.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/relative.h"

namespace transom::nn {

struct RelativeEmbeddings {
  const Param* table;  // [buckets, hidden]
  std::optional<NormLayer> norm;
  Buckets buckets;
};

struct DisentangledSpec {
  int64_t hidden = 0, heads = 0, head_dim = 0;
  double scale = 0;
  std::shared_ptr<const RelativeEmbeddings> relative;
  bool content_to_position = false, position_to_content = false;
  bool shared_projections = false;  // positions go through the projections of contents
  std::string q = "self.query_proj", k = "self.key_proj", v = "self.value_proj", o = "output.dense";
  std::string position_k = "self.pos_key_proj", position_q = "self.pos_query_proj";
};

class DisentangledAttention final : public Layer {
 public:
  DisentangledAttention(const Scope& s, const DisentangledSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  ops::Relative scores(Ctx& cx, const Tensor& q, const Tensor& k) const;

  DisentangledSpec spec_;
  Linear q_, k_, v_;
  std::optional<Linear> position_q_, position_k_;
  Linear out_;
};

}  // namespace transom::nn
