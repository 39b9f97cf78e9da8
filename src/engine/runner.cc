// Runner: see runner.h.
#include "engine/runner.h"

#include <algorithm>

#include "base/error.h"
#include "ops/tape.h"

namespace transom {

Runner::Runner(Model::Impl& model, int32_t page_size, int64_t max_pages)
    : model_(model),
      pool_(model.states, page_size, model.kv_dtype, *model.kernels, max_pages),
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

SequenceState Runner::fork(const SequenceState& s) {
  SequenceState out = pool_.fork(s, stream_);
  try {
    slots_.fork(s, out, stream_);
  } catch (...) {
    pool_.release(out);
    throw;
  }
  return out;
}

const void* Runner::upload_bytes(const void* host, size_t size) {
  const size_t i = next_buffer_++, bytes = std::max<size_t>(size, sizeof(int32_t));
  if (i == buffers_.size()) {
    buffers_.emplace_back();
    buffer_bytes_.push_back(0);
  }
  if (bytes > buffer_bytes_[i]) {
    buffer_bytes_[i] = std::max(bytes, 2 * buffer_bytes_[i]);
    buffers_[i] = model_.kernels->allocate(buffer_bytes_[i]);
  }
  model_.kernels->copy_to_device(buffers_[i].get(), host, size, stream_);
  return buffers_[i].get();
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

void Runner::check_source(const StepItem& it, int64_t begin) const {
  const std::optional<nn::SourceShape> shape = model_.network->source();
  const bool given = it.source.size() > 0, kept = it.state && it.state->source_length > 0;
  if (!shape && !given) return;
  if (!shape) fail(Code::kInvalidArgument, "source", "expected none, got one: {} has no encoder", model_.architecture);
  if (!given && !kept) fail(Code::kInvalidArgument, "source", "expected what the encoder of {} reads, got none", model_.architecture);
  if (given && (kept || begin > 0)) fail(Code::kInvalidArgument, "source", "expected one with a sequence's first tokens, got another later");
  if (!given) return;
  const int64_t columns = it.source.features ? it.source.features.cols : 0;
  if (columns != shape->features)
    fail(Code::kInvalidArgument, "source", "expected {}, got {}", shape->features ? fmt::format("frames of {} features", shape->features) : "token ids",
         columns ? fmt::format("frames of {}", columns) : "token ids");
  for (const int32_t id : it.source.ids)
    if (id < 0 || id >= shape->vocab) fail(Code::kInvalidArgument, "source", "expected ids below {}, got {}", shape->vocab, id);
  if (shape->positions > 0 && it.source.size() > shape->positions)
    fail(Code::kInvalidArgument, "source", "expected at most {} of a source (the encoder's positions), got {}", shape->positions, it.source.size());
}

SequenceTable Runner::table(std::span<const StepItem> items, int32_t group, std::span<const Rows> rows, SequenceTable like,
                            std::vector<int32_t>& slots) {
  const int32_t size = pool_.page_size();
  int64_t longest = 0;
  std::vector<int32_t> kv_len;
  for (const Rows& r : rows) {
    kv_len.push_back(static_cast<int32_t>(r.end));
    longest = std::max(longest, r.end);
  }
  const auto max_pages = static_cast<int32_t>((longest + size - 1) / size);
  std::vector<int32_t> pages(items.size() * max_pages, -1);
  for (size_t s = 0; s < items.size(); ++s) {
    if (!items[s].state) continue;
    const std::vector<int32_t>& own = items[s].state->pages[group];
    std::copy(own.begin(), own.end(), pages.begin() + static_cast<int64_t>(s) * max_pages);
    for (int64_t at = rows[s].begin; at < rows[s].end; ++at) slots.push_back(own[at / size] * size + static_cast<int32_t>(at % size));
  }
  like.kv_len = upload(kv_len);
  like.pages = upload(pages);
  like.max_pages = max_pages;
  like.page_size = size;
  like.max_kv_len = static_cast<int32_t>(longest);
  return like;
}

Batch Runner::lay_out(std::span<const StepItem> items, std::vector<int32_t>& wanted, bool first_rows) {
  std::vector<int32_t> ids, positions, types, q_start{0}, q_len_as_kv, own_slots, before;
  std::vector<Rows> own, sources;
  int32_t max_q = 0;
  int64_t max_kv = 0;
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
    own.push_back({begin, begin + n});
    sources.push_back({it.state ? it.state->source_length : 0, it.state ? it.state->source_length : 0});
    own_slots.push_back(it.state ? it.state->slot : -1);
    before.push_back(static_cast<int32_t>(begin));
    max_q = std::max(max_q, n);
    max_kv = std::max(max_kv, begin + n);
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
  for (int32_t g = 0; g < pool_.groups(); ++g) {
    std::vector<int32_t> slots;
    b.paged.push_back(table(items, g, pool_.of_source(g) ? sources : own, b.packed, slots));
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

// The sources that begin: rows of all sequences in turn, none of one whose source is kept already. Only the slots of the groups
// that keep sources are used.
Batch Runner::lay_out_sources(std::span<const StepItem> items) {
  const nn::SourceShape shape = *model_.network->source();
  std::vector<int32_t> ids, positions, input_start{0}, q_start{0}, lengths;
  std::vector<float> frames;
  std::vector<Rows> rows;
  int32_t longest = 0;
  for (const StepItem& it : items) {
    const int64_t n = it.source.size(), made = shape.rows(n);
    ids.insert(ids.end(), it.source.ids.begin(), it.source.ids.end());
    for (int64_t r = 0; r < it.source.features.rows; ++r)
      frames.insert(frames.end(), it.source.features.row<float>(r), it.source.features.row<float>(r) + it.source.features.cols);
    for (int64_t i = 0; i < made; ++i) positions.push_back(static_cast<int32_t>(i));
    input_start.push_back(input_start.back() + static_cast<int32_t>(n));
    q_start.push_back(q_start.back() + static_cast<int32_t>(made));
    lengths.push_back(static_cast<int32_t>(made));
    rows.push_back({it.state ? it.state->source_length - made : 0, it.state ? it.state->source_length : made});
    longest = std::max(longest, lengths.back());
  }
  Batch b;
  b.rows = q_start.back();
  b.ids = upload(ids);
  b.positions = upload(positions);
  b.input_start = upload(input_start);
  if (!frames.empty())
    b.features = {upload(frames), DType::kF32, input_start.back(), shape.features, shape.features};
  b.packed = {.count = static_cast<int32_t>(items.size()), .q_start = upload(q_start), .kv_len = upload(lengths),
              .max_q_len = longest, .max_kv_len = longest};
  b.max_position = longest;
  for (int32_t g = 0; g < pool_.groups(); ++g) {
    std::vector<int32_t> slots;
    if (items[0].state && pool_.of_source(g)) table(items, g, rows, b.packed, slots);
    b.slots.push_back(upload(slots));
  }
  return b;
}

// Room for what the step adds to each sequence, whose source's length is known from here on.
void Runner::reserve(std::span<const StepItem> items) {
  for (const StepItem& it : items) check_source(it, it.state ? it.state->length : 0);
  for (const StepItem& it : items) {
    if (!it.state) continue;
    if (it.source.size() > 0) it.state->source_length = model_.network->source()->rows(it.source.size());
    pool_.reserve(*it.state, static_cast<int64_t>(it.ids.size()), stream_);
  }
}

namespace {

// Adds the next `n` rows to those that go through their sequence's adapter.
void extend(std::vector<AdapterRows>& list, const Adapter* adapter, int64_t begin, int64_t n) {
  if (!adapter || n == 0) return;
  if (!list.empty() && list.back().adapter == adapter && list.back().begin + list.back().count == begin) list.back().count += n;
  else list.push_back({begin, n, adapter});
}

// Until it is told that the step is done, a sequence that begins in it has not begun.
struct Beginning {
  std::span<const StepItem> items;
  bool done = false;

  ~Beginning() {
    for (const StepItem& it : items)
      if (!done && it.state && it.source.size() > 0) it.state->source_length = 0;
  }
};

}  // namespace

std::span<const float> Runner::run(std::span<const StepItem> items, bool want_logits) {
  Ctx cx{.kernels = *model_.kernels, .stream = stream_, .arena = arena_, .dtype = model_.dtype};
  cx.residency = model_.residency.get();
  const Tensor y = forward(cx, items, want_logits);
  return y ? to_host(y) : std::span<const float>{};
}

double Runner::backward(std::span<const StepItem> items, Tape& tape, const Loss& loss) {
  for (const StepItem& it : items) CHECK(!it.state);
  CHECK(!model_.residency);
  tape.clear();
  Ctx cx{.kernels = *model_.kernels, .stream = stream_, .arena = arena_, .dtype = DType::kF32, .tape = &tape};
  const double value = loss(cx, forward(cx, items, model_.network->head().task != nn::Task::kNone));
  tape.backward(cx);
  return value;
}

// The rows that are wanted, absent where none are.
Tensor Runner::forward(Ctx& cx, std::span<const StepItem> items, bool want_logits) {
  const bool stateful = !items.empty() && items[0].state;
  for (const StepItem& it : items) CHECK((it.state != nullptr) == stateful && !it.ids.empty());
  Beginning beginning{items};
  reserve(items);
  for (const StepItem& it : items)
    if (stateful) slots_.reserve(*it.state, stream_);
  arena_.reset();
  std::vector<int32_t> wanted;
  const nn::HeadRows rows = want_logits ? model_.network->head().rows : nn::HeadRows::kEach;
  cx.batch = lay_out(items, wanted, rows != nn::HeadRows::kEach);
  if (stateful) {
    cx.states = pool_.views();
    slots_.add_views(cx.states);
  }
  cx.observer = observer;
  Ctx source{.kernels = cx.kernels, .stream = stream_, .arena = arena_, .dtype = cx.dtype, .tape = cx.tape};
  source.residency = cx.residency;
  source.observer = observer;
  int64_t row = 0, source_row = 0, sources = 0;
  for (const StepItem& it : items) {
    const auto n = static_cast<int64_t>(it.ids.size());
    extend(cx.adapters, it.adapter, row, n);
    row += n;
    if (it.source.size() == 0) continue;
    const int64_t made = model_.network->source()->rows(it.source.size());
    extend(source.adapters, it.adapter, source_row, made);
    source_row += made;
    ++sources;
  }
  if (sources > 0) {
    source.batch = lay_out_sources(items);
    cx.source = &source;
  }
  for (const StepItem& it : items)
    if (stateful) it.state->torn = !slots_.empty();
  Tensor y = model_.network->hidden(cx);
  cx.source = nullptr;
  if (wanted.empty()) y = {};
  if (y && rows == nn::HeadRows::kMean) y = ops::sequence_means(cx, y);
  if (y && static_cast<int64_t>(wanted.size()) != y.rows()) {
    y = ops::gather_rows(cx, y, cx.batch.logit_rows, cx.batch.logit_count);
    cx.adapters.clear();  // rows have moved; heads take no adapters yet
  }
  if (y && want_logits) y = model_.network->logits(cx, y);
  beginning.done = true;
  for (const StepItem& it : items) {
    if (!stateful) continue;
    pool_.advance(*it.state, static_cast<int64_t>(it.ids.size()));
    it.state->torn = false;
  }
  tokens_forwarded_ += row;
  sources_encoded_ += sources;
  ++steps_;
  return y;
}

std::span<const float> Runner::to_host(const Tensor& t) {
  Tensor f = t;
  if (t.dtype() != DType::kF32 || t.view.stride != t.cols()) {
    f = arena_.tensor(DType::kF32, t.rows(), t.cols());
    model_.kernels->axpby({.x = t.view, .y = f.view}, stream_);
  }
  out_.resize(static_cast<size_t>(f.rows()) * f.cols());
  model_.kernels->copy_to_host(out_.data(), f.view.data, out_.size() * sizeof(float), stream_);
  return out_;
}

}  // namespace transom
