// bitsandbytes: LLM.int8 (rows of bytes with a scale each), and NF4 and FP4 in blocks that run over the rows' ends.
#include "base/error.h"
#include "checkpoint/quantization.h"
#include "tensor/half.h"

namespace transom {
namespace {

constexpr const char* kStates[] = {".weight.quant_state.bitsandbytes__nf4", ".weight.quant_state.bitsandbytes__fp4"};

// The largest of a row, rounded to a byte each: value = byte * SCB / 127.
QuantizedWeight int8_weight(const StoredMatrix& m, const TensorEntry& e, const Numbers& numbers) {
  constexpr float kOver127 = 7.874015718698502e-3f;
  const TensorEntry& scale = m.need(".SCB");
  m.expect(e, {m.rows, m.cols});
  m.expect_type(scale, {DType::kF32});
  QuantizedWeight w;
  w.layout.codes = {.numbers = numbers, .step = 1, .line = m.cols};
  w.layout.factor = kOver127;
  w.set(m, Coded::kCodes, e);
  m.expect(scale, {m.rows});
  w.layout.scales.row_step = 1;
  w.layout.group = m.cols;
  w.set(m, Coded::kScales, scale);
  if (const TensorEntry* order = m.part(".weight_format")) {
    const auto bytes = TensorSource::data(*order);
    if (bytes.size() != 1 || bytes[0] != std::byte{0}) m.wrong(*order, "the number 0, bytes in the order of rows", "another order");
    w.others.push_back(order);
  }
  w.format = "LLM.int8";
  return w;
}

Config read_state(const StoredMatrix& m, const TensorEntry& e) {
  const auto bytes = TensorSource::data(e);
  m.expect_type(e, {DType::kU8});
  const std::string origin = m.source->path() + ": " + e.name;
  return Config(parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, origin), origin);
}

Numbers read_numbers(const StoredMatrix& m, const TensorEntry& e, int64_t count) {
  return std::make_shared<const std::vector<float>>(floats(m, e, count));
}

void set_absmax(QuantizedWeight& w, const StoredMatrix& m, const Config& state, int64_t blocks) {
  const TensorEntry& absmax = m.need(".weight.absmax");
  m.expect(absmax, {blocks});
  w.layout.scales = {.dtype = DType::kF32, .rows = m.rows, .group_step = 1};
  w.set(m, Coded::kScales, absmax);
  const TensorEntry* outer = m.part(".weight.nested_absmax");
  if (!outer) return m.expect_type(absmax, {DType::kF32});
  const int64_t group = state.size("nested_blocksize");
  m.expect_type(absmax, {DType::kU8});
  m.expect_type(*outer, {DType::kF32});
  m.expect(*outer, {(blocks + group - 1) / group});
  const TensorEntry& numbers = m.need(".weight.nested_quant_map");
  w.layout.scales.nested = {.numbers = read_numbers(m, numbers, 256), .group = group, .offset = static_cast<float>(state.f("nested_offset"))};
  w.set(m, Coded::kOuterScales, *outer);
  w.others.push_back(&numbers);
}

// Two codes a byte, the first in the high bits; the numbers they stand for are in the file.
QuantizedWeight four_bit_weight(const StoredMatrix& m, const TensorEntry& e, const TensorEntry& state_entry) {
  const Config state = read_state(m, state_entry);
  const int64_t block = state.size("blocksize"), elements = m.rows * m.cols;
  const std::vector<double> shape = state.floats("shape");
  state.require(shape.size() == 2 && shape[0] == static_cast<double>(m.rows) && shape[1] == static_cast<double>(m.cols), "shape",
                fmt::format("[{}, {}]", m.rows, m.cols));
  if (m.cols % 2 != 0) m.wrong(e, "an even number of columns", std::to_string(m.cols));
  if (e.bytes != static_cast<uint64_t>(elements) / 2) m.wrong(e, fmt::format("{} bytes", elements / 2), std::to_string(e.bytes));
  const TensorEntry& numbers = m.need(".weight.quant_map");
  QuantizedWeight w;
  w.layout.codes = {.numbers = read_numbers(m, numbers, 16), .bits = 4, .step = 1, .line = m.cols / 2, .slot = {1, 0, 3, 2, 5, 4, 7, 6}};
  w.layout.group = block;
  w.layout.row_columns = m.cols;
  w.set(m, Coded::kCodes, e);
  set_absmax(w, m, state, (elements + block - 1) / block);
  w.others.push_back(&numbers);
  w.others.push_back(&state_entry);
  w.format = state.s("quant_type") == "nf4" ? "NF4" : "FP4";
  if (w.layout.scales.nested.numbers) w.format += " double";
  return w;
}

class BitsAndBytes final : public Quantization {
 public:
  std::optional<QuantizedWeight> find(const StoredMatrix& m) const override {
    const TensorEntry* e = m.part(".weight");
    if (!e) return std::nullopt;
    for (const char* state : kStates)
      if (const TensorEntry* s = m.part(state)) return plain(m), four_bit_weight(m, *e, *s);
    if (e->dtype != DType::kI8) return std::nullopt;
    plain(m);
    return int8_weight(m, *e, int8_);
  }

 private:
  static void plain(const StoredMatrix& m) {
    if (m.slab >= 0 || m.transposed) fail(Code::kUnsupported, m.source->path(), "expected a matrix of its own, got a stacked or transposed one ({})", m.name);
  }
  Numbers int8_ = signed_bytes();
};

}  // namespace

std::unique_ptr<const Quantization> read_bitsandbytes(const Config&) { return std::make_unique<BitsAndBytes>(); }

}  // namespace transom
