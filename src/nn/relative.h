// Relative positions as buckets: distances between key and query that share what is added to their scores.
#pragma once

#include <memory>
#include <vector>

#include "ops/ops.h"
#include "spec/params.h"

namespace transom::nn {

// The bucket of each distance j - p of key and query in [-reach, reach]; farther ones have that of the end.
struct Buckets {
  std::vector<int32_t> bucket;
  int32_t count = 0;
  int32_t reach() const { return static_cast<int32_t>(bucket.size() / 2); }
};

// T5's (Raffel et al. 2020), also MPNet's: near distances have a bucket each, farther ones share them logarithmically up to
// max_distance. Both directions have half of the buckets; with `causal` the past has all of them.
Buckets t5_buckets(int64_t buckets, int64_t max_distance, bool causal = false);

// DeBERTa's (He et al. 2021): the relative position p - j, with `span` > 0 near ones each for itself and farther ones
// logarithmically up to max_position, moved by the number of positions on either side and held within [0, 2 * that).
Buckets deberta_buckets(int64_t span, int64_t max_position);

// A number for each bucket and head, shared by the layers that attend with it.
struct RelativeBias {
  const Param* table;  // [buckets, heads]
  Buckets buckets;
  ops::Relative scores(Ctx& cx) const;
};

}  // namespace transom::nn
