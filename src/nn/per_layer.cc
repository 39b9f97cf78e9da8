// PerLayerInputs, PerLayerGate: see per_layer.h.
#include "nn/per_layer.h"

#include <cmath>

namespace transom::nn {

PerLayerInputs::PerLayerInputs(const Scope& body, const PerLayerSpec& spec, int64_t hidden, int64_t padding_id)
    : spec_(spec),
      hidden_(hidden),
      padding_id_(padding_id),
      table_((body / "embed_tokens_per_layer").table("weight", spec.vocab, spec.layers * spec.size)),
      projection_(body / "per_layer_model_projection", hidden, spec.layers * spec.size, {}),
      norm_(body / "per_layer_projection_norm", spec.norm) {}

Tensor PerLayerInputs::forward(Ctx& cx, const Tensor& x) const {
  const auto root = [](int64_t n) { return static_cast<float>(std::sqrt(static_cast<double>(n))); };
  const Tensor own = ops::embedding(cx, *table_, cx.batch.ids, cx.batch.rows, root(spec_.size), static_cast<int32_t>(padding_id_));
  const Tensor seen = norm_.forward(cx, ops::scale(cx, projection_.forward(cx, x), 1 / root(hidden_)), spec_.layers);
  return ops::scale(cx, ops::add(cx, seen, own), 1 / root(2));
}

PerLayerGate::PerLayerGate(const Scope& layer, const PerLayerSpec& spec, const NormSpec& norm, int64_t number)
    : spec_(spec),
      number_(number),
      gate_(layer / "per_layer_input_gate", norm.size, spec.size, {}),
      up_(layer / "per_layer_projection", spec.size, norm.size, {}),
      norm_(layer / "post_per_layer_input_norm", norm) {}

Tensor PerLayerGate::forward(Ctx& cx, const Tensor& x, const Tensor& per_layer) const {
  const Tensor own = ops::columns(cx, per_layer, number_ * spec_.size, spec_.size);
  return norm_.forward(cx, up_.forward(cx, ops::act_mul(cx, gate_.forward(cx, x), own, spec_.act)));
}

}  // namespace transom::nn
