// Alternating updates (Baykal et al. 2023; Gemma 3n): several residual streams, of which a layer works on the first; the others are
// predicted from all before it, and corrected by what it found.
#pragma once

#include <vector>

#include "nn/linear.h"
#include "nn/norm.h"

namespace transom::nn {

struct AltUpSpec {
  int64_t streams = 4;
  NormSpec norm;             // of what the routers read
  bool scale_output = true;  // what a layer's own input sees of the first stream is scaled by columns
};

// The streams' way in and out: projections of the first one, brought to its magnitude.
class AltUpEnds {
 public:
  AltUpEnds(const Scope& body, const AltUpSpec& spec);
  void enter(Ctx& cx, Hidden& h) const;        // fills h.streams from h.x
  Tensor leave(Ctx& cx, const Hidden& h) const;  // the mean of all

 private:
  std::vector<Linear> in_, out_;
};

// One layer's part.
class AltUp {
 public:
  AltUp(const Scope& s, const AltUpSpec& spec);
  // All streams, the first among them.
  using Streams = std::vector<Tensor>;
  Streams predict(Ctx& cx, const Streams& h) const;
  Streams correct(Ctx& cx, Streams predictions, const Tensor& activated) const;
  Tensor output(Ctx& cx, const Tensor& first) const { return scale_ ? ops::scale_columns(cx, first, *scale_) : first; }

 private:
  Tensor modalities(Ctx& cx, const Tensor& x) const;

  AltUpSpec spec_;
  NormLayer norm_;
  Linear router_, prediction_, correction_;
  const Param* scale_;
};

}  // namespace transom::nn
