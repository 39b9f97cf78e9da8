// Trainer: see include/transom/trainer.h.
#include "transom/trainer.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "engine/loaded_model.h"
#include "ops/ops.h"
#include "tensor/quant.h"

namespace transom {

struct Trainer::Impl {
  // A trained parameter's value and AdamW's moments, all F32.
  struct Slot {
    std::shared_ptr<std::byte> value, m, v;
  };

  Model model;
  TrainOptions options;
  Stream stream;
  Arena arena;
  Tape tape;
  std::unordered_map<const Param*, Slot> slots;
  int64_t steps = 0;

  Impl(Model m, TrainOptions o)
      : model(std::move(m)), options(o), arena([&k = kernels()](size_t bytes) { return k.allocate(bytes); }) {
    stream.team = model.impl().team.get();
  }
  const Kernels& kernels() const { return *model.impl().kernels; }

  std::shared_ptr<std::byte> zeros(size_t bytes) {
    std::shared_ptr<std::byte> p = kernels().allocate(bytes);
    kernels().fill_zero(p.get(), bytes, stream);
    return p;
  }

  // Gives `p` a weight of its own in F32.
  void own(Param& p) {
    const int64_t size = p.rows * p.cols;
    std::vector<float> host(size);
    for (int64_t r = 0; r < p.rows; ++r) decode_row(p.weight.view, r, 0, host.data() + r * p.cols, p.cols);
    Slot s{zeros(size * sizeof(float)), zeros(size * sizeof(float)), zeros(size * sizeof(float))};
    kernels().copy_to_device(s.value.get(), host.data(), size * sizeof(float), stream);
    p.weight.view = {s.value.get(), DType::kF32, p.rows, p.cols, p.cols * static_cast<int64_t>(sizeof(float))};
    p.weight.owner = s.value;
    tape.train(&p);
    slots.emplace(&p, std::move(s));
  }

  const int32_t* upload(const std::vector<int32_t>& host) {
    std::byte* p = arena.allocate(host.size() * sizeof(int32_t));
    kernels().copy_to_device(p, host.data(), host.size() * sizeof(int32_t), stream);
    return reinterpret_cast<const int32_t*>(p);
  }

  const Param& find(const std::string& name) const {
    for (const auto& [p, slot] : slots)
      if (p->name == name) return *p;
    fail(Code::kNotFound, "trainer", "expected the name of a trained parameter, got {}", name);
  }
};

Trainer::Trainer(Model model, TrainOptions options) : impl_(std::make_unique<Impl>(std::move(model), options)) {
  Model::Impl& m = impl_->model.impl();
  if (m.residency) fail(Code::kUnsupported, "trainer", "expected resident weights, got streamed ones");
  if (m.network->source()) fail(Code::kUnsupported, "trainer", "expected a decoder, got {}: encoder-decoders have no gradient yet", m.architecture);
  if (m.network->head().task != nn::Task::kCausalLm)
    fail(Code::kUnsupported, "trainer", "expected a model with a language-model head, got {}", m.architecture);
  if (!m.kernels->host_memory) fail(Code::kUnsupported, "trainer", "expected CPU kernels, got {}", m.kernels->name);
  std::vector<Param*> shared;
  for (Param& p : m.params.rows())
    if (p.tied && p.weight.view.data == p.tied->weight.view.data) shared.push_back(&p);
  for (Param& p : m.params.rows())
    if (std::find(shared.begin(), shared.end(), &p) == shared.end()) impl_->own(p);
  for (Param* p : shared) p->weight = p->tied->weight;
}

Trainer::~Trainer() = default;

double Trainer::accumulate(std::span<const std::vector<int32_t>> sequences) {
  Impl& t = *impl_;
  Model::Impl& m = t.model.impl();
  constexpr int32_t kIgnored = -100;
  std::vector<int32_t> ids, positions, labels, q_start{0}, lengths;
  int64_t counted = 0;
  int32_t longest = 0;
  for (const std::vector<int32_t>& s : sequences) {
    for (size_t i = 0; i < s.size(); ++i) {
      if (s[i] < 0 || s[i] >= m.vocab_size) fail(Code::kInvalidArgument, "trainer", "expected ids below {}, got {}", m.vocab_size, s[i]);
      ids.push_back(s[i]);
      positions.push_back(static_cast<int32_t>(i));
      labels.push_back(i + 1 < s.size() ? s[i + 1] : kIgnored);
    }
    counted += std::max<int64_t>(0, static_cast<int64_t>(s.size()) - 1);
    q_start.push_back(static_cast<int32_t>(ids.size()));
    lengths.push_back(static_cast<int32_t>(s.size()));
    longest = std::max(longest, lengths.back());
  }
  if (counted == 0) fail(Code::kInvalidArgument, "trainer", "expected a sequence of at least two tokens, got none");
  t.arena.reset();
  t.tape.clear();
  Ctx cx{.kernels = t.kernels(), .stream = t.stream, .arena = t.arena, .tape = &t.tape};
  cx.batch.rows = static_cast<int64_t>(ids.size());
  cx.batch.ids = t.upload(ids);
  cx.batch.positions = t.upload(positions);
  cx.batch.token_types = t.upload(std::vector<int32_t>(ids.size(), 0));
  cx.batch.max_position = longest;
  cx.batch.packed = {.count = static_cast<int32_t>(lengths.size()), .q_start = t.upload(q_start), .kv_len = t.upload(lengths),
                     .max_q_len = longest, .max_kv_len = longest};
  const Tensor logits = m.network->logits(cx, m.network->hidden(cx));
  const double loss = ops::cross_entropy(cx, logits, t.upload(labels), counted);
  t.tape.backward(cx);
  return loss;
}

void Trainer::step() {
  Impl& t = *impl_;
  ++t.steps;
  const TrainOptions& o = t.options;
  for (auto& [p, slot] : t.slots) {
    const View g = t.tape.param_grad(p, t.kernels(), t.stream);
    t.kernels().adamw({.param = reinterpret_cast<float*>(slot.value.get()), .m = reinterpret_cast<float*>(slot.m.get()),
                       .v = reinterpret_cast<float*>(slot.v.get()), .grad = static_cast<const float*>(g.data), .size = p->rows * p->cols,
                       .lr = static_cast<float>(o.learning_rate), .beta1 = static_cast<float>(o.beta1), .beta2 = static_cast<float>(o.beta2),
                       .eps = static_cast<float>(o.epsilon), .weight_decay = static_cast<float>(o.weight_decay), .step = t.steps},
                      t.stream);
  }
  t.tape.zero_param_grads(t.kernels(), t.stream);
}

std::vector<float> Trainer::gradient(const std::string& name) const {
  const Param& p = impl_->find(name);
  const View g = impl_->tape.param_grad(&p, impl_->kernels(), impl_->stream);
  return {static_cast<const float*>(g.data), static_cast<const float*>(g.data) + p.rows * p.cols};
}

std::vector<float> Trainer::weight(const std::string& name) const {
  const Param& p = impl_->find(name);
  const auto* w = reinterpret_cast<const float*>(impl_->slots.at(&p).value.get());
  return {w, w + p.rows * p.cols};
}

std::vector<std::string> Trainer::params() const {
  std::vector<std::string> names;
  for (const auto& [p, slot] : impl_->slots) names.push_back(p->name);
  return names;
}

}  // namespace transom
