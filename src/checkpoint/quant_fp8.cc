// FP8 weights with scales (DeepSeek's blocks of 128 x 128; one scale a tensor or a row), and GPT-OSS's MXFP4 experts.
#include "base/error.h"
#include "checkpoint/quantization.h"

namespace transom {
namespace {

// A matrix "weight" of FP8 beside "weight_scale_inv" (which multiplies, whatever its name says) or "weight_scale".
class Fp8 final : public Quantization {
 public:
  explicit Fp8(std::array<int64_t, 2> block) : block_(block), numbers_{small_floats(DType::kF8E4M3), small_floats(DType::kF8E5M2)} {}

  std::optional<QuantizedWeight> find(const StoredMatrix& m) const override {
    const TensorEntry* e = m.find(m.name);
    if (!e || (e->dtype != DType::kF8E4M3 && e->dtype != DType::kF8E5M2)) return std::nullopt;
    if (m.transposed) m.wrong(*e, "rows of outputs", "FP8 weights stored as [in, out]");
    const bool named = m.name.ends_with(".weight");  // experts that are stacked have no ".weight"
    const TensorEntry* scale = m.part(named ? ".weight_scale_inv" : "_scale_inv");
    if (!scale) scale = &m.need(named ? ".weight_scale" : "_scale");
    m.expect(*e, {m.rows, m.cols});
    QuantizedWeight w;
    w.layout.codes = {.numbers = numbers_[e->dtype == DType::kF8E5M2], .line = m.cols};
    w.layout.codes.step = 1;
    w.set(m, Coded::kCodes, *e);
    set_scales(w, m, *scale, block_);
    w.format = block_[0] > 0 ? fmt::format("{} {}x{}", name(e->dtype), block_[0], block_[1]) : fmt::format("{} scaled", name(e->dtype));
    for (const char* unused : {".input_scale", ".activation_scale", ".input_scale_ub"})
      if (const TensorEntry* u = m.part(unused)) w.others.push_back(u);
    return w;
  }

 private:
  std::array<int64_t, 2> block_;
  std::array<Numbers, 2> numbers_;
};

// "gate_up_proj_blocks" [experts, rows, columns / 32, 16], of which a byte has two neighbours, the first in the low bits, and
// "…_scales" [experts, rows, columns / 32], exponents of 2. The rows are those of outputs, unlike those of the plain tensors.
class Mxfp4 final : public Quantization {
 public:
  std::optional<QuantizedWeight> find(const StoredMatrix& m) const override {
    constexpr int64_t kBlock = 32;
    const TensorEntry* e = m.part("_blocks");
    if (!e) return std::nullopt;
    const TensorEntry& scale = m.need("_scales");
    group_columns(m, kBlock);
    m.expect_type(*e, {DType::kU8});
    m.expect(*e, {m.rows, m.cols / kBlock, kBlock / 2});
    m.expect_type(scale, {DType::kU8});
    QuantizedWeight w;
    w.layout.codes = {.numbers = numbers_, .bits = 4, .step = 1, .line = m.cols / 2};
    w.set(m, Coded::kCodes, *e);
    set_scales(w, m, scale, {1, kBlock});
    w.blocks = DType::kMXFP4;
    w.format = "MXFP4";
    return w;
  }

 private:
  Numbers numbers_ = small_floats(DType::kF4);
};

}  // namespace

std::unique_ptr<const Quantization> read_fp8(const Config& q) {
  std::array<int64_t, 2> block = {0, 0};
  if (q.has("weight_block_size")) {
    const std::vector<double> sizes = q.floats("weight_block_size");
    q.require(sizes.size() == 2 && sizes[0] >= 1 && sizes[1] >= 1 && sizes[0] <= 1 << 20 && sizes[1] <= 1 << 20, "weight_block_size",
              "two sizes from 1 to 1048576");
    block = {static_cast<int64_t>(sizes[0]), static_cast<int64_t>(sizes[1])};
  }
  return std::make_unique<Fp8>(block);
}

std::unique_ptr<const Quantization> read_mxfp4(const Config&) { return std::make_unique<Mxfp4>(); }

}  // namespace transom
