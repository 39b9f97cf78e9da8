// Element-wise rows, norms, rotary embedding and conversions of the CPU tables; see kernels.h for what each computes.
// Every result depends on its own row alone, in one order of summation.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

// f(column, count) over [begin, end) in steps of a vector.
template <class Body>
TRANSOM_INLINE void each(int64_t begin, int64_t end, Body&& f) {
  int64_t c = begin;
  for (; c + kLanes <= end; c += kLanes) f(c, int64_t{kLanes});
  if (c < end) f(c, end - c);
}

struct Moments {
  float mean, rstd;
};
// What is normed: a row, or the sum of two rows, formed anew wherever it is read.
struct Source {
  In x, pending;
  bool has_pending;
  float scale;
};
TRANSOM_INLINE F read(const Source& s, int64_t c, int64_t n) {
  const F x = load(s.x, c, n);
  return s.has_pending ? fma(set1(s.scale), load(s.pending, c, n), x) : x;
}
Moments moments(const Source& s, int64_t begin, int64_t d, float eps, bool centred) {
  float mean = 0;
  if (centred) {
    F total = zero();
    each(begin, begin + d, [&](int64_t c, int64_t n) { total = total + read(s, c, n); });  // lanes past n are zero
    mean = sum(total) / static_cast<float>(d);
  }
  F squares = zero();
  each(begin, begin + d, [&](int64_t c, int64_t n) {
    const F x = keep(read(s, c, n) - set1(mean), n);
    squares = fma(x, x, squares);
  });
  const float variance = sum(squares) / static_cast<float>(d) + eps;
  return {mean, 1.f / _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(variance)))};
}

void norm_row(const NormArgs& a, bool centred, int64_t t) {
  const int64_t d = a.x.cols / a.groups;
  Source s{in_row(a.x, t), {}, a.pending.data != nullptr, a.pending_scale};
  if (s.has_pending) s.pending = in_row(a.pending, t);
  if (a.sum.data) {
    const Out total = out_row(a.sum, t);
    each(0, a.x.cols, [&](int64_t c, int64_t n) { store(total, c, read(s, c, n), n); });
    s = {in_row(a.sum, t), {}, false, 0.f};  // what later layers see is what is normed
  }
  const Out y = out_row(a.y, t);
  for (int64_t g = 0; g < a.groups; ++g) {
    const int64_t begin = g * d, first = a.whole_weight ? 0 : begin;
    const Moments m = moments(s, begin, d, a.eps, centred);
    each(begin, begin + d, [&](int64_t c, int64_t n) {
      F v = (read(s, c, n) - set1(m.mean)) * set1(m.rstd);
      if (a.weight) v = v * (load({a.weight, DType::kF32}, c - first, n) + set1(a.weight_offset));
      if (a.bias) v = v + load({a.bias, DType::kF32}, c - first, n);
      store(y, c, v, n);
    });
  }
}

template <Activation kAct>
TRANSOM_INLINE F activate(F x) {
  if constexpr (kAct == Activation::kSilu) return x / (set1(1.f) + exp(zero() - x));
  if constexpr (kAct == Activation::kGelu) return x * normal_cdf(x);
  if constexpr (kAct == Activation::kGeluTanh) {  // x (1 + tanh u) / 2 = x sigmoid(2u): no cancellation for negative x
    const F u = x * fma(x * x, set1(2 * 0.7978845608f * 0.044715f), set1(2 * 0.7978845608f));
    return x / (set1(1.f) + exp(zero() - u));
  }
  if constexpr (kAct == Activation::kRelu) return max(x, zero());
  if constexpr (kAct == Activation::kTanh) return tanh(x);
  if constexpr (kAct == Activation::kSigmoid) return sigmoid(x);
  if constexpr (kAct == Activation::kIdentity) return x;
  if constexpr (kAct == Activation::kQuickGelu) return x / (set1(1.f) + exp(x * set1(-1.702f)));
  if constexpr (kAct == Activation::kRelu2) return max(x, zero()) * max(x, zero());
}

