// backbone_decoder and the rest: see mamba_parts.h.
#include "models/mamba_parts.h"

#include <limits>

namespace transom {

std::unique_ptr<nn::Network> backbone_decoder(const Config& c, const Scope& root, bool tied, const FeedForwardOfLayer& mixer) {
  const nn::NormSpec norm{.size = c.size("hidden_size"), .eps = c.f("layer_norm_epsilon", 1e-5)};
  auto d = std::make_unique<nn::Decoder>(root, nn::DecoderSpec{.vocab = c.size("vocab_size"), .norm = norm,
                                                               .tied = c.b("tie_word_embeddings", tied), .padding_id = padding_id(c)});
  int64_t i = 0;
  for (const Scope& s : layers(root / "model.layers", c.size("num_hidden_layers"))) d->add<nn::Single>(nn::NormLayer(s / "norm", norm), mixer(s, i++));
  return d;
}

Rules backbone_rules() {
  return {Rename{"model.embed_tokens.*", "backbone.embeddings.*"}, Rename{"model.norm.*", "backbone.norm_f.*"},
          Rename{"model.layers.**", "backbone.layers.**"}};
}

std::vector<std::string_view> backbone_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = {"vocab_size", "hidden_size", "num_hidden_layers", "layer_norm_epsilon", "tie_word_embeddings", "state_size",
                                        "expand", "conv_kernel", "use_bias", "use_conv_bias", "hidden_act"};
  keys.insert(keys.end(), more);
  return keys;
}

Rules gguf_mamba_rules(const std::string& mixer) {
  const std::string m = "model.layers.*." + mixer + ".";
  return {Rename{m + "in_proj.*", "blk.*.ssm_in.*"},
          Rename{m + "conv1d.*", "blk.*.ssm_conv1d.*"},
          Rename{m + "x_proj.*", "blk.*.ssm_x.*"},
          Rename{m + "dt_proj.*", "blk.*.ssm_dt.*"},
          Rename{m + "dt_bias", "blk.*.ssm_dt.bias"},
          Rename{m + "A_log", "blk.*.ssm_a"},
          NegativeExp{m + "A_log"},
          Rename{m + "D", "blk.*.ssm_d"},
          Rename{m + "norm.*", "blk.*.ssm_norm.*"},
          Rename{m + "dt_layernorm.*", "blk.*.ssm_dt_norm.*"},
          Rename{m + "b_layernorm.*", "blk.*.ssm_b_norm.*"},
          Rename{m + "c_layernorm.*", "blk.*.ssm_c_norm.*"},
          Rename{m + "out_proj.*", "blk.*.ssm_out.*"}};
}

GgufNames backbone_gguf(void (*adjust)(Json& config)) {
  Rules rules = gguf_mamba_rules("mixer");
  rules += {Rename{"model.layers.*.norm.*", "blk.*.attn_norm.*"}};
  rules += gguf_decoder_rules();
  return {.rules = std::move(rules),
          .keys = {{"ssm.conv_kernel", "conv_kernel"}, {"ssm.inner_size", "intermediate_size"}, {"ssm.state_size", "state_size"},
                   {"ssm.time_step_rank", "time_step_rank"}, {"ssm.group_count", "n_groups"}, {"ssm.dt_b_c_rms", ""},
                   {"attention.layer_norm_rms_epsilon", "layer_norm_epsilon"}},
          .adjust = adjust};
}

void gguf_backbone(Json& config) {
  for (const char* unused : {"num_attention_heads", "rms_norm_eps"}) config.erase(unused);
}

void ignore_initial_values(const Config& c) {
  for (const char* key : {"time_step_scale", "time_step_min", "time_step_max", "time_step_floor", "time_step_init_scheme", "residual_in_fp32",
                          "rescale_prenorm_residual", "use_mambapy", "use_falcon_mambapy", "use_associative_scan", "chunk_size", "time_step_rank"})
    c.ignore(key);
}

void read_time_limits(const Config& c, nn::Mamba2Spec& spec) {
  spec.time_least = 0;
  spec.time_most = std::numeric_limits<float>::max();
  const Json limits = c.raw("time_step_limit");
  if (limits.is_null()) return;
  // JSON has no infinity: transformers 5 writes {"__float__": "Infinity"}.
  const auto infinite = [](const Json& x) { return x.is_object() && x.value("__float__", "") == "Infinity"; };
  const bool pair = limits.is_array() && limits.size() == 2 && limits[0].is_number() && (limits[1].is_number() || infinite(limits[1]));
  c.require(pair, "time_step_limit", "two numbers");
  spec.time_least = limits[0].get<double>();
  if (limits[1].is_number()) spec.time_most = limits[1].get<double>();
  c.require(spec.time_least <= spec.time_most, "time_step_limit", "the smaller number first");
}

nn::Mamba2Spec hybrid_mamba2(const Config& c, const DecoderParts& p) {
  nn::Mamba2Spec m{.hidden = p.norm.size, .heads = nn::state_size(c, "mamba_n_heads", 128), .groups = nn::state_size(c, "mamba_n_groups", 1),
                   .state = nn::state_size(c, "mamba_d_state", 256), .conv = nn::state_size(c, "mamba_d_conv", 4), .bias = c.b("mamba_proj_bias", false),
                   .conv_bias = c.b("mamba_conv_bias", true), .act = p.mlp.act, .norm = p.norm};
  const int64_t inner = c.has("mamba_d_ssm") ? c.size("mamba_d_ssm") : c.size("mamba_expand", 2) * m.hidden;
  c.ignore("mamba_d_ssm");
  c.ignore("mamba_expand");
  c.ignore("mamba_chunk_size");  // a way of computing the same
  const bool given = c.has("mamba_d_head") && c.raw("mamba_d_head").is_number();
  c.ignore("mamba_d_head");
  m.head_dim = given ? nn::state_size(c, "mamba_d_head", 64) : inner / m.heads;
  c.require(m.head_dim * m.heads == inner, "mamba_n_heads", "heads of mamba_d_head numbers that make up the inner size");
  c.require(m.heads % m.groups == 0, "mamba_n_groups", "a divisor of mamba_n_heads");
  m.norm_groups = m.groups;
  read_time_limits(c, m);
  return m;
}

std::vector<std::string_view> hybrid_mamba2_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "mamba_n_heads", "mamba_n_groups", "mamba_d_state",
                                                     "mamba_d_conv", "mamba_proj_bias", "mamba_conv_bias", "mamba_expand", "mamba_d_head",
                                                     "mamba_chunk_size", "time_step_limit"});
  keys.insert(keys.end(), more);
  return keys;
}

GgufNames::Names gguf_hybrid_mamba2_keys(const GgufNames::Names& more) {
  GgufNames::Names keys = {{"ssm.conv_kernel", "mamba_d_conv"}, {"ssm.inner_size", "mamba_d_ssm"}, {"ssm.state_size", "mamba_d_state"},
                           {"ssm.time_step_rank", "mamba_n_heads"}, {"ssm.group_count", "mamba_n_groups"}};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

}  // namespace transom
