// Mistral (Jiang et al. 2023; transformers modeling_mistral): Llama's layers, all of which may see a window.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c);
  p.attention.mask.window = sliding_window(c, 4096);
  return pre_norm_decoder(root, p);
}

}  // namespace

Family mistral_family() {
  return {.build = build,
          .rules = {},
          .gguf = {},  // converted as Llama
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "sliding_window"})};
}

}  // namespace transom
