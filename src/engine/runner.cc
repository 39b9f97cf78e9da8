// Runner: see runner.h.
#include "engine/runner.h"

#include <algorithm>

#include "base/error.h"

namespace transom {

Runner::Runner(Model::Impl& model, int32_t page_size, int64_t max_pages)
    : model_(model),
      pool_(model.states, page_size, model.dtype, *model.kernels, max_pages),
      slots_(model.states, *model.kernels),
      arena_([&k = *model.kernels](size_t bytes) { return k.allocate(bytes); }) {
  stream_.team = model.team.get();
}

std::span<const float> Runner::logits(std::span<const StepItem> items) { return run(items, true); }
std::span<const float> Runner::hidden(std::span<const StepItem> items) { return run(items, false); }

void Runner::release(SequenceState& s) {
  pool_.release(s);
  slots_.release(s);
}

const int32_t* Runner::upload(const std::vector<int32_t>& host) {
  const size_t i = next_buffer_++, bytes = sizeof(int32_t) * std::max<size_t>(host.size(), 1);
  if (i == buffers_.size()) {
    buffers_.emplace_back();
    buffer_bytes_.push_back(0);
  }
  if (bytes > buffer_bytes_[i]) {
    buffer_bytes_[i] = std::max(bytes, 2 * buffer_bytes_[i]);
    buffers_[i] = model_.kernels->allocate(buffer_bytes_[i]);
  }
  model_.kernels->copy_to_device(buffers_[i].get(), host.data(), sizeof(int32_t) * host.size(), stream_);
  return reinterpret_cast<const int32_t*>(buffers_[i].get());
}

void Runner::check(const StepItem& it, int64_t begin) const {
  const nn::InputLimits limits = model_.network->limits();
  const auto n = static_cast<int64_t>(it.ids.size());
  const int64_t end = limits.ids > 0 ? std::min(limits.ids, model_.vocab_size) : model_.vocab_size;
  for (const int32_t id : it.ids)
    if (id < 0 || id >= end) fail(Code::kInvalidArgument, "token ids", "expected ids below {}, got {}", end, id);
  if (begin > 0 && model_.states.empty())
    fail(Code::kUnsupported, "state", "expected each text whole, got one in pieces: {} keeps no state", model_.architecture);
  if (it.state && it.state->torn)
    fail(Code::kInternal, "state", "expected a sequence whose last step was done, got one whose recurrent state was left half advanced");
  if (limits.positions > 0 && begin + n > limits.positions)
    fail(Code::kInvalidArgument, "token ids", "expected at most {} of a text ({}), got {}", limits.positions, limits.positions_of, begin + n);
  if (it.token_types.empty()) return;
  if (it.token_types.size() != it.ids.size())
    fail(Code::kInvalidArgument, "token types", "expected one for each of {} ids, got {}", n, it.token_types.size());
  for (const int32_t type : it.token_types)
    if (type < 0 || type >= std::max<int64_t>(limits.token_types, 1))
      fail(Code::kInvalidArgument, "token types", "expected types below {}, got {}", std::max<int64_t>(limits.token_types, 1), type);
}

Batch Runner::lay_out(std::span<const StepItem> items, std::vector<int32_t>& wanted, bool first_rows) {
  std::vector<int32_t> ids, positions, types, q_start{0}, q_len_as_kv, kv_len, own_slots, before;
  int32_t max_q = 0, max_kv = 0;
  for (const StepItem& it : items) {
    const int64_t begin = it.state ? it.state->length : 0;
    const auto n = static_cast<int32_t>(it.ids.size());
    check(it, begin);
    for (int32_t i = 0; i < n; ++i) {
      ids.push_back(it.ids[i]);
      positions.push_back(static_cast<int32_t>(begin) + i);
      types.push_back(it.token_types.empty() ? 0 : it.token_types[i]);
      const bool all = it.want == StepItem::Want::kAll, last = it.want == StepItem::Want::kLast;
      if (first_rows ? i == 0 && (all || last) : all || (last && i == n - 1))
        wanted.push_back(static_cast<int32_t>(ids.size()) - 1);
    }
    q_start.push_back(static_cast<int32_t>(ids.size()));
    q_len_as_kv.push_back(n);
    kv_len.push_back(static_cast<int32_t>(begin) + n);
    own_slots.push_back(it.state ? it.state->slot : -1);
    before.push_back(static_cast<int32_t>(begin));
    max_q = std::max(max_q, n);
    max_kv = std::max(max_kv, kv_len.back());
  }
  Batch b;
  next_buffer_ = 0;
  b.rows = static_cast<int64_t>(ids.size());
  b.ids = upload(ids);
  b.positions = upload(positions);
  b.token_types = upload(types);
  b.max_position = max_kv;
  b.whole = std::all_of(items.begin(), items.end(), [](const StepItem& it) { return !it.state || it.state->length == 0; });
  b.packed = {.count = static_cast<int32_t>(items.size()), .q_start = upload(q_start), .kv_len = upload(q_len_as_kv),
              .max_q_len = max_q, .max_kv_len = max_q};
  const int32_t* lengths = upload(kv_len);
  const int32_t size = pool_.page_size(), max_pages = (max_kv + size - 1) / size;
  for (int32_t g = 0; g < pool_.groups(); ++g) {
    std::vector<int32_t> pages(items.size() * max_pages, -1), slots;
    for (size_t s = 0; s < items.size(); ++s) {
      if (!items[s].state) continue;
      const std::vector<int32_t>& own = items[s].state->pages[g];
      std::copy(own.begin(), own.end(), pages.begin() + static_cast<int64_t>(s) * max_pages);
      for (size_t i = 0; i < items[s].ids.size(); ++i) {
        const int64_t at = items[s].state->length + static_cast<int64_t>(i);
        slots.push_back(own[at / size] * size + static_cast<int32_t>(at % size));
      }
    }
    b.paged.push_back({.count = b.packed.count, .q_start = b.packed.q_start, .kv_len = lengths, .pages = upload(pages),
                       .max_pages = max_pages, .page_size = size, .max_q_len = max_q, .max_kv_len = max_kv});
    b.slots.push_back(upload(slots));
  }
  b.recurrent = {.count = b.packed.count, .q_start = b.packed.q_start};
  if (!slots_.empty() && !items.empty() && items[0].state) {
    b.recurrent.slots = upload(own_slots);
    b.recurrent.before = upload(before);
  }
  b.logit_rows = upload(wanted);
  b.logit_count = static_cast<int64_t>(wanted.size());
  return b;
}

std::span<const float> Runner::run(std::span<const StepItem> items, bool want_logits) {
  const bool stateful = !items.empty() && items[0].state;
  for (const StepItem& it : items) {
    CHECK((it.state != nullptr) == stateful && !it.ids.empty());
    if (stateful) pool_.reserve(*it.state, static_cast<int64_t>(it.ids.size()), stream_);
    if (stateful) slots_.reserve(*it.state, stream_);
  }
  arena_.reset();
  std::vector<int32_t> wanted;
  const nn::HeadRows rows = want_logits ? model_.network->head().rows : nn::HeadRows::kEach;
  Ctx cx{.kernels = *model_.kernels, .stream = stream_, .arena = arena_, .dtype = model_.dtype, .batch = lay_out(items, wanted, rows != nn::HeadRows::kEach)};
  if (stateful) {
    cx.states = pool_.views();
    slots_.add_views(cx.states);
  }
  cx.residency = model_.residency.get();
  cx.observer = observer;
  int64_t row = 0;
  for (const StepItem& it : items) {
    const auto n = static_cast<int64_t>(it.ids.size());
    if (it.adapter) {
      if (!cx.adapters.empty() && cx.adapters.back().adapter == it.adapter && cx.adapters.back().begin + cx.adapters.back().count == row)
        cx.adapters.back().count += n;
      else
        cx.adapters.push_back({row, n, it.adapter});
    }
    row += n;
  }
  for (const StepItem& it : items)
    if (stateful) it.state->torn = !slots_.empty();
  Tensor y = model_.network->hidden(cx);
  if (!wanted.empty()) {
    if (rows == nn::HeadRows::kMean) y = ops::sequence_means(cx, y);
    if (static_cast<int64_t>(wanted.size()) != y.rows()) {
      y = ops::gather_rows(cx, y, cx.batch.logit_rows, cx.batch.logit_count);
      cx.adapters.clear();  // rows have moved; heads take no adapters yet
    }
    if (want_logits) y = model_.network->logits(cx, y);
  }
  for (const StepItem& it : items) {
    if (!stateful) continue;
    pool_.advance(*it.state, static_cast<int64_t>(it.ids.size()));
    it.state->torn = false;
  }
  tokens_forwarded_ += row;
  ++steps_;
  return wanted.empty() ? std::span<const float>{} : to_host(y);
}

std::span<const float> Runner::to_host(const Tensor& t) {
  Tensor f = t;
  if (t.dtype() != DType::kF32) {
    f = arena_.tensor(DType::kF32, t.rows(), t.cols());
    model_.kernels->axpby({.x = t.view, .y = f.view}, stream_);
  }
  out_.resize(static_cast<size_t>(f.rows()) * f.cols());
  model_.kernels->copy_to_host(out_.data(), f.view.data, out_.size() * sizeof(float), stream_);
  return out_;
}

}  // namespace transom
