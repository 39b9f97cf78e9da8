// Sampler against transformers' processors (goldens), a plain reference sampler, and χ² tests of what it draws.
#include "engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "base/json.h"
#include "engine/logit_row.h"
#include "engine/philox.h"
#include "engine/reference_sampler.h"
#include "transom/error.h"

namespace transom {
namespace {

using test::History;
using testing::HasSubstr;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_logits(size_t n, uint32_t seed, float deviation = 2.5f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> out(n);
  for (float& v : out) v = normal(random);
  return out;
}

Sampler sampler_with(const SamplingParams& params, size_t vocab, const History& h, uint32_t choice = 0) {
  Sampler s(params, static_cast<int32_t>(vocab), h.prompt, h.eos, choice);
  for (int32_t id : h.generated) s.accept(id);
  return s;
}

std::vector<double> probabilities(const Sampler& s, std::span<const float> logits) {
  SamplerWorkspace work;
  const TokenDistribution d = s.distribution(logits, work);
  std::vector<double> out(logits.size(), 0.0);
  for (size_t i = 0; i < d.weights.size(); ++i) out[static_cast<size_t>(d.id(i))] = static_cast<double>(d.weights[i]) / d.total;
  return out;
}

// The difference of probabilities, and that the same tokens are left.
void expect_same(const std::vector<double>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], want[i], tolerance) << "token " << i;
    if (want[i] > 1e-30) EXPECT_GT(got[i], 0) << "token " << i << " was cut";
    if (want[i] == 0) EXPECT_EQ(got[i], 0) << "token " << i << " was kept";
  }
}

SamplingParams params_of(const Json& j) {
  SamplingParams p;
  p.temperature = j.value("temperature", p.temperature);
  p.top_k = j.value("top_k", p.top_k);
  p.top_p = j.value("top_p", p.top_p);
  p.min_p = j.value("min_p", p.min_p);
  p.typical_p = j.value("typical_p", p.typical_p);
  p.repetition_penalty = j.value("repetition_penalty", p.repetition_penalty);
  p.frequency_penalty = j.value("frequency_penalty", p.frequency_penalty);
  p.presence_penalty = j.value("presence_penalty", p.presence_penalty);
  p.min_tokens = j.value("min_tokens", p.min_tokens);
  p.suppress_tokens = j.value("suppress_tokens", p.suppress_tokens);
  if (j.contains("logit_bias"))
    for (const Json& b : j["logit_bias"]) p.logit_bias.emplace_back(b[0].get<int32_t>(), b[1].get<float>());
  return p;
}

TEST(Sampler, DistributionsEqualTransformers) {
  const Json golden = read_json_file(std::string(TRANSOM_SOURCE_DIR) + "/tests/engine/sampler_golden.json");
  ASSERT_GE(golden["cases"].size(), 30u);
  for (const Json& c : golden["cases"]) {
    SCOPED_TRACE(c["params"].dump());
    const auto logits = c["logits"].get<std::vector<float>>();
    const History h{c["prompt"].get<std::vector<int32_t>>(), c["generated"].get<std::vector<int32_t>>(),
                    golden["eos"].get<std::vector<int32_t>>()};
    const std::vector<double> got = probabilities(sampler_with(params_of(c["params"]), logits.size(), h), logits);
    for (size_t i = 0; i < got.size(); ++i) {
      const Json& want = c["logprobs"][i];
      if (want.is_null()) EXPECT_EQ(got[i], 0) << "token " << i << " should be cut";
      else EXPECT_NEAR(std::log(got[i]), want.get<double>(), 1e-5) << "token " << i;
    }
  }
}

