// latent_attention_spec and the rest: see latent_parts.h.
#include "models/latent_parts.h"

#include <cmath>

namespace transom {

nn::LatentAttentionSpec latent_attention_spec(const Config& c, const DecoderParts& p, int64_t query_rank) {
  nn::LatentAttentionSpec a{.hidden = p.norm.size, .heads = p.attention.heads, .rank = c.size("kv_lora_rank", 512),
                            .nope_dim = c.size("qk_nope_head_dim", 128), .rope_dim = c.size("qk_rope_head_dim", 64),
                            .value_dim = c.size("v_head_dim", 128)};
  constexpr int64_t kMost = 1 << 16;  // far above any model's; bounds what a config can make us allocate
  c.require(a.heads <= kMost && a.rank <= kMost, "kv_lora_rank", "a rank up to 65536 for up to 65536 heads");
  c.require(a.nope_dim <= kMost && a.value_dim <= kMost, "qk_nope_head_dim", "head sizes up to 65536");
  if (!c.is_null("q_lora_rank")) a.query_rank = c.size("q_lora_rank", query_rank);
  c.ignore("q_lora_rank");
  a.bias = c.b("attention_bias", false);
  nn::RopeSpec rope = nn::rope_from_config(c, a.rope_dim, 10000);
  rope.interleaved = c.b("rope_interleave", true);
  a.scale = rope.key_factor * rope.key_factor / std::sqrt(static_cast<double>(a.nope_dim + a.rope_dim));
  a.rope = std::make_shared<nn::RopeSpec>(std::move(rope));
  c.require(c.i("qk_head_dim", a.nope_dim + a.rope_dim) == a.nope_dim + a.rope_dim, "qk_head_dim", "qk_nope_head_dim + qk_rope_head_dim");
  return a;
}

std::unique_ptr<nn::Network> latent_decoder(const Config& c, const Scope& root, const DecoderParts& p, const nn::LatentAttentionSpec& attention,
                                            const nn::MoeSpec& moe, int64_t dense) {
  const std::vector<bool> sparse = sparse_layers_after(c, p.layers, dense);
  c.require(c.i("moe_layer_freq", 1) == 1, "moe_layer_freq", "1");
  c.ignore("num_nextn_predict_layers");  // without_prediction_layers
  return mixed_decoder(root, p, [&](const Scope& s, int64_t) { return nn::layer<nn::LatentAttention>(s / "self_attn", attention); },
                       some_sparse(p, moe, sparse));
}

GgufNames latent_gguf() {
  const std::string a = "model.layers.*.self_attn.";
  Rules rules = {Rename{a + "q_a_proj.*", "blk.*.attn_q_a.*"},
                 Rename{a + "q_a_layernorm.*", "blk.*.attn_q_a_norm.*"},
                 Rename{a + "q_b_proj.*", "blk.*.attn_q_b.*"},
                 Rename{a + "kv_a_proj_with_mqa.*", "blk.*.attn_kv_a_mqa.*"},
                 Rename{a + "kv_a_layernorm.*", "blk.*.attn_kv_a_norm.*"},
                 Rename{a + "kv_b_proj.*", "blk.*.attn_kv_b.*"},
                 Joined{a + "kv_b_proj.weight", {{"blk.*.attn_k_b.weight", true}, {"blk.*.attn_v_b.weight"}}}};
  rules += gguf_moe_rules();
  return {.rules = std::move(rules),
          .keys = gguf_grouped_moe_keys({{"attention.q_lora_rank", "q_lora_rank"},
                                         {"attention.kv_lora_rank", "kv_lora_rank"},
                                         {"attention.key_length_mla", "qk_head_dim"},
                                         {"attention.value_length_mla", "v_head_dim"},
                                         {"attention.value_length", "value_length"},
                                         {"rope.dimension_count", "qk_rope_head_dim"},
                                         {"rope.scaling.yarn_log_multiplier", "yarn_log_multiplier"}}),
          .present = {{"blk.0.attn_kv_a_mqa.bias", "attention_bias"}},
          .adjust = gguf_latent};
}

void gguf_latent(Json& config) {
  gguf_grouped_moe(config);
  if (!config.contains("qk_head_dim")) {  // older files give the sizes of a head where newer ones give the latent's
    config["qk_head_dim"] = config.value("head_dim", int64_t{0});
    config["v_head_dim"] = config.value("value_length", int64_t{0});
  }
  config["qk_nope_head_dim"] = config.value("qk_head_dim", int64_t{0}) - config.value("qk_rope_head_dim", int64_t{0});
  if (!config.contains("q_lora_rank")) config["q_lora_rank"] = nullptr;
  if (config.contains("rope_scaling") && config.contains("yarn_log_multiplier")) {
    const double scale = 10 * config.value("yarn_log_multiplier", 0.0);  // stored as 0.1 times it
    config["rope_scaling"]["mscale"] = config["rope_scaling"]["mscale_all_dim"] = scale;
  }
  for (const char* of_the_latent : {"head_dim", "value_length", "num_key_value_heads", "partial_rotary_factor", "yarn_log_multiplier"})
    config.erase(of_the_latent);
}

std::vector<std::string_view> latent_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = grouped_moe_keys({"kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
                                                         "qk_head_dim", "v_head_dim", "attention_bias", "rope_interleave", "moe_layer_freq"});
  keys.insert(keys.end(), more);
  return keys;
}

}  // namespace transom
