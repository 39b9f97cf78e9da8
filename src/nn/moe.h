// Mixture-of-experts feed-forward (Shazeer et al. 2017): a router picks top_k experts for each row,
//   y = Σ_j weight_j * down_j(act(gate_j x) * up_j x) [+ shared(x), times sigmoid(gate x) if it has one].
// Every expert's projections are parameters of their own ("experts.3.gate_proj.weight").
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "nn/layer.h"
#include "nn/mlp.h"
#include "nn/norm.h"
#include "spec/config.h"

namespace transom::nn {

struct MoeSpec {
  int64_t hidden = 0, inner = 0, experts = 0;
  RoutingRule routing;
  bool router_bias = false;
  bool correction_bias = false;  // "e_score_correction_bias", beside the router's weight, moves the choice (DeepSeek V3)
  Activation act = Activation::kSilu;
  GateClamp clamp;
  bool bias = false;              // of the experts' projections
  bool weigh_input = false;       // the router's weight multiplies what the expert reads, not its result (Llama 4); top_k is 1
  std::optional<NormSpec> router_norm, expert_norm;  // of what the router reads, and of what the experts read (Gemma 4)
  double router_scale = 1;        // of the router's results
  bool expert_scale = false;      // "per_expert_scale" beside the router's weight multiplies the weights of the chosen
  std::optional<MlpSpec> shared;  // an expert that every row goes through
  // Names below the layer's scope; an empty shared_gate means that the shared expert counts in full.
  std::string router = "gate", list = "experts", gate = "gate_proj", up = "up_proj", down = "down_proj";
  std::string shared_name = "shared_expert", shared_gate = "", router_norm_name = "router_norm", expert_norm_name = "expert_norm";
};

class Moe final : public Layer {
 public:
  Moe(const Scope& s, const MoeSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  ops::Routing route(Ctx& cx, const Tensor& x) const;
  Tensor routed(Ctx& cx, const Tensor& x) const;

  MoeSpec spec_;
  Linear router_;
  const Param *correction_ = nullptr, *expert_scale_ = nullptr;
  std::optional<NormLayer> router_norm_, expert_norm_;
  ops::ExpertParam gate_, up_, down_;
  std::unique_ptr<const Mlp> shared_;
  std::optional<Linear> shared_gate_;
};

// Error unless so many experts can be chosen among so many; the keys are config.json's names for the two numbers.
void require_experts(const Config& c, const MoeSpec& spec, const char* experts_key, const char* top_k_key);

}  // namespace transom::nn
