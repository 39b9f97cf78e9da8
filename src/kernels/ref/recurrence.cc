// Reference recurrences; the equations are in kernels.h. The state is rounded to float after every token, as it would be
// between two steps: so a sequence gives the same bits however it is split.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ref/row.h"

namespace transom::ref {
namespace {

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

// The numbers [begin, begin + size) of a sequence's state; on the way out they are kept, if there is a slot.
class Slot {
 public:
  Slot(const RecurrentTable& seqs, const View& state, int32_t s, int64_t begin, int64_t size)
      : values_(size, 0.f), kept_(seqs.slots ? state.row<float>(seqs.slots[s]) + begin : nullptr) {
    if (kept_ && seqs.before[s] > 0) std::copy(kept_, kept_ + size, values_.begin());
  }
  ~Slot() {
    if (kept_) std::copy(values_.begin(), values_.end(), kept_);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  float& operator[](int64_t i) { return values_[i]; }

 private:
  std::vector<float> values_;
  float* kept_;
};

void convolve(const CausalConvArgs& a, int32_t s) {
  const int64_t columns = a.x.cols, past = a.width - 1;
  Slot tail(a.seqs, a.state, s, 0, past * columns);
  for (int64_t t = a.seqs.q_start[s]; t < a.seqs.q_start[s + 1]; ++t)
    for (int64_t c = 0; c < columns; ++c) {
      const double x = load(a.x, t, c);
      double sum = a.bias ? a.bias[c] : 0;
      for (int64_t j = 0; j < past; ++j) sum += double{a.weight[c * a.width + j]} * tail[j * columns + c];
      store(a.y, t, c, sum + a.weight[c * a.width + past] * x);
      for (int64_t j = 0; j + 1 < past; ++j) tail[j * columns + c] = tail[(j + 1) * columns + c];
      if (past > 0) tail[(past - 1) * columns + c] = static_cast<float>(x);
    }
}

void recur(const LinearRecurrenceArgs& a, int32_t s, int64_t h) {
  const int64_t dk = a.q.cols / a.key_heads, dv = a.v.cols / a.heads, kh = h / (a.heads / a.key_heads);
  Slot state(a.seqs, a.state, s, h * dk * dv, dk * dv);
  for (int64_t t = a.seqs.q_start[s]; t < a.seqs.q_start[s + 1]; ++t) {
    const double decay = std::exp(load(a.log_decay, t, h));
    for (int64_t j = 0; j < dv; ++j) {
      const double v = load(a.v, t, h * dv + j);
      double known = 0, y = 0;
      for (int64_t i = 0; a.delta && i < dk; ++i) known += load(a.k, t, kh * dk + i) * decay * state[i * dv + j];
      const double u = load(a.factor, t, h) * (v - known);
      for (int64_t i = 0; i < dk; ++i) {
        float& cell = state[i * dv + j];
        cell = static_cast<float>(decay * cell + load(a.k, t, kh * dk + i) * u);
        y += load(a.q, t, kh * dk + i) * cell;
      }
      store(a.y, t, h * dv + j, a.scale * y + (a.skip ? a.skip[h] * v : 0.0));
    }
  }
}

void scan(const SelectiveScanArgs& a, int32_t s) {
  const int64_t columns = a.x.cols, n = a.b.cols;
  Slot state(a.seqs, a.state, s, 0, columns * n);
  for (int64_t t = a.seqs.q_start[s]; t < a.seqs.q_start[s + 1]; ++t)
    for (int64_t c = 0; c < columns; ++c) {
      const double d = softplus(load(a.dt, t, c)), x = load(a.x, t, c);
      double y = a.skip[c] * x;
      for (int64_t i = 0; i < n; ++i) {
        float& h = state[i * columns + c];
        h = static_cast<float>(std::exp(-std::exp(double{a.a_log[c * n + i]}) * d) * h + d * load(a.b, t, i) * x);
        y += load(a.c, t, i) * h;
      }
      store(a.y, t, c, y);
    }
}

void average(const WkvArgs& a, int32_t s) {
  const int64_t columns = a.k.cols;
  Slot state(a.seqs, a.state, s, 0, 3 * columns);
  for (int64_t t = a.seqs.q_start[s]; t < a.seqs.q_start[s + 1]; ++t)
    for (int64_t c = 0; c < columns; ++c) {
      float &num = state[c], &den = state[columns + c], &top = state[2 * columns + c];
      const double k = load(a.k, t, c), v = load(a.v, t, c), bonus = a.first[c] + k, faded = top - std::exp(double{a.decay[c]});
      if (den == 0.f) {  // no token yet: top means nothing
        store(a.y, t, c, v);
        num = static_cast<float>(v), den = 1.f, top = static_cast<float>(k);
        continue;
      }
      const double m = std::max(double{top}, bonus), past = std::exp(top - m), now = std::exp(bonus - m);
      store(a.y, t, c, (past * num + now * v) / (past * den + now));
      const double next = std::max(faded, k), kept = std::exp(faded - next), added = std::exp(k - next);
      num = static_cast<float>(kept * num + added * v);
      den = static_cast<float>(kept * den + added);
      top = static_cast<float>(next);
    }
}

}  // namespace

void causal_conv(const CausalConvArgs& a, Stream& s) {
  parallel(s, a.seqs.count, [&](int64_t i) { convolve(a, static_cast<int32_t>(i)); });
}

void time_step(const TimeStepArgs& a, Stream& s) {
  parallel(s, a.x.rows, [&](int64_t t) {
    for (int64_t h = 0; h < a.x.cols; ++h) {
      const double dt = std::clamp(softplus(load(a.x, t, h) + a.bias[h]), double{a.least}, double{a.most});
      if (a.dt) store(a.dt, t, h, dt);
      store(a.log_decay, t, h, -std::exp(double{a.a_log[h]}) * dt);
    }
  });
}

void linear_recurrence(const LinearRecurrenceArgs& a, Stream& s) {
  parallel(s, a.seqs.count * a.heads, [&](int64_t i) { recur(a, static_cast<int32_t>(i / a.heads), i % a.heads); });
}

void selective_scan(const SelectiveScanArgs& a, Stream& s) {
  parallel(s, a.seqs.count, [&](int64_t i) { scan(a, static_cast<int32_t>(i)); });
}

void wkv(const WkvArgs& a, Stream& s) {
  parallel(s, a.seqs.count, [&](int64_t i) { average(a, static_cast<int32_t>(i)); });
}

}  // namespace transom::ref
