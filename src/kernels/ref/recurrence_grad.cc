// Reference backward of the recurrences; see recurrence_grad.h. Columns of a state depend on each other neither forward nor back:
// each is run through a sequence by itself, its states kept, and back again. Threads take columns, heads or blocks of columns,
// so that no two add to one number; results do not depend on how many threads there are.
#include "kernels/recurrence_grad.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "kernels/ref/row.h"

namespace transom::ref {
namespace {

using Values = std::vector<double>;

// What tasks add to the same gradients they sum up by themselves first: at most so many at a time, which bounds the memory.
constexpr int64_t kTasks = 16;

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

void add(float* sum, int64_t i, double x) {
  if (sum) sum[i] += static_cast<float>(x);
}

// Rows of a sequence within the step.
struct Span {
  int64_t begin, end;
  int64_t size() const { return end - begin; }
};
Span rows_of(const RecurrentTable& seqs, int32_t s) { return {seqs.q_start[s], seqs.q_start[s + 1]}; }

Values load_block(const ConstView& v, Span rows, int64_t first, int64_t columns) {
  Values block(rows.size() * columns);
  for (int64_t t = 0; t < rows.size(); ++t)
    for (int64_t c = 0; c < columns; ++c) block[t * columns + c] = load(v, rows.begin + t, first + c);
  return block;
}

void add_block(Stream& s, const View& sum, Span rows, int64_t first, int64_t columns, const Values& block) {
  parallel(s, rows.size(), [&](int64_t t) {
    for (int64_t c = 0; c < columns; ++c) accumulate(sum, rows.begin + t, first + c, block[t * columns + c]);
  });
}

void convolve_back(const CausalConvGradArgs& g, int64_t c) {
  const CausalConvArgs& a = g.forward;
  Values dweight(a.width, 0.0);
  double dbias = 0;
  for (int32_t s = 0; s < a.seqs.count; ++s) {
    const Span rows = rows_of(a.seqs, s);
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      const double dy = load(g.dy, t, c);
      dbias += dy;
      for (int64_t j = 0; j < a.width; ++j) {
        const int64_t from = t - a.width + 1 + j;
        if (from < rows.begin) continue;
        dweight[j] += dy * load(a.x, from, c);
        accumulate(g.dx_acc, from, c, dy * a.weight[c * a.width + j]);
      }
    }
  }
  for (int64_t j = 0; j < a.width; ++j) add(g.dweight_acc, c * a.width + j, dweight[j]);
  add(g.dbias_acc, c, dbias);
}

void time_back(const TimeStepGradArgs& g, int64_t h) {
  const TimeStepArgs& a = g.forward;
  const double rate = std::exp(double{a.a_log[h]});
  double dbias = 0, da_log = 0;
  for (int64_t t = 0; t < a.x.rows; ++t) {
    const double x = load(a.x, t, h) + a.bias[h], wanted = softplus(x), dlog_decay = load(g.dlog_decay, t, h);
    da_log -= dlog_decay * rate * std::clamp(wanted, double{a.least}, double{a.most});
    if (wanted < a.least || wanted > a.most) continue;
    const double dx = ((g.ddt ? load(g.ddt, t, h) : 0.0) - dlog_decay * rate) * sigmoid(x);
    accumulate(g.dx_acc, t, h, dx);
    dbias += dx;
  }
  add(g.dbias_acc, h, dbias);
  add(g.da_log_acc, h, da_log);
}

// One value head over a sequence, and the gradients to which all its columns add.
struct Head {
  const LinearRecurrenceArgs& a;
  Span rows;
  int64_t dk, dv;
  Values q, k, decay, factor;
  Values dq, dkey, dlog_decay, dfactor;
  double dskip = 0;

