// LFM2 (Liquid AI 2025; transformers modeling_lfm2, modeling_lfm2_moe): gated short convolutions, and attention with qk-norm in
// some layers; LFM2 MoE with mixtures of experts after the first layers.
#include <algorithm>

#include "models/moe_parts.h"
#include "nn/short_conv.h"

namespace transom {
namespace {

// The feed-forward's size follows from intermediate_size by the rule of Llama 1.
int64_t inner_size(const Config& c) {
  const int64_t given = c.size("intermediate_size"), multiple = c.size("block_multiple_of", 256);
  const double factor = c.f("block_ffn_dim_multiplier", 1);
  if (!c.b("block_auto_adjust_ff_dim", true)) return given;
  c.require(factor > 0 && factor <= 64, "block_ffn_dim_multiplier", "a factor up to 64");
  const auto inner = static_cast<int64_t>(factor * static_cast<double>(2 * given / 3));
  return (inner + multiple - 1) / multiple * multiple;
}

DecoderParts parts(const Config& c) {
  DecoderParts p = decoder_parts(c, {.eps_key = "norm_eps", .eps = 1e-5, .rope_theta = 1e6, .tied = true});
  p.attention.qk_norm = p.norm;
  p.attention.o = "out_proj";
  return p;
}

std::unique_ptr<nn::Network> hybrid(const Config& c, const Scope& root, const DecoderParts& p, const FeedForwardOfLayer& feed_forward) {
  const nn::ShortConvSpec conv{.hidden = p.norm.size, .width = nn::state_size(c, "conv_L_cache", 3), .bias = c.b("conv_bias", false)};
  const std::vector<double> full = c.floats("full_attn_idxs");
  const std::vector<bool> attends = layers_of_type(c, p.layers, "full_attention", "conv", [&](int64_t i) {
    return full.empty() || std::find(full.begin(), full.end(), static_cast<double>(i)) != full.end();
  });
  const auto mixer = [&](const Scope& s, int64_t i) {
    return attends[i] ? nn::layer<nn::Attention>(s / "self_attn", p.attention) : nn::layer<nn::ShortConv>(s / "conv", conv);
  };
  return mixed_decoder(root, p, mixer, feed_forward);
}

std::unique_ptr<nn::Network> build_dense(const Config& c, const Scope& root) {
  DecoderParts p = parts(c);
  p.mlp.inner = inner_size(c);
  return hybrid(c, root, p, {});
}

std::unique_ptr<nn::Network> build_moe(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c);
  c.ignore("block_auto_adjust_ff_dim");  // of the dense models
  nn::MoeSpec moe = moe_spec(c, p, "moe_intermediate_size");
  moe.routing.scoring = Scoring::kSigmoid;
  moe.routing.normalize = c.b("norm_topk_prob", true);
  moe.routing.scale = static_cast<float>(c.f("routed_scaling_factor", 1));
  moe.correction_bias = c.b("use_expert_bias", true);
  const int64_t dense = c.i("num_dense_layers", 2);
  return hybrid(c, root, p, [&](const Scope& s, int64_t i) {
    return i < dense ? nn::layer<nn::Mlp>(s / "mlp", p.mlp) : nn::layer<nn::Moe>(s / "feed_forward", moe);
  });
}

Rules rules() {
  const std::string layer = "model.layers.*.", expert = layer + "feed_forward.experts.*.";
  return {Rename{"model.norm.*", "model.embedding_norm.*"},
          Rename{layer + "input_layernorm.*", layer + "operator_norm.*"},
          Rename{layer + "post_attention_layernorm.*", layer + "ffn_norm.*"},
          Rename{layer + "self_attn.q_norm.*", layer + "self_attn.q_layernorm.*"},
          Rename{layer + "self_attn.k_norm.*", layer + "self_attn.k_layernorm.*"},
          Rename{layer + "mlp.gate_proj.*", layer + "feed_forward.w1.*"},
          Rename{layer + "mlp.up_proj.*", layer + "feed_forward.w3.*"},
          Rename{layer + "mlp.down_proj.*", layer + "feed_forward.w2.*"},
          Rename{expert + "gate_proj.*", expert + "w1.*"},
          Rename{expert + "up_proj.*", expert + "w3.*"},
          Rename{expert + "down_proj.*", expert + "w2.*"},
          Rename{layer + "feed_forward.gate.e_score_correction_bias", layer + "feed_forward.expert_bias"}};
}

// The feed-forward's size is the one that comes of the rule above.
void adjust_gguf(Json& config) {
  gguf_layer_types(config, "full_attention", "conv");
  config["block_auto_adjust_ff_dim"] = false;
  config["norm_eps"] = config.value("rms_norm_eps", 1e-5);
  config.erase("rms_norm_eps");
}

GgufNames gguf(GgufNames::Names keys) {
  keys.emplace_back("shortconv.l_cache", "conv_L_cache");
  Rules rules = {Rename{"model.norm.*", "token_embd_norm.*"}, Rename{"model.layers.*.conv.in_proj.*", "blk.*.shortconv.in_proj.*"},
                 Rename{"model.layers.*.conv.conv.*", "blk.*.shortconv.conv.*"},
                 Rename{"model.layers.*.conv.out_proj.*", "blk.*.shortconv.out_proj.*"},
                 Rename{"model.layers.*.self_attn.out_proj.*", "blk.*.attn_output.*"}};
  rules += gguf_moe_rules("feed_forward");
  return {.rules = std::move(rules), .keys = std::move(keys), .present = {{"blk.0.shortconv.conv.bias", "conv_bias"}}, .adjust = adjust_gguf};
}

}  // namespace

Family lfm2_family() {
  return {.build = build_dense,
          .rules = rules(),
          .gguf = gguf({}),
          .base_prefix = "model",
          .config_keys = decoder_keys({"norm_eps", "conv_bias", "conv_L_cache", "block_multiple_of", "block_ffn_dim_multiplier",
                                       "block_auto_adjust_ff_dim", "full_attn_idxs", "layer_types"}),
          .config_aliases = {{"tie_embedding", "tie_word_embeddings"}, {"block_ff_dim", "intermediate_size"}}};
}

Family lfm2_moe_family() {
  return {.build = build_moe,
          .rules = rules(),
          .gguf = gguf(gguf_moe_keys({{"expert_gating_func", ""}, {"leading_dense_block_count", "num_dense_layers"}})),
          .base_prefix = "model",
          .config_keys = moe_keys({"norm_eps", "conv_bias", "conv_L_cache", "layer_types", "moe_intermediate_size", "num_dense_layers",
                                   "use_expert_bias", "routed_scaling_factor", "norm_topk_prob"}),
          .config_aliases = {{"tie_embedding", "tie_word_embeddings"}}};
}

}  // namespace transom
