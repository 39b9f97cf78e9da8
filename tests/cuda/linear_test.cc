// linear of the CUDA table against the reference: every format as stored, ragged sizes, activation types, several segments,
// bias, alpha and beta; and independence of a row's result from its neighbours, bit for bit.
#include "cuda/device.h"

namespace transom::test {
namespace {

using CudaLinear = CudaTest;

// |device - reference| against what float sums of that many magnitudes can lose.
void expect_linear(const Matrix& y, const Matrix& x, const WeightView& w, double extra) {
  const std::vector<float> got = y.values(Side::kDevice), want = y.values(Side::kHost), in = x.values(Side::kHost);
  std::vector<float> row(static_cast<size_t>(w.cols));
  for (int64_t n = 0; n < w.rows; ++n) {
    dequantize_row(w.dtype, w.row(n), row.data(), w.cols);
    for (int64_t t = 0; t < x.rows(); ++t) {
      double magnitude = 0;
      for (int64_t k = 0; k < w.cols; ++k) magnitude += std::abs(double{row[k]} * in[t * w.cols + k]);
      const double a = got[t * w.rows + n], b = want[t * w.rows + n];
      ASSERT_LE(std::abs(a - b), 0x1p-20 * magnitude + 2.1 * rounding(y.type()) * std::abs(b) + extra)
          << name(w.dtype) << " T " << x.rows() << " K " << w.cols << " row " << t << " output " << n << ": got " << a << ", want " << b;
    }
  }
  y.expect_gaps_untouched();
}

TEST_F(CudaLinear, EveryFormatAndRaggedSize) {
  for (const DType format : kFormats) {
    const int64_t block = info(format).block;
    for (const int64_t k : {block == 1 ? int64_t{67} : block, block == 256 ? int64_t{512} : int64_t{96}, block == 256 ? int64_t{1280} : int64_t{1088}})
      for (const int64_t rows : {1, 2, 7, 8, 9, 33})
        for (const int64_t n : {1, 5, 37}) {
          const RandomWeight w(format, n, k, random);
          const Matrix x = Matrix(DType::kF32, rows, k).fill(random);
          Matrix y(DType::kF32, rows, n);
          both([&](const Kernels& table, Side s, Stream& st) {
            const LinearSegment segment{w.on(s), nullptr, y.on(s)};
            table.linear({.x = x.on(s), .segments = {&segment, 1}}, st);
          });
          expect_linear(y, x, w.on(Side::kHost), 0);
          if (HasFatalFailure()) return;
        }
  }
}

TEST_F(CudaLinear, ActivationTypesBiasAlphaBeta) {
  for (const DType in : kActivations)
    for (const DType out : kActivations)
      for (const DType format : kFormats)
        for (const int64_t rows : {1, 11}) {
          const int64_t n = 19, k = 256;
          const RandomWeight w(format, n, k, random);
          const Matrix x = Matrix(in, rows, k).fill(random);
          std::vector<float> b(n);
          for (float& f : b) f = normal(random);
          const Array<float> bias(b);
          Matrix y = Matrix(out, rows, n).fill(random);
          both([&](const Kernels& table, Side s, Stream& st) {
            const LinearSegment segment{w.on(s), bias.on(s), y.on(s)};
            table.linear({.x = x.on(s), .segments = {&segment, 1}, .alpha = 0.3f, .beta = -0.6f}, st);
          });
          expect_linear(y, x, w.on(Side::kHost), 1e-6);
          if (HasFatalFailure()) return;
        }
}

TEST_F(CudaLinear, SegmentsOfDifferentFormatsIntoOneBuffer) {
  const int64_t k = 512, rows = 10, sizes[] = {12, 5, 8};
  const DType formats[] = {DType::kQ4_K, DType::kQ8_0, DType::kQ6_K};
  const Matrix x = Matrix(DType::kF32, rows, k).fill(random);
  std::vector<RandomWeight> w;
  for (int i = 0; i < 3; ++i) w.emplace_back(formats[i], sizes[i], k, random);
  Matrix y(DType::kF32, rows, 25);
  both([&](const Kernels& table, Side s, Stream& st) {
    std::vector<LinearSegment> segments;
    int64_t column = 0;
    for (int i = 0; i < 3; ++i) {
      View part = y.on(s);
      part.data = static_cast<float*>(part.data) + column;
      part.cols = sizes[i];
      segments.push_back({w[i].on(s), nullptr, part});
      column += sizes[i];
    }
    table.linear({.x = x.on(s), .segments = segments}, st);
  });
  expect_close(y, 2e-5, 30.0);
}

TEST_F(CudaLinear, ARowDoesNotDependOnItsNeighbours) {
  for (const DType format : kFormats)
    for (const DType type : kActivations) {
      const int64_t k = 768, n = 21, rows = 37;
      const RandomWeight w(format, n, k, random);
      const Matrix x = Matrix(type, rows, k).fill(random);
      const Matrix all(DType::kF32, rows, n), alone(DType::kF32, rows, n);
      const auto run = [&](View in, View out) {
        const LinearSegment segment{w.on(Side::kDevice), nullptr, out};
        cuda_kernels().linear({.x = in, .segments = {&segment, 1}}, device_stream());
      };
      run(x.on(Side::kDevice), all.on(Side::kDevice));
      for (int64_t t = 0; t < rows; ++t) {
        View in = x.on(Side::kDevice), out = alone.on(Side::kDevice);
        in.data = static_cast<std::byte*>(in.data) + t * in.stride * info(type).bytes;
        out.data = static_cast<float*>(out.data) + t * out.stride;
        in.rows = out.rows = 1;
        run(in, out);
      }
      ASSERT_EQ(all.values(Side::kDevice), alone.values(Side::kDevice)) << name(format) << " with " << name(type);
    }
}

TEST_F(CudaLinear, RefusesAFormatThatItDoesNotKnow) {
  const Matrix x = Matrix(DType::kF32, 1, 256).fill(random), y(DType::kF32, 1, 1);
  const RandomWeight w(DType::kIQ2_S, 1, 256, random);
  const LinearSegment segment{w.on(Side::kDevice), nullptr, y.on(Side::kDevice)};
  try {
    cuda_kernels().linear({.x = x.on(Side::kDevice), .segments = {&segment, 1}}, device_stream());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("IQ2_S"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace transom::test
