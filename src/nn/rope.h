// Rotary position embeddings as values: the inverse frequencies and the factor on cos and sin, for each scaling that
// transformers knows. Sources: Su et al. 2021; transformers modeling_rope_utils (default, linear, dynamic, yarn: Peng et al.
// 2023, longrope: Ding et al. 2024, llama3), modeling_qwen2_vl and modeling_qwen3_vl (mrope: Wang et al. 2024).
#pragma once

#include <string>
#include <vector>

#include "ops/ops.h"
#include "spec/config.h"

namespace transom::nn {

struct RopeSpec {
  std::vector<float> inv_freq;  // [rotary_dim / 2]
  double factor = 1;            // multiplies cos and sin
  double key_factor = 1;        // yarn's mscale_all_dim: models that were trained with it (DeepSeek) scale q·k by its square
  bool interleaved = false;     // pairs (2i, 2i + 1) instead of (i, i + half)
  // Past `original` positions: dynamic NTK recomputes the base from the length; longrope switches to `long_inv_freq`.
  int64_t original = 0;
  std::vector<float> long_inv_freq;
  double dynamic_factor = 0, base = 0;
  bool doubling = false;  // the base is recomputed for 1, 2, 4 … times `original` positions (Qwen 1)
  // Of positions in time (0), height (1) and width (2), the one that each frequency turns with (Qwen2-VL's "mrope"); empty: there
  // is one position.
  std::vector<int32_t> axes;

  // The frequencies for a step whose longest sequence has `length` tokens (the one-pass meaning).
  std::vector<float> frequencies(int64_t length) const;
  // This step's tables, computed on first use and shared by all layers with this spec.
  RopeTables tables(Ctx& cx) const;
};

// Reads `rope_parameters` (transformers 5, also one object per layer type) or `rope_theta` with `rope_scaling` (4.x).
// `layer_type` picks among per-layer-type parameters ("full_attention"); `default_theta` is the family's own default.
// `default_partial`: of partial_rotary_factor.
RopeSpec rope_from_config(const Config& c, int64_t head_dim, double default_theta, const std::string& layer_type = "",
                          double default_partial = 1);

// No scaling at all, with the given base.
RopeSpec plain_rope(int64_t rotary_dim, double theta);

}  // namespace transom::nn
