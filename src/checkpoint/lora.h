// PEFT adapter directories: adapter_config.json and adapter_model.safetensors.
#pragma once

#include <string>

#include "spec/adapter.h"

namespace transom {

// Reads a LoRA adapter for the model of `params`. Error{kUnsupported} names a setting that is not done (DoRA, biases, saved
// modules, other methods); Error{kCorrupt} a tensor that names no parameter or has another shape.
Adapter read_lora(const std::string& directory, ParamTable& params);

}  // namespace transom
