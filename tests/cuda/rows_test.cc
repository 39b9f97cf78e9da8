// Memory, embedding, norms, rotary embedding, cache writes and element-wise rows of the CUDA table against the reference.
#include "cuda/device.h"

namespace transom::test {
namespace {

using CudaMemory = CudaTest;
using CudaRows = CudaTest;

const int64_t kCols[] = {1, 3, 31, 64, 127, 576, 1100};

TEST(CudaAbsent, ThereIsATableOrAReason) {
  try {
    EXPECT_STREQ(kernels_by_name("cuda").name, "cuda");
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("expected a CUDA device, got"), std::string::npos) << e.what();
  }
}

TEST_F(CudaMemory, CopiesAndZeros) {
  const Kernels& k = cuda_kernels();
  EXPECT_FALSE(k.host_memory);
  std::vector<uint8_t> bytes(100003), back(bytes.size());
  for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
  const auto a = k.allocate(bytes.size()), b = k.allocate(bytes.size());
  k.copy_to_device(a.get(), bytes.data(), bytes.size(), device_stream());
  k.copy_on_device(b.get(), a.get(), bytes.size(), device_stream());
  k.fill_zero(b.get() + 7, 1000, device_stream());
  k.copy_to_host(back.data(), b.get(), back.size(), device_stream());
  std::fill(bytes.begin() + 7, bytes.begin() + 1007, 0);
  EXPECT_EQ(back, bytes);
  EXPECT_NE(k.allocate(0), nullptr);
}

TEST_F(CudaMemory, TooMuchIsAnErrorThatIsForgotten) {
  try {
    cuda_kernels().allocate(size_t{1} << 50);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kResource) << e.what();
  }
  Matrix x = Matrix(DType::kF32, 2, 5).fill(random), y(DType::kF32, 2, 5);
  both([&](const Kernels& k, Side s, Stream& st) { k.softcap({.x = x.on(s), .y = y.on(s), .cap = 2.f}, st); });
  expect_close(y, 1e-6, 0);
}

TEST_F(CudaRows, EmbeddingIsExactInEveryFormat) {
  for (const DType format : kFormats)
    for (const DType type : kActivations)
      for (const int64_t cols : {info(format).block == 1 ? int64_t{67} : int64_t{info(format).block}, int64_t{1280}}) {
        const RandomWeight w(format, 9, cols, random);
        const Array<int32_t> ids({8, 0, 3, 3, 7});
        Matrix y(type, 5, cols);
        both([&](const Kernels& k, Side s, Stream& st) { k.embedding({.weight = w.on(s), .ids = ids.on(s), .y = y.on(s), .scale = 1.7f}, st); });
        ASSERT_EQ(y.values(Side::kDevice), y.values(Side::kHost)) << name(format) << " as " << name(type);
        y.expect_gaps_untouched();
      }
}

TEST_F(CudaRows, Norms) {
  for (const DType type : kActivations)
    for (const int64_t cols : kCols)
      for (const bool layer : {false, true})
        for (const int mode : {0, 1, 2, 3}) {  // bit 0: pending, bit 1: sum
          const int64_t rows = 1 + cols % 5, groups = cols % 4 == 0 ? 4 : 1, d = cols / groups;
          const Matrix x = Matrix(type, rows, cols).fill(random, 3.f), pending = Matrix(DType::kF32, rows, cols).fill(random);
          std::vector<float> w(d), b(d);
          for (float& f : w) f = normal(random);
          for (float& f : b) f = normal(random);
          const Array<float> weight(w), bias(b);
          Matrix y(type, rows, cols), sum(type, rows, cols);
          both([&](const Kernels& k, Side s, Stream& st) {
            NormArgs a{.x = x.on(s), .pending = {}, .sum = {}, .y = y.on(s), .weight = weight.on(s), .eps = 1e-5f, .weight_offset = 1.f,
                       .pending_scale = 0.7f, .groups = groups};
            if (layer) a.bias = bias.on(s);
            if (mode & 1) a.pending = pending.on(s);
            if (mode & 2) a.sum = sum.on(s);
            (layer ? k.layer_norm : k.rms_norm)(a, st);
          });
          // A sum rounded to a narrow type may differ in its last bit, which then is normed.
          expect_close(y, 4e-6 + (mode == 3 ? 8 * rounding(type) : 0), 3.0);
          if (mode & 2) expect_close(sum, 1e-6, 1.0);
        }
}