template <Activation kAct>
void act_mul_row(const ActMulArgs& a, int64_t row, int64_t begin, int64_t end) {
  const In gate = in_row(a.gate, row);
  const Out y = out_row(a.y, row);
  if (!a.up.data) {
    each(begin, end, [&](int64_t c, int64_t n) { store(y, c, activate<kAct>(load(gate, c, n)), n); });
    return;
  }
  const In up = in_row(a.up, row);
  if (a.clamp.limit > 0.f || a.clamp.up_offset != 0.f) {
    const float limit = a.clamp.limit > 0.f ? a.clamp.limit : __builtin_inff();
    const F most = set1(limit), least = set1(-limit), offset = set1(a.clamp.up_offset);
    each(begin, end, [&](int64_t c, int64_t n) {
      store(y, c, activate<kAct>(min(most, load(gate, c, n))) * (max(least, min(most, load(up, c, n))) + offset), n);
    });
    return;
  }
  each(begin, end, [&](int64_t c, int64_t n) { store(y, c, activate<kAct>(load(gate, c, n)) * load(up, c, n), n); });
}

// Sine and cosine of a float angle, in double: the angle less the nearest multiple of π/2 (in two parts, exact enough for
// |angle| < 2^30), then Taylor's polynomials on [-π/4, π/4].
struct SinCos {
  double sin, cos;
};
SinCos sincos(double x) {
  const int64_t quarter = _mm_cvtsd_si64(_mm_set_sd(x * 0.63661977236758134));
  const double n = static_cast<double>(quarter);
  double r = __builtin_fma(n, -1.57079632679489656, x);
  r = __builtin_fma(n, -6.123233995736766e-17, r);
  const double s = r * r;
  double p = -1. / 39916800;
  p = __builtin_fma(p, s, 1. / 362880);
  p = __builtin_fma(p, s, -1. / 5040);
  p = __builtin_fma(p, s, 1. / 120);
  p = __builtin_fma(p, s, -1. / 6);
  const double sine = __builtin_fma(p * s, r, r);
  double q = 1. / 479001600;
  q = __builtin_fma(q, s, -1. / 3628800);
  q = __builtin_fma(q, s, 1. / 40320);
  q = __builtin_fma(q, s, -1. / 720);
  q = __builtin_fma(q, s, 1. / 24);
  q = __builtin_fma(q, s, -0.5);
  const double cosine = __builtin_fma(q, s, 1.);
  const double a = quarter & 1 ? cosine : sine, b = quarter & 1 ? sine : cosine;
  return {quarter & 2 ? -a : a, (quarter + 1) & 2 ? -b : b};
}

// One head's pairs (i, i + half).
TRANSOM_INLINE void rotate_halves(In in, Out out, const float* cos, const float* sin, int64_t at, int64_t half, float sign) {
  each(0, half, [&](int64_t i, int64_t n) {
    const F c = load({cos, DType::kF32}, i, n), s = load({sin, DType::kF32}, i, n) * set1(sign);
    const F x = load(in, at + i, n), y = load(in, at + half + i, n);
    store(out, at + i, fnma(y, s, x * c), n);
    store(out, at + half + i, fma(x, s, y * c), n);
  });
}
// One head's pairs (2i, 2i + 1): the swapped neighbours times the sine with alternating sign.
TRANSOM_INLINE void rotate_pairs(In in, Out out, const float* cos, const float* sin, int64_t at, int64_t half, float sign) {
  each(0, 2 * half, [&](int64_t i, int64_t n) {
    float x[kLanes], y[kLanes];
    storeu(x, load(in, at + i, n));
    for (int64_t k = 0; k + 1 < n; k += 2) {
      const float c = cos[(i + k) / 2], s = sin[(i + k) / 2] * sign;
      y[k] = __builtin_fmaf(-x[k + 1], s, x[k] * c);
      y[k + 1] = __builtin_fmaf(x[k], s, x[k + 1] * c);
    }
    store(out, at + i, loadu(y), n);
  });
}

}  // namespace

void norm(const NormArgs& a, bool centred, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) norm_row(a, centred, t);
}

