// Checkpoints of no known architecture: read as a decoder of Llama's shape when that accounts for everything, else an error
// that names the nearest family.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "engine/runner.h"
#include "support/fixture.h"
#include "support/temp_dir.h"
#include "transom/model.h"

namespace transom {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// The fixture under an architecture's name that nobody knows, with an edited config.
class Renamed {
 public:
  explicit Renamed(const std::string& fixture, const Json& edit = Json::object()) {
    Json config = read_json_file(test::fixture_path(fixture) + "/config.json");
    config["architectures"] = {"HarbourForCausalLM"};
    config.update(edit);
    dir_.write("config.json", config.dump());
    std::filesystem::create_symlink(std::filesystem::canonical(test::fixture_path(fixture) + "/model.safetensors"), dir_ / "model.safetensors");
  }
  Model load() const { return Model::load(dir_.path(), {.kernels = "ref", .threads = 1}); }
  std::string complaint() const {
    try {
      load();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

 private:
  test::TempDir dir_;
};

class Generic : public testing::TestWithParam<const char*> {};

TEST_P(Generic, LogitsEqualThoseOfTheFamily) {
  const Model m = Renamed(GetParam()).load();
  EXPECT_THAT(m.warnings(), ElementsAre(AllOf(HasSubstr("HarbourForCausalLM is not known here"), HasSubstr("transom verify"))));
  const test::Golden golden = test::load_golden(GetParam());
  const test::GoldenCase& c = golden.cases.back();
  Runner r(m.impl(), 16, 0);
  const StepItem item{.ids = c.ids, .want = StepItem::Want::kAll};
  const std::span<const float> y = r.logits({&item, 1});
  ASSERT_EQ(y.size(), c.logits.data.size());
  double d = 0;
  for (size_t i = 0; i < y.size(); ++i) d = std::max(d, std::fabs(double{y[i]} - c.logits.data[i]));
  EXPECT_LT(d, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Generic, testing::Values("llama-mha", "llama-bias", "llama-rope-llama3", "qwen3", "olmo2", "qwen3-moe"),
                         [](const testing::TestParamInfo<const char*>& info) {
                           std::string s = info.param;
                           std::replace(s.begin(), s.end(), '-', '_');
                           return s;
                         });

TEST(Unknown, AKeyWhoseMeaningIsNotKnownIsAnErrorThatNamesTheNearestFamily) {
  EXPECT_THAT(Renamed("llama-mha", {{"residual_twist", 2}}).complaint(),
              AllOf(HasSubstr("got HarbourForCausalLM"), HasSubstr("the nearest is"), HasSubstr("whose tensors are the same"), HasSubstr("residual_twist")));
  EXPECT_THAT(Renamed("gemma2").complaint(), AllOf(HasSubstr("the nearest is Gemma2ForCausalLM"), HasSubstr("attn_logit_softcapping")));
}

TEST(Unknown, TensorsThatAreLeftOverAreNamed) {
  const std::string why = Renamed("gpt-oss").complaint();
  EXPECT_THAT(why, AllOf(HasSubstr("the nearest is GptOssForCausalLM"), HasSubstr("transom inspect --families")));
  EXPECT_THAT(Renamed("llama-tied", {{"tie_word_embeddings", false}}).complaint(), HasSubstr("lm_head.weight"));
}

TEST(Unknown, OtherShapesAreRefused) {
  EXPECT_THAT(Renamed("gpt-neox").complaint(), AllOf(HasSubstr("the nearest is GPTNeoXForCausalLM"), HasSubstr("not named so")));
  EXPECT_THAT(Renamed("gpt2").complaint(), HasSubstr("the nearest is GPT2LMHeadModel, whose tensors are the same"));  // by its own names of keys
  EXPECT_THAT(Renamed("bert").complaint(), HasSubstr("the nearest is BertModel"));
}

}  // namespace
}  // namespace transom
