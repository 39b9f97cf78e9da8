// Whole models on the GPU: every tiny fixture's logits and hidden states beside the reference kernels' in fp32 (relative 1e-3) and
// transformers' goldens; cached, chunked and batched beside whole, bit for bit; SmolLM2 and Gemma 3 270M from their GGUF files when
// they are there (TRANSOM_MODELS, or the user's cache, as scripts/fetch_models leaves them).
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "base/file.h"
#include "base/json.h"
#include "cuda/device.h"
#include "engine/runner.h"
#include "support/fixture.h"
#include "support/fixture_names.h"
#include "transom/engine.h"

namespace transom::test {
namespace {

using Want = StepItem::Want;

Model on_gpu(const std::string& path, const std::string& dtype = "float32") { return Model::load(path, {.device = "cuda", .dtype = dtype}); }
Model on_ref(const std::string& path, const std::string& dtype = "float32") {
  return Model::load(path, {.device = "cpu", .dtype = dtype, .kernels = "ref"});
}

std::vector<float> copy(std::span<const float> s) { return {s.begin(), s.end()}; }

// All rows of passes of `chunk` tokens through the state (0: one pass).
std::vector<float> logits(const Model& m, const std::vector<int32_t>& ids, size_t chunk = 0, Want want = Want::kAll) {
  Runner r(m.impl(), 16, 0);
  SequenceState s;
  std::vector<float> out;
  if (chunk == 0) chunk = ids.size();
  for (size_t i = 0; i < ids.size(); i += chunk) {
    const StepItem item{.state = &s, .ids = std::span(ids).subspan(i, std::min(chunk, ids.size() - i)), .want = want};
    const auto rows = r.logits({&item, 1});
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

// The largest difference, relative to the largest expected value.
double relative(const std::vector<float>& got, const std::vector<float>& want) {
  EXPECT_EQ(got.size(), want.size());
  double d = 0, top = 0;
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    if (!std::isfinite(got[i])) return INFINITY;
    d = std::max(d, std::abs(double{got[i]} - want[i]));
    top = std::max(top, std::abs(double{want[i]}));
  }
  return d / top;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) { return as_test_name(info.param); }

// The CUDA table has no rows for mixtures of experts, recurrences and the weights of quantized checkpoints yet: such a model is
// Error{kUnsupported}.
bool lacks_kernels(const std::string& name) {
  const std::string config = fixture_path(name) + "/config.json";
  if (file_exists(config) && read_python_json_file(config, 1 << 20).contains("quantization_config")) return true;
  const auto model = on_ref(fixture_path(name)).describe();
  if (model["state_bytes_per_sequence"] > 0) return true;
  for (const auto& tensor : model["tensors"])
    if (tensor["name"].get<std::string>().find(".experts.") != std::string::npos) return true;
  return false;
}

class CudaDecoder : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    skip_without_cuda();
    if (!IsSkipped() && lacks_kernels(GetParam())) GTEST_SKIP() << "no kernels for this model on CUDA yet";
  }
};
INSTANTIATE_TEST_SUITE_P(Fixtures, CudaDecoder, testing::ValuesIn(fixtures("logits")), test_name);

TEST_P(CudaDecoder, LogitsEqualTheReferences) {
  const std::string path = fixture_path(GetParam());
  const Model gpu = on_gpu(path), ref = on_ref(path);
  double worst = 0, golden = 0;
  for (const GoldenCase& c : load_golden(GetParam()).cases) {
    const std::vector<float> got = logits(gpu, c.ids);
    worst = std::max(worst, relative(got, logits(ref, c.ids)));
    golden = std::max(golden, relative(got, c.logits.data));
  }
  std::printf("%-28s relative to ref %.1e, to transformers %.1e\n", GetParam().c_str(), worst, golden);
  EXPECT_LT(worst, 1e-3);
  EXPECT_LT(golden, 1e-3);
}

// Length-dependent rotations (dynamic, longrope) differ between one pass and many by definition.
bool depends_on_length(const std::string& name) {
  return name.find("dynamic") != std::string::npos || name.find("longrope") != std::string::npos;
}

TEST_P(CudaDecoder, CachedChunkedAndBatchedEqualWhole) {
  if (depends_on_length(GetParam())) GTEST_SKIP() << "the rotation depends on the length of the pass";
  const Model m = on_gpu(fixture_path(GetParam()));
  const Golden golden = load_golden(GetParam());
  const std::vector<int32_t>& ids = golden.cases.back().ids;
  const std::vector<float> whole = logits(m, ids);
  EXPECT_EQ(logits(m, ids, 1), whole);
  EXPECT_EQ(logits(m, ids, 7), whole);
  Runner r(m.impl(), 16, 0);
  std::vector<SequenceState> states(golden.cases.size());
  std::vector<StepItem> items;
  std::vector<float> alone;
  for (size_t i = 0; i < states.size(); ++i) {
    items.push_back({.state = &states[i], .ids = golden.cases[i].ids, .want = Want::kAll});
    const std::vector<float> rows = logits(m, golden.cases[i].ids);
    alone.insert(alone.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(copy(r.logits(items)), alone);
}

TEST_P(CudaDecoder, NarrowActivationsStayClose) {
  const std::string path = fixture_path(GetParam());
  const std::vector<int32_t> ids = load_golden(GetParam()).cases.back().ids;
  const std::vector<float> want = logits(on_ref(path), ids);
  for (const std::string dtype : {"bfloat16", "float16"}) {
    const double gpu = relative(logits(on_gpu(path, dtype), ids), want), ref = relative(logits(on_ref(path, dtype), ids), want);
    EXPECT_LT(gpu, 2 * ref + 1e-3) << dtype << ": as far from fp32 as the reference is, give or take";
  }
}

class CudaSeq2seq : public CudaDecoder {};
INSTANTIATE_TEST_SUITE_P(Fixtures, CudaSeq2seq, testing::ValuesIn(fixtures("seq2seq")), test_name);

TEST_P(CudaSeq2seq, LogitsEqualTheReferences) {
  const std::string path = fixture_path(GetParam());
  const Model gpu = on_gpu(path), ref = on_ref(path);
  double worst = 0;
  const Json file = read_json_file(path + "/golden.json");
  for (const Json& c : file.at("cases")) {
    const auto source = c.value("source", std::vector<int32_t>{}), ids = c.at("ids").get<std::vector<int32_t>>();
    Npy<float> sound;
    if (c.contains("features")) sound = read_npy<float>(path + "/" + c["features"].get<std::string>());
    SourceInput input{.ids = source, .features = {}};
    if (!sound.data.empty()) input.features = {sound.data.data(), DType::kF32, sound.shape[0], sound.shape[1], sound.shape[1]};
    const auto rows = [&](const Model& m) {
      Runner r(m.impl(), 16, 0);
      SequenceState s;
      const StepItem first{.state = &s, .ids = std::span(ids).first(1), .want = Want::kAll, .source = input};
      std::vector<float> out = copy(r.logits({&first, 1}));
      if (ids.size() == 1) return out;
      const StepItem rest{.state = &s, .ids = std::span(ids).subspan(1), .want = Want::kAll};  // over what was kept of the source
      const auto more = r.logits({&rest, 1});
      out.insert(out.end(), more.begin(), more.end());
      return out;
    };
    worst = std::max(worst, relative(rows(gpu), rows(ref)));
  }
  std::printf("%-28s relative to ref %.1e\n", GetParam().c_str(), worst);
  EXPECT_GT(worst, 0);
  EXPECT_LT(worst, 1e-3);
}

class CudaEncoder : public CudaDecoder {};
INSTANTIATE_TEST_SUITE_P(Fixtures, CudaEncoder, testing::ValuesIn(fixtures("embeddings")), test_name);

std::vector<float> hidden(const Model& m, const GoldenCase& c) {
  Runner r(m.impl(), 16, 0);
  const StepItem item{.ids = c.ids, .token_types = c.type_ids, .want = Want::kAll};
  return copy(r.hidden({&item, 1}));
}

TEST_P(CudaEncoder, HiddenStatesEqualTheReferences) {
  const std::string path = fixture_path(GetParam());
  const Model gpu = on_gpu(path), ref = on_ref(path);
  double worst = 0, golden = 0;
  for (const GoldenCase& c : load_golden(GetParam()).cases) {
    const std::vector<float> got = hidden(gpu, c);
    worst = std::max(worst, relative(got, hidden(ref, c)));
    golden = std::max(golden, relative(got, c.hidden.data));
  }
  std::printf("%-28s relative to ref %.1e, to transformers %.1e\n", GetParam().c_str(), worst, golden);
  EXPECT_LT(worst, 1e-3);
  EXPECT_LT(golden, 1e-3);
}

using CudaLora = CudaTest;

TEST_F(CudaLora, LogitsEqualPefts) {
  Model m = on_gpu(fixture_path("llama-tied"));
  for (const std::string name : {"lora-all", "lora-rslora", "lora-pattern"}) {
    m.load_adapter(name, fixture_path(name));
    Engine engine(m);
    for (const GoldenCase& c : load_golden(name).cases) {
      EXPECT_LT(relative(engine.logits(c.ids, 0, Engine::Rows::kAll, name).values, c.logits.data), 1e-3) << name;
      EXPECT_GT(relative(engine.logits(c.ids).values, c.logits.data), 1e-2) << name;
    }
  }
}

// The models of scripts/fetch_models: directory and file below transom/models.
std::string model_file(const std::string& name) {
  const char *models = std::getenv("TRANSOM_MODELS"), *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  const std::string root = models ? models : cache ? std::string(cache) + "/transom/models" : std::string(home ? home : "") + "/.cache/transom/models";
  return root + "/" + name;
}

struct RealModel {
  std::string fixture, file;
};
class CudaRealModel : public testing::TestWithParam<RealModel> {
 protected:
  void SetUp() override {
    skip_without_cuda();
    path_ = model_file(GetParam().file);
    if (!IsSkipped() && !file_exists(path_)) GTEST_SKIP() << "NOT TESTED, there is no " << path_;
  }
  std::string path_;
};
INSTANTIATE_TEST_SUITE_P(Models, CudaRealModel,
                         testing::Values(RealModel{"smollm2", "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
                                         RealModel{"gemma3-270m", "gemma3-270m/gemma-3-270m-q4_k_m.gguf"}),
                         [](const auto& info) { return std::string(info.param.fixture == "smollm2" ? "SmolLM2" : "Gemma3"); });

TEST_P(CudaRealModel, LogitsEqualTheReferences) {
  const Model gpu = on_gpu(path_), ref = on_ref(path_);
  const Json golden = read_json_file(fixture_path(GetParam().fixture) + "/logits.json");
  double worst = 0;
  for (size_t i = 0; i < std::min<size_t>(golden.at("cases").size(), 4); ++i) {
    const auto ids = golden["cases"][i].at("ids").get<std::vector<int32_t>>();
    const double d = relative(logits(gpu, ids), logits(ref, ids));
    std::printf("%s, %zu tokens: logits relative to ref %.1e\n", GetParam().fixture.c_str(), ids.size(), d);
    worst = std::max(worst, d);
  }
  EXPECT_LT(worst, 1e-3);
}

// Every prompt continued greedily through the state, all prompts together: transformers' tokens, up to its first near tie.
TEST_P(CudaRealModel, GreedyTextEqualsTransformers) {
  const Model m = on_gpu(path_);
  const Json golden = read_json_file(fixture_path(GetParam().fixture) + "/greedy.json");
  const size_t count = golden.at("cases").size();
  Runner r(m.impl(), 16, 0);
  std::vector<SequenceState> states(count);
  std::vector<std::vector<int32_t>> next(count), want(count), got(count);
  for (size_t i = 0; i < count; ++i) {
    next[i] = golden["cases"][i].at("ids").get<std::vector<int32_t>>();
    want[i] = golden["cases"][i].at("tokens").get<std::vector<int32_t>>();
  }
  const int64_t vocab = m.vocab_size();
  for (size_t step = 0; step < want[0].size(); ++step) {
    std::vector<StepItem> items;
    for (size_t i = 0; i < count; ++i) items.push_back({.state = &states[i], .ids = next[i], .want = Want::kLast});
    const std::vector<float> rows = copy(r.logits(items));
    for (size_t i = 0; i < count; ++i) {
      const auto begin = rows.begin() + static_cast<int64_t>(i) * vocab;
      got[i].push_back(static_cast<int32_t>(std::max_element(begin, begin + vocab) - begin));
      next[i] = {got[i].back()};
    }
  }
  size_t equal = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto gaps = golden["cases"][i].at("gaps").get<std::vector<double>>();
    size_t same = 0;
    while (same < want[i].size() && got[i][same] == want[i][same]) ++same;
    equal += same == want[i].size();
    if (same < want[i].size()) EXPECT_LT(gaps.at(same), 1e-3) << "prompt " << i << " differs at token " << same;
  }
  std::printf("%s: %zu of %zu greedy continuations of %zu tokens equal transformers'\n", GetParam().fixture.c_str(), equal, count, want[0].size());
}

}  // namespace
}  // namespace transom::test
