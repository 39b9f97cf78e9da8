// How a family's GGUF files differ from its Hugging Face ones: names of tensors and keys, and values that follow from neither.
// Sources: the GGUF specification and llama.cpp's converter.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "spec/rules.h"

namespace transom {

struct GgufNames {
  using Names = std::vector<std::pair<std::string_view, std::string_view>>;

  Rules rules;
  // Keys below "<general.architecture>." beyond those that every model has, and config.json's names for them; "" for a key that
  // says nothing new. A list of bools that goes to layer_types says which layers have a window. A family that names
  // "attention.value_length" has values of another size than keys.
  Names keys;
  Names present;  // tensors, and the config keys that say whether there are such
  Names rows;     // tensors, and the config keys that say how many rows they have, 0 where there is no such tensor
  Names layers;   // tensors of a layer ("blk.*.…"), and the config keys that list the layers which have one
  void (*adjust)(Json& config) = nullptr;
};

}  // namespace transom