TEST_F(CudaRows, NormsInPlace) {
  Matrix x = Matrix(DType::kF32, 3, 700).fill(random), y = Matrix(DType::kBF16, 3, 70).fill(random), z(DType::kF32, 3, 700);
  const Matrix pending = Matrix(DType::kF32, 3, 700).fill(random);
  both([&](const Kernels& k, Side s, Stream& st) {
    k.rms_norm({.x = y.on(s), .pending = {}, .sum = {}, .y = y.on(s)}, st);
    k.rms_norm({.x = x.on(s), .pending = pending.on(s), .sum = x.on(s), .y = z.on(s)}, st);
  });
  expect_close(y, 4e-6, 1.0);
  expect_close(x, 1e-6, 1.0);
  expect_close(z, 4e-6, 1.0);
}

TEST_F(CudaRows, LayerNormOfALargeMean) {
  Matrix x(DType::kF32, 2, 768), y(DType::kF32, 2, 768);
  for (int64_t r = 0; r < 2; ++r)
    for (int64_t c = 0; c < 768; ++c) x.set(r, c, 1000.f + normal(random));
  both([&](const Kernels& k, Side s, Stream& st) { k.layer_norm({.x = x.on(s), .pending = {}, .sum = {}, .y = y.on(s)}, st); });
  expect_close(y, 3e-4, 1.0);  // the mean itself is only known to 1000 * 2^-24
}

TEST_F(CudaRows, RopeTablesAtFarPositions) {
  const Array<int32_t> positions({0, 1, 7, 4095, 131071, 1000003});
  std::vector<float> f(33);
  for (size_t i = 0; i < f.size(); ++i) f[i] = std::pow(10000.f, -static_cast<float>(i) / static_cast<float>(f.size()));
  const Array<float> inv_freq(f);
  const Array<int32_t> two({0, 1, 7, 4095, 131071, 1000003, 5, 4, 3, 2, 1, 77777});
  std::vector<int32_t> in_turn(33);
  for (size_t i = 0; i < in_turn.size(); ++i) in_turn[i] = static_cast<int32_t>(i % 2);
  const Array<int32_t> axis(in_turn);
  for (const bool of_two : {false, true}) {
    Matrix cos(DType::kF32, 6, 33), sin(DType::kF32, 6, 33);
    both([&](const Kernels& k, Side s, Stream& st) {
      k.rope_table({.positions = (of_two ? two : positions).on(s), .inv_freq = inv_freq.on(s), .scale = 1.3f, .cos = cos.on(s), .sin = sin.on(s),
                    .axis = of_two ? axis.on(s) : nullptr}, st);
    });
    expect_close(cos, 1e-7, 0);
    expect_close(sin, 1e-7, 0);
  }
}

TEST_F(CudaRows, Rope) {
  for (const DType type : kActivations)
    for (const int64_t half : {1, 5, 32})
      for (const bool interleaved : {false, true})
        for (const bool inverse : {false, true}) {
          const int64_t heads = 3, head_dim = 2 * half + 3, rows = 5;  // the tail of a head is not rotated
          Matrix x = Matrix(type, rows, heads * head_dim).fill(random);
          const Matrix cos = Matrix(DType::kF32, rows, half).fill(random), sin = Matrix(DType::kF32, rows, half).fill(random);
          both([&](const Kernels& k, Side s, Stream& st) {
            k.rope({.x = x.on(s), .cos = cos.on(s), .sin = sin.on(s), .heads = heads, .interleaved = interleaved, .inverse = inverse}, st);
          });
          expect_close(x, 1e-6, 1.0);
        }
}

