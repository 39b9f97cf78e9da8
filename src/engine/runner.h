// Runner: one step of a model over any number of sequences. It lays out the batch (packed rows, page tables, slots) in
// persistent buffers, runs the network once, and hands back the logits or hidden states that were asked for.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/loaded_model.h"
#include "state/page_pool.h"
#include "state/slot_pool.h"

namespace transom {

// What an encoder-decoder's encoder reads: ids, or frames of features [n, columns], F32 in host memory.
struct SourceInput {
  std::span<const int32_t> ids;
  ConstView features;
  int64_t size() const { return features ? features.rows : static_cast<int64_t>(ids.size()); }
};

// What a step computes for one sequence: the next `ids` after what `state` holds.
struct StepItem {
  SequenceState* state = nullptr;  // null: no state is read or kept (encoders)
  std::span<const int32_t> ids;
  std::span<const int32_t> token_types;  // as many as ids, or none (all 0)
  enum class Want : uint8_t { kNothing, kLast, kAll } want = Want::kLast;  // rows whose output is wanted
  const Adapter* adapter = nullptr;
  SourceInput source = {};  // of a sequence that begins (encoder-decoders); steps after have none
};

class Runner {
 public:
  Runner(Model::Impl& model, int32_t page_size, int64_t max_pages);

  // Rows [n, head().outputs] (or [n, hidden]) as F32 in host memory, in order of the items, valid until the next step. States advance.
  // A head over whole texts (kFirst, kMean) gives one row an item. Error{kInvalidArgument} for ids outside the vocabulary or
  // past the model's positions; Error{kResource} when pages run out: no state has changed then. Any other error within a step
  // tears recurrent states, which cannot go back: such a sequence takes no further step until it is released.
  std::span<const float> logits(std::span<const StepItem> items);
  std::span<const float> hidden(std::span<const StepItem> items);

  // A step of training: the network runs on `tape`, in F32, over items without state. `loss` is given the logits of the rows that the
  // items want (their hidden states where there is no head), puts its gradient into their slot, and says how large it is; then the
  // tape runs backward.
  using Loss = std::function<double(Ctx&, const Tensor&)>;
  double backward(std::span<const StepItem> items, Tape& tape, const Loss& loss);

  // Whether the item's source is one that the model reads: Error{kInvalidArgument} otherwise.
  void check_source(const StepItem& item, int64_t begin) const;

  PagePool& pool() { return pool_; }
  int64_t state_bytes() const { return pool_.bytes() + slots_.bytes(); }
  void release(SequenceState& s);
  SequenceState fork(const SequenceState& s);
  int64_t tokens_forwarded() const { return tokens_forwarded_; }
  int64_t sources_encoded() const { return sources_encoded_; }
  int64_t steps() const { return steps_; }
  size_t activation_bytes() const { return arena_.capacity(); }
  // A tensor's rows as F32 in host memory, valid until the next call or step.
  std::span<const float> to_host(const Tensor& t);
  // Called with every tap of the network (Ctx::observer); empty: none.
  std::function<void(std::string_view, const Tensor&)> observer;

 private:
  std::span<const float> run(std::span<const StepItem> items, bool want_logits);
  Tensor forward(Ctx& cx, std::span<const StepItem> items, bool want_logits);
  void check(const StepItem& item, int64_t begin) const;
  void reserve(std::span<const StepItem> items);
  Batch lay_out(std::span<const StepItem> items, std::vector<int32_t>& wanted, bool first_rows);
  Batch lay_out_sources(std::span<const StepItem> items);
  // The page tables of a group, and the slots of rows [begin, end) of each sequence.
  struct Rows {
    int64_t begin = 0, end = 0;
  };
  SequenceTable table(std::span<const StepItem> items, int32_t group, std::span<const Rows> rows, SequenceTable like, std::vector<int32_t>& slots);
  const void* upload_bytes(const void* host, size_t bytes);
  template <class T>
  const T* upload(const std::vector<T>& host) {
    return static_cast<const T*>(upload_bytes(host.data(), sizeof(T) * host.size()));
  }

  Model::Impl& model_;
  PagePool pool_;
  SlotPool slots_;
  Stream stream_;
  Arena arena_;
  std::vector<float> out_;
  std::vector<std::shared_ptr<std::byte>> buffers_;  // the batch's arrays on the device
  std::vector<size_t> buffer_bytes_;
  size_t next_buffer_ = 0;
  int64_t tokens_forwarded_ = 0, steps_ = 0, sources_encoded_ = 0;
};

}  // namespace transom
