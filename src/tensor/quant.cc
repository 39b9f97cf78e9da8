// dequantize_row: see quant.h. Plain types are converted element by element, block formats by their block decoder.
#include "tensor/quant.h"

#include "base/error.h"
#include "tensor/half.h"

namespace transom {
namespace {

using BlockDecoder = void (*)(const uint8_t* block, float* out);

template <class T>
void number(const uint8_t* p, float* out) { *out = static_cast<float>(load_le<T>(p)); }
void f16(const uint8_t* p, float* out) { *out = f16_to_f32(load_le<uint16_t>(p)); }
void bf16(const uint8_t* p, float* out) { *out = bf16_to_f32(load_le<uint16_t>(p)); }
void f8e4m3(const uint8_t* p, float* out) { *out = f8e4m3_to_f32(*p); }
void f8e5m2(const uint8_t* p, float* out) { *out = f8e5m2_to_f32(*p); }
void f8e4m3fnuz(const uint8_t* p, float* out) { *out = f8e4m3fnuz_to_f32(*p); }
void f8e5m2fnuz(const uint8_t* p, float* out) { *out = f8e5m2fnuz_to_f32(*p); }
void f8e8m0(const uint8_t* p, float* out) { *out = e8m0_to_f32(*p); }
void f4(const uint8_t* p, float* out) {  // the first element in the low nibble, as PyTorch packs float4_e2m1fn_x2
  out[0] = f4_to_f32(*p & 15);
  out[1] = f4_to_f32(*p >> 4);
}

BlockDecoder plain_decoder(DType t) {
  switch (t) {
    case DType::kF64: return number<double>;
    case DType::kF32: return number<float>;
    case DType::kF16: return f16;
    case DType::kBF16: return bf16;
    case DType::kF8E4M3: return f8e4m3;
    case DType::kF8E5M2: return f8e5m2;
    case DType::kF8E4M3Fnuz: return f8e4m3fnuz;
    case DType::kF8E5M2Fnuz: return f8e5m2fnuz;
    case DType::kF8E8M0: return f8e8m0;
    case DType::kF4: return f4;
    case DType::kI64: return number<int64_t>;
    case DType::kI32: return number<int32_t>;
    case DType::kI16: return number<int16_t>;
    case DType::kI8: return number<int8_t>;
    case DType::kU64: return number<uint64_t>;
    case DType::kU32: return number<uint32_t>;
    case DType::kU16: return number<uint16_t>;
    case DType::kU8: case DType::kBool: return number<uint8_t>;
    default: return nullptr;
  }
}

BlockDecoder decoder(DType t) {
  switch (t) {
    case DType::kQ4_0: return blocks::q4_0;
    case DType::kQ4_1: return blocks::q4_1;
    case DType::kQ5_0: return blocks::q5_0;
    case DType::kQ5_1: return blocks::q5_1;
    case DType::kQ8_0: return blocks::q8_0;
    case DType::kQ8_1: return blocks::q8_1;
    case DType::kQ2_K: return blocks::q2_k;
    case DType::kQ3_K: return blocks::q3_k;
    case DType::kQ4_K: return blocks::q4_k;
    case DType::kQ5_K: return blocks::q5_k;
    case DType::kQ6_K: return blocks::q6_k;
    case DType::kQ8_K: return blocks::q8_k;
    case DType::kIQ1_S: return blocks::iq1_s;
    case DType::kIQ1_M: return blocks::iq1_m;
    case DType::kIQ2_XXS: return blocks::iq2_xxs;
    case DType::kIQ2_XS: return blocks::iq2_xs;
    case DType::kIQ2_S: return blocks::iq2_s;
    case DType::kIQ3_XXS: return blocks::iq3_xxs;
    case DType::kIQ3_S: return blocks::iq3_s;
    case DType::kIQ4_NL: return blocks::iq4_nl;
    case DType::kIQ4_XS: return blocks::iq4_xs;
    case DType::kTQ1_0: return blocks::tq1_0;
    case DType::kTQ2_0: return blocks::tq2_0;
    case DType::kMXFP4: return blocks::mxfp4;
    default: return plain_decoder(t);
  }
}

// The decoder is a template argument in the hot plain cases, so that the compiler can inline the loop.
template <BlockDecoder kDecode, int kBytes>
void each(const uint8_t* src, float* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) kDecode(src + i * kBytes, dst + i);
}

}  // namespace

bool can_dequantize(DType t) { return decoder(t) != nullptr; }

void dequantize_row(DType t, const void* src, float* dst, int64_t n) {
  const auto* in = static_cast<const uint8_t*>(src);
  const DTypeInfo& i = info(t);
  CHECK(n >= 0 && n % i.block == 0);
  if (n == 0) return;
  if (t == DType::kF32) return void(std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float)));
  if (t == DType::kF16) return each<f16, 2>(in, dst, n);
  if (t == DType::kBF16) return each<bf16, 2>(in, dst, n);
  const BlockDecoder decode = decoder(t);
  if (!decode) fail(Code::kUnsupported, "dequantize", "expected a type with a float value, got {}", name(t));
  for (int64_t e = 0; e < n; e += i.block, in += i.bytes) decode(in, dst + e);
}

}  // namespace transom
