// Ctx: all that a forward pass needs beside the weights, passed explicitly: kernels, stream, arena, the batch description,
// state views, tape, adapters, observer. One Ctx serves one step of one engine; layers own no run-time state.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "kernels/kernels.h"
#include "spec/adapter.h"
#include "tensor/arena.h"

namespace transom {

class Residency;
class Tape;

// The rows of a step. Arrays are in the device's memory and persist for the engine's life; numbers are host values.
struct Batch {
  int64_t rows = 0;
  const int32_t* ids = nullptr;         // [T]
  const int32_t* positions = nullptr;   // [T]
  const int32_t* axis_positions = nullptr;  // [3, T]: a row's place in time, height and width; null: `positions` in each
  const int32_t* token_types = nullptr; // [T] or null (BERT's segments)
  bool whole = false;                   // no sequence has tokens from earlier steps
  ConstView features;                   // frames of sound instead of ids, of sequence s from row input_start[s] on
  const int32_t* input_start = nullptr; // [count + 1] or null
  int64_t max_position = 0;             // the longest sequence, state included: decides length-dependent rope
  SequenceTable packed;                 // the sequences without state (pages == null)
  std::vector<SequenceTable> paged;     // one a state group
  std::vector<const int32_t*> slots;    // one a state group: [T]
  RecurrentTable recurrent;             // the sequences and their slots
  const int32_t* logit_rows = nullptr;  // rows whose logits are wanted; null means all
  int64_t logit_count = 0;
};

// The caches of one layer: rows of pages, and the group whose page tables address them; or rows of slots, one a sequence.
struct KvState {
  View k, v;
  int32_t group = -1;
  View slots;  // F32
};

// Rows [begin, begin + count) of the step go through `adapter`.
struct AdapterRows {
  int64_t begin = 0, count = 0;
  const Adapter* adapter = nullptr;
};

// The keys and values that a layer made of a step's rows.
struct KeysValues {
  Tensor k, v;
};

struct RopeTables {
  const void* key = nullptr;  // the RopeSpec that made it
  Tensor cos, sin;
};

struct Ctx {
  const Kernels& kernels;
  Stream& stream;
  Arena& arena;
  DType dtype = DType::kF32;  // of activations
  Batch batch;
  std::vector<KvState> states;  // by the index that Scope::state gave; empty: no state (encoders, training)
  std::vector<KeysValues> step_keys;  // in a run without states, by the same index: for the layers that share an earlier one's
  std::vector<AdapterRows> adapters;
  Residency* residency = nullptr;
  Tape* tape = nullptr;
  // Encoder-decoders: the context of the sources that begin in this step (null: none does), and what the encoder made of
  // them, rows as its batch.packed says.
  Ctx* source = nullptr;
  Tensor encoded;
  std::vector<RopeTables> rope;  // computed once a step, shared by all layers
  // Called with each tap of the definition ("embed", "layers.3", "norm") when set.
  std::function<void(std::string_view name, const Tensor&)> observer;
};

}  // namespace transom
