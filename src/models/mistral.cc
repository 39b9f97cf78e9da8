// Mistral (Jiang et al. 2023; transformers modeling_mistral) and Ministral (modeling_ministral, modeling_ministral3): Llama's layers, all
// or some of which may see a window; queries of Ministral 3 grow with each multiple of the original context. Mistral 3 has one
// of them as its text model.
#include "models/decoder_parts.h"

namespace transom {
namespace {

// Llama 4's temperature, here for all layers and with the scaling of positions.
std::optional<GrowthRule> growth(const Config& c) {
  const std::optional<Config> rope = c.sub("rope_parameters");
  if (!rope || !rope->has("llama_4_scaling_beta")) return std::nullopt;
  rope->ignore("max_position_embeddings");
  return GrowthRule{.slope = static_cast<float>(rope->f("llama_4_scaling_beta")),
                    .length = static_cast<float>(rope->size("original_max_position_embeddings")), .steps = true};
}

std::unique_ptr<nn::Network> decoder(const Config& c, const Scope& root, int64_t window) {
  DecoderParts p = decoder_parts(c);
  p.attention.growth = growth(c);
  nn::AttentionSpec local = p.attention;
  local.mask.window = sliding_window(c, window);
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [](int64_t) { return true; });
  return pre_norm_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : p.attention; });
}

std::unique_ptr<nn::Network> build_mistral(const Config& c, const Scope& root) { return decoder(c, root, 4096); }

std::unique_ptr<nn::Network> build_ministral3(const Config& c, const Scope& root) { return decoder(c, root, 0); }

// Ministral 3's scaling and its queries' growth are said together.
void adjust_gguf(Json& config) {
  gguf_rows_in_pairs(config);
  if (!config.contains("llama_4_scaling_beta") || !config.contains("rope_scaling")) return;
  Json rope = config["rope_scaling"];
  rope["rope_theta"] = config.value("rope_theta", 10000.0);
  rope["llama_4_scaling_beta"] = config["llama_4_scaling_beta"];
  rope["mscale"] = rope["mscale_all_dim"] = config.value("yarn_log_multiplier", 1.0);
  config["rope_parameters"] = std::move(rope);
  for (const char* key : {"rope_scaling", "rope_theta", "llama_4_scaling_beta", "yarn_log_multiplier"}) config.erase(key);
}

const std::initializer_list<std::string_view> kKeys = {"rms_norm_eps", "hidden_act", "sliding_window", "layer_types"};

}  // namespace

Family mistral_family() {
  return {.build = build_mistral,
          .rules = {},
          .gguf = {},  // converted as Llama
          .base_prefix = "model",
          .config_keys = decoder_keys(kKeys)};
}

Family ministral3_family() {
  return {.build = build_ministral3,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(),
                   .keys = {{"attention.temperature_scale", "llama_4_scaling_beta"}, {"rope.scaling.yarn_log_multiplier", "yarn_log_multiplier"}},
                   .adjust = adjust_gguf},
          .base_prefix = "model",
          .config_keys = decoder_keys(kKeys)};
}

Family mistral3_family() {
  return {.build = build_ministral3,
          .rules = {Drop{"vision_tower.**"}, Drop{"multi_modal_projector.**"}, Drop{"model.vision_tower.**"},
                    Drop{"model.multi_modal_projector.**"}},
          .gguf = {},  // converted as Ministral 3
          .base_prefix = "language_model",
          .config_keys = decoder_keys(kKeys),
          .section = "text_config"};
}

}  // namespace transom
