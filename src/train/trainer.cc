// Trainer: see include/transom/trainer.h.
#include "transom/trainer.h"

#include <algorithm>

#include "base/error.h"
#include "engine/runner.h"
#include "ops/tape.h"
#include "train/trained_weights.h"

namespace transom {
namespace {

constexpr int32_t kIgnored = -100;

Model trainable(Model model) {
  const Model::Impl& m = model.impl();
  if (m.residency) fail(Code::kUnsupported, "trainer", "expected resident weights, got streamed ones");
  if (m.network->head().task != nn::Task::kCausalLm)
    fail(Code::kUnsupported, "trainer", "expected a model with a language-model head, got {}", m.architecture);
  if (!m.kernels->host_memory) fail(Code::kUnsupported, "trainer", "expected CPU kernels, got {}", m.kernels->name);
  return model;
}

// Appends what each row of the example has to predict.
void append_labels(const TrainExample& e, std::vector<int32_t>& labels) {
  if (e.ids.size() < 2) fail(Code::kInvalidArgument, "trainer", "expected texts of at least two tokens, got one of {}", e.ids.size());
  if (!e.counted.empty() && e.counted.size() != e.ids.size())
    fail(Code::kInvalidArgument, "trainer", "expected `counted` for each of {} ids, got {}", e.ids.size(), e.counted.size());
  for (size_t next = 1; next < e.ids.size(); ++next) labels.push_back(e.counted.empty() || e.counted[next] ? e.ids[next] : kIgnored);
  labels.push_back(kIgnored);
}

}  // namespace

struct Trainer::Impl {
  // A trained parameter and AdamW's moments, in F32.
  struct Slot {
    TrainedWeight weight;
    std::vector<float> m, v;
  };

  Model model;
  TrainOptions options;
  Runner runner;
  Stream stream;
  Tape tape;
  std::vector<Slot> slots;
  int64_t steps = 0;

  Impl(Model from, TrainOptions o) : model(trainable(std::move(from))), options(o), runner(model.impl(), 16, 0) {
    stream.team = model.impl().team.get();
    for (TrainedWeight& w : own_weights(model.impl())) {
      tape.train(w.param);
      const auto size = static_cast<size_t>(w.size());
      slots.push_back({std::move(w), std::vector<float>(size), std::vector<float>(size)});
    }
  }
  const Kernels& kernels() const { return *model.impl().kernels; }

  const TrainedWeight& find(const std::string& name) const {
    for (const Slot& s : slots)
      if (s.weight.param->name == name) return s.weight;
    fail(Code::kNotFound, "trainer", "expected the name of a trained parameter, got {}", name);
  }
};

Trainer::Trainer(Model model, TrainOptions options) : impl_(std::make_unique<Impl>(std::move(model), options)) {}
Trainer::~Trainer() = default;

double Trainer::accumulate(std::span<const TrainExample> examples) {
  std::vector<StepItem> items;
  std::vector<int32_t> labels;
  for (const TrainExample& e : examples) {
    append_labels(e, labels);
    const Matrix& f = e.features;
    items.push_back({.ids = e.ids, .token_types = {}, .want = StepItem::Want::kAll,
                     .source = {.ids = e.source, .features = {f.rows > 0 ? f.values.data() : nullptr, DType::kF32, f.rows, f.cols, f.cols}}});
  }
  const auto counted = static_cast<int64_t>(labels.size()) - std::count(labels.begin(), labels.end(), kIgnored);
  if (counted == 0) fail(Code::kInvalidArgument, "trainer", "expected a prediction that counts, got none");
  return impl_->runner.backward(items, impl_->tape, [&](Ctx& cx, const Tensor& logits) {
    return ops::cross_entropy(cx, logits, ops::upload(cx, labels), counted);
  });
}

void Trainer::step() {
  Impl& t = *impl_;
  ++t.steps;
  const TrainOptions& o = t.options;
  for (Impl::Slot& s : t.slots) {
    const View g = t.tape.param_grad(s.weight.param, t.kernels(), t.stream);
    t.kernels().adamw({.param = s.weight.data(), .m = s.m.data(), .v = s.v.data(), .grad = static_cast<const float*>(g.data),
                       .size = s.weight.size(), .lr = static_cast<float>(o.learning_rate), .beta1 = static_cast<float>(o.beta1),
                       .beta2 = static_cast<float>(o.beta2), .eps = static_cast<float>(o.epsilon),
                       .weight_decay = static_cast<float>(o.weight_decay), .step = t.steps},
                      t.stream);
  }
  t.tape.zero_param_grads(t.kernels(), t.stream);
}

std::vector<float> Trainer::gradient(const std::string& name) const {
  const TrainedWeight& w = impl_->find(name);
  const View g = impl_->tape.param_grad(w.param, impl_->kernels(), impl_->stream);
  return {static_cast<const float*>(g.data), static_cast<const float*>(g.data) + w.size()};
}

std::vector<float> Trainer::weight(const std::string& name) const {
  const TrainedWeight& w = impl_->find(name);
  return {w.data(), w.data() + w.size()};
}

std::vector<std::string> Trainer::params() const {
  std::vector<std::string> names;
  for (const Impl::Slot& s : impl_->slots) names.push_back(s.weight.param->name);
  return names;
}

}  // namespace transom
