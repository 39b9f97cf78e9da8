// Decoders whose architecture has no family here, but whose parts all have: the variants are those that the tensors show.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/family.h"

namespace transom {

// The shape of a checkpoint's tensor; null when there is none of this name.
using ShapeOf = std::function<const std::vector<int64_t>*(std::string_view)>;

// What the tensors show of a decoder with Llama's names, also in words (`found`); nullopt when they are not such a decoder's.
std::optional<Json> decoder_traits(const ShapeOf& shape_of, std::string& found);

// A family for a decoder with Llama's names of tensors: pre-norm, sandwich or norms on outputs; RMSNorm or LayerNorm; biases; q/k norms
// over heads or rows; q, k, v and gate, up apart or fused; a gated or plain feed-forward, or experts. What was found goes into
// `config` below "generic", which build reads, and into `found`, in words. nullopt when the tensors are not such a decoder's.
// The caller has to refuse what is left over: tensors that no parameter reads and config keys that nobody has read.
std::optional<Family> generic_decoder(Json& config, const ShapeOf& shape_of, std::string& found);

}  // namespace transom