// Random parameters, with and without equal logits, over sizes on both sides of the block and lane lengths.
TEST(Sampler, DistributionsEqualReference) {
  std::mt19937 random(7);
  const auto real = [&](double low, double high) { return static_cast<float>(std::uniform_real_distribution(low, high)(random)); };
  const auto one_in = [&](int n) { return random() % static_cast<unsigned>(n) == 0; };
  for (int round = 0; round < 400; ++round) {
    const size_t vocab = std::vector<size_t>{1, 2, 15, 16, 17, 255, 257, 1000, 5003}[random() % 9];
    std::vector<float> logits = random_logits(vocab, random(), real(0.1, 6));
    if (one_in(3))
      for (float& v : logits) v = std::round(v * 4) / 4;
    if (vocab > 20 && one_in(4))
      for (size_t i = 0; i < vocab; i += 3) logits[i] = -kInf;
    SamplingParams p;
    p.temperature = real(0.2, 3);
    if (one_in(3)) p.top_k = static_cast<int>(1 + random() % (vocab + 2));
    if (one_in(2)) p.top_p = real(0.02, 1);
    if (one_in(3)) p.min_p = real(0, 0.5);
    if (one_in(3)) p.typical_p = real(0.02, 1);
    if (one_in(3)) p.repetition_penalty = real(0.6, 2);
    if (one_in(3)) p.frequency_penalty = real(-2, 2);
    if (one_in(3)) p.presence_penalty = real(-2, 2);
    if (one_in(3)) p.logit_bias = {{static_cast<int32_t>(random() % vocab), real(-20, 20)}};
    if (one_in(3) && vocab > 2) p.min_tokens = 10;
    History h;
    for (int i = 0; i < 12; ++i) h.prompt.push_back(static_cast<int32_t>(random() % vocab));
    for (int i = 0; i < 6; ++i) h.generated.push_back(static_cast<int32_t>(random() % vocab));
    h.eos = {static_cast<int32_t>(random() % vocab)};
    SCOPED_TRACE(testing::Message() << "round " << round << " vocab " << vocab << " t " << p.temperature << " k " << p.top_k
                                    << " p " << p.top_p << " min " << p.min_p << " typical " << p.typical_p);
    expect_same(probabilities(sampler_with(p, vocab, h), logits), test::reference_probabilities(p, h, logits), 1e-5);
    if (HasFailure()) return;
  }
}

// χ² of 40,000 draws against the reference's probabilities; cells expecting fewer than 8 are merged. The bound is the
// 1 - 1e-6 quantile (Wilson and Hilferty); the seed is fixed, so the outcome is too.
void expect_draws(const SamplingParams& params, const History& h, std::span<const float> logits) {
  constexpr int kDraws = 40000;
  const std::vector<double> p = test::reference_probabilities(params, h, logits);
  std::vector<int> count(logits.size(), 0);
  SamplerWorkspace work;
  SamplingParams seeded = params;
  for (int i = 0; i < kDraws; ++i) {
    seeded.seed = static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u;
    Sampler s = sampler_with(seeded, logits.size(), h);
    ++count[static_cast<size_t>(s.next(logits, work).token)];
  }
  double chi = 0, rest_expected = 0, rest_count = 0;
  int cells = 0;
  const auto add = [&](double expected, double got) {
    chi += (got - expected) * (got - expected) / expected;
    ++cells;
  };
  for (size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) EXPECT_EQ(count[i], 0) << "token " << i << " may not be drawn";
    if (p[i] * kDraws >= 8) add(p[i] * kDraws, count[i]);
    else rest_expected += p[i] * kDraws, rest_count += count[i];
  }
  if (rest_expected > 1) add(rest_expected, rest_count);
  const double df = std::max(cells - 1, 1), a = 2 / (9 * df);
  const double bound = df * std::pow(1 - a + 4.7534 * std::sqrt(a), 3);
  EXPECT_LT(chi, bound) << cells << " cells";
}

struct Knob {
  const char* name;
  SamplingParams params;
};
class Draws : public testing::TestWithParam<Knob> {};

TEST_P(Draws, FollowTheReference) {
  const History h{{1, 2, 3, 4, 300}, {5, 5, 5, 6, 299}, {7}};
  expect_draws(GetParam().params, h, random_logits(301, 99));
}

INSTANTIATE_TEST_SUITE_P(
    Knobs, Draws,
    testing::Values(Knob{"none", {}}, Knob{"temperature", {.temperature = 0.6f}}, Knob{"hot", {.temperature = 2.5f}},
                    Knob{"top_k", {.top_k = 12}}, Knob{"top_p", {.top_p = 0.8f}}, Knob{"min_p", {.min_p = 0.05f}},
                    Knob{"typical_p", {.typical_p = 0.7f}}, Knob{"repetition", {.repetition_penalty = 1.6f}},
                    Knob{"frequency", {.frequency_penalty = 0.9f}}, Knob{"presence", {.presence_penalty = -1.2f}},
                    Knob{"bias", {.logit_bias = {{17, 6.0f}, {18, -kInf}}}}, Knob{"suppressed", {.suppress_tokens = {40, 41}}},
                    Knob{"min_tokens", {.temperature = 2, .logit_bias = {{7, 9.0f}}, .min_tokens = 6}},
                    Knob{"all", {.temperature = 1.4f, .top_k = 60, .top_p = 0.95f, .min_p = 0.01f, .typical_p = 0.9f,
                                 .repetition_penalty = 1.1f, .frequency_penalty = 0.2f, .presence_penalty = 0.1f}}),
    [](const auto& info) { return info.param.name; });

