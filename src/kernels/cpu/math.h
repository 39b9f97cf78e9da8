// Vector exp, tanh, erfc-based Φ and sigmoid, each within a relative error of about 2e-7 (tests/kernels measures it).
#pragma once

#include "kernels/cpu/vec.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

// exp(r) - 1 for |r| <= ln2 / 2: Taylor's polynomial of degree 8.
TRANSOM_INLINE F expm1_reduced(F r) {
  F p = set1(1.f / 40320);
  p = fma(p, r, set1(1.f / 5040));
  p = fma(p, r, set1(1.f / 720));
  p = fma(p, r, set1(1.f / 120));
  p = fma(p, r, set1(1.f / 24));
  p = fma(p, r, set1(1.f / 6));
  p = fma(p, r, set1(0.5f));
  return fma(p * r, r, r);
}

struct Reduced {
  F n, r;  // x = n ln2 + r, n integral
};
TRANSOM_INLINE Reduced reduce_ln2(F x) {
  const F n = round_even(x * set1(1.44269504f));
  return {n, fnma(n, set1(-2.12194440e-4f), fnma(n, set1(0.693359375f), x))};
}

TRANSOM_INLINE F exp(F x) {
  // Bounded, so that 2^n stays in range: below -104 the result is 0, above 89 infinity. NaN passes: max(a, x) yields x.
  const Reduced v = reduce_ln2(min(set1(89.f), max(set1(-104.f), x)));
  const F e = expm1_reduced(v.r) + set1(1.f);
  return scale2(e, v.n);
}

// 2^x for x <= 0 and for -inf, within 6e-8 relative and a rounding: 2^r for |r| <= 1/2 is a fit of least relative maximum (Lawson's iteration).
TRANSOM_INLINE F exp2_negative(F x) {
  const F y = max(set1(-160.f), x), n = round_even(y), r = y - n;  // NaN passes
  F p = set1(0.000153458110f);
  p = fma(p, r, set1(0.00133999309f));
  p = fma(p, r, set1(0.00961848907f));
  p = fma(p, r, set1(0.0555032864f));
  p = fma(p, r, set1(0.240226462f));
  p = fma(p, r, set1(0.693147182f));
  p = fma(p, r, set1(1.f));
  return scale2(p, n);
}

TRANSOM_INLINE F sigmoid(F x) { return set1(1.f) / (set1(1.f) + exp(zero() - x)); }

// tanh x = e / (e + 2) with e = exp(2x) - 1, accurate near 0 because e is never formed by cancellation there.
TRANSOM_INLINE F tanh(F x) {
  const F y = min(set1(20.f), max(set1(-20.f), x + x));
  const Reduced v = reduce_ln2(y);
  const F two_n = scale2(set1(1.f), v.n);
  const F e = fma(two_n, expm1_reduced(v.r), two_n - set1(1.f));
  return e / (e + set1(2.f));
}

// Φ(x) = erfc(-x / √2) / 2. For z >= 0, erfc(z) = exp(-z²) t P(t) with t = 1 / (1 + z / 2); P is a fit over z <= 10.5 with
// relative error 5e-8 (least maximum, Lawson's iteration). x² is kept in two parts: its rounding would cost 6e-8 x².
TRANSOM_INLINE F normal_cdf(F x) {
  const F a = min(set1(14.8f), abs(x)), t = set1(1.f) / fma(a, set1(0.353553391f), set1(1.f));
  F p = set1(-0.0591933191f);
  p = fma(p, t, set1(0.285182773f));
  p = fma(p, t, set1(-0.488460778f));
  p = fma(p, t, set1(0.27951249f));
  p = fma(p, t, set1(-0.02762337f));
  p = fma(p, t, set1(0.2031099f));
  p = fma(p, t, set1(0.242996619f));
  p = fma(p, t, set1(0.282390067f));
  p = fma(p, t, set1(0.282085575f));
  const F square = a * a, rest = fma(a, a, zero() - square), half = set1(0.5f);
  const F e = exp(zero() - square * half);
  const F tail = half * t * p * fnma(e * half, rest, e);
  return select_negative(x, tail, set1(1.f) - tail);
}

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
