// From a checkpoint's tensors to the parameters of a model: binding by name (rules, base prefix, old spellings), checking
// shapes and types, and filling the weights in place (quantized and plain matrices stay mapped as stored; vectors become
// F32). The streamer uses the same bindings, one block at a time.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/source.h"
#include "spec/config.h"
#include "spec/params.h"
#include "spec/rules.h"

namespace transom {

struct LoadOptions {
  bool allow_unused = false;  // tensors that no parameter reads are a warning instead of an error
};

// Where a parameter's value lies.
struct Binding {
  Param* param = nullptr;
  const TensorEntry* entry = nullptr;
  double offset = 0;  // added to a vector's values
};

struct Bindings {
  std::vector<Binding> rows;  // tied parameters that share another's weight have none
  std::vector<std::string> warnings;
};

// Finds every parameter's tensor. Error{kCorrupt} names missing and unused tensors, and shapes that differ.
Bindings bind_params(ParamTable& params, const TensorSource& source, const Rules& rules, std::string_view base_prefix,
                     const LoadOptions& options);

// Makes a binding's weight readable in place (a map of the file) or, for vectors, as an F32 copy.
Weight load_weight(const Binding& b);

// Gives tied parameters their partner's weight. Called after the partner is loaded.
void share_tied(ParamTable& params);

// Head size (config `head_dim`, else hidden / heads) checked against k_proj's rows / kv heads: on a mismatch the tensor wins.
// Writes `head_dim` into the config and returns a warning, or "".
std::string reconcile_head_dim(Json& config, const TensorSource& source);

}  // namespace transom