// Successive draws of one sequence are as independent as draws of different seeds.
TEST(Sampler, StepsOfOneSequenceAreIndependent) {
  const std::vector<float> logits(4, 0.0f);
  SamplingParams p;
  p.seed = 11;
  Sampler s(p, 4);
  SamplerWorkspace work;
  std::array<int, 16> pairs{};
  int last = s.next(logits, work).token;
  constexpr int kDraws = 32000;
  for (int i = 0; i < kDraws; ++i) {
    const int token = s.next(logits, work).token;
    ++pairs[static_cast<size_t>(last * 4 + token)];
    last = token;
  }
  double chi = 0;
  for (int c : pairs) chi += (c - kDraws / 16.0) * (c - kDraws / 16.0) / (kDraws / 16.0);
  EXPECT_LT(chi, 57.0);  // 15 degrees of freedom, 1 - 1e-6
}

TEST(Sampler, SeedAndChoiceDecide) {
  const std::vector<float> logits = random_logits(5000, 3, 1.0f);
  SamplerWorkspace work, other;
  const auto run = [&](uint64_t seed, uint32_t choice, SamplerWorkspace& w) {
    SamplingParams p{.top_p = 0.9f};
    p.seed = seed;
    Sampler s(p, 5000, {}, {}, choice);
    std::vector<int32_t> out;
    for (int i = 0; i < 20; ++i) out.push_back(s.next(logits, w).token);
    return out;
  };
  const std::vector<int32_t> first = run(1, 0, work);
  EXPECT_EQ(first, run(1, 0, work));
  EXPECT_EQ(first, run(1, 0, other));
  EXPECT_NE(first, run(2, 0, work));
  EXPECT_NE(first, run(1, 1, work));
  EXPECT_NE(run(1ull << 40, 0, work), run(0, 0, work));  // all 64 bits count

  // What else uses the workspace in between changes nothing.
  SamplingParams p{.top_p = 0.9f};
  p.seed = 1;
  Sampler s(p, 5000), between({.top_k = 7, .logprobs = 3}, 5000);
  for (int32_t token : first) {
    EXPECT_EQ(s.next(logits, work).token, token);
    between.next(logits, work);
  }
}

// After the first steps the workspace stands still: a step allocates nothing for its rows.
TEST(Sampler, WorkspaceIsReused) {
  SamplerWorkspace work;
  const auto addresses = [&] {
    return std::vector<const void*>{work.scores.data(), work.weights.data(), work.kept_weights.data(), work.values.data(),
                                    work.kept_ids.data(), work.sums.data(), work.ranked.data(), work.top.data()};
  };
  SamplingParams p{.top_p = 0.9f, .min_p = 0.01f, .typical_p = 0.9f, .repetition_penalty = 1.1f, .logprobs = 5};
  p.seed = 1;
  Sampler s(p, 3000);
  const std::vector<float> logits = random_logits(3000, 8);
  for (int i = 0; i < 5; ++i) s.next(logits, work);
  const auto before = addresses();
  for (int i = 0; i < 50; ++i) s.next(logits, work);
  EXPECT_EQ(addresses(), before);
}

TEST(Sampler, WithoutASeedEachRequestDiffers) {
  EXPECT_NE(Sampler(SamplingParams{}, 10).seed(), Sampler(SamplingParams{}, 10).seed());
}

// The tokens of a seed are pinned; the list was computed apart from this code, in double precision.
TEST(Sampler, TokensOfASeedArePinned) {
  std::vector<float> logits(64);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * 37) % 64) / 8.0f;
  SamplingParams p{.temperature = 1.5f};
  p.seed = 1234;
  Sampler s(p, 64);
  SamplerWorkspace work;
  std::vector<int32_t> got;
  for (int i = 0; i < 12; ++i) got.push_back(s.next(logits, work).token);
  EXPECT_THAT(got, testing::ElementsAre(10, 38, 17, 43, 5, 50, 62, 43, 36, 1, 1, 36));
}

