// Engine: see include/transom/engine.h. Passes over chosen tokens are here; generation is in generation.cc.
#include "engine/engine_impl.h"

#include "base/error.h"

namespace transom {

Engine::Engine(Model model, EngineOptions options, std::optional<Tokenizer> tokenizer)
    : impl_(std::make_unique<Impl>(std::move(model), options, std::move(tokenizer))) {}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

Engine::Impl::Impl(Model m, EngineOptions o, std::optional<Tokenizer> t)
    : model(std::move(m)), options(o), tokenizer(std::move(t)), runner(model.impl(), o.page_size, o.max_pages) {
  const int64_t context = model.context_length();
  if (options.max_model_len <= 0) options.max_model_len = context > 0 ? context : INT32_MAX / 2;
  if (context > 0 && options.max_model_len > context)
    fail(Code::kInvalidArgument, "max_model_len", "expected at most the model's {} tokens, got {}", context, options.max_model_len);
  if (options.max_num_seqs < 1 || options.max_step_tokens < 1)
    fail(Code::kInvalidArgument, "engine", "expected max_num_seqs and max_step_tokens of at least 1, got {} and {}",
         options.max_num_seqs, options.max_step_tokens);
}

void Engine::Impl::check_fits(int64_t tokens, const char* what) const {
  if (tokens > options.max_model_len)
    fail(Code::kInvalidArgument, what, "expected at most {} tokens (the model's context), got {}", options.max_model_len, tokens);
}

const Model& Engine::model() const { return impl_->model; }
int64_t Engine::max_model_len() const { return impl_->options.max_model_len; }

ConstView view_of(const Matrix* m) {
  if (!m || m->rows == 0) return {};
  return {m->values.data(), DType::kF32, m->rows, m->cols, m->cols};
}

Engine::SequenceId Engine::open(const std::string& adapter) {
  const SequenceId id = impl_->next_id++;
  impl_->open.emplace(id, Impl::Open{.state = {}, .adapter = impl_->model.impl().find_adapter(adapter)});
  return id;
}

void Engine::close(SequenceId id) {
  const auto it = impl_->open.find(id);
  if (it == impl_->open.end()) return;
  impl_->runner.release(it->second.state);
  impl_->open.erase(it);
}

Engine::Logits Engine::forward(std::span<const Feed> feeds) {
  std::vector<StepItem> items;
  for (const Feed& f : feeds) {
    const auto it = impl_->open.find(f.sequence);
    if (it == impl_->open.end()) fail(Code::kInvalidArgument, "forward", "expected an open sequence, got {}", f.sequence);
    if (f.ids.empty()) fail(Code::kInvalidArgument, "forward", "expected at least one token for sequence {}, got none", f.sequence);
    for (const StepItem& other : items)
      if (other.state == &it->second.state) fail(Code::kInvalidArgument, "forward", "expected each sequence once, got {} twice", f.sequence);
    items.push_back({.state = &it->second.state, .ids = f.ids, .token_types = f.token_types,
                     .want = f.rows == Rows::kAll ? StepItem::Want::kAll : StepItem::Want::kLast, .adapter = it->second.adapter,
                     .source = {.ids = f.source, .features = view_of(f.features)}});
  }
  const int64_t cols = impl_->model.head().outputs;
  if (cols == 0) fail(Code::kUnsupported, "logits", "expected a model with a head, got {} without one", impl_->model.architecture());
  if (items.empty()) return {.rows = 0, .cols = cols, .values = {}};
  const std::span<const float> values = impl_->runner.logits(items);
  return {.rows = static_cast<int64_t>(values.size()) / cols, .cols = cols, .values = values};
}

Matrix Engine::logits(std::span<const int32_t> ids, int64_t chunk, Rows rows, const std::string& adapter,
                      std::span<const int32_t> token_types) {
  return logits({.ids = ids, .rows = rows, .token_types = token_types}, chunk, adapter);
}

Matrix Engine::logits(const Feed& text, int64_t chunk, const std::string& adapter) {
  const std::span<const int32_t> ids = text.ids, token_types = text.token_types;
  if (!token_types.empty() && token_types.size() != ids.size())
    fail(Code::kInvalidArgument, "token types", "expected one for each of {} ids, got {}", ids.size(), token_types.size());
  const SequenceId id = open(adapter);
  struct Closer {
    Engine& engine;
    SequenceId id;
    ~Closer() { engine.close(id); }
  } closer{*this, id};
  Matrix out{.rows = 0, .cols = impl_->model.head().outputs, .values = {}};
  const size_t step = chunk > 0 ? static_cast<size_t>(chunk) : ids.size();
  for (size_t i = 0; i < ids.size(); i += step) {
    const size_t n = std::min(step, ids.size() - i);
    Feed f{.sequence = id, .ids = ids.subspan(i, n), .rows = text.rows,
           .token_types = token_types.empty() ? token_types : token_types.subspan(i, n)};
    if (i == 0) f.source = text.source, f.features = text.features;
    const Logits m = forward({&f, 1});
    if (text.rows == Rows::kLast) out.rows = 0, out.values.clear();
    out.rows += m.rows;
    out.values.insert(out.values.end(), m.values.begin(), m.values.end());
  }
  return out;
}

Matrix Engine::hidden(std::span<const std::vector<int32_t>> texts) {
  std::vector<StepItem> items;
  std::vector<SequenceState> states(texts.size());
  const bool stateful = !impl_->model.impl().states.empty();
  int64_t rows = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    impl_->check_fits(static_cast<int64_t>(texts[i].size()), "text");
    items.push_back({.state = stateful ? &states[i] : nullptr, .ids = texts[i], .want = StepItem::Want::kAll});
    rows += static_cast<int64_t>(texts[i].size());
  }
  Matrix out{.rows = rows, .cols = impl_->model.hidden_size(), .values = {}};
  if (items.empty()) return out;
  const auto release = [&] {
    for (SequenceState& s : states) impl_->runner.release(s);
  };
  try {
    const std::span<const float> values = impl_->runner.hidden(items);
    out.values.assign(values.begin(), values.end());
  } catch (...) {
    release();
    throw;
  }
  release();
  return out;
}