  Head(const LinearRecurrenceArgs& args, Span r, int64_t h)
      : a(args), rows(r), dk(a.q.cols / a.key_heads), dv(a.v.cols / a.heads) {
    const int64_t first = h / (a.heads / a.key_heads) * dk;
    q = load_block(a.q, rows, first, dk);
    k = load_block(a.k, rows, first, dk);
    decay = load_block(a.log_decay, rows, h, 1);
    for (double& d : decay) d = std::exp(d);
    factor = load_block(a.factor, rows, h, 1);
    dq.assign(q.size(), 0.0), dkey = dq, dlog_decay.assign(decay.size(), 0.0), dfactor = dlog_decay;
  }
};

// What a column's rows left: the state before row t is states[t * dk ..], what the rule found missing in it, missing[t].
struct Column {
  Values states, missing;
};

Column forward(const Head& h, const Values& v) {
  Column c{Values((h.rows.size() + 1) * h.dk, 0.0), v};
  for (int64_t t = 0; t < h.rows.size(); ++t) {
    const double *k = &h.k[t * h.dk], *before = &c.states[t * h.dk];
    double* after = &c.states[(t + 1) * h.dk];
    for (int64_t i = 0; h.a.delta && i < h.dk; ++i) c.missing[t] -= k[i] * h.decay[t] * before[i];
    for (int64_t i = 0; i < h.dk; ++i) after[i] = h.decay[t] * before[i] + k[i] * h.factor[t] * c.missing[t];
  }
  return c;
}

// Takes dy, the gradient of the column's results, and gives that of its values.
Values backward(Head& h, const Column& c, const Values& dy) {
  Values dv(dy.size()), dstate(h.dk, 0.0);
  for (int64_t t = h.rows.size() - 1; t >= 0; --t) {
    const double *q = &h.q[t * h.dk], *k = &h.k[t * h.dk], *before = &c.states[t * h.dk], *after = before + h.dk;
    const double out = h.a.scale * dy[t], decay = h.decay[t], update = h.factor[t] * c.missing[t];
    double dupdate = 0, dlog_decay = 0;
    for (int64_t i = 0; i < h.dk; ++i) {
      dstate[i] += q[i] * out;
      h.dq[t * h.dk + i] += after[i] * out;
      dupdate += dstate[i] * k[i];
    }
    h.dfactor[t] += dupdate * c.missing[t];
    dv[t] = h.factor[t] * dupdate;
    const double dknown = h.a.delta ? -dv[t] : 0;
    for (int64_t i = 0; i < h.dk; ++i) {
      const double faded = decay * before[i];
      h.dkey[t * h.dk + i] += dstate[i] * update + dknown * faded;
      const double dfaded = dstate[i] + k[i] * dknown;
      dlog_decay += dfaded * faded;
      dstate[i] = decay * dfaded;
    }
    h.dlog_decay[t] += dlog_decay;
  }
  return dv;
}

// What one task has to add to the gradients of queries and keys, or of B and C: [rows, dk], [rows, N].
struct Shared {
  Values first, second;
};

Shared recur_back(const LinearRecurrenceGradArgs& g, Span rows, int64_t h) {
  Head head(g.forward, rows, h);
  const double skip = head.a.skip ? head.a.skip[h] : 0.0;
  for (int64_t j = h * head.dv; j < (h + 1) * head.dv; ++j) {
    const Values v = load_block(head.a.v, head.rows, j, 1), dy = load_block(g.dy, head.rows, j, 1);
    const Values dv = backward(head, forward(head, v), dy);
    for (int64_t t = 0; t < head.rows.size(); ++t) {
      accumulate(g.dv_acc, head.rows.begin + t, j, dv[t] + skip * dy[t]);
      head.dskip += v[t] * dy[t];
    }
  }
  for (int64_t t = 0; t < head.rows.size(); ++t) {
    accumulate(g.dlog_decay_acc, head.rows.begin + t, h, head.dlog_decay[t]);
    accumulate(g.dfactor_acc, head.rows.begin + t, h, head.dfactor[t]);
  }
  add(g.dskip_acc, h, head.dskip);
  return {std::move(head.dq), std::move(head.dkey)};
}

// What all columns of a selective scan over a sequence read.
struct Scanned {
  Span span;
  Values b, c;  // [rows, N]
};

void scan_back(const SelectiveScanGradArgs& g, const Scanned& all, int64_t c, Shared& sum) {
  const SelectiveScanArgs& a = g.forward;
  const int64_t n = a.b.cols, rows = all.span.size();
  const Values x = load_block(a.x, all.span, c, 1), dt = load_block(a.dt, all.span, c, 1), dy = load_block(g.dy, all.span, c, 1);
  Values rate(n), decay(rows * n), states((rows + 1) * n, 0.0), dstate(n, 0.0), drate(n, 0.0);
  for (int64_t i = 0; i < n; ++i) rate[i] = std::exp(double{a.a_log[c * n + i]});
  for (int64_t t = 0; t < rows; ++t) {
    const double d = softplus(dt[t]);
    for (int64_t at = t * n; at < (t + 1) * n; ++at) {
      decay[at] = std::exp(-rate[at - t * n] * d);
      states[at + n] = decay[at] * states[at] + d * all.b[at] * x[t];
    }
  }
  double dskip = 0;
  for (int64_t t = rows - 1; t >= 0; --t) {
    const double d = softplus(dt[t]);
    double dx = a.skip[c] * dy[t], dd = 0;
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = t * n + i;
      dstate[i] += all.c[at] * dy[t];
      sum.second[at] += states[at + n] * dy[t];
      sum.first[at] += dstate[i] * d * x[t];
      dx += dstate[i] * d * all.b[at];
      const double dlog_decay = dstate[i] * decay[at] * states[at];
      dd += dstate[i] * all.b[at] * x[t] - dlog_decay * rate[i];
      drate[i] -= dlog_decay * d;
      dstate[i] *= decay[at];
    }
    accumulate(g.dx_acc, all.span.begin + t, c, dx);
    accumulate(g.ddt_acc, all.span.begin + t, c, dd * sigmoid(dt[t]));
    dskip += x[t] * dy[t];
  }
  for (int64_t i = 0; i < n; ++i) add(g.da_log_acc, c * n + i, drate[i] * rate[i]);
  add(g.dskip_acc, c, dskip);
}