TEST(Sampler, GreedyTakesTheFirstOfTheLargest) {
  std::vector<float> logits(100, 1.0f);
  logits[37] = logits[81] = 2.0f;
  SamplerWorkspace work;
  EXPECT_EQ(Sampler({.temperature = 0}, 100).next(logits, work).token, 37);
  EXPECT_EQ(Sampler({.temperature = 1e-6f}, 100).next(logits, work).token, 37);
  EXPECT_EQ(Sampler({.top_p = 0}, 100).next(logits, work).token, 37);
  EXPECT_EQ(Sampler({.temperature = 0, .suppress_tokens = {37}}, 100).next(logits, work).token, 81);
}

TEST(Sampler, EqualTokensAtTheCut) {
  const std::vector<float> logits(10, 0.5f);
  SamplerWorkspace work;
  const Sampler top_p({.top_p = 0.45f}, 10), top_k({.top_k = 3}, 10);
  EXPECT_THAT(top_p.distribution(logits, work).ids, testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(top_k.distribution(logits, work).ids.size(), 10u);  // all equal the third
}

TEST(Sampler, LogprobsAreOfTheRawLogits) {
  const std::vector<float> logits = random_logits(777, 5);
  const std::vector<double> p = test::softmax(std::vector<double>(logits.begin(), logits.end()));
  SamplerWorkspace work;
  Sampler s({.temperature = 0.3f, .top_k = 4, .repetition_penalty = 1.5f, .logit_bias = {{3, 50.0f}}, .logprobs = 5}, 777,
            std::vector<int32_t>{1, 2, 3});
  const Sampled got = s.next(logits, work);
  EXPECT_EQ(got.token, 3);
  EXPECT_NEAR(got.logprob, std::log(p[3]), 1e-5);
  ASSERT_EQ(got.top.size(), 5u);
  std::vector<double> key;
  for (double v : p) key.push_back(-v);
  const std::vector<size_t> order = test::order_by(key);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(got.top[i].id, static_cast<int32_t>(order[i]));
    EXPECT_NEAR(got.top[i].logprob, std::log(p[order[i]]), 1e-5);
  }
  EXPECT_EQ(Sampler({.logprobs = 0}, 777).next(logits, work).top.size(), 0u);
  EXPECT_NE(Sampler({.logprobs = 0}, 777).next(logits, work).logprob, 0.0f);
  EXPECT_EQ(Sampler({.logprobs = 20}, 3).next(std::vector<float>{1, 3, 2}, work).top.size(), 3u);
}

TEST(Sampler, MinTokensHoldsBackEverythingThatEnds) {
  const std::vector<float> logits{0, 5, 4, 3};
  SamplerWorkspace work;
  Sampler s({.temperature = 0, .min_tokens = 2, .stop_token_ids = {2}}, 4, {}, std::vector<int32_t>{1});
  EXPECT_EQ(s.next(logits, work).token, 3);
  EXPECT_EQ(s.next(logits, work).token, 3);
  EXPECT_EQ(s.next(logits, work).token, 1);
  EXPECT_TRUE(s.ends(1));
  EXPECT_TRUE(s.ends(2));
  EXPECT_FALSE(s.ends(3));
  EXPECT_FALSE(Sampler({.ignore_eos = true}, 4, {}, std::vector<int32_t>{1}).ends(1));
}

template <class Act>
std::string error_of(const Act& act) {
  try {
    act();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInvalidArgument);
    return e.what();
  }
  return "no error";
}

TEST(Sampler, WrongLogitsAreNamed) {
  SamplerWorkspace work;
  for (const SamplingParams& p : {SamplingParams{}, {.temperature = 0}, {.top_k = 3}, {.top_p = 0.5f}, {.repetition_penalty = 2}}) {
    Sampler s(p, 100, std::vector<int32_t>{1});
    std::vector<float> logits(100, 0.0f);
    for (size_t at : {size_t{0}, size_t{55}, size_t{99}}) {
      logits[at] = kNan;
      EXPECT_THAT(error_of([&] { s.next(logits, work); }), HasSubstr("got nan for token " + std::to_string(at) + " at step 0"));
      logits[at] = kInf;
      EXPECT_THAT(error_of([&] { s.next(logits, work); }), HasSubstr("got inf for token " + std::to_string(at)));
      logits[at] = 0;
    }
    EXPECT_THAT(error_of([&] { s.next(std::vector<float>(100, -kInf), work); }), HasSubstr("-inf for all 100"));
    EXPECT_THAT(error_of([&] { s.next(std::vector<float>(99), work); }), HasSubstr("expected 100 logits, got 99"));
    EXPECT_EQ(s.generated(), 0);
    s.next(logits, work);
    EXPECT_EQ(s.generated(), 1);
  }
}

