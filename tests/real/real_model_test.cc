// Real checkpoints against transformers (tests/fixtures/README.md): logits and greedy text on the reference kernels, the fast
// kernels' distance from them on prose, sentence embeddings. The models lie in the user's cache (scripts/fetch_models --tests);
// a test whose model is not there is skipped and says so. Each test does a part of its work unless TRANSOM_FULL_TESTS=1
// (docs/testing.md has the figures of a full run).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/file.h"
#include "kernels/kernels.h"
#include "support/fixture.h"
#include "transom/embedder.h"
#include "transom/engine.h"

namespace transom {
namespace {

bool full() {
  const char* v = std::getenv("TRANSOM_FULL_TESTS");
  return v && std::string_view(v) == "1";
}

std::string model_path(const std::string& name) {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return (xdg && *xdg ? std::string(xdg) : std::string(home ? home : "") + "/.cache") + "/transom/models/" + name;
}

// What a person reads in the log and docs/testing.md repeats.
template <class... Args>
void figure(const char* format, Args... args) {
  std::printf("[ FIGURES  ] ");
  std::printf(format, args...);
  std::printf("\n");
}

struct Checkpoint {
  const char *name, *file;
};
constexpr Checkpoint kGgufs[] = {{"smollm2", "smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
                                 {"gemma3_270m", "gemma3-270m/gemma-3-270m-q4_k_m.gguf"}};

class RealModel : public testing::TestWithParam<Checkpoint> {
 protected:
  void SetUp() override {
    path_ = model_path(GetParam().file);
    if (!file_exists(path_)) GTEST_SKIP() << path_ << " is not there: scripts/fetch_models --tests gets it";
    const std::string file = GetParam().file;
    golden_ = test::fixture_path(file.substr(0, file.find('/')));
  }
  Model load(const std::string& kernels) const { return Model::load(path_, {.kernels = kernels}); }

  std::string path_, golden_;
};

// The largest difference of two rows, of the standard deviation of the second.
struct Distance {
  double largest = 0;
  void take(double got, double expected, double std) { largest = std::max(largest, std::fabs(got - expected) / std); }
};

TEST_P(RealModel, LogitsEqualTransformers) {
  const Json golden = read_json_file(golden_ + "/logits.json");
  const auto top = test::read_npy<float>(golden_ + "/top.npy");
  const auto sample = test::read_npy<float>(golden_ + "/sample.npy");
  const auto positions = test::read_npy<float>(golden_ + "/positions.npy");
  const auto stride = golden.at("stride").get<int64_t>();
  Engine engine(load("ref"));
  const int64_t vocab = engine.model().vocab_size();
  Distance d;
  const auto strided = [&](const float* row, const float* expected, int64_t count, double std) {
    ASSERT_EQ(count, (vocab + stride - 1) / stride);
    for (int64_t i = 0; i < count; ++i) d.take(row[i * stride], expected[i], std);
  };
  const Json& cases = golden.at("cases");
  double std = 0;
  for (size_t i = 0; i < cases.size(); ++i) {
    const auto ids = cases[i].at("ids").get<std::vector<int32_t>>();
    std = cases[i].at("std").get<double>();
    if (!full() && ids.size() > 100) continue;
    const Matrix m = engine.logits(ids, 0, Engine::Rows::kLast);
    const auto best = cases[i].at("top_ids").get<std::vector<int32_t>>();
    for (size_t j = 0; j < best.size(); ++j) d.take(m.values[best[j]], top.row(i)[j], std);
    strided(m.values.data(), sample.row(i), sample.cols(), std);
  }
  const Matrix every = engine.logits(golden.at("positions_ids").get<std::vector<int32_t>>());
  ASSERT_EQ(every.rows, positions.rows());
  for (int64_t t = 0; t < every.rows; ++t) strided(every.values.data() + t * vocab, positions.row(t), positions.cols(), std);
  figure("logits: largest difference %.1e standard deviations", d.largest);
  EXPECT_LT(d.largest, 1e-3);
}

// Plain prompts as the file's own vocabulary splits them (with BOS where it says so), and answers as text.
TEST_P(RealModel, TokenizerEqualsTransformers) {
  const Tokenizer tokenizer = Tokenizer::load(path_);
  const Json file = read_json_file(golden_ + "/greedy.json");
  for (const Json& c : file.at("cases")) {
    const auto prompt = c.at("prompt").get<std::string>();
    const auto ids = c.at("ids").get<std::vector<int32_t>>();
    const bool rendered = prompt.find("<|im_start|>") != std::string::npos;
    if (prompt != "@kl_text") EXPECT_EQ(tokenizer.encode(prompt, !rendered), ids) << prompt;
    EXPECT_EQ(tokenizer.decode(c.at("tokens").get<std::vector<int32_t>>()), c.at("text").get<std::string>()) << prompt;
  }
}

// All prompts through one engine, as a server would run them.
TEST_P(RealModel, GreedyTokensEqualTransformers) {
  const Json golden = read_json_file(golden_ + "/greedy.json");
  const Json& cases = golden.at("cases");
  const std::vector<size_t> some = {0, 5, 11, 16};
  Engine engine(load("ref"));
  std::vector<size_t> chosen;
  std::map<uint64_t, size_t> by_request;
  std::vector<std::vector<int32_t>> got(cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    if (!full() && std::find(some.begin(), some.end(), i) == some.end()) continue;
    Request r{.prompt = cases[i].at("ids").get<std::vector<int32_t>>(), .sampling = {}};
    r.sampling.temperature = 0;
    r.sampling.max_tokens = full() ? static_cast<int>(cases[i].at("tokens").size()) : 12;
    r.sampling.ignore_eos = true;
    by_request[engine.submit(std::move(r))] = i;
    chosen.push_back(i);
  }
  const auto report = [&](const Output& o) {
    ASSERT_EQ(o.error, "");
    if (o.token) got[by_request.at(o.request)].push_back(*o.token);
  };
  while (engine.step(report)) {
  }
  size_t equal = 0, ties = 0;
  for (const size_t i : chosen) {
    auto expected = cases[i].at("tokens").get<std::vector<int32_t>>();
    if (!full()) expected.resize(12);
    ASSERT_EQ(got[i].size(), expected.size());
    const auto at = std::mismatch(got[i].begin(), got[i].end(), expected.begin()).first - got[i].begin();
    equal += static_cast<size_t>(at);
    if (static_cast<size_t>(at) == expected.size()) continue;
    ++ties;
    EXPECT_LT(cases[i].at("gaps")[at].get<double>(), 1e-3) << "prompt " << i << " differs at token " << at;
  }
  figure("greedy: %zu prompts, %zu equal tokens, %zu ties", chosen.size(), equal, ties);
}

std::vector<double> log_probabilities(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float v : logits) sum += std::exp(v - top);
  const double offset = top + std::log(sum);
  std::vector<double> out(logits.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = logits[i] - offset;
  return out;
}

struct Comparison {
  double kl_sum = 0, kl_max = 0, nll_difference = 0;
  int64_t tokens = 0, same_best = 0;

  // `next`: the token that follows, and transformers' -log p of it.
  void take(std::span<const float> fast, std::span<const float> ref, int32_t next, double nll) {
    const std::vector<double> p = log_probabilities(ref), q = log_probabilities(fast);
    double kl = 0;
    for (size_t i = 0; i < p.size(); ++i) kl += std::exp(p[i]) * (p[i] - q[i]);
    kl_sum += kl;
    kl_max = std::max(kl_max, kl);
    nll_difference = std::max(nll_difference, std::fabs(-p[next] - nll));
    same_best += std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
    ++tokens;
  }
};

// The same text in chunks through both; every chunk's rows are compared before the next is computed.
Comparison compare(Engine& fast, Engine& ref, std::span<const int32_t> ids, const std::vector<float>& nll) {
  const size_t chunk = full() ? 128 : 64;
  const auto a = fast.open(), b = ref.open();
  Comparison c;
  for (size_t i = 0; i + 1 < ids.size(); i += chunk) {
    const auto part = ids.subspan(i, std::min(chunk, ids.size() - 1 - i));
    const Engine::Feed fa{.sequence = a, .ids = part, .rows = Engine::Rows::kAll}, fb{.sequence = b, .ids = part, .rows = Engine::Rows::kAll};
    const Engine::Logits ma = fast.forward({&fa, 1}), mb = ref.forward({&fb, 1});
    for (size_t t = 0; t < part.size(); ++t)
      c.take({ma.values.data() + t * ma.cols, static_cast<size_t>(ma.cols)}, {mb.values.data() + t * mb.cols, static_cast<size_t>(mb.cols)},
             ids[i + t + 1], nll[i + t]);
  }
  fast.close(a);
  ref.close(b);
  return c;
}

TEST_P(RealModel, FastKernelsAreCloseToTheReference) {
  const auto ids = test::read_npy<int32_t>(golden_ + "/kl_ids.npy");
  const auto nll = test::read_npy<float>(golden_ + "/kl_nll.npy");
  const size_t tokens = full() ? nll.data.size() + 1 : 129;
  ASSERT_LE(tokens, ids.data.size());
  Engine ref(load("ref")), fast(load("auto"));
  const Comparison c = compare(fast, ref, std::span(ids.data).first(tokens), nll.data);
  const std::string kernels = fast.model().describe()["placement"]["kernels"];
  figure("%s: mean KL %.1e (largest %.1e), best token equal in %.1f %% of %lld; -log p of ref is within %.1e of transformers'",
         kernels.c_str(), c.kl_sum / static_cast<double>(c.tokens), c.kl_max, 100.0 * static_cast<double>(c.same_best) / static_cast<double>(c.tokens),
         static_cast<long long>(c.tokens), c.nll_difference);
  EXPECT_LT(c.kl_sum / static_cast<double>(c.tokens), 2e-3);
  EXPECT_LT(c.nll_difference, 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Gguf, RealModel, testing::ValuesIn(kGgufs), [](const auto& info) { return std::string(info.param.name); });

double cosine(const float* a, const float* b, int64_t n) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < n; ++i) {
    ab += double{a[i]} * b[i];
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

TEST(MiniLm, EmbeddingsEqualSentenceTransformers) {
  const std::string path = model_path("minilm");
  if (!file_exists(path + "/model.safetensors")) GTEST_SKIP() << path << " is not there: scripts/fetch_models --tests gets it";
  const Json golden = read_json_file(test::fixture_path("minilm/sentences.json"));
  const auto expected = test::read_npy<float>(test::fixture_path("minilm/sentences.npy"));
  std::vector<std::string> texts;
  for (const Json& c : golden.at("cases")) texts.push_back(c.at("text"));
  for (const char* kernels : {"ref", "auto"}) {
    Embedder embedder(Model::load(path, {.kernels = kernels}));
    EXPECT_EQ(embedder.max_tokens(), golden.at("max_length").get<int64_t>());
    const Matrix m = embedder.embed(texts);
    ASSERT_EQ(m.rows, expected.rows());
    ASSERT_EQ(m.cols, expected.cols());
    double smallest = 1, length = 0;
    for (int64_t i = 0; i < m.rows; ++i) {
      smallest = std::min(smallest, cosine(m.values.data() + i * m.cols, expected.row(i), m.cols));
      double sq = 0;
      for (int64_t j = 0; j < m.cols; ++j) sq += double{m.values[i * m.cols + j]} * m.values[i * m.cols + j];
      length = std::max(length, std::fabs(std::sqrt(sq) - 1));
    }
    figure("minilm, %s kernels: smallest cosine of %lld texts 1 - %.1e", kernels, static_cast<long long>(m.rows), 1 - smallest);
    EXPECT_GE(smallest, 0.99999) << kernels;
    EXPECT_LT(length, 1e-5) << kernels;
  }
}

TEST(MiniLm, TokenizerGivesTheIdsOfSentenceTransformers) {
  const std::string path = model_path("minilm");
  if (!file_exists(path + "/tokenizer.json")) GTEST_SKIP() << path << " is not there: scripts/fetch_models --tests gets it";
  const Tokenizer tokenizer = Tokenizer::load(path);
  const Json golden = read_json_file(test::fixture_path("minilm/sentences.json"));
  for (const Json& c : golden.at("cases"))
    EXPECT_EQ(tokenizer.encode(c.at("text").get<std::string>(), true, golden.at("max_length").get<int64_t>()),
              c.at("ids").get<std::vector<int32_t>>())
        << c.at("text");
}

}  // namespace
}  // namespace transom