// num and den over e^top, before a row, and what comes of the row.
struct Average {
  double num = 0, den = 0, top = -std::numeric_limits<double>::infinity();
};
struct Step {
  double past, share, y;     // of the result: e^top over its sum, the row's own part, and itself
  double kept, added, next;  // of what is left of the average, of what the row adds, and the new top

  Step(const Average& s, double k, double v, double fade, double first) {
    const double bonus = first + k, m = std::max(s.top, bonus), faded = s.top - fade;
    const double before = std::exp(s.top - m), now = std::exp(bonus - m), sum = before * s.den + now;
    past = before / sum, share = now / sum, y = past * s.num + share * v;
    next = std::max(faded, k), kept = std::exp(faded - next), added = std::exp(k - next);
  }
};

void average_back(const WkvGradArgs& g, int64_t c) {
  const WkvArgs& a = g.forward;
  const double fade = std::exp(double{a.decay[c]}), first = a.first[c];
  double ddecay = 0, dfirst = 0;
  for (int32_t s = 0; s < a.seqs.count; ++s) {
    const Span rows = rows_of(a.seqs, s);
    std::vector<Average> averages(rows.size() + 1);
    for (int64_t t = 0; t < rows.size(); ++t) {
      const Average& now = averages[t];
      const double k = load(a.k, rows.begin + t, c), v = load(a.v, rows.begin + t, c);
      const Step step(now, k, v, fade, first);
      averages[t + 1] = {step.kept * now.num + step.added * v, step.kept * now.den + step.added, step.next};
    }
    double dnum = 0, dden = 0;
    for (int64_t t = rows.size() - 1; t >= 0; --t) {
      const Average& now = averages[t];
      const double k = load(a.k, rows.begin + t, c), v = load(a.v, rows.begin + t, c), dy = load(g.dy, rows.begin + t, c);
      const Step step(now, k, v, fade, first);
      const double dbonus = dy * step.share * (v - step.y);
      accumulate(g.dv_acc, rows.begin + t, c, dy * step.share + dnum * step.added);
      accumulate(g.dk_acc, rows.begin + t, c, dbonus + step.added * (dnum * v + dden));
      dfirst += dbonus;
      ddecay -= fade * step.kept * (dnum * now.num + dden * now.den);
      dnum = dy * step.past + step.kept * dnum;
      dden = -dy * step.past * step.y + step.kept * dden;
    }
  }
  add(g.ddecay_acc, c, ddecay);
  add(g.dfirst_acc, c, dfirst);
}

}  // namespace

void causal_conv_grad(const CausalConvGradArgs& g, Stream& s) {
  parallel(s, g.forward.x.cols, [&](int64_t c) { convolve_back(g, c); });
}

void time_step_grad(const TimeStepGradArgs& g, Stream& s) {
  parallel(s, g.forward.x.cols, [&](int64_t h) { time_back(g, h); });
}

void linear_recurrence_grad(const LinearRecurrenceGradArgs& g, Stream& stream) {
  const LinearRecurrenceArgs& a = g.forward;
  const int64_t dk = a.q.cols / a.key_heads, group = a.heads / a.key_heads;
  for (int32_t s = 0; s < a.seqs.count; ++s)
    for (int64_t first = 0; first < a.heads; first += kTasks) {
      const Span rows = rows_of(a.seqs, s);
      std::vector<Shared> sums(std::min(kTasks, a.heads - first));
      parallel(stream, static_cast<int64_t>(sums.size()), [&](int64_t i) { sums[i] = recur_back(g, rows, first + i); });
      for (size_t i = 0; i < sums.size(); ++i) {
        const int64_t column = (first + static_cast<int64_t>(i)) / group * dk;
        add_block(stream, g.dq_acc, rows, column, dk, sums[i].first);
        add_block(stream, g.dk_acc, rows, column, dk, sums[i].second);
      }
    }
}

void selective_scan_grad(const SelectiveScanGradArgs& g, Stream& stream) {
  const SelectiveScanArgs& a = g.forward;
  const int64_t n = a.b.cols, columns = a.x.cols, each = (columns + kTasks - 1) / kTasks;
  for (int32_t s = 0; s < a.seqs.count; ++s) {
    const Span rows = rows_of(a.seqs, s);
    const Scanned all{rows, load_block(a.b, rows, 0, n), load_block(a.c, rows, 0, n)};
    std::vector<Shared> sums(kTasks);
    parallel(stream, kTasks, [&](int64_t i) {
      sums[i] = {Values(rows.size() * n, 0.0), Values(rows.size() * n, 0.0)};
      for (int64_t c = i * each; c < std::min(columns, (i + 1) * each); ++c) scan_back(g, all, c, sums[i]);
    });
    for (const Shared& sum : sums) {
      add_block(stream, g.db_acc, rows, 0, n, sum.first);
      add_block(stream, g.dc_acc, rows, 0, n, sum.second);
    }
  }
}

void wkv_grad(const WkvGradArgs& g, Stream& s) {
  parallel(s, g.forward.k.cols, [&](int64_t c) { average_back(g, c); });
}

}  // namespace transom::ref