TEST_F(CudaRows, KvWrite) {
  for (const DType type : kActivations)
    for (const DType cache : kActivations) {
      const Matrix k_in = Matrix(type, 4, 70).fill(random), v_in = Matrix(type, 4, 300).fill(random);
      const Array<int32_t> slots({9, 0, 4, 31});
      Matrix k_cache = Matrix(cache, 32, 70).fill(random), v_cache = Matrix(cache, 32, 300).fill(random);
      both([&](const Kernels& k, Side s, Stream& st) {
        k.kv_write({.k = k_in.on(s), .v = v_in.on(s), .slots = slots.on(s), .k_cache = k_cache.on(s), .v_cache = v_cache.on(s)}, st);
      });
      EXPECT_EQ(k_cache.values(Side::kDevice), k_cache.values(Side::kHost));
      EXPECT_EQ(v_cache.values(Side::kDevice), v_cache.values(Side::kHost));
    }
}

TEST_F(CudaRows, Activations) {
  using enum Activation;
  for (const Activation act : {kSilu, kGelu, kGeluTanh, kRelu, kTanh, kSigmoid, kQuickGelu, kIdentity, kRelu2})
    for (const DType type : kActivations)
      for (const bool up : {false, true}) {
        Matrix gate(type, 2, 4001), y(type, 2, 4001);
        const Matrix u = Matrix(type, 2, 4001).fill(random);
        for (int64_t c = 0; c < 4001; ++c) {
          gate.set(0, c, -20.f + 0.01f * static_cast<float>(c));
          gate.set(1, c, normal(random, 100.f));
        }
        both([&](const Kernels& k, Side s, Stream& st) {
          ActMulArgs a{.gate = gate.on(s), .up = {}, .y = y.on(s), .act = act};
          if (up) a.up = u.on(s);
          k.act_mul(a, st);
        });
        expect_close(y, 2e-6, 1.0);
      }
}

TEST_F(CudaRows, ActMulOverItsGate) {
  Matrix gate = Matrix(DType::kBF16, 5, 300).fill(random);
  const Matrix up = Matrix(DType::kBF16, 5, 300).fill(random);
  both([&](const Kernels& k, Side s, Stream& st) { k.act_mul({.gate = gate.on(s), .up = up.on(s), .y = gate.on(s)}, st); });
  expect_close(gate, 2e-6, 1.0);
}

TEST_F(CudaRows, AxpbySoftcapGather) {
  for (const DType in : kActivations)
    for (const DType out : kActivations)
      for (const int64_t cols : kCols) {
        const Matrix x = Matrix(in, 4, cols).fill(random, 3.f);
        Matrix sum = Matrix(out, 4, cols).fill(random), copy(out, 4, cols), capped(out, 4, cols), gathered(out, 6, cols);
        const Array<int32_t> rows({3, 0, 0, 1, 2, 3});
        both([&](const Kernels& k, Side s, Stream& st) {
          k.axpby({.x = x.on(s), .y = sum.on(s), .a = 0.3f, .b = -1.2f}, st);
          k.axpby({.x = x.on(s), .y = copy.on(s)}, st);
          k.softcap({.x = x.on(s), .y = capped.on(s), .cap = 2.5f}, st);
          k.gather_rows({.x = x.on(s), .rows = rows.on(s), .y = gathered.on(s)}, st);
        });
        expect_close(sum, 1e-6, 1.0);
        expect_close(capped, 1e-6, 0);
        EXPECT_EQ(copy.values(Side::kDevice), copy.values(Side::kHost));
        EXPECT_EQ(gathered.values(Side::kDevice), gathered.values(Side::kHost));
      }
}

