// The end of every linear kernel: y[t, n .. n + count) = alpha * sums + bias + beta * y.
#pragma once

#include "kernels/cpu/vec.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

TRANSOM_INLINE void finish_row(const LinearOut& o, int64_t t, int64_t n, int64_t count, const float* sums) {
  const In old = in_row(o.y, t);
  const Out out = out_row(o.y, t);
  for (int64_t c = 0; c < count; c += kLanes) {
    const int64_t k = smaller(kLanes, count - c);
    F v = (k == kLanes ? loadu(sums + c) : load_part(sums + c, k)) * set1(o.alpha);
    if (o.bias) v = v + load({o.bias, DType::kF32}, n + c, k);
    if (o.beta != 0.f) v = fma(set1(o.beta), load(old, n + c, k), v);
    store(out, n + c, v, k);
  }
}

// Calls f(t, integral constant of how many rows) over [t0, t1) in groups of at most four activation rows.
template <int N>
struct Count {
  static constexpr int value = N;
};
template <class Call>
TRANSOM_INLINE void by_fours(int64_t t0, int64_t t1, Call&& f) {
  int64_t t = t0;
  for (; t + 4 <= t1; t += 4) f(t, Count<4>());
  if (t1 - t == 3) f(t, Count<3>());
  if (t1 - t == 2) f(t, Count<2>());
  if (t1 - t == 1) f(t, Count<1>());
}

constexpr int64_t kOutRows = 64;  // weight rows whose sums are collected before they are written

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
