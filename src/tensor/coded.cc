// decode_row: see quant.h and coded.h.
#include "tensor/coded.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tensor/half.h"
#include "tensor/quant.h"

namespace transom {
namespace {

Numbers make(int count, float (*number)(uint8_t)) {
  std::vector<float> v(count);
  for (int i = 0; i < count; ++i) v[i] = number(static_cast<uint8_t>(i));
  return std::make_shared<const std::vector<float>>(std::move(v));
}

uint32_t word_at(const std::byte* p, int bytes) { return bytes == 1 ? std::to_integer<uint32_t>(*p) : load_le<uint32_t>(p); }

// The codes of one row, by column. What words go down hold of a row is at the same bits of each.
class RowCodes {
 public:
  RowCodes(const Codes& m, const std::byte* data, int64_t row)
      : m_(m), log_(m.word_bytes == 1 ? 3 : 5), mask_((1u << m.bits) - 1), data_(data + (m.down ? word(row) * m.step : row * m.line) * m.word_bytes),
        shift_(m.down ? shift(row) : 0), next_(m.step * m.word_bytes) {}

  uint32_t operator[](int64_t column) const {
    if (m_.down) return at(data_ + column * m_.line * m_.word_bytes, shift_);
    return at(data_ + word(column) * next_, shift(column));
  }

 private:
  int64_t bit(int64_t i) const { return ((i & ~int64_t{7}) + m_.slot[i & 7]) * m_.bits; }
  int64_t word(int64_t i) const { return bit(i) >> log_; }
  int shift(int64_t i) const { return static_cast<int>(bit(i) & ((1 << log_) - 1)); }
  uint32_t at(const std::byte* p, int shift) const {
    uint32_t v = word_at(p, m_.word_bytes) >> shift;
    if (shift + m_.bits > 1 << log_) v |= word_at(p + next_, m_.word_bytes) << ((1 << log_) - shift);
    return v & mask_;
  }

  const Codes& m_;
  int log_;
  uint32_t mask_;
  const std::byte* data_;
  int shift_;
  int64_t next_;
};

float scale_at(const Coded& w, int64_t row, int64_t group) {
  const Scales& s = w.scales;
  const int64_t i = row / s.rows * s.row_step + group * s.group_step;
  const std::byte* p = w.data[Coded::kScales];
  if (s.nested.numbers) {
    const float inner = (*s.nested.numbers)[std::to_integer<uint8_t>(p[i])];
    const float product = inner * load_le<float>(w.data[Coded::kOuterScales] + i / s.nested.group * sizeof(float));
    return product + s.nested.offset;
  }
  float v = 0;
  dequantize_row(s.dtype, p + i * info(s.dtype).bytes, &v, 1);
  return v / s.divisor;
}

// Columns from `begin` to where the next group may start.
int64_t run_length(const Coded& w, int64_t row, int64_t begin) {
  return w.data[Coded::kGroups] ? 1 : w.group - (row * w.row_columns + begin) % w.group;
}

int64_t group_of(const Coded& w, int64_t row, int64_t column) {
  if (const std::byte* groups = w.data[Coded::kGroups]) return load_le<int32_t>(groups + column * sizeof(int32_t));
  return (row * w.row_columns + column) / w.group;
}

}  // namespace

Numbers whole_numbers(int bits, int offset) {
  std::vector<float> v(size_t{1} << bits);
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(static_cast<int>(i) + offset);
  return std::make_shared<const std::vector<float>>(std::move(v));
}

Numbers signed_bytes() {
  return make(256, [](uint8_t v) { return static_cast<float>(static_cast<int8_t>(v)); });
}

Numbers small_floats(DType t) {
  if (t == DType::kF4) return make(16, f4_to_f32);
  CHECK(t == DType::kF8E4M3 || t == DType::kF8E5M2);
  return make(256, t == DType::kF8E4M3 ? f8e4m3_to_f32 : f8e5m2_to_f32);
}

void write_mxfp4(const Coded& w, int64_t row, int64_t columns, std::byte* to) {
  constexpr int64_t kBlock = 32;
  CHECK(w.codes.bits == 4 && w.group == kBlock && w.scales.dtype == DType::kF8E8M0 && w.scales.rows == 1 && !w.zeros.numbers);
  const int64_t r = w.rows.at(row);
  const RowCodes codes(w.codes, w.data[Coded::kCodes], r);
  const std::byte* exponents = w.data[Coded::kScales] + r * w.scales.row_step;
  for (int64_t k = 0; k < columns; k += kBlock) {
    *to++ = exponents[k / kBlock];
    for (int64_t i = k; i < k + kBlock / 2; ++i) *to++ = static_cast<std::byte>(codes[i] | codes[i + kBlock / 2] << 4);
  }
}

void decode_row(const WeightView& w, int64_t row, int64_t begin, float* dst, int64_t n) {
  if (w.dtype != DType::kCoded) return dequantize_row(w.dtype, w.row(row) + row_bytes(w.dtype, begin), dst, n);
  const Coded& c = *w.coded;
  // A view of some rows starts as many row_bytes further: that alone is what its data says.
  const int64_t first = (w.data - c.data[Coded::kCodes]) / w.row_bytes;
  const int64_t r = c.rows.at(first + row), end = begin + n;
  const RowCodes codes(c.codes, c.data[Coded::kCodes], r), zeros(c.zeros, c.data[Coded::kZeros], r);
  const std::vector<float>& numbers = *c.codes.numbers;
  for (int64_t k = begin; k < end;) {
    const int64_t stop = std::min(end, k + run_length(c, r, k)), g = group_of(c, r, k);
    const float scale = scale_at(c, r, g), zero = c.zeros.numbers ? (*c.zeros.numbers)[zeros[g]] : 0.f;
    for (; k < stop; ++k) *dst++ = (numbers[codes[k]] - zero) * scale * c.factor;
  }
}

}  // namespace transom