TEST_F(CudaRows, RowsThatFewModelsNeed) {
  for (const DType type : kActivations)
    for (const int64_t cols : kCols) {
      const Matrix x = Matrix(type, 4, cols).fill(random, 3.f), like = Matrix(DType::kF32, 4, cols).fill(random, 5.f);
      std::vector<float> f(cols);
      for (float& v : f) v = normal(random);
      const Array<float> factors(f);
      Matrix clamped(type, 4, cols), cut(type, 4, cols), scaled(type, 4, cols), whole(type, 4, cols), matched(type, 4, cols);
      both([&](const Kernels& k, Side s, Stream& st) {
        k.clamp({.x = x.on(s), .y = clamped.on(s), .limit = 1.5f}, st);
        k.row_cutoff({.x = x.on(s), .y = cut.on(s), .deviations = 0.8f}, st);
        k.scale_columns({.x = x.on(s), .factors = factors.on(s), .y = scaled.on(s)}, st);
        k.scale_columns({.x = x.on(s), .factors = factors.on(s), .whole = true, .y = whole.on(s)}, st);
        k.match_rms({.x = x.on(s), .like = like.on(s), .y = matched.on(s), .eps = 1e-5f}, st);
      });
      EXPECT_EQ(clamped.values(Side::kDevice), clamped.values(Side::kHost));
      expect_close(cut, 4e-6, 3.0);
      expect_close(scaled, 1e-6, 1.0);
      expect_close(whole, 1e-6, 1.0);
      expect_close(matched, 4e-6, 3.0);
    }
  const Matrix weights = Matrix(DType::kF32, 3, 2).fill(random), x = Matrix(DType::kBF16, 6, 70).fill(random);
  const Array<int32_t> order({5, 1, 0, 4, 2, 3});
  for (const bool ordered : {false, true}) {
    Matrix y(DType::kF32, 3, 70);
    both([&](const Kernels& k, Side s, Stream& st) {
      k.combine_rows({.x = x.on(s), .positions = ordered ? order.on(s) : nullptr, .weights = weights.on(s), .y = y.on(s)}, st);
    });
    expect_close(y, 1e-6, 1.0);
  }
  const Array<int32_t> positions({0, 8, 15, 16, 47, 100000});
  for (const bool steps : {false, true}) {
    Matrix y(DType::kF32, 6, 1);
    both([&](const Kernels& k, Side s, Stream& st) {
      k.position_growth({.positions = positions.on(s), .rule = {.slope = 0.5f, .length = 16, .offset = 1, .steps = steps}, .y = y.on(s)}, st);
    });
    expect_close(y, 1e-6, 0);
  }
}

TEST_F(CudaRows, UnfoldedSequences) {
  const Array<int32_t> from({0, 7, 7, 8, 30}), halves({0, 4, 4, 5, 16});
  for (const DType type : kActivations)
    for (const int64_t cols : {1, 33, 400})
      for (const int32_t stride : {1, 2}) {
        const Array<int32_t>& to = stride == 1 ? from : halves;
        const Matrix x = Matrix(type, 30, cols).fill(random);
        Matrix y(type, stride == 1 ? 30 : 16, cols * 3);
        both([&](const Kernels& k, Side s, Stream& st) {
          k.unfold_rows({.x = x.on(s), .x_start = from.on(s), .y_start = to.on(s), .count = 4, .width = 3, .stride = stride, .y = y.on(s)}, st);
        });
        EXPECT_EQ(y.values(Side::kDevice), y.values(Side::kHost));
      }
}

TEST_F(CudaRows, NothingToDoIsFine) {
  const Matrix x(DType::kF32, 0, 64);
  Matrix y(DType::kF32, 0, 64);
  const Kernels& k = cuda_kernels();
  k.rms_norm({.x = x.on(Side::kDevice), .pending = {}, .sum = {}, .y = y.on(Side::kDevice)}, device_stream());
  k.axpby({.x = x.on(Side::kDevice), .y = y.on(Side::kDevice)}, device_stream());
  k.copy_to_host(nullptr, nullptr, 0, device_stream());
}

}  // namespace
}  // namespace transom::test
