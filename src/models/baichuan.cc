// Baichuan 7B and 13B (Baichuan Inc. 2023) and Baichuan 2 (Yang et al. 2023), remote code on the hub: Llama's layers with q, k and v
// in one tensor. 7B rotates; 13B, whose config has model_max_length alone, attends with ALiBi; the second generation, known
// by its vocabulary, normalizes the rows of its head.
#include "models/decoder_parts.h"

namespace transom {
namespace {

constexpr int64_t kFirstVocabulary = 64000;

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const bool rotates = c.has("max_position_embeddings");
  DecoderParts p = decoder_parts(c, {.rotates = rotates});
  if (!rotates) p.attention.alibi = std::make_shared<std::vector<float>>(nn::alibi_slopes(p.attention.heads));
  p.decoder.unit_head = c.b("normalized_head", p.decoder.vocab > kFirstVocabulary);
  c.ignore("model_max_length");
  c.ignore("z_loss_weight");
  return pre_norm_decoder(root, p);
}

// A file says its size by the number of layers alone, as llama.cpp's reader takes it.
void adjust_gguf(Json& config) {
  constexpr int64_t kLayersOf13B = 40;
  gguf_rows_in_pairs(config);
  if (config.value("num_hidden_layers", int64_t{0}) != kLayersOf13B) return;
  config["model_max_length"] = config["max_position_embeddings"];
  for (const char* key : {"max_position_embeddings", "rope_theta", "rope_interleaved"}) config.erase(key);
}

}  // namespace

Family baichuan_family() {
  return {.build = build,
          .rules = {Fused{"model.layers.*.self_attn.W_pack.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}},
                    Drop{"model.layers.*.self_attn.rotary_emb.inv_freq"}},
          .gguf = {.rules = gguf_decoder_rules(), .keys = {{"tensor_data_layout", ""}}, .adjust = adjust_gguf},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act"})};
}

}  // namespace transom
