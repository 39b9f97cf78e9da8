// Recurrences of the CPU tables; the equations are in kernels.h. Columns are independent of each other, so a task takes a few
// vectors of them through all rows of a sequence, with their state in the first-level cache: per row that costs as many
// multiply-adds as the form in chunks of matrix products would, and the order of summation is one, however a sequence is
// split into steps.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

TRANSOM_INLINE F load_f32(const float* p, int64_t n) { return n == kLanes ? loadu(p) : load_part(p, n); }
TRANSOM_INLINE void store_f32(float* p, F v, int64_t n) { n == kLanes ? storeu(p, v) : store_part(p, v, n); }

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), with log1p(z) = 2 artanh(z / (2 + z)) by its series: z / (2 + z) <= 1/3.
TRANSOM_INLINE F softplus(F x) {
  const F z = exp(zero() - abs(x)), s = z / (z + set1(2.f)), q = s * s;
  F p = set1(1.f / 17);
  p = fma(p, q, set1(1.f / 15));
  p = fma(p, q, set1(1.f / 13));
  p = fma(p, q, set1(1.f / 11));
  p = fma(p, q, set1(1.f / 9));
  p = fma(p, q, set1(1.f / 7));
  p = fma(p, q, set1(1.f / 5));
  p = fma(p, q, set1(1.f / 3));
  p = fma(p, q, set1(1.f));
  return fma(s + s, p, max(x, zero()));
}

// A sequence's rows, and its state: null when nothing is kept.
struct Span {
  int64_t begin, end;
  float* kept;
  bool fresh;
};
TRANSOM_INLINE Span span_of(const RecurrentTable& seqs, const View& state, int32_t s) {
  float* kept = seqs.slots ? static_cast<float*>(state.data) + seqs.slots[s] * state.stride : nullptr;
  return {seqs.q_start[s], seqs.q_start[s + 1], kept, !kept || seqs.before[s] == 0};
}

TRANSOM_INLINE float element(In in, int64_t i) {
  if (in.type == DType::kF32) return static_cast<const float*>(in.p)[i];
  const uint16_t* p = static_cast<const uint16_t*>(in.p) + i;
  return in.type == DType::kBF16 ? bf16_scalar(p) : f16_scalar(p);
}
// Elements [begin, begin + count) of a row as floats.
void widen(In in, int64_t begin, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kLanes) {
    const int64_t n = smaller(count - i, kLanes);
    store_f32(out + i, load(in, begin + i, n), n);
  }
}

// S = decay S + k uᵀ and y = Sᵀ q for two vectors of columns, after u = factor (v - decay Sᵀk) by the delta rule.
struct Step {
  const float *q, *k;
  int64_t dk;
  F decay, factor;
  bool delta;
};
TRANSOM_INLINE void step(const Step& a, float* state, F (&v)[2], F (&y)[2]) {
  constexpr int64_t kUnroll = 4, kRow = 2 * kLanes;  // sums of every fourth row: enough chains of additions to fill the units
  F u[2] = {v[0] * a.factor, v[1] * a.factor};
  if (a.delta) {
    F known[kUnroll][2];
    for (auto& k : known) k[0] = k[1] = zero();
    int64_t i = 0;
    for (; i + kUnroll <= a.dk; i += kUnroll)
      for (int64_t r = 0; r < kUnroll; ++r)
        for (int64_t j = 0; j < 2; ++j) known[r][j] = fma(set1(a.k[i + r]), loadu(state + (i + r) * kRow + j * kLanes), known[r][j]);
    for (; i < a.dk; ++i)
      for (int64_t j = 0; j < 2; ++j) known[0][j] = fma(set1(a.k[i]), loadu(state + i * kRow + j * kLanes), known[0][j]);
    for (int64_t j = 0; j < 2; ++j)
      u[j] = a.factor * fnma(a.decay, (known[0][j] + known[1][j]) + (known[2][j] + known[3][j]), v[j]);
  }
  F sum[kUnroll][2];
  for (auto& s : sum) s[0] = s[1] = zero();
  const auto row = [&](int64_t i, int64_t r) {
    const F k = set1(a.k[i]), q = set1(a.q[i]);
    for (int64_t j = 0; j < 2; ++j) {
      float* at = state + i * kRow + j * kLanes;
      const F cell = fma(k, u[j], a.decay * loadu(at));
      storeu(at, cell);
      sum[r][j] = fma(q, cell, sum[r][j]);
    }
  };
  int64_t i = 0;
  for (; i + kUnroll <= a.dk; i += kUnroll)
    for (int64_t r = 0; r < kUnroll; ++r) row(i + r, r);
  for (; i < a.dk; ++i) row(i, 0);
  for (int64_t j = 0; j < 2; ++j) y[j] = (sum[0][j] + sum[1][j]) + (sum[2][j] + sum[3][j]);
}

}  // namespace