void rope_table(const RopeTableArgs& a, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    float* cos = static_cast<float*>(a.cos.data) + t * a.cos.stride;
    float* sin = static_cast<float*>(a.sin.data) + t * a.sin.stride;
    for (int64_t i = 0; i < a.cos.cols; ++i) {
      const float angle = static_cast<float>(a.positions[(a.axis ? a.axis[i] * a.cos.rows : 0) + t]) * a.inv_freq[i];
      const SinCos v = sincos(angle);
      cos[i] = static_cast<float>(v.cos * a.scale);
      sin[i] = static_cast<float>(v.sin * a.scale);
    }
  }
}

void rope(const RopeArgs& a, int64_t begin, int64_t end) {
  const int64_t head_dim = a.x.cols / a.heads, half = a.cos.cols;
  const float sign = a.inverse ? -1.f : 1.f;
  for (int64_t t = begin; t < end; ++t) {
    const In in = in_row(a.x, t);
    const Out out = out_row(a.x, t);
    const float* cos = static_cast<const float*>(in_row(a.cos, t).p);
    const float* sin = static_cast<const float*>(in_row(a.sin, t).p);
    for (int64_t h = 0; h < a.heads; ++h)
      a.interleaved ? rotate_pairs(in, out, cos, sin, h * head_dim + a.first, half, sign)
                    : rotate_halves(in, out, cos, sin, h * head_dim + a.first, half, sign);
  }
}

void act_mul(const ActMulArgs& a, int64_t row, int64_t begin, int64_t end) {
  switch (a.act) {
    case Activation::kSilu: return act_mul_row<Activation::kSilu>(a, row, begin, end);
    case Activation::kGelu: return act_mul_row<Activation::kGelu>(a, row, begin, end);
    case Activation::kGeluTanh: return act_mul_row<Activation::kGeluTanh>(a, row, begin, end);
    case Activation::kRelu: return act_mul_row<Activation::kRelu>(a, row, begin, end);
    case Activation::kTanh: return act_mul_row<Activation::kTanh>(a, row, begin, end);
    case Activation::kSigmoid: return act_mul_row<Activation::kSigmoid>(a, row, begin, end);
    case Activation::kQuickGelu: return act_mul_row<Activation::kQuickGelu>(a, row, begin, end);
    case Activation::kIdentity: return act_mul_row<Activation::kIdentity>(a, row, begin, end);
    case Activation::kRelu2: return act_mul_row<Activation::kRelu2>(a, row, begin, end);
  }
}

void axpby(const AxpbyArgs& a, int64_t row, int64_t begin, int64_t end) {
  const In x = in_row(a.x, row), y = in_row(a.y, row);
  const Out out = out_row(a.y, row);
  const F fa = set1(a.a), fb = set1(a.b);
  if (a.b == 0.f)
    each(begin, end, [&](int64_t c, int64_t n) { store(out, c, fa * load(x, c, n), n); });
  else
    each(begin, end, [&](int64_t c, int64_t n) { store(out, c, fma(fb, load(y, c, n), fa * load(x, c, n)), n); });
}

void softcap(const SoftcapArgs& a, int64_t row, int64_t begin, int64_t end) {
  const In x = in_row(a.x, row);
  const Out y = out_row(a.y, row);
  const F cap = set1(a.cap);
  each(begin, end, [&](int64_t c, int64_t n) { store(y, c, cap * tanh(load(x, c, n) / cap), n); });
}

void clamp(const ClampArgs& a, int64_t row, int64_t begin, int64_t end) {
  const In x = in_row(a.x, row);
  const Out y = out_row(a.y, row);
  const F most = set1(a.limit), least = set1(-a.limit);
  each(begin, end, [&](int64_t c, int64_t n) { store(y, c, max(least, min(most, load(x, c, n))), n); });
}

void convert(DType to, void* dst, DType from, const void* src, int64_t n, float scale) {
  if (to == from && scale == 1.f) {
    memcpy(dst, src, static_cast<size_t>(n) * (to == DType::kF32 ? 4 : 2));
    return;
  }
  each(0, n, [&](int64_t c, int64_t k) { store({dst, to}, c, load({src, from}, c, k) * set1(scale), k); });
}

}  // namespace transom::cpu::TRANSOM_ISA
