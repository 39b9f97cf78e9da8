// The family matrix: every fixture's logits against transformers' goldens, and every way of running a model against the
// plain one, bit for bit on the reference kernels: cached, chunked, batched, streamed. Encoders' heads likewise. QWen
// v1 and ChatGLM are among them (R33), GPT-OSS and MiMo-V2 with their sinks (R26), and every layout of files. R28 R29 R30 R40 R41 R42 R44
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "engine/runner.h"
#include "models/registry.h"
#include "support/fixture.h"
#include "support/fixture_names.h"
#include "support/temp_dir.h"
#include "transom/engine.h"

namespace transom {
namespace {

using test::fixtures;
using Want = StepItem::Want;

Model load(const std::string& name, bool stream = false) {
  return Model::load(test::fixture_path(name), {.kernels = "ref", .threads = 2, .stream_weights = stream});
}

std::vector<float> copy(std::span<const float> s) { return {s.begin(), s.end()}; }

// All rows of one pass over `ids`.
std::vector<float> whole(const Model& m, const std::vector<int32_t>& ids) {
  Runner r(m.impl(), 16, 0);
  SequenceState s;
  const StepItem item{.state = &s, .ids = ids, .want = Want::kAll};
  return copy(r.logits({&item, 1}));
}

// All rows of passes of `chunk` tokens through the state.
std::vector<float> in_chunks(const Model& m, const std::vector<int32_t>& ids, size_t chunk) {
  Runner r(m.impl(), 16, 0);
  SequenceState s;
  std::vector<float> out;
  for (size_t i = 0; i < ids.size(); i += chunk) {
    const StepItem item{.state = &s, .ids = std::span(ids).subspan(i, std::min(chunk, ids.size() - i)), .want = Want::kAll};
    const auto rows = r.logits({&item, 1});
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double d = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) d = std::max(d, std::fabs(double{a[i]} - b[i]));
  return d;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) { return test::as_test_name(info.param); }

class Decoder : public testing::TestWithParam<std::string> {};

TEST_P(Decoder, LogitsEqualTransformers) {
  const Model m = load(GetParam());
  for (const test::GoldenCase& c : test::load_golden(GetParam()).cases)
    EXPECT_LT(largest_difference(whole(m, c.ids), c.logits.data), 1e-4) << c.ids.size() << " tokens";
}

// Length-dependent rotations (dynamic, longrope) differ between one pass and many by definition (trap 12).
bool depends_on_length(const std::string& name) {
  return name.find("dynamic") != std::string::npos || name.find("longrope") != std::string::npos;
}

TEST_P(Decoder, CachedAndChunkedEqualWhole) {
  if (depends_on_length(GetParam())) GTEST_SKIP() << "the rotation depends on the length of the pass";
  const Model m = load(GetParam());
  const test::Golden golden = test::load_golden(GetParam());
  const std::vector<int32_t>& ids = golden.cases.back().ids;
  const std::vector<float> expected = whole(m, ids);
  EXPECT_EQ(in_chunks(m, ids, 1), expected);
  EXPECT_EQ(in_chunks(m, ids, 7), expected);
}

TEST_P(Decoder, BatchedEqualsAlone) {
  if (depends_on_length(GetParam())) GTEST_SKIP() << "the rotation depends on the length of the longest sequence";
  const Model m = load(GetParam());
  const test::Golden golden = test::load_golden(GetParam());
  Runner r(m.impl(), 16, 0);
  std::vector<SequenceState> states(golden.cases.size());
  std::vector<StepItem> items;
  std::vector<float> expected;
  for (size_t i = 0; i < states.size(); ++i) {
    items.push_back({.state = &states[i], .ids = golden.cases[i].ids, .want = Want::kAll});
    const std::vector<float> alone = whole(m, golden.cases[i].ids);
    expected.insert(expected.end(), alone.begin(), alone.end());
  }
  EXPECT_EQ(copy(r.logits(items)), expected);
}

TEST_P(Decoder, StreamedEqualsResident) {
  const test::Golden golden = test::load_golden(GetParam());
  EXPECT_EQ(whole(load(GetParam(), true), golden.cases.back().ids), whole(load(GetParam()), golden.cases.back().ids));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Decoder, testing::ValuesIn(test::fixtures_to_run("logits")), test_name);

// A config of the family with one key changed: what Model::load says of it.
std::string complaint(const std::string& fixture, const char* key, const Json& value) {
  Json config = read_json_file(test::fixture_path(fixture) + "/config.json");
  config[key] = value;
  try {
    ParamTable params;
    std::vector<StateSpec> states;
    const Config c(config, "config.json");
    find_family(config["architectures"][0].get<std::string>())->build(c, Scope(params, states));
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Config, BadValuesAreNamed) {
  const std::string most = "expected a whole number from 1 to 2147483647 for ";
  EXPECT_EQ(complaint("llama-mha", "num_attention_heads", 0), "config.json: " + most + "num_attention_heads, got 0");
  EXPECT_EQ(complaint("llama-mha", "hidden_size", 1e15), "config.json: expected a whole number >= 0 for hidden_size, got 1e+15");
  EXPECT_EQ(complaint("llama-mha", "hidden_size", "64"), "config.json: expected a whole number >= 0 for hidden_size, got \"64\"");
  EXPECT_EQ(complaint("llama-mha", "num_key_value_heads", 3),
            "config.json: expected a divisor of num_attention_heads for num_key_value_heads, got 3");
  EXPECT_NE(complaint("llama-mha", "num_hidden_layers", 2000000000), "");
  EXPECT_NE(complaint("llama-mha", "head_dim", 2000000000), "");
  EXPECT_NE(complaint("llama-mha", "hidden_act", "mish"), "");
  EXPECT_NE(complaint("gemma3", "layer_types", {"full_attention"}), "");
  EXPECT_NE(complaint("gemma3", "use_bidirectional_attention", true), "");
  EXPECT_NE(complaint("bert", "num_attention_heads", 5), "");
  EXPECT_EQ(complaint("mixtral", "num_experts_per_tok", 5), "config.json: expected at most the number of experts for num_experts_per_tok, got 5");
  EXPECT_NE(complaint("mixtral", "num_local_experts", 1000000), "");
  EXPECT_NE(complaint("mpt", "attn_config", {{"qk_ln", true}}), "");
  EXPECT_NE(complaint("bloom", "apply_residual_connection_post_layernorm", true), "");
  EXPECT_NE(complaint("gpt-oss", "swiglu_alpha", 1.5), "");
  EXPECT_NE(complaint("bert", "position_embedding_type", "relative_key"), "");
  EXPECT_EQ(complaint("mamba2", "n_groups", 3), "config.json: expected a divisor of num_heads for n_groups, got 3");
  EXPECT_NE(complaint("mamba2", "time_step_limit", {0.5, 0.1}), "");
  EXPECT_NE(complaint("mamba2", "head_dim", 2000000000), "");
  EXPECT_NE(complaint("mamba", "conv_kernel", 5000), "");
  EXPECT_NE(complaint("qwen3-next", "linear_num_value_heads", 3), "");
  EXPECT_NE(complaint("falcon-h1", "ssm_multipliers", {1, 2}), "");
  EXPECT_NE(complaint("lfm2", "layer_types", {"conv", "mamba"}), "");
}

TEST(Config, UnreadKeysWithAMeaningAreErrors) {
  Json config = read_json_file(test::fixture_path("llama-mha") + "/config.json");
  config["rope_scaling_v2"] = {{"factor", 2}};
  config["sliding_window"] = 8;
  ParamTable params;
  std::vector<StateSpec> states;
  const Config c(config, "config.json");
  find_family("LlamaForCausalLM")->build(c, Scope(params, states));
  c.i("max_position_embeddings");
  const UnreadKeys known = judge_unread(c, {"sliding_window", "rope_scaling"});
  EXPECT_EQ(known.errors, std::vector<std::string>{"sliding_window"});
  EXPECT_EQ(known.warnings, std::vector<std::string>{"rope_scaling_v2"});
}

class Encoder : public testing::TestWithParam<std::string> {};

TEST_P(Encoder, HiddenStatesEqualTransformers) {
  for (const bool stream : {false, true}) {
    const Model m = load(GetParam(), stream);
    Runner r(m.impl(), 16, 0);
    for (const test::GoldenCase& c : test::load_golden(GetParam()).cases) {
      const StepItem item{.ids = c.ids, .token_types = c.type_ids, .want = Want::kAll};
      EXPECT_LT(largest_difference(copy(r.hidden({&item, 1})), c.hidden.data), 1e-4) << c.ids.size() << " tokens";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Encoder, testing::ValuesIn(fixtures("embeddings")), test_name);

TEST(Positions, ATextPastTheTableIsAnErrorWithBothNumbers) {
  const Model m = load("gpt2");  // 64 learned positions
  EXPECT_EQ(m.context_length(), 64);
  EXPECT_EQ(whole(m, std::vector<int32_t>(64, 5)).size(), size_t{64} * 112);
  try {
    whole(m, std::vector<int32_t>(65, 5));
    FAIL() << "read past the table";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("64"), testing::HasSubstr("65")));
  }
}

TEST(Positions, OptsFirstTwoAreNeverATokens) {
  const Model m = load("opt");
  EXPECT_EQ(m.context_length(), 64);
  EXPECT_EQ(whole(m, std::vector<int32_t>(64, 5)).size(), size_t{64} * 112);
  EXPECT_THROW(whole(m, std::vector<int32_t>(65, 5)), Error);
}

// Gemma 3n's tokens of images have rows in one table and none in the other.
TEST(PerLayerInputs, IdsPastTheirTableAreRefused) {
  const Model m = load("gemma3n");
  EXPECT_EQ(whole(m, {107}).size(), size_t{112});
  EXPECT_THROW(whole(m, {108}), Error);
}

class Head : public testing::TestWithParam<std::string> {};

std::vector<float> head_logits(const Model& m, const std::vector<test::GoldenCase>& cases) {
  Runner r(m.impl(), 16, 0);
  std::vector<StepItem> items;
  for (const test::GoldenCase& c : cases) items.push_back({.ids = c.ids, .token_types = c.type_ids, .want = Want::kAll});
  return copy(r.logits(items));
}

TEST_P(Head, LogitsEqualTransformers) {
  const test::Golden golden = test::load_golden(GetParam());
  const Model m = load(GetParam());
  EXPECT_EQ(m.head().task, golden.json.at("task").get<std::string>());
  EXPECT_THAT(m.warnings(), testing::IsEmpty());
  Runner r(m.impl(), 16, 0);
  for (const test::GoldenCase& c : golden.cases) {
    const StepItem item{.ids = c.ids, .token_types = c.type_ids, .want = Want::kAll};
    EXPECT_LT(largest_difference(copy(r.logits({&item, 1})), c.logits.data), 1e-4) << c.ids.size() << " tokens";
    EXPECT_EQ(c.logits.shape, (std::vector<int64_t>{m.head().per_text ? 1 : static_cast<int64_t>(c.ids.size()), m.head().outputs}));
    if (c.hidden.data.empty()) continue;
    EXPECT_LT(largest_difference(copy(r.hidden({&item, 1})), c.hidden.data), 1e-4) << c.ids.size() << " tokens";
  }
}

TEST_P(Head, TheEngineGivesTheSame) {
  const test::GoldenCase c = test::load_golden(GetParam()).cases.back();
  const Model m = load(GetParam());
  Engine engine(m);
  const Matrix y = engine.logits(c.ids, 0, Engine::Rows::kAll, "", c.type_ids);
  EXPECT_EQ(y.rows, c.logits.shape[0]);
  EXPECT_EQ(y.cols, c.logits.shape[1]);
  EXPECT_EQ(y.values, head_logits(m, {c}));
  EXPECT_THROW(engine.logits(c.ids, 1), Error);  // an encoder's text comes whole
}

TEST_P(Head, BatchedAndStreamedEqualAlone) {
  const test::Golden golden = test::load_golden(GetParam());
  const Model m = load(GetParam());
  std::vector<float> alone;
  for (const test::GoldenCase& c : golden.cases) {
    const std::vector<float> rows = head_logits(m, {c});
    alone.insert(alone.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(head_logits(m, golden.cases), alone);
  EXPECT_EQ(head_logits(load(GetParam(), true), golden.cases), alone);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Head, testing::ValuesIn(fixtures("heads")), test_name);

// sentence-transformers' files name a masked-LM architecture, but hold the encoder alone.
TEST(EncoderInput, AHeadThatTheFileLacksIsLeftOut) {
  const test::TempDir dir;
  Json config = read_json_file(test::fixture_path("bert-no-pooler") + "/config.json");
  config["architectures"] = {"BertForMaskedLM"};
  dir.write("config.json", config.dump());
  std::filesystem::create_symlink(test::fixture_path("bert-no-pooler") + "/model.safetensors", dir / "model.safetensors");
  const Model m = Model::load(dir.path(), {.kernels = "ref", .threads = 1});
  EXPECT_EQ(m.head().task, "none");
  EXPECT_THAT(m.warnings(), testing::ElementsAre("the checkpoint does not hold the head of BertForMaskedLM: hidden states only"));
}

// ModernBERT's config has its heads' settings, whether there is one or not.
TEST(EncoderInput, ABodyAloneNeedsNoneOfItsHeadsSettings) {
  const test::TempDir dir;
  Json config = read_json_file(test::fixture_path("modernbert-mlm") + "/config.json");
  config["architectures"] = {"ModernBertModel"};
  dir.write("config.json", config.dump());
  std::filesystem::create_symlink(test::fixture_path("modernbert-mlm") + "/model.safetensors", dir / "model.safetensors");
  const Model m = Model::load(dir.path(), {.kernels = "ref", .threads = 1});
  EXPECT_EQ(m.head().task, "none");
  EXPECT_THAT(m.warnings(), testing::IsEmpty());
}

TEST(EncoderInput, WhatTheTablesLackIsRefused) {
  const Model m = load("roberta-mlm");
  EXPECT_EQ(m.context_length(), 64);  // 66 positions, of which the first two are never a token's
  Runner r(m.impl(), 16, 0);
  const auto complaint_of = [&](const StepItem& item) -> std::string {
    try {
      r.hidden({&item, 1});
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const std::vector<int32_t> longest(64, 7), longer(65, 7), types = {0, 1};
  EXPECT_EQ(complaint_of({.ids = longest}), "");
  EXPECT_EQ(complaint_of({.ids = longer}), "token ids: expected at most 64 of a text (the model's positions), got 65");
  EXPECT_EQ(complaint_of({.ids = std::span(longest).first(2), .token_types = types}), "token types: expected types below 1, got 1");
  EXPECT_EQ(complaint_of({.ids = longest, .token_types = types}), "token types: expected one for each of 64 ids, got 2");
  SequenceState s{.length = 1};
  EXPECT_NE(complaint_of({.state = &s, .ids = types}), "");  // an encoder's text comes whole
}

}  // namespace
}  // namespace transom
