// Mamba (Gu & Dao 2023; transformers modeling_mamba), Falcon Mamba (Zuo et al. 2024; modeling_falcon_mamba): the same with
// norms of the time step, B and C; and Mamba 2 (Dao & Gu 2024; modeling_mamba2).
#include <algorithm>

#include "models/mamba_parts.h"

namespace transom {
namespace {

nn::MambaSpec mamba_spec(const Config& c) {
  const int64_t hidden = c.size("hidden_size");
  nn::MambaSpec m{.hidden = hidden,
                  .inner = c.size("intermediate_size", c.size("expand", 2) * hidden),
                  .state = nn::state_size(c, "state_size", 16), .time_rank = (hidden + 15) / 16, .conv = nn::state_size(c, "conv_kernel", 4),
                  .bias = c.b("use_bias", false), .conv_bias = c.b("use_conv_bias", true),
                  .act = nn::activation_by_name(c.s("hidden_act", "silu"), c.origin())};
  if (c.raw("time_step_rank").is_number()) m.time_rank = c.size("time_step_rank");  // else "auto"
  ignore_initial_values(c);
  return m;
}

std::unique_ptr<nn::Network> build_mamba(const Config& c, const Scope& root) {
  const nn::MambaSpec m = mamba_spec(c);
  return backbone_decoder(c, root, true, [&](const Scope& s, int64_t) { return nn::layer<nn::Mamba>(s / "mixer", m); });
}

std::unique_ptr<nn::Network> build_falcon(const Config& c, const Scope& root) {
  nn::MambaSpec m = mamba_spec(c);
  m.parts_norm = nn::NormSpec{.eps = c.f("mixer_rms_eps", 1e-6), .weight = false};
  return backbone_decoder(c, root, true, [&](const Scope& s, int64_t) { return nn::layer<nn::Mamba>(s / "mixer", m); });
}

std::unique_ptr<nn::Network> build_mamba2(const Config& c, const Scope& root) {
  nn::Mamba2Spec m{.hidden = c.size("hidden_size"), .heads = nn::state_size(c, "num_heads", 128), .head_dim = nn::state_size(c, "head_dim", 64),
                   .groups = nn::state_size(c, "n_groups", 8), .state = nn::state_size(c, "state_size", 128), .conv = nn::state_size(c, "conv_kernel", 4),
                   .bias = c.b("use_bias", false), .conv_bias = c.b("use_conv_bias", true),
                   .act = nn::activation_by_name(c.s("hidden_act", "silu"), c.origin())};
  c.require(m.heads * m.head_dim == c.size("expand", 2) * m.hidden, "num_heads", "heads of head_dim numbers that make up expand * hidden_size");
  c.require(m.heads % m.groups == 0, "n_groups", "a divisor of num_heads");
  c.ignore("intermediate_size");
  ignore_initial_values(c);
  read_time_limits(c, m);
  m.norm = nn::NormSpec{.eps = c.f("layer_norm_epsilon", 1e-5)};
  m.norm_groups = m.groups;
  return backbone_decoder(c, root, false, [&](const Scope& s, int64_t) { return nn::layer<nn::Mamba2>(s / "mixer", m); });
}

// The number of heads is told as the rank of the time step.
void adjust_mamba2(Json& config) {
  gguf_backbone(config);
  const int64_t inner = config.value("intermediate_size", int64_t{0}), heads = config.value("time_step_rank", int64_t{0});
  config["num_heads"] = heads;
  config["head_dim"] = inner / std::max<int64_t>(heads, 1);
  config["expand"] = inner / std::max<int64_t>(config.value("hidden_size", int64_t{0}), 1);
}

}  // namespace

Family mamba_family() {
  return {.build = build_mamba,
          .rules = backbone_rules(),
          .gguf = backbone_gguf(gguf_backbone),
          .base_prefix = "backbone",
          .config_keys = backbone_keys({"time_step_rank"})};
}

Family falcon_mamba_family() {
  return {.build = build_falcon,
          .rules = backbone_rules(),
          .gguf = backbone_gguf(gguf_backbone),
          .base_prefix = "backbone",
          .config_keys = backbone_keys({"time_step_rank", "mixer_rms_eps"})};
}

Family mamba2_family() {
  return {.build = build_mamba2,
          .rules = backbone_rules(),
          .gguf = backbone_gguf(adjust_mamba2),
          .base_prefix = "backbone",
          .config_keys = backbone_keys({"num_heads", "head_dim", "n_groups", "time_step_limit"})};
}

}  // namespace transom
