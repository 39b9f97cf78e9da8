// Many sequences at once: sixteen of different lengths join and leave a batch at different steps over paged state and get the
// logits that they get alone, bit for bit, on the reference kernels and on this machine's deterministic ones; and a step
// costs as many kernel calls for sixteen sequences as for two. R44
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "engine/runner.h"
#include "support/fixture.h"
#include "transom/engine.h"

namespace transom {
namespace {

using Want = StepItem::Want;
constexpr int32_t kPageSize = 16;

// A small generator of its own, so that the schedule is the same everywhere.
struct Numbers {
  uint64_t state;
  int64_t below(int64_t n) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(n));
  }
};

struct Sequence {
  std::vector<int32_t> ids;
  int64_t join = 0;    // the step at which it comes
  size_t fed = 0;
  SequenceState state;
  std::vector<float> logits;  // of every position so far
};

std::vector<Sequence> sixteen(int64_t vocab) {
  Numbers n{7};
  std::vector<Sequence> all(16);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].ids.resize(3 + 4 * i + n.below(4));
    for (int32_t& id : all[i].ids) id = static_cast<int32_t>(n.below(vocab));
    all[i].join = n.below(12);
  }
  return all;
}

std::vector<float> alone(const Model& m, const std::vector<int32_t>& ids) {
  Runner r(m.impl(), kPageSize, 0);
  SequenceState s;
  const StepItem item{.state = &s, .ids = ids, .want = Want::kAll};
  const auto rows = r.logits({&item, 1});
  return {rows.begin(), rows.end()};
}

// Runs all to their ends, chunks of random sizes (often one token) a step; returns the largest number that ran together.
size_t run_together(Runner& r, std::vector<Sequence>& all, size_t vocab) {
  Numbers n{11};
  size_t most = 0;
  for (int64_t step = 0;; ++step) {
    std::vector<StepItem> items;
    std::vector<Sequence*> whose;
    bool left = false;
    for (Sequence& s : all) {
      left |= s.fed < s.ids.size();
      if (s.fed == s.ids.size() || s.join > step) continue;
      const size_t want = n.below(3) == 0 ? 1 + n.below(9) : 1;
      const size_t count = std::min(want, s.ids.size() - s.fed);
      items.push_back({.state = &s.state, .ids = std::span(s.ids).subspan(s.fed, count), .want = Want::kAll});
      whose.push_back(&s);
    }
    if (!left) return most;
    most = std::max(most, items.size());
    if (items.empty()) continue;
    std::span<const float> rows = r.logits(items);
    for (size_t i = 0; i < items.size(); ++i) {
      const size_t floats = items[i].ids.size() * vocab;
      whose[i]->logits.insert(whose[i]->logits.end(), rows.begin(), rows.begin() + static_cast<int64_t>(floats));
      rows = rows.subspan(floats);
      whose[i]->fed += items[i].ids.size();
      if (whose[i]->fed == whose[i]->ids.size()) r.release(whose[i]->state);
    }
  }
}

std::vector<std::string> invariant_tables() {
  std::vector<std::string> names;
  for (const std::string_view name : available_kernels())
    if (name == "ref" || name.ends_with("+deterministic")) names.emplace_back(name);
  return names;
}

class Together : public testing::TestWithParam<const char*> {};

