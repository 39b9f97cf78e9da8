// AltUpEnds, AltUp: see altup.h.
#include "nn/altup.h"

namespace transom::nn {
namespace {

constexpr float kLeastMeanSquare = 1e-5f;

std::vector<Linear> projections(const Scope& s, const AltUpSpec& spec) {
  std::vector<Linear> p;
  for (int64_t i = 0; i + 1 < spec.streams; ++i) p.emplace_back(s / std::to_string(i), spec.norm.size, spec.norm.size, Split{});
  return p;
}

}  // namespace

AltUpEnds::AltUpEnds(const Scope& body, const AltUpSpec& spec)
    : in_(projections(body / "altup_projections", spec)), out_(projections(body / "altup_unembed_projections", spec)) {}

void AltUpEnds::enter(Ctx& cx, Hidden& h) const {
  h.streams.clear();
  for (const Linear& p : in_) h.streams.push_back(ops::match_rms(cx, p.forward(cx, h.x), h.x, kLeastMeanSquare));
}

Tensor AltUpEnds::leave(Ctx& cx, const Hidden& h) const {
  Tensor sum;
  for (size_t i = 0; i < out_.size(); ++i) {
    const Tensor y = ops::match_rms(cx, out_[i].forward(cx, h.streams[i]), h.x, kLeastMeanSquare);
    sum = i == 0 ? y : ops::add(cx, sum, y);
  }
  return ops::scale(cx, ops::add(cx, sum, h.x), 1.f / static_cast<float>(out_.size() + 1));
}

AltUp::AltUp(const Scope& s, const AltUpSpec& spec)
    : spec_(spec),
      norm_(s / "router_norm", spec.norm),
      router_(s / "modality_router", spec.norm.size, spec.streams, {}),
      prediction_(s / "prediction_coefs", spec.streams, spec.streams * spec.streams, {}),
      correction_(s / "correction_coefs", spec.streams, spec.streams, {}),
      scale_(spec.scale_output ? s.vector("correct_output_scale", spec.norm.size) : nullptr) {}

Tensor AltUp::modalities(Ctx& cx, const Tensor& x) const {
  const Tensor routed = router_.forward(cx, ops::scale(cx, norm_.forward(cx, x), 1.f / static_cast<float>(spec_.norm.size)));
  return ops::act_mul(cx, routed, {}, Activation::kTanh);
}

// Stream b becomes h_b + Σ_a coefficient[b, a] h_a.
AltUp::Streams AltUp::predict(Ctx& cx, const Streams& h) const {
  const Tensor coefficients = prediction_.forward(cx, modalities(cx, h[0]));
  Streams p;
  for (int64_t b = 0; b < spec_.streams; ++b) {
    Tensor sum = ops::scale_rows(cx, h[0], ops::columns(cx, coefficients, b * spec_.streams, 1));
    for (int64_t a = 1; a < spec_.streams; ++a)
      sum = ops::add(cx, sum, ops::scale_rows(cx, h[a], ops::columns(cx, coefficients, b * spec_.streams + a, 1)));
    p.push_back(ops::add(cx, sum, h[b]));
  }
  return p;
}

// All move by how far the layer's result lies from its prediction, times 1 + coefficient.
AltUp::Streams AltUp::correct(Ctx& cx, Streams p, const Tensor& activated) const {
  const Tensor coefficients = correction_.forward(cx, modalities(cx, activated));
  const Tensor innovation = ops::add(cx, activated, p[0], -1.f);
  for (int64_t b = 0; b < spec_.streams; ++b) {
    const Tensor moved = ops::scale_rows(cx, innovation, ops::columns(cx, coefficients, b, 1));
    p[b] = ops::add(cx, ops::add(cx, p[b], innovation), moved);
  }
  return p;
}

}  // namespace transom::nn
