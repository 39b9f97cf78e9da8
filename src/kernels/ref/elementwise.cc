// Reference element-wise rows: activations, sums, softcap, gathers, and their backward.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/ref/row.h"

namespace transom::ref {
namespace {

constexpr double kSqrt2OverPi = 0.7978845608028654, kGeluCubic = 0.044715;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double activate(Activation act, double x) {
  switch (act) {
    case Activation::kSilu: return x * sigmoid(x);
    case Activation::kGelu: return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
    case Activation::kGeluTanh: return 0.5 * x * (1 + std::tanh(kSqrt2OverPi * (x + kGeluCubic * x * x * x)));
    case Activation::kRelu: return x > 0 ? x : 0;
    case Activation::kTanh: return std::tanh(x);
    case Activation::kSigmoid: return sigmoid(x);
    case Activation::kQuickGelu: return x * sigmoid(1.702 * x);
    case Activation::kIdentity: return x;
    case Activation::kRelu2: return x > 0 ? x * x : 0;
  }
  return x;
}

double derivative(Activation act, double x) {
  switch (act) {
    case Activation::kSilu: return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case Activation::kGelu:
      return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    case Activation::kGeluTanh: {
      const double th = std::tanh(kSqrt2OverPi * (x + kGeluCubic * x * x * x));
      return 0.5 * (1 + th) + 0.5 * x * (1 - th * th) * kSqrt2OverPi * (1 + 3 * kGeluCubic * x * x);
    }
    case Activation::kRelu: return x > 0 ? 1 : 0;
    case Activation::kTanh: return 1 - std::tanh(x) * std::tanh(x);
    case Activation::kSigmoid: return sigmoid(x) * (1 - sigmoid(x));
    case Activation::kQuickGelu: return sigmoid(1.702 * x) * (1 + 1.702 * x * (1 - sigmoid(1.702 * x)));
    case Activation::kIdentity: return 1;
    case Activation::kRelu2: return x > 0 ? 2 * x : 0;
  }
  return 1;
}

// The two factors' arguments after the clamp, and whether each still follows its input.
struct Gated {
  double gate, up;
  bool gate_moves = true, up_moves = true;

  Gated(const ConstView& g, const ConstView& u, const GateClamp& clamp, int64_t t, int64_t c) : gate(load(g, t, c)), up(1) {
    if (!u) return;
    up = load(u, t, c);
    if (clamp.limit > 0) {
      gate_moves = gate <= clamp.limit;
      up_moves = std::abs(up) <= clamp.limit;
      gate = std::min(gate, double{clamp.limit});
      up = std::clamp(up, -double{clamp.limit}, double{clamp.limit});
    }
    up += clamp.up_offset;
  }
};

// A row's mean and standard deviation.
struct Spread {
  double mean = 0, deviation = 0;

  Spread(const ConstView& x, int64_t t) {
    const auto n = static_cast<double>(x.cols);
    for (int64_t c = 0; c < x.cols; ++c) mean += load(x, t, c) / n;
    double variance = 0;
    for (int64_t c = 0; c < x.cols; ++c) variance += (load(x, t, c) - mean) * (load(x, t, c) - mean) / n;
    deviation = std::sqrt(variance);
  }
};

double mean_square(const ConstView& x, int64_t t) {
  double sum = 0;
  for (int64_t c = 0; c < x.cols; ++c) sum += load(x, t, c) * load(x, t, c);
  return sum / static_cast<double>(x.cols);
}

}  // namespace

void act_mul(const ActMulArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.y.cols; ++c) {
      const Gated v(a.gate, a.up, a.clamp, t, c);
      store(a.y, t, c, activate(a.act, v.gate) * v.up);
    }
  });
}

void act_mul_grad(const ActMulGradArgs& a, Stream& s) {
  parallel(s, a.dy.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.dy.cols; ++c) {
      const Gated v(a.gate, a.up, a.clamp, t, c);
      const double dy = load(a.dy, t, c);
      if (v.gate_moves) accumulate(a.dgate_acc, t, c, dy * v.up * derivative(a.act, v.gate));
      if (a.dup_acc && v.up_moves) accumulate(a.dup_acc, t, c, dy * activate(a.act, v.gate));
    }
  });
}

void axpby(const AxpbyArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.y.cols; ++c)
      store(a.y, t, c, a.a * load(a.x, t, c) + (a.b != 0.f ? a.b * load(a.y, t, c) : 0.0));
  });
}