void causal_conv(const CausalConvArgs& a, int32_t s, int64_t begin, int64_t end, float* scratch) {
  const Span rows = span_of(a.seqs, a.state, s);
  const int64_t columns = a.x.cols, past = a.width - 1;
  for (int64_t c = begin; c < end; c += kLanes) {
    const int64_t n = smaller(end - c, kLanes);
    float *weight = scratch, *tail = scratch + a.width * kLanes;
    for (int64_t j = 0; j < a.width; ++j)
      for (int64_t i = 0; i < kLanes; ++i) weight[j * kLanes + i] = i < n ? a.weight[(c + i) * a.width + j] : 0.f;
    for (int64_t j = 0; j < past; ++j)
      storeu(tail + j * kLanes, rows.fresh ? zero() : load_f32(rows.kept + j * columns + c, n));
    const F bias = a.bias ? load_f32(a.bias + c, n) : zero();
    int64_t oldest = 0;  // tail is a ring
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      const F x = load(in_row(a.x, t), c, n);
      F sum = bias;
      for (int64_t j = 0, at = oldest; j < past; ++j, at = at + 1 == past ? 0 : at + 1)
        sum = fma(loadu(weight + j * kLanes), loadu(tail + at * kLanes), sum);
      store(out_row(a.y, t), c, fma(loadu(weight + past * kLanes), x, sum), n);
      if (past == 0) continue;
      storeu(tail + oldest * kLanes, x);
      oldest = oldest + 1 == past ? 0 : oldest + 1;
    }
    for (int64_t j = 0; rows.kept && j < past; ++j)
      store_f32(rows.kept + j * columns + c, loadu(tail + (oldest + j) % past * kLanes), n);
  }
}

void time_step(const TimeStepArgs& a, int64_t row, int64_t begin, int64_t end) {
  for (int64_t c = begin; c < end; c += kLanes) {
    const int64_t n = smaller(end - c, kLanes);
    const F wanted = softplus(load(in_row(a.x, row), c, n) + load_f32(a.bias + c, n));
    const F dt = min(set1(a.most), max(set1(a.least), wanted));
    if (a.dt.data) store(out_row(a.dt, row), c, dt, n);
    store(out_row(a.log_decay, row), c, zero() - exp(load_f32(a.a_log + c, n)) * dt, n);
  }
}

int64_t recurrence_columns() { return 2 * kLanes; }

void linear_recurrence(const LinearRecurrenceArgs& a, int32_t s, int64_t h, int64_t first, float* scratch) {
  constexpr int64_t kRow = 2 * kLanes;
  const Span rows = span_of(a.seqs, a.state, s);
  const int64_t dk = a.q.cols / a.key_heads, dv = a.v.cols / a.heads, kh = h / (a.heads / a.key_heads);
  const int64_t n[2] = {smaller(dv - first, kLanes), larger(smaller(dv - first - kLanes, kLanes), 0)};
  float *state = scratch, *q = scratch + dk * kRow, *k = q + dk;
  float* kept = rows.kept ? rows.kept + h * dk * dv + first : nullptr;
  for (int64_t i = 0; i < dk; ++i)
    for (int64_t j = 0; j < 2; ++j)
      storeu(state + i * kRow + j * kLanes, rows.fresh || n[j] == 0 ? zero() : load_f32(kept + i * dv + j * kLanes, n[j]));
  const float skip = a.skip ? a.skip[h] : 0.f;
  for (int64_t t = rows.begin; t < rows.end; ++t) {
    widen(in_row(a.q, t), kh * dk, dk, q);
    widen(in_row(a.k, t), kh * dk, dk, k);
    const F decay = exp(set1(element(in_row(a.log_decay, t), h))), factor = set1(element(in_row(a.factor, t), h));
    F v[2], y[2];
    for (int64_t j = 0; j < 2; ++j) v[j] = n[j] > 0 ? load(in_row(a.v, t), h * dv + first + j * kLanes, n[j]) : zero();
    step({q, k, dk, decay, factor, a.delta}, state, v, y);
    for (int64_t j = 0; j < 2; ++j)
      if (n[j] > 0) store(out_row(a.y, t), h * dv + first + j * kLanes, fma(set1(a.scale), y[j], v[j] * set1(skip)), n[j]);
  }
  for (int64_t i = 0; kept && i < dk; ++i)
    for (int64_t j = 0; j < 2; ++j)
      if (n[j] > 0) store_f32(kept + i * dv + j * kLanes, loadu(state + i * kRow + j * kLanes), n[j]);
}

