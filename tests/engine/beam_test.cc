// Greedy and beam search through the engine against transformers' generate(): tokens and sequences_scores over a table of settings
// (a fixture's golden.json, "generate"), of encoder-decoders, decoders and recurrent ones, alone and beside other requests. R62 R63 R64
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "base/file.h"
#include "support/fixture.h"
#include "transom/engine.h"

namespace transom {
namespace {

struct Result {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<float> scores;
  std::string error;
};

SamplingParams params_of(const Json& settings) {
  SamplingParams p;
  p.temperature = 0;
  p.max_tokens = settings.at("max_new_tokens");
  p.n = settings.value("num_return_sequences", 1);
  p.beams.num_beams = settings.value("num_beams", 1);
  p.beams.length_penalty = settings.value("length_penalty", 1.0f);
  if (settings.contains("early_stopping"))
    p.beams.early_stopping = settings["early_stopping"] == "never" ? BeamParams::EarlyStopping::kNever : BeamParams::EarlyStopping::kTrue;
  p.no_repeat_ngram_size = settings.value("no_repeat_ngram_size", 0);
  p.repetition_penalty = settings.value("repetition_penalty", 1.0f);
  p.min_tokens = std::max(settings.value("min_new_tokens", 0), settings.value("min_length", 1) - 1);
  if (settings.contains("forced_bos_token_id")) p.forced_bos_token_id = settings["forced_bos_token_id"];
  if (settings.contains("forced_eos_token_id")) p.forced_eos_token_id = settings["forced_eos_token_id"];
  p.suppress_tokens = settings.value("suppress_tokens", std::vector<int32_t>{});
  p.begin_suppress_tokens = settings.value("begin_suppress_tokens", std::vector<int32_t>{});
  p.bad_words_ids = settings.value("bad_words_ids", std::vector<std::vector<int32_t>>{});
  return p;
}

// The answers of all requests, run together.
std::map<uint64_t, Result> run(Engine& engine) {
  std::map<uint64_t, Result> out;
  while (engine.step([&](const Output& o) {
    Result& r = out[o.request];
    r.tokens.resize(std::max<size_t>(r.tokens.size(), o.index + 1));
    if (o.token) r.tokens[o.index].push_back(*o.token);
    if (o.score) r.scores.push_back(*o.score);
    r.error += o.error;
  })) {
  }
  return out;
}

void expect_golden(const Result& r, const Json& golden) {
  EXPECT_EQ(r.error, "");
  EXPECT_EQ(r.tokens, golden.at("tokens").get<std::vector<std::vector<int32_t>>>()) << golden["settings"];
  const auto scores = golden.value("scores", std::vector<float>{});
  ASSERT_EQ(r.scores.size(), scores.size());
  for (size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(r.scores[i], scores[i], 2e-5 * std::max(1.f, std::abs(scores[i]))) << golden["settings"];
}

std::vector<std::string> fixtures() {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(test::fixture_path(""))) {
    const std::string file = e.path().string() + "/golden.json";
    if (!file_exists(file)) continue;
    const Json golden = read_json_file(file);
    if (golden.contains("generate") && !golden["generate"].empty()) names.push_back(e.path().filename());
  }
  return names;
}

class Generate : public testing::TestWithParam<std::string> {};

Request request_of(const Json& golden, const Model& m) {
  Request r{.prompt = golden.at("source").get<std::vector<int32_t>>(), .sampling = params_of(golden.at("settings")), .features = {}};
  for (const int32_t id : m.end_ids()) EXPECT_GE(id, 0);
  return r;
}

// Weights stored in BF16 are multiplied in BF16 by the fast kernels: their scores are those of the reference ones.
Model load(const std::string& name, int threads) {
  return Model::load(test::fixture_path(name), {.kernels = name == "beams-mamba" ? "ref" : "auto", .threads = threads});
}

TEST_P(Generate, TokensAndScoresEqualTransformers) {
  const Model m = load(GetParam(), 1);
  const Json file = read_json_file(test::fixture_path(GetParam()) + "/golden.json");
  for (const Json& golden : file.at("generate")) {
    Engine engine(m);
    const uint64_t id = engine.submit(request_of(golden, m));
    expect_golden(run(engine)[id], golden);
    EXPECT_EQ(engine.stats().sources_encoded, m.encoder_decoder() ? 1 : 0);
    EXPECT_EQ(engine.stats().state_pages, 0);
  }
}

TEST_P(Generate, TogetherAsAlone) {
  const Model m = load(GetParam(), 2);
  Engine engine(m, {.max_num_seqs = 9, .page_size = 16});
  std::map<uint64_t, Json> goldens;
  const Json file = read_json_file(test::fixture_path(GetParam()) + "/golden.json");
  for (const Json& golden : file.at("generate"))
    goldens.emplace(engine.submit(request_of(golden, m)), golden);
  std::map<uint64_t, Result> results = run(engine);
  for (const auto& [id, golden] : goldens) expect_golden(results[id], golden);
  EXPECT_EQ(engine.stats().state_pages, 0);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Generate, testing::ValuesIn(fixtures()), [](const testing::TestParamInfo<std::string>& info) {
  std::string s = info.param;
  std::replace(s.begin(), s.end(), '-', '_');
  return s;
});

Model bart() { return Model::load(test::fixture_path("bart"), {.threads = 1}); }

TEST(Beams, OneBeamIsGreedy) {
  const Model m = bart();
  const std::vector<int32_t> source = {5, 9, 30, 31, 7};
  Engine engine(m);
  Request r{.prompt = source, .sampling = {.temperature = 0, .max_tokens = 20}, .features = {}};
  const uint64_t greedy = engine.submit(r);
  r.sampling.min_tokens = 3;
  const uint64_t later = engine.submit(r);
  r.sampling.beams.num_beams = 1;
  const uint64_t beam = engine.submit(r);
  std::map<uint64_t, Result> results = run(engine);
  EXPECT_EQ(results[later].tokens, results[beam].tokens);
  EXPECT_FALSE(results[greedy].tokens[0].empty());
}

// Samples of one request share its source, and each has its own stream of the seed.
TEST(Sampling, NAnswersEncodeOnce) {
  const Model m = bart();
  Engine engine(m, {.max_num_seqs = 2});
  const auto submit = [&](int n) {
    return engine.submit({.prompt = {5, 9, 30, 31, 7}, .sampling = {.temperature = 1, .seed = 7, .max_tokens = 20, .min_tokens = 12, .n = n}, .features = {}});
  };
  const uint64_t three = submit(3);
  const Result r = run(engine)[three];
  ASSERT_EQ(r.tokens.size(), 3u);
  EXPECT_NE(r.tokens[0], r.tokens[1]);
  EXPECT_NE(r.tokens[1], r.tokens[2]);
  EXPECT_EQ(engine.stats().sources_encoded, 1);
  const uint64_t one = submit(1);
  EXPECT_EQ(run(engine)[one].tokens[0], r.tokens[0]);
}

std::string complaint(const SamplingParams& p) {
  const Model m = bart();
  Engine engine(m);
  try {
    engine.submit({.prompt = {5, 9}, .sampling = p, .features = {}});
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Beams, WhatTheyCannotDoIsRefused) {
  EXPECT_EQ(complaint({.temperature = 0.5, .beams = {.num_beams = 2}}),
            "sampling parameters: temperature: expected 0 with beams (they are not sampled), got 0.5");
  EXPECT_EQ(complaint({.temperature = 0, .seed = 3, .beams = {.num_beams = 2}}),
            "sampling parameters: seed: expected none with beams (they are not sampled), got 3");
  EXPECT_EQ(complaint({.temperature = 0, .n = 3, .beams = {.num_beams = 2}}), "sampling parameters: n: expected at most num_beams, got 3");
  EXPECT_NE(complaint({.temperature = 0, .beams = {.num_beams = 0}}), "");
  EXPECT_NE(complaint({.temperature = 0, .bad_words_ids = {{}}}), "");
}

TEST(Beams, ACancelledSearchEnds) {
  const Model m = bart();
  Engine engine(m);
  const uint64_t id = engine.submit({.prompt = {5, 9}, .sampling = {.temperature = 0, .min_tokens = 20, .n = 2, .beams = {.num_beams = 3}}, .features = {}});
  std::vector<std::string> reasons;
  const auto report = [&](const Output& o) { reasons.push_back(o.finish_reason); };
  engine.step(report);
  engine.step(report);
  EXPECT_THAT(reasons, testing::IsEmpty());
  engine.cancel(id);
  EXPECT_FALSE(engine.step(report));
  EXPECT_THAT(reasons, testing::ElementsAre("cancelled", "cancelled"));
  EXPECT_EQ(engine.stats().state_pages, 0);
}

}  // namespace
}  // namespace transom
