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

std::vector<std::string_view> latent_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = grouped_moe_keys({"kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
                                                         "qk_head_dim", "v_head_dim", "attention_bias", "rope_interleave", "moe_layer_freq"});
  keys.insert(keys.end(), more);
  return keys;
}

}  // namespace transom
