// Multi-head attention with grouped keys and values (Vaswani et al. 2017; Ainslie et al. 2023): projections, optional
// qk-norm and rotary positions, masked softmax over the state, output projection.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/layer.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/relative.h"
#include "nn/rope.h"

namespace transom::nn {

struct AttentionSpec {
  int64_t hidden = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int64_t value_dim = 0;                 // of a head's value; 0: head_dim
  double scale = 0;                      // of q·k
  std::shared_ptr<const RopeSpec> rope;  // null: none; shared by the layers that use the same
  std::optional<NormSpec> qk_norm;       // over each head of q and k, or
  bool qk_norm_whole = false;            // over all heads of a row together (OLMo 2)
  std::optional<NormSpec> v_norm;        // over each head of v, without a weight (Gemma 4)
  double clip = 0;                       // q, k and v are held within ±clip (MPT, OLMo); 0: they are not
  std::optional<GrowthRule> growth;      // q grows with its position
  AttentionMask mask;
  double softcap = 0;
  double value_scale = 1;                // of values (MiMo V2)
  std::shared_ptr<const RelativeBias> relative;  // null: none
  std::shared_ptr<const std::vector<float>> alibi;  // slopes of the heads; null: none
  bool sinks = false;  // "sinks": for each head, the logit of a key without a value (GPT-OSS)
  std::string gate;    // a projection as wide as q's, whose sigmoid multiplies what the heads read (Qwen3-Next); "": none
  bool qkv_bias = false, out_bias = false;
  bool k_bias = true;  // where q and v have one (not in Whisper)
  int32_t state_of = -1;  // keys and values are an earlier layer's, whose state() this is: the layer has none of its own
  // Names of the projections and of the output projection, below the layer's scope. Without a v the values are the keys as
  // they are before norm and rotation.
  std::string q = "q_proj", k = "k_proj", v = "v_proj", o = "o_proj";
};

// ALiBi's slopes (Press et al. 2022): with n the next power of two down from `heads`, 2^(-most i / n) for i = 1 … n, and for
// the heads beyond every second one of those for 2n.
std::vector<float> alibi_slopes(int64_t heads, double most = 8);

// Error unless the query heads divide evenly among the kv heads.
void require_groups(const Config& c, int64_t heads, int64_t kv_heads);

// The projection segments of q, k and v.
std::vector<FusedLinear::Segment> projections(const AttentionSpec& a);

class Attention final : public Layer {
 public:
  Attention(const Scope& s, const AttentionSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;
  int32_t state() const { return state_; }

 private:
  void position(Ctx& cx, Tensor& q, Tensor& k) const;

  AttentionSpec spec_;
  FusedLinear qkv_;
  std::optional<NormLayer> q_norm_, k_norm_, v_norm_;
  Linear out_;
  const Param* sinks_ = nullptr;
  int32_t state_ = -1;
};

}  // namespace transom::nn
