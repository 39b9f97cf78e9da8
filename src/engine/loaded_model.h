// LoadedModel: all that one model needs to run, behind include/transom/model.h: the checkpoint's maps, config, parameters,
// network, kernels and threads.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/threads.h"
#include "checkpoint/loader.h"
#include "engine/generation_config.h"
#include "models/family.h"
#include "spec/residency.h"
#include "transom/model.h"

namespace transom {

struct Model::Impl {
  std::string path;
  ModelOptions options;
  std::string architecture;
  std::shared_ptr<const TensorSource> source;
  Json config_json;
  Family family;
  ParamTable params;
  std::vector<StateSpec> states;
  std::unique_ptr<nn::Network> network;
  Bindings bindings;
  std::unique_ptr<Residency> residency;  // null: all weights are resident
  const Kernels* kernels = nullptr;
  std::unique_ptr<ThreadTeam> team;
  DType dtype = DType::kF32;     // of activations
  DType kv_dtype = DType::kF32;  // of kept keys and values
  int64_t context_length = 0, vocab_size = 0, hidden_size = 0;
  HeadInfo head;
  GenerationConfig generation;
  std::map<std::string, Adapter> adapters;  // by name
  // The adapter of that name, null for "". Error{kNotFound} for an unknown one.
  const Adapter* find_adapter(const std::string& name) const;
  std::vector<std::string> warnings;
  double load_seconds = 0;
};

}  // namespace transom
