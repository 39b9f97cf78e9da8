// Jamba (Lieber et al. 2024; transformers modeling_jamba): Mamba, every so many layers attention without positions instead, and
// every so many layers a mixture of experts.
#include <algorithm>

#include "models/mamba_parts.h"
#include "models/moe_parts.h"

namespace transom {
namespace {

nn::MambaSpec mamba_spec(const Config& c, const DecoderParts& p) {
  const int64_t hidden = p.norm.size;
  nn::MambaSpec m{.hidden = hidden, .inner = c.size("mamba_expand", 2) * hidden, .state = nn::state_size(c, "mamba_d_state", 16),
                  .time_rank = (hidden + 15) / 16, .conv = nn::state_size(c, "mamba_d_conv", 4), .bias = c.b("mamba_proj_bias", false),
                  .conv_bias = c.b("mamba_conv_bias", true), .act = p.mlp.act, .parts_norm = p.norm};
  if (c.raw("mamba_dt_rank").is_number()) m.time_rank = c.size("mamba_dt_rank");  // else "auto"
  for (const char* key : {"use_mamba_kernels", "use_mambapy", "use_associative_scan", "num_logits_to_keep"}) c.ignore(key);
  return m;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const DecoderParts p = decoder_parts(c, {.rotates = false});
  const nn::MambaSpec mamba = mamba_spec(c, p);
  const bool mixtures = c.size("num_experts", 16) > 1;
  nn::MoeSpec moe;
  if (mixtures) moe = moe_spec(c, p);
  else c.ignore("num_experts_per_tok");
  moe.router = "router";
  const auto chosen = [&](const char* period, const char* offset, int64_t every, int64_t from) {
    every = c.size(period, every);
    from = c.i(offset, from);
    return [=](int64_t i) { return i % every == from; };
  };
  const auto attends = chosen("attn_layer_period", "attn_layer_offset", 8, 4), sparse = chosen("expert_layer_period", "expert_layer_offset", 2, 1);
  const auto mixer = [&](const Scope& s, int64_t i) {
    return attends(i) ? nn::layer<nn::Attention>(s / "self_attn", p.attention) : nn::layer<nn::Mamba>(s / "mamba", mamba);
  };
  return mixed_decoder(root, p, mixer, [&](const Scope& s, int64_t i) {
    return mixtures && sparse(i) ? nn::layer<nn::Moe>(s / "feed_forward", moe) : nn::layer<nn::Mlp>(s / "feed_forward", p.mlp);
  });
}

// Which layers attend, by their kv heads, and which are mixtures, by their tensors, as the period and offset of each.
void adjust_gguf(Json& config) {
  const Json heads = config["num_key_value_heads"];
  std::vector<int64_t> attends;
  for (size_t i = 0; heads.is_array() && i < heads.size(); ++i)
    if (heads[i] > 0) attends.push_back(static_cast<int64_t>(i));
  gguf_layer_types(config, "attention", "mamba");
  config.erase("layer_types");
  const auto say = [&](const std::string& kind, const std::vector<int64_t>& at) {
    config[kind + "_layer_offset"] = at.empty() ? 0 : at[0];
    config[kind + "_layer_period"] = at.size() > 1 ? at[1] - at[0] : config.value("num_hidden_layers", int64_t{0});
  };
  say("attn", attends);
  say("expert", config.value("sparse_layers", std::vector<int64_t>{}));
  config["mamba_expand"] = config.value("mamba_inner", int64_t{0}) / std::max<int64_t>(config.value("hidden_size", int64_t{0}), 1);
  for (const char* key : {"sparse_layers", "mamba_inner"}) config.erase(key);
}

Rules gguf_rules() {
  Rules rules = gguf_mamba_rules("mamba");
  rules += gguf_moe_rules("feed_forward", "router");
  return rules;
}

}  // namespace

Family jamba_family() {
  return {.build = build,
          .rules = {Rename{"model.norm.*", "model.final_layernorm.*"},
                    Rename{"model.layers.*.post_attention_layernorm.*", "model.layers.*.pre_ff_layernorm.*"}},
          .gguf = {.rules = gguf_rules(),
                   .keys = {{"ssm.conv_kernel", "mamba_d_conv"}, {"ssm.inner_size", "mamba_inner"}, {"ssm.state_size", "mamba_d_state"},
                            {"ssm.time_step_rank", "mamba_dt_rank"}, {"expert_count", "num_experts"}, {"expert_used_count", "num_experts_per_tok"}},
                   .layers = {{"blk.*.ffn_gate_inp.weight", "sparse_layers"}},
                   .adjust = adjust_gguf},
          .base_prefix = "model",
          .config_keys = moe_keys({"attn_layer_period", "attn_layer_offset", "expert_layer_period", "expert_layer_offset", "mamba_d_state",
                                   "mamba_d_conv", "mamba_expand", "mamba_dt_rank", "mamba_conv_bias", "mamba_proj_bias"})};
}

}  // namespace transom
