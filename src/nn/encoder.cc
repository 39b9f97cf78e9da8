// Encoder: see encoder.h.
#include "nn/encoder.h"

#include "base/error.h"

namespace transom::nn {
namespace {

int64_t columns(const EncoderSpec& s) { return s.embedding ? s.embedding : s.hidden; }

const Param* table(const Scope& root, const EncoderSpec& s, const char* name, int64_t rows) {
  return rows ? (root / s.scope / name).table("weight", rows, columns(s)) : nullptr;
}

}  // namespace

Encoder::Encoder(const Scope& root, const EncoderSpec& s)
    : spec_(s),
      words_((root / s.scope / s.words).table("weight", s.vocab, columns(s), {Split::Axis::kOut, 1})),
      positions_(table(root, s, "position_embeddings", s.positions)),
      types_(table(root, s, "token_type_embeddings", s.token_types)),
      norm_(root / s.scope / s.norm_name, s.norm) {
  if (!s.projection.empty()) projection_.emplace(root / s.projection, columns(s), s.hidden, Split{}, Bias::kRequired);
  if (s.final_norm) final_norm_.emplace(root / s.final_norm_name, *s.final_norm);
}

Tensor Encoder::embed(Ctx& cx) const {
  const Batch& b = cx.batch;
  Tensor x = ops::embedding(cx, *words_, b.ids, b.rows, 1.f, static_cast<int32_t>(spec_.padding_id));
  if (positions_) x = ops::add(cx, x, ops::embedding(cx, *positions_, b.positions, b.rows, 1.f, -1, spec_.position_offset));
  if (types_) {
    CHECK(b.token_types);
    x = ops::add(cx, x, ops::embedding(cx, *types_, b.token_types, b.rows));
  }
  x = norm_.forward(cx, x);
  return projection_ ? projection_->forward(cx, x) : x;
}

Tensor Encoder::hidden(Ctx& cx) const {
  Hidden h{.x = embed(cx), .pending = {}};
  if (cx.observer) cx.observer("embed", h.x);
  h = stack_.forward(cx, h);
  if (!final_norm_) {
    CHECK(!h.pending);
    return h.x;
  }
  const Tensor y = final_norm_->absorb(cx, h);
  if (cx.observer) cx.observer("norm", y);
  return y;
}

Tensor Encoder::logits(Ctx& cx, const Tensor& rows) const {
  if (!head_) fail(Code::kUnsupported, "logits", "expected a model with a head, got an encoder without one");
  return head_->forward(cx, rows);
}

}  // namespace transom::nn