TEST_P(Together, EachGetsTheLogitsItGetsAlone) {
  for (const std::string& kernels : invariant_tables()) {
    const Model m = Model::load(test::fixture_path(GetParam()), {.kernels = kernels, .threads = 2});
    std::vector<Sequence> all = sixteen(m.vocab_size());
    Runner r(m.impl(), kPageSize, 0);
    EXPECT_GE(run_together(r, all, m.vocab_size()), 12u);
    EXPECT_EQ(r.pool().used_pages(), 0);
    for (size_t i = 0; i < all.size(); ++i)
      EXPECT_TRUE(all[i].logits == alone(m, all[i].ids)) << kernels << ", sequence " << i << " of " << all[i].ids.size() << " tokens";
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Together,
                         testing::Values("llama-mha", "llama-tied", "llama-bias", "llama-bf16", "llama-fp16", "llama-rope-yarn", "gemma3",
                                         "gemma3-linear", "llama-gguf", "gemma3-gguf", "qwen3-next", "mamba", "falcon-h1", "lfm2", "rwkv"),
                         [](const auto& info) {
                           std::string s = info.param;
                           std::replace(s.begin(), s.end(), '-', '_');
                           return s;
                         });

// --- The calls of a step

const Kernels* counted_table = nullptr;
int64_t calls = 0;

template <auto Row>
struct Counted;
template <class Args, void (*Kernels::*Row)(const Args&, Stream&)>
struct Counted<Row> {
  static void call(const Args& a, Stream& s) {
    ++calls;
    (counted_table->*Row)(a, s);
  }
};
template <auto... Rows>
void count(Kernels& k) {
  ((k.*Rows = counted_table->*Rows ? &Counted<Rows>::call : nullptr), ...);
}

void counted_copy(void* dst, const void* src, size_t bytes, Stream& s) {
  ++calls;
  counted_table->copy_to_device(dst, src, bytes, s);
}

// The forward rows and the uploads of `inner`, each call counted.
Kernels counting(const Kernels& inner) {
  counted_table = &inner;
  Kernels k = inner;
  count<&Kernels::embedding, &Kernels::linear, &Kernels::rms_norm, &Kernels::layer_norm, &Kernels::rope_table, &Kernels::rope,
        &Kernels::kv_write, &Kernels::attention, &Kernels::act_mul, &Kernels::axpby, &Kernels::softcap, &Kernels::gather_rows>(k);
  k.copy_to_device = counted_copy;
  return k;
}

// Calls of a step in which `decoding` sequences get one more token and `arriving` ones their first five.
int64_t calls_of_a_step(Runner& r, size_t decoding, size_t arriving) {
  const std::vector<int32_t> ids = {5, 6, 7, 8, 9};
  std::vector<SequenceState> states(decoding + arriving);
  std::vector<StepItem> items;
  for (size_t i = 0; i < decoding; ++i) {
    const StepItem prompt{.state = &states[i], .ids = std::span(ids).first(1 + i % 5), .want = Want::kNothing};
    r.logits({&prompt, 1});
  }
  for (size_t i = 0; i < states.size(); ++i) items.push_back({.state = &states[i], .ids = std::span(ids).first(i < decoding ? 1 : 5)});
  calls = 0;
  r.logits(items);
  const int64_t counted = calls;
  for (SequenceState& s : states) r.release(s);
  return counted;
}

TEST(ManySequences, TheCallsOfAStepDoNotGrowWithTheirNumber) {
  for (const char* fixture : {"llama-mha", "gemma3", "gemma3-gguf"})
    for (const std::string_view name : available_kernels()) {
      const Model m = Model::load(test::fixture_path(fixture), {.kernels = std::string(name), .threads = 2});
      const Kernels table = counting(*m.impl().kernels);
      m.impl().kernels = &table;
      Runner r(m.impl(), kPageSize, 0);
      const int64_t one = calls_of_a_step(r, 1, 0);
      EXPECT_GT(one, 20) << "the counter is not in place";
      EXPECT_EQ(calls_of_a_step(r, 16, 0), one) << fixture << ", " << name;
      EXPECT_EQ(calls_of_a_step(r, 15, 1), calls_of_a_step(r, 1, 1)) << fixture << ", " << name;
      EXPECT_EQ(calls_of_a_step(r, 8, 8), calls_of_a_step(r, 1, 1)) << fixture << ", " << name;
    }
}

// --- The same through generation

Request request(size_t i, int64_t vocab) {
  Numbers n{100 + i};
  Request r;
  r.prompt.resize(1 + 3 * i);
  for (int32_t& id : r.prompt) id = static_cast<int32_t>(n.below(vocab));
  r.sampling.temperature = i % 3 == 0 ? 0.f : 1.f;
  r.sampling.seed = i;
  r.sampling.max_tokens = static_cast<int>(4 + n.below(10));
  r.sampling.ignore_eos = true;
  return r;
}

using Answers = std::map<uint64_t, std::vector<int32_t>>;

TEST(ManySequences, GenerationGivesTheTokensOfEachAlone) {
  const Model m = Model::load(test::fixture_path("gemma3"), {.kernels = "ref", .threads = 2});
  Answers together;
  const auto into = [](Answers& answers) {
    return [&answers](const Output& o) {
      EXPECT_EQ(o.error, "");
      if (o.token) answers[o.request].push_back(*o.token);
    };
  };
  // Twelve run at once, prompts in chunks, and pages so few that answers must give way and be computed again.
  Engine engine(m, {.max_num_seqs = 12, .max_step_tokens = 20, .max_pages = 24, .page_size = kPageSize});
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < 16; ++i) {
    ids.push_back(engine.submit(request(i, m.vocab_size())));
    if (i % 3 == 2) engine.step(into(together));
  }
  while (engine.step(into(together))) {
  }
  for (size_t i = 0; i < 16; ++i) {
    Engine single(m, {});
    Answers own;
    const uint64_t id = single.submit(request(i, m.vocab_size()));
    while (single.step(into(own))) {
    }
    EXPECT_EQ(together[ids[i]], own[id]) << "request " << i;
    EXPECT_EQ(static_cast<int>(own[id].size()), request(i, m.vocab_size()).sampling.max_tokens);
  }
}

}  // namespace
}  // namespace transom
