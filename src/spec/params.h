// A parameter is declared once, by constructing a layer: `Linear(s / "q_proj", in, out, Split::kOut)` adds one row to the
// ParamTable. Loader, streamer, quantizer, tensor parallelism, LoRA, optimizer and exporter all read that table.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tensor/tensor.h"

namespace transom {

// How a parameter is divided among tensor-parallel ranks: by output rows, by input columns, or not at all. `unit` rows (or
// columns) stay together (a head, a quantization block).
struct Split {
  enum class Axis : uint8_t { kNone, kOut, kIn } axis = Axis::kNone;
  int64_t unit = 1;
};

enum class ParamKind : uint8_t {
  kMatrix,  // [rows, cols], any format, read whole
  kTable,   // [rows, cols], any format, read row by row: embeddings
  kVector,  // [1, cols], or [rows, cols] of a few columns, held as F32: norms, biases, kernels of convolutions
};

struct Param {
  std::string name;  // as Hugging Face names it: "model.layers.0.self_attn.q_proj.weight"
  ParamKind kind = ParamKind::kMatrix;
  int64_t rows = 0, cols = 0;
  Split split;
  const Param* tied = nullptr;  // absent from the checkpoint or equal there: shares this parameter's weight
  int32_t block = -1;           // the block that it belongs to; -1 outside
  bool unit_rows = false;       // each row is the stored one divided by its length (Baichuan 2's head)
  bool optional = false;        // a bias that some checkpoints leave out: then there is none
  bool frozen = false;          // training leaves it as it is: what transformers holds as a buffer, and positions that are computed
  bool computed = false;        // the weight is there when the parameter is declared; a checkpoint that holds it wins
  Weight weight;                // filled by the loader, or for the time of a lease by the streamer
};

inline Param* frozen(Param* p) {
  p->frozen = true;
  return p;
}

class ParamTable {
 public:
  ParamTable() = default;
  ParamTable(const ParamTable&) = delete;  // layers hold pointers to rows
  ParamTable& operator=(const ParamTable&) = delete;

  Param* add(Param p);  // a second row of the same name is Code::kInternal
  std::deque<Param>& rows() { return rows_; }
  const std::deque<Param>& rows() const { return rows_; }
  Param* find(std::string_view name);
  int32_t blocks() const { return blocks_; }  // number of block indices in use

 private:
  std::deque<Param> rows_;
  std::unordered_map<std::string_view, Param*> by_name_;
  int32_t blocks_ = 0;
};

// What a mixer keeps between steps, registered by its layer: for each token (attention), or for the sequence as a whole (a
// recurrence). The pool groups equal windows and tokens: the sequence's own, which grow with each step, or those of the source
// that it attends to, written once (encoder-decoders).
struct StateSpec {
  enum class Tokens : uint8_t { kOwn, kSource };
  int64_t k_dim = 0, v_dim = 0;  // elements per token
  int32_t window = 0;            // tokens that stay visible; 0 means all
  int64_t per_sequence = 0;      // F32 numbers, however long the sequence is
  Tokens tokens = Tokens::kOwn;
  int64_t head_dim = 0;  // k and v are made of heads of a multiple of this; 0: all heads share what is kept
  bool operator==(const StateSpec&) const = default;
};

// Where a layer stands in the model: a name prefix, the tables it registers in, and its block.
class Scope {
 public:
  Scope(ParamTable& params, std::vector<StateSpec>& states) : params_(&params), states_(&states) {}
  Scope operator/(std::string_view name) const;
  Scope in_block(int32_t block) const;

  Param* matrix(std::string_view name, int64_t rows, int64_t cols, Split split = {}, const Param* tied = nullptr) const;
  Param* table(std::string_view name, int64_t rows, int64_t cols, Split split = {}) const;
  Param* vector(std::string_view name, int64_t size, Split split = {}) const;
  Param* vectors(std::string_view name, int64_t rows, int64_t cols, Split split = {}) const;
  Param* optional_vector(std::string_view name, int64_t size, Split split = {}) const;
  // A table that no checkpoint need hold, and which is frozen: values are [rows, cols].
  Param* computed(std::string_view name, int64_t rows, int64_t cols, const std::vector<float>& values) const;
  int32_t state(const StateSpec& spec) const;  // the index of this layer's state
  const std::string& name() const { return name_; }

 private:
  Param* add(Param p) const;
  ParamTable* params_;
  std::vector<StateSpec>* states_;
  std::string name_;
  int32_t block_ = -1;
};

// The scopes of layers prefix.0 … prefix.(n-1), each a block of its own; blocks count from `first_block`.
std::vector<Scope> layers(const Scope& prefix, int64_t n, int64_t first_block = 0);

}  // namespace transom
