// The AMX products on emulated tiles (amx_emulated.cc): few, some and many rows of every weight type against the reference, and one order of
// summation whichever way rows take.
#include "base/cpu.h"
#include "kernels/cpu/linear.h"
#include "kernels/data.h"

namespace transom::cpu {
void add_amx_emulated(Primitives&);
}

namespace transom::test {
namespace {

class AmxEmulated : public testing::Test {
 protected:
  void SetUp() override {
    const auto tables = available_kernels();
    if (std::find(tables.begin(), tables.end(), "avx512bf16") == tables.end()) GTEST_SKIP() << "no AVX-512 BF16 on this processor";
    primitives = cpu::avx512_primitives();
    cpu::add_avx512bf16(primitives);
    cpu::add_amx_emulated(primitives);
  }
  cpu::Primitives primitives;
  Bench bench;
  Random random{7};
};

TEST_F(AmxEmulated, RowsOfEveryFormat) {
  for (const DType type : weight_types()) {
    const int block = info(type).block;
    for (const int64_t k : {block == 1 ? 67 : block, block == 256 ? 1280 : 1088})
      for (const int64_t rows : {7, 17, 33}) {
        const RandomWeight w(type, 37, k, random, rows % 2);
        const Matrix x = Matrix(DType::kBF16, rows, k).fill(random);
        Matrix y(DType::kF32, rows, 37), want(DType::kF32, rows, 37);
        LinearSegment s{w.view, nullptr, want};
        bench.ref.linear({.x = x, .segments = {&s, 1}}, bench.stream);
        s.y = y;
        cpu::run_linear(primitives, {.x = x, .segments = {&s, 1}}, bench.stream, false);
        for (int64_t i = 0; i < 37; ++i) {
          std::vector<float> values(static_cast<size_t>(k));
          dequantize_row(type, w.view.row(i), values.data(), k);
          for (int64_t t = 0; t < rows; ++t) {
            double size = 0;
            for (int64_t c = 0; c < k; ++c) size += std::abs(double{values[c]} * x.get(t, c));
            ASSERT_NEAR(y.get(t, i), want.get(t, i), 0x1p-8 * size + 1e-6) << name(type) << " K " << k << " T " << rows << " row " << t << " output " << i;
          }
        }
        y.expect_surroundings_untouched();
      }
  }
}

// More columns than are decoded at once, more rows than have sums in scratch, more weight rows than one set.
TEST_F(AmxEmulated, SumsOfSeveralSteps) {
  const std::tuple<DType, int, int, int> shapes[] = {{DType::kBF16, 2083, 530, 35}, {DType::kQ4_0, 4128, 70, 290}, {DType::kQ4_K, 2304, 33, 291}};
  for (const auto& [type, k, rows, n] : shapes) {
    const RandomWeight w(type, n, k, random, false);
    const Matrix x = Matrix(DType::kBF16, rows, k).fill(random);
    Matrix y(DType::kF32, rows, n), want(DType::kF32, rows, n);
    LinearSegment s{w.view, nullptr, want};
    bench.ref.linear({.x = x, .segments = {&s, 1}}, bench.stream);
    s.y = y;
    cpu::run_linear(primitives, {.x = x, .segments = {&s, 1}}, bench.stream, false);
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t i = 0; i < n; ++i) ASSERT_NEAR(y.get(t, i), want.get(t, i), 0x1p-7 * std::sqrt(k)) << name(type) << " row " << t << " output " << i;
    y.expect_surroundings_untouched();
  }
}

// Whether its neighbours make it one of some rows, or of many.
TEST_F(AmxEmulated, ARowHasTheSameBitsAmongSomeAndAmongMany) {
  for (const DType type : {DType::kBF16, DType::kF16, DType::kQ4_0, DType::kQ4_K}) {
    const RandomWeight w(type, 70, 1280, random, false);
    const Matrix x = Matrix(DType::kF32, 40, 1280).fill(random);
    Matrix all(DType::kF32, 40, 70), some(DType::kF32, 9, 70);
    LinearSegment s{w.view, nullptr, all};
    cpu::run_linear(primitives, {.x = x, .segments = {&s, 1}}, bench.stream, false);
    View part = x.view();
    part.rows = 9;
    s.y = some;
    cpu::run_linear(primitives, {.x = part, .segments = {&s, 1}}, bench.stream, false);
    for (int64_t t = 0; t < 9; ++t)
      for (int64_t i = 0; i < 70; ++i) ASSERT_EQ(some.get(t, i), all.get(t, i)) << name(type) << " row " << t << " output " << i;
  }
}

}  // namespace
}  // namespace transom::test