void softcap(const SoftcapArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.y.cols; ++c) store(a.y, t, c, a.cap * std::tanh(load(a.x, t, c) / a.cap));
  });
}

void softcap_grad(const SoftcapGradArgs& a, Stream& s) {
  parallel(s, a.dy.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.dy.cols; ++c) {
      const double r = load(a.y, t, c) / a.cap;
      accumulate(a.dx_acc, t, c, load(a.dy, t, c) * (1 - r * r));
    }
  });
}

void clamp(const ClampArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.y.cols; ++c) store(a.y, t, c, std::clamp(load(a.x, t, c), -double{a.limit}, double{a.limit}));
  });
}

void clamp_grad(const ClampGradArgs& a, Stream& s) {
  parallel(s, a.dy.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.dy.cols; ++c)
      if (std::abs(load(a.x, t, c)) <= a.limit) accumulate(a.dx_acc, t, c, load(a.dy, t, c));
  });
}

void row_cutoff(const RowCutoffArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    const Spread row(a.x, t);
    const double cutoff = row.mean + a.deviations * row.deviation;
    for (int64_t c = 0; c < a.y.cols; ++c) store(a.y, t, c, std::max(0.0, load(a.x, t, c) - cutoff));
  });
}

// What passes has the slope 1, and moves the cutoff by 1/n + deviations * (x - mean) / (n * deviation).
void row_cutoff_grad(const RowCutoffGradArgs& g, Stream& s) {
  const RowCutoffArgs& a = g.forward;
  parallel(s, g.dy.rows, [&](int64_t t) {
    const auto n = static_cast<double>(a.x.cols);
    const Spread row(a.x, t);
    const double cutoff = row.mean + a.deviations * row.deviation;
    const auto passed = [&](int64_t c) { return load(a.x, t, c) > cutoff ? load(g.dy, t, c) : 0; };
    double sum = 0;
    for (int64_t c = 0; c < a.x.cols; ++c) sum += passed(c);
    const double slope = row.deviation > 0 ? a.deviations / row.deviation : 0;
    for (int64_t c = 0; c < a.x.cols; ++c) accumulate(g.dx_acc, t, c, passed(c) - sum / n * (1 + slope * (load(a.x, t, c) - row.mean)));
  });
}

void scale_columns(const ScaleColumnsArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.y.cols; ++c) store(a.y, t, c, load(a.x, t, c) * a.factors[a.whole ? 0 : c]);
  });
}

void scale_columns_grad(const ScaleColumnsGradArgs& g, Stream&) {  // one thread: all rows add to the factors
  const ScaleColumnsArgs& a = g.forward;
  for (int64_t t = 0; t < g.dy.rows; ++t)
    for (int64_t c = 0; c < g.dy.cols; ++c) {
      const int64_t i = a.whole ? 0 : c;
      if (g.dx_acc) accumulate(g.dx_acc, t, c, load(g.dy, t, c) * a.factors[i]);
      if (g.dfactors_acc) g.dfactors_acc[i] += static_cast<float>(load(g.dy, t, c) * load(a.x, t, c));
    }
}

void match_rms(const MatchRmsArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    const double factor = std::sqrt(mean_square(a.like, t) / std::max(mean_square(a.x, t), double{a.eps}));
    for (int64_t c = 0; c < a.y.cols; ++c) store(a.y, t, c, load(a.x, t, c) * factor);
  });
}

// y = f x with f = sqrt(mean(like²) / mean(x²)): what f does to y goes on to both rows.
void match_rms_grad(const MatchRmsGradArgs& g, Stream& s) {
  const MatchRmsArgs& a = g.forward;
  parallel(s, g.dy.rows, [&](int64_t t) {
    const auto n = static_cast<double>(a.x.cols);
    const double own = mean_square(a.x, t), wanted = mean_square(a.like, t), factor = std::sqrt(wanted / std::max(own, double{a.eps}));
    double of_factor = 0;
    for (int64_t c = 0; c < a.x.cols; ++c) of_factor += load(g.dy, t, c) * load(a.x, t, c);
    of_factor *= factor / n;
    for (int64_t c = 0; c < a.x.cols; ++c) {
      if (g.dx_acc) accumulate(g.dx_acc, t, c, factor * load(g.dy, t, c) - (own > a.eps ? of_factor / own * load(a.x, t, c) : 0));
      if (g.dlike_acc && wanted > 0) accumulate(g.dlike_acc, t, c, of_factor / wanted * load(a.like, t, c));
    }
  });
}