std::vector<NamedMatrix> Engine::hidden_states(const Feed& text, bool products) {
  const std::span<const int32_t> ids = text.ids;
  impl_->check_fits(static_cast<int64_t>(ids.size()), "text");
  if (ids.empty()) fail(Code::kInvalidArgument, "hidden_states", "expected at least one token, got none");
  std::vector<NamedMatrix> out;
  SequenceState state;
  const StepItem item{.state = impl_->model.impl().states.empty() ? nullptr : &state, .ids = ids, .token_types = text.token_types,
                      .want = StepItem::Want::kNothing, .source = {.ids = text.source, .features = view_of(text.features)}};
  struct Watch {
    Runner& runner;
    SequenceState& state;
    ~Watch() {
      runner.observer = nullptr;
      runner.release(state);
    }
  } watch{impl_->runner, state};
  impl_->runner.observer = [&](std::string_view name, const Tensor& t) {
    if (!products && name.ends_with(".weight")) return;
    const std::span<const float> rows = impl_->runner.to_host(t);
    out.push_back({std::string(name), {.rows = t.rows(), .cols = t.cols(), .values = {rows.begin(), rows.end()}}});
  };
  impl_->runner.hidden({&item, 1});
  return out;
}

Engine::Stats Engine::stats() const {
  return {.steps = impl_->runner.steps(), .tokens_forwarded = impl_->runner.tokens_forwarded(),
          .sources_encoded = impl_->runner.sources_encoded(),
          .state_bytes = impl_->runner.state_bytes(), .state_pages = impl_->runner.pool().used_pages(),
          .activation_bytes = static_cast<int64_t>(impl_->runner.activation_bytes())};
}

}  // namespace transom
