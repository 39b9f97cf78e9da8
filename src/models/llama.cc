// Llama (Touvron et al. 2023; transformers modeling_llama): pre-norm decoder with RMSNorm, rotary positions, grouped
// attention and SwiGLU. Covers Llama 1 to 3.2 and SmolLM2.
#include <cmath>

#include "models/family.h"
#include "nn/attention.h"
#include "nn/mlp.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const int64_t hidden = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const int64_t head_dim = c.size("head_dim", hidden / heads);
  nn::require_groups(c, heads, c.size("num_key_value_heads", heads));
  const nn::NormSpec norm{.size = hidden, .eps = c.f("rms_norm_eps", 1e-6)};
  const bool bias = c.b("attention_bias", false);
  const nn::AttentionSpec attention{
      .hidden = hidden, .heads = heads, .kv_heads = c.size("num_key_value_heads", heads), .head_dim = head_dim,
      .scale = 1 / std::sqrt(static_cast<double>(head_dim)),
      .rope = std::make_shared<nn::RopeSpec>(nn::rope_from_config(c, head_dim, 10000)),
      .qkv_bias = bias, .out_bias = bias};
  const nn::MlpSpec mlp{.hidden = hidden, .inner = c.size("intermediate_size"),
                        .act = nn::activation_by_name(c.s("hidden_act", "silu"), c.origin()), .bias = c.b("mlp_bias", false)};
  auto d = std::make_unique<nn::Decoder>(
      root, nn::DecoderSpec{.vocab = c.size("vocab_size"), .norm = norm, .tied = c.b("tie_word_embeddings", false),
                            .padding_id = padding_id(c)});
  for (const Scope& s : layers(root / "model.layers", c.size("num_hidden_layers")))
    d->add<nn::PreNorm>(nn::NormLayer(s / "input_layernorm", norm), nn::layer<nn::Attention>(s / "self_attn", attention),
                        nn::NormLayer(s / "post_attention_layernorm", norm), nn::layer<nn::Mlp>(s / "mlp", mlp));
  return d;
}

// GGUF stores llama's query and key rows permuted for rotation by adjacent pairs.
void adjust_gguf(Json& config) { config["rope_interleaved"] = true; }

}  // namespace

Family llama_family() {
  Rules gguf = {Rename{"model.layers.*.post_attention_layernorm.*", "blk.*.ffn_norm.*"}};
  gguf += gguf_decoder_rules();
  return {.build = build,
          .rules = {Drop{"model.layers.*.self_attn.rotary_emb.inv_freq"}},
          .gguf = {.rules = gguf, .keys = {}, .adjust = adjust_gguf},
          .base_prefix = "model",
          .config_keys = {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "hidden_act", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings",
                          "rope_theta", "rope_scaling", "rope_parameters", "attention_bias", "mlp_bias", "head_dim"}};
}

}  // namespace transom
