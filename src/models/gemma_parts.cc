// SharedKeys and the rest: see gemma_parts.h.
#include "models/gemma_parts.h"

#include <algorithm>

namespace transom {

SharedKeys::SharedKeys(const Config& c, int64_t layers, int64_t otherwise)
    : config_(c), own_(layers - c.i("num_kv_shared_layers", otherwise)) {
  c.require(own_ > 0, "num_kv_shared_layers", "less than num_hidden_layers");
}

nn::LayerPtr SharedKeys::attention(const Scope& s, nn::AttentionSpec spec, int64_t i, bool sliding) {
  if (shares(i)) {
    spec.state_of = state_[sliding];
    config_.require(spec.state_of >= 0, "num_kv_shared_layers", "a layer of each kind that does not share");
  }
  auto a = std::make_unique<const nn::Attention>(s, spec);
  state_[sliding] = a->state();
  return a;
}

Rules gemma_rules() {
  Rules rules;
  for (const std::string part : {"vision_tower.**", "audio_tower.**", "embed_vision.**", "embed_audio.**"})
    rules += {Drop{part}, Drop{"model." + part}};
  for (const std::string body : {"model.", "model.language_model.", "language_model.model."})
    for (const char* name : {"k_proj.*", "v_proj.*", "k_norm.*"}) rules += {Drop{body + "layers.*.self_attn." + name}};
  return rules;
}

void join_repeated(Json& config, const char* key) {
  const auto list = config.find(key);
  if (list == config.end() || !list->is_array() || list->empty()) return;
  const Json first = list->front();
  if (std::all_of(list->begin(), list->end(), [&](const Json& j) { return j == first; })) config[key] = first;
}

}  // namespace transom
