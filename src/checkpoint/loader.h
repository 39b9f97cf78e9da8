// From a checkpoint's tensors to the parameters of a model: binding by name (rules, base prefix, old spellings), checking
// shapes and types, and filling the weights in place (quantized and plain matrices stay mapped as stored; vectors become
// F32). The streamer uses the same bindings, one block at a time.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "checkpoint/quantization.h"
#include "checkpoint/source.h"
#include "spec/config.h"
#include "spec/params.h"
#include "spec/rules.h"

namespace transom {

struct LoadOptions {
  bool allow_unused = false;  // tensors that no parameter reads are a warning instead of an error
  const Quantization* quantization = nullptr;  // of the checkpoint; null: every weight is stored plainly
};

// Where a parameter's value lies: in its tensor, seen as a list of rows, row i is at begin + i / run * stride + i % run
// (run 0: one after the other). Of a transposed tensor [in, out] these are columns of the matrix that starts at `begin`'s slab.
struct Binding {
  Param* param = nullptr;
  const TensorEntry* entry = nullptr;  // of a quantized matrix the tensor of its codes
  std::shared_ptr<const QuantizedWeight> quantized;  // null: `entry` is all there is
  double offset = 0;  // added to a vector's values
  int64_t begin = 0, run = 0, stride = 0;
  int64_t slab = 0;         // bytes from the tensor's start to the matrix that the rows belong to
  int64_t stored_rows = 0;  // of that matrix, all parameters in it together; 0: the parameter's own
  bool transposed = false;
  bool negative_exp = false;  // a vector that is stored as -exp of its values
  std::vector<std::pair<const TensorEntry*, bool>> joined;  // the tensors that make it up and whether they are transposed; `entry` is the first

  int64_t row(int64_t i) const { return run > 0 ? begin + i / run * stride + i % run : begin + i; }
};

// The bytes of the tensor that hold the value, and perhaps other values.
struct StoredBytes {
  uint64_t offset = 0, size = 0;  // from the tensor's start
};
StoredBytes stored_bytes(const Binding& b);
// True when these bytes are the value: a matrix or table whose rows lie one after the other, as they are.
bool in_place(const Binding& b);
// The value's type: a matrix's or table's as stored (F16 where quantized rows are joined), a vector's F32.
DType value_type(const Binding& b);
int64_t value_bytes(const Binding& b);
// The value, made from the stored bytes.
void copy_value(const Binding& b, const std::byte* stored, std::byte* to);
// The value of a joined matrix, made from its tensors' bytes.
void copy_joined(const Binding& b, std::span<const std::byte* const> stored, std::byte* to);

struct Bindings {
  std::vector<Binding> rows;    // tied parameters that share another's weight have none
  std::vector<Binding> shared;  // of those, the ones that have a tensor of their own, of the same bytes
  std::vector<std::string> warnings;
};

// Finds every parameter's tensor. Error{kCorrupt} names missing and unused tensors, and shapes that differ.
Bindings bind_params(ParamTable& params, const TensorSource& source, const Rules& rules, std::string_view base_prefix,
                     const LoadOptions& options);

// Whether the checkpoint holds a parameter of this name.
bool holds(const TensorSource& source, const Rules& rules, std::string_view base_prefix, const std::string& param);

// What the value is stored as: "BF16", "GPTQ 4-bit, groups of 128".
std::string stored_as(const Binding& b);

// Bytes of memory that the value takes beside the stored tensors: none where it is read in place.
int64_t copied_bytes(const Binding& b);

// Makes a quantized matrix readable where its parts lie: `coded`, which the view refers to, gets their addresses. One that is
// rewritten in blocks is written to `copy`.
WeightView quantized_view(const Binding& b, const std::array<const std::byte*, Coded::kParts>& parts, Coded& coded, std::byte* copy);

// Makes a binding's weight readable in place (a map of the file) or, for vectors, as an F32 copy.
Weight load_weight(const Binding& b);

// Gives tied parameters their partner's weight. Called after the partner is loaded.
void share_tied(ParamTable& params);

// Head size (config `head_dim`, else hidden / heads) checked against k_proj's rows / kv heads: on a mismatch the tensor wins.
// Writes `head_dim` into the config and returns a warning, or "".
std::string reconcile_head_dim(Json& config, const TensorSource& source);

// The layers that have attention sinks by their tensors' names (attention_sink_bias), written into the config as
// `attention_sink_layers`. Returns a warning when the config says that no layer has any, or "".
std::string note_attention_sinks(Json& config, const TensorSource& source);

}  // namespace transom
