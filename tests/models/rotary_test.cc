// Rotation by positions in time, height and width against transformers' Qwen2-VL, Qwen3-VL and Qwen 3.5, on every table; with one
// position for all three it is the plain rotation, bit for bit. R44
#include <gtest/gtest.h>

#include <algorithm>

#include "base/threads.h"
#include "nn/rope.h"
#include "support/fixture_names.h"

namespace transom {
namespace {

constexpr int64_t kHeads = 2;

// What one table makes of x [T, heads * head size].
class Rotation {
 public:
  explicit Rotation(const Kernels& kernels) : kernels_(kernels) { stream_.team = &team_; }

  std::vector<float> run(const nn::RopeSpec& spec, const std::vector<float>& x, const std::vector<int32_t>& positions,
                         const std::vector<int32_t>& axis_positions) {
    arena_.reset();
    Ctx cx{.kernels = kernels_, .stream = stream_, .arena = arena_};
    cx.batch.rows = static_cast<int64_t>(positions.size());
    cx.batch.positions = positions.data();
    if (!axis_positions.empty()) cx.batch.axis_positions = axis_positions.data();
    Tensor y = arena_.tensor(DType::kF32, cx.batch.rows, static_cast<int64_t>(x.size() / positions.size()));
    std::copy(x.begin(), x.end(), y.view.row<float>(0));
    ops::rope(cx, y, spec.tables(cx), kHeads, spec.interleaved);
    return {y.view.row<float>(0), y.view.row<float>(0) + x.size()};
  }

 private:
  const Kernels& kernels_;
  ThreadTeam team_{2};
  Stream stream_;
  Arena arena_;
};

// Rows of a list of lists, one after the other.
template <class T>
std::vector<T> flat(const Json& rows) {
  std::vector<T> out;
  for (const Json& row : rows)
    for (const Json& x : row) out.push_back(x.get<T>());
  return out;
}

class Axes : public testing::TestWithParam<std::string_view> {};

TEST_P(Axes, HeadsEqualTransformers) {
  Rotation rotation(kernels_by_name(GetParam()));
  const Json golden = read_json_file(test::fixture_path("mrope/rotary.json"));
  ASSERT_EQ(golden.at("cases").size(), 4u);
  for (const Json& c : golden.at("cases")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const Config config(c.at("config"), "config.json");
    const nn::RopeSpec spec = nn::rope_from_config(config, c.at("head_dim"), 10000);
    EXPECT_TRUE(config.unread().empty());
    const auto axes = flat<int32_t>(c.at("positions"));
    const std::vector<int32_t> time(axes.begin(), axes.begin() + static_cast<std::ptrdiff_t>(axes.size() / 3));
    const std::vector<float> x = flat<float>(c.at("x")), want = flat<float>(c.at("rotated")), y = rotation.run(spec, x, time, axes);
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], want[i], 1e-5) << i;

    nn::RopeSpec plain = spec;
    plain.axes.clear();
    EXPECT_NE(y, rotation.run(plain, x, time, {}));
    std::vector<int32_t> same;
    for (int axis = 0; axis < 3; ++axis) same.insert(same.end(), time.begin(), time.end());
    EXPECT_EQ(rotation.run(spec, x, time, {}), rotation.run(plain, x, time, {}));
    EXPECT_EQ(rotation.run(spec, x, time, same), rotation.run(plain, x, time, {}));
  }
}

INSTANTIATE_TEST_SUITE_P(Tables, Axes, testing::ValuesIn(available_kernels()),
                         [](const testing::TestParamInfo<std::string_view>& info) { return test::as_test_name(std::string(info.param)); });

TEST(AxesOfConfig, SectionsThatAreNotTheFrequenciesAreRefused) {
  const auto complaint = [](const Json& sections, bool interleaved) -> std::string {
    try {
      const Json rope = {{"rope_type", "default"}, {"mrope_section", sections}, {"mrope_interleaved", interleaved}};
      nn::rope_from_config(Config({{"rope_parameters", rope}}, "config.json"), 16, 10000);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(complaint({2, 3, 3}, false), "");
  EXPECT_EQ(complaint({2, 3, 4}, false), "config.json: expected the 8 rotary frequencies as three whole numbers in mrope_section, got 3 numbers of sum 9");
  EXPECT_EQ(complaint({11, 11, 10}, true), "");  // transformers takes what there is
  EXPECT_NE(complaint({4, 4}, true), "");
  EXPECT_NE(complaint({2.5, 3, 2.5}, false), "");
  EXPECT_NE(complaint({-1, 4, 5}, true), "");
}

}  // namespace
}  // namespace transom