void position_growth(const PositionGrowthArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    const double r = (static_cast<double>(a.positions[t]) + a.rule.offset) / a.rule.length;
    store(a.y, t, 0, 1 + a.rule.slope * std::log(a.rule.steps ? 1 + std::floor(r) : std::max(1.0, r)));
  });
}

void unfold_rows(const UnfoldRowsArgs& a, Stream& s) {
  for (int32_t q = 0; q < a.count; ++q) {
    const int64_t first = a.x_start[q], length = a.x_start[q + 1] - first;
    parallel(s, a.y_start[q + 1] - a.y_start[q], [&](int64_t i) {
      for (int64_t c = 0; c < a.x.cols; ++c)
        for (int64_t w = 0; w < a.width; ++w) {
          const int64_t at = i * a.stride + w - 1;
          store(a.y, a.y_start[q] + i, c * a.width + w, at >= 0 && at < length ? load(a.x, first + at, c) : 0);
        }
    });
  }
}

// A frame gathers from all that read it: row i of y did at its place w if i * stride + w - 1 is the frame's.
void unfold_rows_grad(const UnfoldRowsGradArgs& g, Stream& s) {
  const UnfoldRowsArgs& a = g.forward;
  for (int32_t q = 0; q < a.count; ++q) {
    const int64_t first = a.x_start[q], rows = a.y_start[q + 1] - a.y_start[q];
    parallel(s, a.x_start[q + 1] - first, [&](int64_t at) {
      for (int64_t w = 0; w < a.width; ++w) {
        const int64_t i = (at + 1 - w) / a.stride;
        if (i * a.stride != at + 1 - w || i < 0 || i >= rows) continue;
        for (int64_t c = 0; c < g.dx_acc.cols; ++c) accumulate(g.dx_acc, first + at, c, load(g.dy, a.y_start[q] + i, c * a.width + w));
      }
    });
  }
}

void gather_rows(const GatherRowsArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.y.cols; ++c) store(a.y, t, c, load(a.x, a.rows[t], c));
  });
}

void scatter_rows(const ScatterRowsArgs& a, Stream&) {  // one thread: several rows may add to one target
  for (int64_t t = 0; t < a.x.rows; ++t)
    for (int64_t c = 0; c < a.x.cols && a.rows[t] != a.skip; ++c) accumulate(a.y_acc, a.rows[t], c, a.scale * load(a.x, t, c));
}

void cross_entropy(const CrossEntropyArgs& a, Stream& s) {
  parallel(s, a.logits.rows, [&](int64_t t) {
    const int64_t V = a.logits.cols;
    const int32_t label = a.labels[t];
    double top = load(a.logits, t, 0), sum = 0;
    for (int64_t c = 0; c < V; ++c) top = std::max(top, load(a.logits, t, c));
    for (int64_t c = 0; c < V; ++c) sum += std::exp(load(a.logits, t, c) - top);
    a.loss[t] = label < 0 ? 0.f : static_cast<float>(top + std::log(sum) - load(a.logits, t, label));
    if (!a.dlogits) return;
    for (int64_t c = 0; c < V; ++c) {
      const double p = std::exp(load(a.logits, t, c) - top) / sum;
      store(a.dlogits, t, c, label < 0 ? 0.0 : a.scale * (p - (c == label ? 1.0 : 0.0)));
    }
  });
}

void adamw(const AdamWArgs& a, Stream&) {
  const double c1 = 1 - std::pow(double{a.beta1}, static_cast<double>(a.step));
  const double c2 = 1 - std::pow(double{a.beta2}, static_cast<double>(a.step));
  for (int64_t i = 0; i < a.size; ++i) {
    const double g = a.grad[i];
    const double m = a.beta1 * a.m[i] + (1.0 - a.beta1) * g, v = a.beta2 * a.v[i] + (1.0 - a.beta2) * g * g;
    const double p = a.param[i] * (1.0 - double{a.lr} * a.weight_decay);
    a.m[i] = static_cast<float>(m);
    a.v[i] = static_cast<float>(v);
    a.param[i] = static_cast<float>(p - a.lr * (m / c1) / (std::sqrt(v / c2) + a.eps));
  }
}

}  // namespace transom::ref
