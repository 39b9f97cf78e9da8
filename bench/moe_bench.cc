// What routing costs: decoding with a mixture of experts of Mixtral's shape beside a dense model of the same active parameters.
//   moe_bench [--kernels NAME] [--threads N] [--rounds N] [--steps N] [--sequences N] [--cpu-time 0|1]
// Both run whole: embedding, layers, head, over their states. Each round decodes `steps` tokens of each, in alternating order, and
// gives one ratio; the medians of rounds are shown. Weights are random BF16. Of the dense model as many copies run in turn as make up the
// mixture's memory, so that neither finds more of its weights in a cache than the other.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "engine/loaded_model.h"
#include "engine/runner.h"
#include "models/registry.h"
#include "tensor/arena.h"
#include "tensor/half.h"

namespace transom {
namespace {

struct Options {
  std::string kernels = "auto";
  int threads = 0, rounds = 9, steps = 24, sequences = 1, cpu_time = 0;
};

double now(bool cpu) {
  timespec t{};
  clock_gettime(cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

constexpr int64_t kHidden = 1024, kInner = 3584, kLayers = 4, kVocab = 2048, kExperts = 8, kChosen = 2;

Json config_of(bool mixture) {
  Json c = {{"hidden_size", kHidden}, {"num_hidden_layers", kLayers}, {"num_attention_heads", 16}, {"num_key_value_heads", 4},
            {"vocab_size", kVocab}, {"max_position_embeddings", 4096}, {"rms_norm_eps", 1e-5},
            {"intermediate_size", mixture ? kInner : kChosen * kInner}};
  if (mixture) c["num_local_experts"] = kExperts, c["num_experts_per_tok"] = kChosen;
  return c;
}

// A model without a checkpoint: every parameter random.
std::unique_ptr<Model::Impl> make(bool mixture, const Options& o) {
  auto m = std::make_unique<Model::Impl>();
  m->architecture = mixture ? "MixtralForCausalLM" : "LlamaForCausalLM";
  m->family = *find_family(m->architecture);
  m->kernels = &kernels_by_name(o.kernels == "auto" ? available_kernels().front() : std::string_view(o.kernels));
  m->team = std::make_unique<ThreadTeam>(o.threads);
  m->vocab_size = kVocab;
  m->network = build_network(m->family, Config(config_of(mixture), "moe_bench"), Scope(m->params, m->states));
  std::mt19937 random(mixture);
  std::normal_distribution<float> normal(0, 0.03f);
  std::vector<uint16_t> some(1 << 16);  // repeated: filling every weight anew would take longer than the measurement
  for (uint16_t& x : some) x = f32_to_bf16(normal(random));
  for (Param& p : m->params.rows()) {
    const bool vector = p.kind == ParamKind::kVector;
    const size_t count = static_cast<size_t>(p.rows) * p.cols, bytes = count * (vector ? 4 : 2);
    const std::shared_ptr<std::byte> memory = host_memory(bytes);
    if (vector) std::fill_n(reinterpret_cast<float*>(memory.get()), count, 1.f);
    for (size_t at = 0, shift = random() % 4096; !vector && at < count; at += some.size() - shift, shift = random() % 4096)
      std::memcpy(memory.get() + 2 * at, some.data() + shift, 2 * std::min(some.size() - shift, count - at));
    p.weight.view = {memory.get(), vector ? DType::kF32 : DType::kBF16, p.rows, p.cols, p.cols * (vector ? 4 : 2)};
    p.weight.owner = memory;
  }
  return m;
}

struct Copy {
  std::unique_ptr<Model::Impl> model;
  Runner runner;
  std::vector<SequenceState> states;

  Copy(bool mixture, const Options& o) : model(make(mixture, o)), runner(*model, 16, 0), states(o.sequences) {}
};

struct Decoding {
  std::vector<std::unique_ptr<Copy>> copies;
  size_t turn = 0;
  std::mt19937 random{7};

  Decoding(bool mixture, const Options& o) {
    while (copies.size() < (mixture ? 1 : kExperts / kChosen)) copies.push_back(std::make_unique<Copy>(mixture, o));
  }

  // Seconds of one step of all sequences, over `steps`.
  double run(int steps, bool cpu) {
    const double start = now(cpu);
    for (int i = 0; i < steps; ++i) {
      Copy& c = *copies[turn++ % copies.size()];
      std::vector<int32_t> ids(c.states.size());
      for (int32_t& id : ids) id = static_cast<int32_t>(random() % kVocab);
      std::vector<StepItem> items;
      for (size_t s = 0; s < c.states.size(); ++s)
        items.push_back({.state = &c.states[s], .ids = std::span(ids).subspan(s, 1), .want = StepItem::Want::kLast});
      c.runner.logits(items);
    }
    return (now(cpu) - start) / steps;
  }
};

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

int run(const Options& o) {
  Decoding mixture(true, o), dense(false, o);
  mixture.run(4, false), dense.run(4, false);
  std::vector<double> a, b, ratios;
  for (int i = 0; i < o.rounds; ++i) {
    const auto first = [&] { a.push_back(mixture.run(o.steps, o.cpu_time)); };
    const auto second = [&] { b.push_back(dense.run(o.steps, o.cpu_time)); };
    if (i % 2) first(), second();
    else second(), first();
    ratios.push_back(a.back() / b.back());
  }
  const Model::Impl& model = *mixture.copies.front()->model;
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("%s, %d threads, %d sequences: mixture %.2f ms a step, dense %.2f ms, ratio %.3f (%.3f to %.3f)\n", model.kernels->name,
              model.team->size(), o.sequences, 1e3 * median(a), 1e3 * median(b), median(ratios), *least, *most);
  return 0;
}

}  // namespace
}  // namespace transom

int main(int argc, char** argv) {
  transom::Options o;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--kernels") o.kernels = value;
    for (const auto& [name, field] : {std::pair{"--threads", &o.threads}, {"--rounds", &o.rounds}, {"--steps", &o.steps},
                                      {"--sequences", &o.sequences}, {"--cpu-time", &o.cpu_time}})
      if (key == name) *field = std::max(std::atoi(value.c_str()), 0);
  }
  return transom::run(o);
}