void selective_scan(const SelectiveScanArgs& a, int32_t s, int64_t begin, int64_t end, float* scratch) {
  const Span rows = span_of(a.seqs, a.state, s);
  const int64_t columns = a.x.cols, size = a.b.cols;
  float *rate = scratch, *state = rate + size * kLanes, *b = state + size * kLanes, *out = b + size;
  for (int64_t col = begin; col < end; col += kLanes) {
    const int64_t n = smaller(end - col, kLanes);
    for (int64_t i = 0; i < size; ++i) {
      float a_log[kLanes] = {};
      for (int64_t l = 0; l < n; ++l) a_log[l] = a.a_log[(col + l) * size + i];
      storeu(rate + i * kLanes, zero() - exp(loadu(a_log)));
      storeu(state + i * kLanes, rows.fresh ? zero() : load_f32(rows.kept + i * columns + col, n));
    }
    const F skip = load_f32(a.skip + col, n);
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      widen(in_row(a.b, t), 0, size, b);
      widen(in_row(a.c, t), 0, size, out);
      const F x = load(in_row(a.x, t), col, n), d = softplus(load(in_row(a.dt, t), col, n)), dx = d * x;
      F y = skip * x;
      for (int64_t i = 0; i < size; ++i) {
        const F h = fma(set1(b[i]), dx, exp(loadu(rate + i * kLanes) * d) * loadu(state + i * kLanes));
        storeu(state + i * kLanes, h);
        y = fma(set1(out[i]), h, y);
      }
      store(out_row(a.y, t), col, y, n);
    }
    for (int64_t i = 0; rows.kept && i < size; ++i) store_f32(rows.kept + i * columns + col, loadu(state + i * kLanes), n);
  }
}

void wkv(const WkvArgs& a, int32_t s, int64_t begin, int64_t end) {
  const Span rows = span_of(a.seqs, a.state, s);
  const int64_t columns = a.k.cols;
  for (int64_t c = begin; c < end; c += kLanes) {
    const int64_t n = smaller(end - c, kLanes);
    const F fade = exp(load_f32(a.decay + c, n)), first = load_f32(a.first + c, n);
    F num = zero(), den = zero(), top = set1(-1e30f);  // far below any key, and finite, so that differences are numbers
    if (!rows.fresh) {
      num = load_f32(rows.kept + c, n);
      den = load_f32(rows.kept + columns + c, n);
      top = load_f32(rows.kept + 2 * columns + c, n);
    }
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      const F k = load(in_row(a.k, t), c, n), v = load(in_row(a.v, t), c, n), bonus = first + k, faded = top - fade;
      const F m = max(top, bonus), past = exp(top - m), now = exp(bonus - m);
      store(out_row(a.y, t), c, fma(past, num, now * v) / fma(past, den, now), n);
      const F next = max(faded, k), kept = exp(faded - next), added = exp(k - next);
      num = fma(kept, num, added * v);
      den = fma(kept, den, added);
      top = next;
    }
    if (!rows.kept) continue;
    store_f32(rows.kept + c, num, n);
    store_f32(rows.kept + columns + c, den, n);
    store_f32(rows.kept + 2 * columns + c, top, n);
  }
}

}  // namespace transom::cpu::TRANSOM_ISA