TEST(SamplingParams, BoundsAreNamed) {
  const auto wrong = [](SamplingParams p) { return error_of([&] { p.validate(100); }); };
  EXPECT_NO_THROW((SamplingParams{.temperature = 0, .top_k = -1, .top_p = 0}.validate(100)));
  EXPECT_EQ(wrong({.temperature = -1}), "sampling parameters: temperature: expected a finite number >= 0, got -1");
  EXPECT_THAT(wrong({.temperature = kNan}), HasSubstr("got nan"));
  EXPECT_THAT(wrong({.temperature = kInf}), HasSubstr("got inf"));
  EXPECT_THAT(wrong({.top_k = -2}), HasSubstr("top_k: expected"));
  EXPECT_THAT(wrong({.top_p = 1.5f}), HasSubstr("top_p: expected a number in [0, 1], got 1.5"));
  EXPECT_THAT(wrong({.min_p = kNan}), HasSubstr("min_p: expected"));
  EXPECT_THAT(wrong({.typical_p = 0}), HasSubstr("typical_p: expected"));
  EXPECT_THAT(wrong({.repetition_penalty = 0}), HasSubstr("repetition_penalty: expected"));
  EXPECT_THAT(wrong({.frequency_penalty = 2.1f}), HasSubstr("frequency_penalty: expected"));
  EXPECT_THAT(wrong({.presence_penalty = kNan}), HasSubstr("presence_penalty: expected"));
  EXPECT_THAT(wrong({.logit_bias = {{100, 1.0f}}}), HasSubstr("logit_bias: expected token ids below 100, got 100"));
  EXPECT_THAT(wrong({.logit_bias = {{1, 101.0f}}}), HasSubstr("logit_bias: expected a number in [-100, 100]"));
  EXPECT_THAT(wrong({.suppress_tokens = {-1}}), HasSubstr("suppress_tokens: expected"));
  EXPECT_THAT(wrong({.max_tokens = -1}), HasSubstr("max_tokens: expected"));
  EXPECT_THAT(wrong({.max_tokens = 3, .min_tokens = 4}), HasSubstr("min_tokens: expected"));
  EXPECT_THAT(wrong({.stop = {""}}), HasSubstr("stop: expected"));
  EXPECT_THAT(wrong({.stop = {"\xC3"}}), HasSubstr("stop: expected"));
  EXPECT_THAT(wrong({.stop_token_ids = {100}}), HasSubstr("stop_token_ids: expected"));
  EXPECT_THAT(wrong({.logprobs = -2}), HasSubstr("logprobs: expected"));
  EXPECT_THAT(wrong({.n = 0}), HasSubstr("n: expected"));
}

TEST(LogitRow, ExponentialIsPrecise) {
  std::vector<float> x, out(1);
  for (float v = 0; v > -100; v -= 0.00713f) x.push_back(v);
  x.push_back(-1e30f);
  x.push_back(-kInf);
  out.resize(x.size());
  logit_row::exp_weights(x, 0, 1, out);
  EXPECT_EQ(out[0], 1.0f);
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = x[i] < -87 ? 0 : std::exp(static_cast<double>(x[i]));
    EXPECT_NEAR(out[i], want, want * 3e-7) << x[i];
  }
}

TEST(LogitRow, KthLargest) {
  std::vector<float> scratch;
  for (size_t n : {size_t{1}, size_t{40}, size_t{3000}})
    for (size_t k : {size_t{1}, size_t{2}, n / 2, n - 1, n}) {
      if (k < 1 || k > n) continue;
      std::vector<float> x = random_logits(n, static_cast<uint32_t>(n + k));
      for (size_t i = 0; i < n; i += 3) x[i] = std::round(x[i]);
      std::vector<float> sorted = x;
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      EXPECT_EQ(logit_row::kth_largest(x, k, scratch), sorted[k - 1]) << n << " " << k;
    }
}

// The generator's own test vectors (Random123, kat_vectors).
TEST(Philox, KnownAnswers) {
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

}  // namespace
}  // namespace transom
