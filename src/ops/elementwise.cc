// Activations, softcap, row gathers and the loss.
#include <vector>

#include "ops/require.h"

namespace transom::ops {

Tensor act_mul(Ctx& cx, const Tensor& gate, const Tensor& up, Activation act, const GateClamp& clamp) {
  Tensor y = cx.tape ? cx.arena.tensor(cx.dtype, gate.rows(), gate.cols()) : gate;
  cx.kernels.act_mul({.gate = gate.view, .up = up.view, .y = y.view, .act = act, .clamp = clamp}, cx.stream);
  if (cx.tape) {
    y.node = -1;
    cx.tape->track(y);
    cx.tape->record([gate, up, y, act, clamp](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      ActMulGradArgs g{.gate = gate.view, .up = up.view, .dy = cx.tape->grad(cx, y), .dgate_acc = cx.tape->grad(cx, gate),
                       .dup_acc = {}, .act = act, .clamp = clamp};
      if (up) g.dup_acc = cx.tape->grad(cx, up);
      require(cx, cx.kernels.act_mul_grad, "act_mul_grad")(g, cx.stream);
    });
  }
  return y;
}

Tensor softcap(Ctx& cx, const Tensor& x, float cap) {
  Tensor y = cx.tape ? cx.arena.tensor(x.dtype(), x.rows(), x.cols()) : x;
  cx.kernels.softcap({.x = x.view, .y = y.view, .cap = cap}, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([x, y, cap](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      require(cx, cx.kernels.softcap_grad, "softcap_grad")(
          {.y = y.view, .dy = cx.tape->grad(cx, y), .dx_acc = cx.tape->grad(cx, x), .cap = cap}, cx.stream);
    });
  }
  return y;
}

Tensor clamp(Ctx& cx, const Tensor& x, float limit) {
  Tensor y = cx.tape ? cx.arena.tensor(x.dtype(), x.rows(), x.cols()) : x;
  require(cx, cx.kernels.clamp, "clamp")({.x = x.view, .y = y.view, .limit = limit}, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([x, y, limit](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      require(cx, cx.kernels.clamp_grad, "clamp_grad")(
          {.x = x.view, .dy = cx.tape->grad(cx, y), .dx_acc = cx.tape->grad(cx, x), .limit = limit}, cx.stream);
    });
  }
  return y;
}

Tensor scale_columns(Ctx& cx, const Tensor& x, const Param& factors) {
  CHECK(factors.kind == ParamKind::kVector && (factors.cols == 1 || factors.cols == x.cols()));
  Tensor y = cx.arena.tensor(x.dtype(), x.rows(), x.cols());
  const ScaleColumnsArgs a{.x = x.view, .factors = reinterpret_cast<const float*>(factors.weight.view.data), .whole = factors.cols == 1,
                           .y = y.view};
  require(cx, cx.kernels.scale_columns, "scale_columns")(a, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([a, x, y, p = &factors](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      ScaleColumnsGradArgs g{.forward = a, .dy = cx.tape->grad(cx, y), .dx_acc = {}};
      if (x.node >= 0) g.dx_acc = cx.tape->grad(cx, x);
      if (cx.tape->trains(p)) g.dfactors_acc = cx.tape->param_grad(p, cx.kernels, cx.stream).row<float>(0);
      require(cx, cx.kernels.scale_columns_grad, "scale_columns_grad")(g, cx.stream);
    });
  }
  return y;
}

Tensor match_rms(Ctx& cx, const Tensor& x, const Tensor& like, float eps) {
  CHECK(x.rows() == like.rows() && x.cols() == like.cols());
  Tensor y = cx.arena.tensor(x.dtype(), x.rows(), x.cols());
  const MatchRmsArgs a{.x = x.view, .like = like.view, .y = y.view, .eps = eps};
  require(cx, cx.kernels.match_rms, "match_rms")(a, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([a, x, like, y](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      MatchRmsGradArgs g{.forward = a, .dy = cx.tape->grad(cx, y), .dx_acc = {}, .dlike_acc = {}};
      if (x.node >= 0) g.dx_acc = cx.tape->grad(cx, x);
      if (like.node >= 0) g.dlike_acc = cx.tape->grad(cx, like);
      require(cx, cx.kernels.match_rms_grad, "match_rms_grad")(g, cx.stream);
    });
  }
  return y;
}

Tensor row_cutoff(Ctx& cx, const Tensor& x, float deviations) {
  Tensor y = cx.tape ? cx.arena.tensor(x.dtype(), x.rows(), x.cols()) : x;
  const RowCutoffArgs a{.x = x.view, .y = y.view, .deviations = deviations};
  require(cx, cx.kernels.row_cutoff, "row_cutoff")(a, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([a, x, y](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      require(cx, cx.kernels.row_cutoff_grad, "row_cutoff_grad")(
          {.forward = a, .dy = cx.tape->grad(cx, y), .dx_acc = cx.tape->grad(cx, x)}, cx.stream);
    });
  }
  return y;
}

Tensor scale(Ctx& cx, const Tensor& x, float factor) {
  Tensor y = cx.tape ? cx.arena.tensor(x.dtype(), x.rows(), x.cols()) : x;
  cx.kernels.axpby({.x = x.view, .y = y.view, .a = factor}, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([x, y, factor](Ctx& cx) {
      if (cx.tape->has_grad(y))
        cx.kernels.axpby({.x = cx.tape->grad(cx, y), .y = cx.tape->grad(cx, x), .a = factor, .b = 1.f}, cx.stream);
    });
  }
  return y;
}

Tensor scale_parts(Ctx& cx, const Tensor& x, std::span<const ScaledPart> parts) {
  Tensor y = cx.tape ? cx.arena.tensor(x.dtype(), x.rows(), x.cols()) : x;
  // to = factor * from [+ to], part by part
  const auto spread = [parts = std::vector<ScaledPart>(parts.begin(), parts.end())](Ctx& cx, const View& from, const View& to, float b) {
    const Tensor x{.view = from, .owner = {}}, y{.view = to, .owner = {}};
    int64_t at = 0;
    for (const ScaledPart& p : parts) {
      cx.kernels.axpby({.x = x.columns(at, p.columns).view, .y = y.columns(at, p.columns).view, .a = p.factor, .b = b}, cx.stream);
      at += p.columns;
    }
    CHECK(at == x.cols());
  };
  spread(cx, x.view, y.view, 0.f);
  if (!cx.tape) return y;
  cx.tape->track(y);
  cx.tape->record([x, y, spread](Ctx& cx) {
    if (cx.tape->has_grad(y)) spread(cx, cx.tape->grad(cx, y), cx.tape->grad(cx, x), 1.f);
  });
  return y;
}

Tensor columns(Ctx& cx, const Tensor& x, int64_t begin, int64_t count) {
  Tensor y = x.columns(begin, count);
  if (!cx.tape) return y;
  y.node = -1;
  cx.tape->track(y);
  cx.tape->record([x, y, begin, count](Ctx& cx) {
    if (!cx.tape->has_grad(y) || x.node < 0) return;
    const Tensor dx{.view = cx.tape->grad(cx, x), .owner = {}};
    cx.kernels.axpby({.x = cx.tape->grad(cx, y), .y = dx.columns(begin, count).view, .b = 1.f}, cx.stream);
  });
  return y;
}

Tensor unfold_rows(Ctx& cx, const Tensor& x, const UnfoldRowsArgs& shape, int64_t rows) {
  Tensor y = cx.arena.tensor(cx.dtype, rows, x.cols() * shape.width);
  UnfoldRowsArgs a = shape;
  a.x = x.view;
  a.y = y.view;
  require(cx, cx.kernels.unfold_rows, "unfold_rows")(a, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([a, x, y](Ctx& cx) {
      if (!cx.tape->has_grad(y) || x.node < 0) return;
      require(cx, cx.kernels.unfold_rows_grad, "unfold_rows_grad")(
          {.forward = a, .dy = cx.tape->grad(cx, y), .dx_acc = cx.tape->grad(cx, x)}, cx.stream);
    });
  }
  return y;
}

Tensor gather_rows(Ctx& cx, const Tensor& x, const int32_t* rows, int64_t count) {
  Tensor y = cx.arena.tensor(cx.dtype, count, x.cols());
  cx.kernels.gather_rows({.x = x.view, .rows = rows, .y = y.view}, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([x, y, rows](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      require(cx, cx.kernels.scatter_rows, "scatter_rows")(
          {.x = cx.tape->grad(cx, y), .rows = rows, .y_acc = cx.tape->grad(cx, x)}, cx.stream);
    });
  }
  return y;
}

double cross_entropy(Ctx& cx, const Tensor& logits, const int32_t* labels, int64_t counted) {
  CHECK(counted > 0);
  auto* loss = reinterpret_cast<float*>(cx.arena.allocate(sizeof(float) * logits.rows()));
  CrossEntropyArgs a{.logits = logits.view, .labels = labels, .loss = loss, .dlogits = {},
                     .scale = static_cast<float>(1.0 / static_cast<double>(counted))};
  if (cx.tape) a.dlogits = cx.tape->grad(cx, logits);
  require(cx, cx.kernels.cross_entropy, "cross_entropy")(a, cx.stream);
  std::vector<float> host(logits.rows());
  cx.kernels.copy_to_host(host.data(), loss, sizeof(float) * host.size(), cx.stream);
  double sum = 0;
  for (const float x : host) sum += x;
  return sum / static_cast<double>(counted);
}

}  // namespace transom::ops
