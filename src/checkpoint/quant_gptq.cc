// GPTQ and AWQ: integers of a few bits in 32-bit words, with a scale and a zero for each group of inputs and each output. The
// matrices are stored as [in, out]: "qweight", "qzeros", "scales" and GPTQ's "g_idx".
#include <algorithm>

#include "base/error.h"
#include "checkpoint/quantization.h"

namespace transom {
namespace {

struct GptqBits {
  int bits = 4;
  int64_t group_size = 128;
};

// Sets zeros and scales [groups, out]; `zeros` is packed along the outputs in the manner of `codes`.
void set_grid(QuantizedWeight& w, const StoredMatrix& m, int64_t group_size, int zero_offset, const Codes& codes) {
  const TensorEntry &zeros = m.need(".qzeros"), &scales = m.need(".scales");
  w.layout.group = group_columns(m, group_size);
  const int64_t groups = m.cols / w.layout.group, words = m.rows * codes.bits / 32;
  m.expect_type(zeros, {DType::kI32});
  m.expect(zeros, {groups, words});
  m.expect_type(scales, {DType::kF16, DType::kBF16, DType::kF32});
  m.expect(scales, {groups, m.rows});
  w.layout.zeros = {.numbers = whole_numbers(codes.bits, zero_offset), .bits = codes.bits, .word_bytes = 4, .down = true,
                    .step = 1, .line = words, .slot = codes.slot};
  w.layout.scales = {.dtype = scales.dtype, .rows = 1, .row_step = 1, .group_step = m.rows};
  w.set(m, Coded::kZeros, zeros);
  w.set(m, Coded::kScales, scales);
}

// Rows or columns that are packed along must fill whole words.
void expect_words(const StoredMatrix& m, const TensorEntry& e, int64_t n, int bits) {
  if (n * bits % 32 != 0) m.wrong(e, fmt::format("sizes that fill words of 32 bits with {}-bit numbers", bits), fmt::format("[{}, {}]", m.rows, m.cols));
}

// Old packages wrote a bias of zeros for layers that have none.
void accept_zero_bias(QuantizedWeight& w, const StoredMatrix& m) {
  const TensorEntry* bias = m.part(".bias");
  if (!bias) return;
  const auto bytes = TensorSource::data(*bias);
  if (std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; })) w.others.push_back(bias);
}

std::string format_text(std::string_view method, int bits, int64_t group_size) {
  return group_size > 0 ? fmt::format("{} {}-bit g{}", method, bits, group_size) : fmt::format("{} {}-bit", method, bits);
}

// Version 1 stores zeros less one.
class Gptq final : public Quantization {
 public:
  explicit Gptq(const Config& q) : origin_(q.origin()) {
    const std::string format = q.s("checkpoint_format", "gptq");
    q.require(format == "gptq" || format == "gptq_v2", "checkpoint_format", "gptq or gptq_v2");
    q.require(!q.b("is_marlin_format", false), "is_marlin_format", "false");
    q.require(q.s("pack_dtype", "int32") == "int32", "pack_dtype", "int32");
    zero_offset_ = format == "gptq" ? 1 : 0;
    all_ = read(q, {});
    if (const auto dynamic = q.sub("dynamic"))
      for (const auto& [pattern, values] : dynamic->document().items()) {
        if (pattern.starts_with("-:")) continue;  // not quantized: its tensors say so
        modules_.emplace_back(pattern.starts_with("+:") ? pattern.substr(2) : pattern, read(Config(values, origin_), all_));
      }
  }

  std::optional<QuantizedWeight> find(const StoredMatrix& m) const override {
    const TensorEntry* e = m.part(".qweight");
    if (!e) return std::nullopt;
    const GptqBits b = bits_of(m.found(*e, ".qweight"));
    expect_words(m, *e, m.rows, b.bits);
    expect_words(m, *e, m.cols, b.bits);
    m.expect_type(*e, {DType::kI32});
    m.expect(*e, {m.cols * b.bits / 32, m.rows});
    QuantizedWeight w;
    w.layout.codes = {.numbers = whole_numbers(b.bits), .bits = b.bits, .word_bytes = 4, .step = m.rows, .line = 1};
    w.set(m, Coded::kCodes, *e);
    set_grid(w, m, b.group_size, zero_offset_, w.layout.codes);
    if (const TensorEntry* g = m.part(".g_idx")) set_groups(w, m, *g, m.cols / w.layout.group);
    accept_zero_bias(w, m);
    w.format = format_text("GPTQ", b.bits, b.group_size);
    return w;
  }

 private:
  static GptqBits read(const Config& q, GptqBits otherwise) {
    GptqBits b{static_cast<int>(q.i("bits", otherwise.bits)), otherwise.group_size};
    q.require(b.bits == 2 || b.bits == 3 || b.bits == 4 || b.bits == 8, "bits", "2, 3, 4 or 8");
    if (q.has("group_size")) b.group_size = q.raw("group_size") == -1 ? -1 : q.i("group_size");
    return b;
  }
  GptqBits bits_of(const std::string& module) const {
    for (const auto& [pattern, bits] : modules_)
      if (matches_start(pattern, module, origin_)) return bits;
    return all_;
  }

  std::string origin_;
  int zero_offset_ = 1;
  GptqBits all_;
  std::vector<std::pair<std::string, GptqBits>> modules_;
};

// Words hold eight outputs of one input, in the order 0 2 4 6 1 3 5 7.
class Awq final : public Quantization {
 public:
  explicit Awq(const Config& q) {
    const std::string version = q.s("version", "gemm");
    q.require(version == "gemm" || version == "GEMM", "version", "gemm");
    q.require(q.i(q.has("w_bit") ? "w_bit" : "bits", kBits) == kBits, q.has("w_bit") ? "w_bit" : "bits", "4");
    q.require(q.b("zero_point", true), "zero_point", "true");
    const char* key = q.has("q_group_size") ? "q_group_size" : "group_size";
    group_size_ = q.raw(key) == -1 ? -1 : q.i(key, 128);
  }

  std::optional<QuantizedWeight> find(const StoredMatrix& m) const override {
    const TensorEntry* e = m.part(".qweight");
    if (!e) return std::nullopt;
    expect_words(m, *e, m.rows, kBits);
    m.expect_type(*e, {DType::kI32});
    m.expect(*e, {m.cols, m.rows * kBits / 32});
    QuantizedWeight w;
    w.layout.codes = {.numbers = whole_numbers(kBits), .bits = kBits, .word_bytes = 4, .down = true, .step = 1,
                      .line = m.rows * kBits / 32, .slot = {0, 4, 1, 5, 2, 6, 3, 7}};
    w.set(m, Coded::kCodes, *e);
    set_grid(w, m, group_size_, 0, w.layout.codes);
    w.format = format_text("AWQ", kBits, group_size_);
    return w;
  }

 private:
  static constexpr int kBits = 4;
  int64_t group_size_ = 128;
};

}  // namespace

std::unique_ptr<const Quantization> read_gptq(const Config& q) { return std::make_unique<Gptq>(q); }
std::unique_ptr<const Quantization> read_awq(const Config& q) { return std::make_unique<Awq>(q); }

}  // namespace transom
