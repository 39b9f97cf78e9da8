// Runs a model over a case of a golden, as every kind of fixture is run.
#pragma once

#include <vector>

#include "engine/runner.h"
#include "support/fixture.h"
#include "transom/model.h"

namespace transom::test {

// What the encoder of an encoder-decoder reads, none for other models. The case must outlive it.
inline SourceInput source_of(const GoldenCase& c) {
  if (c.features.data.empty()) return {.ids = c.source, .features = {}};
  return {.ids = {}, .features = {c.features.data.data(), DType::kF32, c.features.shape[0], c.features.shape[1], c.features.shape[1]}};
}

// All rows of logits, or of hidden states where the case has no logits.
inline std::vector<float> run_case(const Model& m, const GoldenCase& c) {
  Runner r(m.impl(), 16, 0);
  SequenceState state;
  const StepItem item{.state = m.generates() ? &state : nullptr, .ids = c.ids, .token_types = c.type_ids, .want = StepItem::Want::kAll,
                      .source = source_of(c)};
  const std::span<const float> y = c.logits.data.empty() ? r.hidden({&item, 1}) : r.logits({&item, 1});
  return {y.begin(), y.end()};
}

}  // namespace transom::test
