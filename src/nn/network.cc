// Stack, Decoder, Encoder: see network.h.
#include "nn/network.h"

#include <fmt/format.h>

#include "base/error.h"
#include "spec/residency.h"

namespace transom::nn {

Hidden Stack::forward(Ctx& cx, Hidden h) const {
  for (int32_t i = 0; i < static_cast<int32_t>(blocks_.size()); ++i) {
    const Lease lease(cx.residency, i);
    if (cx.residency && i + 1 < static_cast<int32_t>(blocks_.size())) cx.residency->prefetch(i + 1);
    h = blocks_[i]->forward(cx, h);
    if (!cx.observer) continue;
    if (h.pending) h = {.x = ops::add(cx, h.x, h.pending, h.scale), .pending = {}};
    cx.observer(fmt::format("layers.{}", i), h.x);
  }
  return h;
}

Decoder::Decoder(const Scope& root, const DecoderSpec& spec)
    : spec_(spec),
      embedding_((root / "model.embed_tokens").table("weight", spec.vocab, spec.norm.size, {Split::Axis::kOut, 1})),
      positions_(spec.positions ? (root / "model.embed_positions").table("weight", spec.positions, spec.norm.size) : nullptr),
      norm_(root / "model.norm", spec.norm),
      head_{(root / "lm_head").matrix("weight", spec.vocab, spec.norm.size, {Split::Axis::kOut, 1}, spec.tied ? embedding_ : nullptr),
            spec.head_bias ? (root / "lm_head").vector("bias", spec.vocab, {Split::Axis::kOut, 1}) : nullptr} {
  if (spec.embedding_norm) embedding_norm_.emplace(root / "model.embed_norm", *spec.embedding_norm);
}

Tensor Decoder::hidden(Ctx& cx) const {
  Hidden h{.x = ops::embedding(cx, *embedding_, cx.batch.ids, cx.batch.rows, static_cast<float>(spec_.embedding_scale),
                                  static_cast<int32_t>(spec_.padding_id)),
           .pending = {}};
  if (positions_) h.x = ops::add(cx, h.x, ops::embedding(cx, *positions_, cx.batch.positions, cx.batch.rows));
  if (embedding_norm_) h.x = embedding_norm_->forward(cx, h.x);
  if (cx.observer) cx.observer("embed", h.x);
  h = stack_.forward(cx, h);
  const Tensor y = norm_.absorb(cx, h);
  if (cx.observer) cx.observer("norm", y);
  return y;
}

Tensor Decoder::logits(Ctx& cx, const Tensor& rows) const {
  Tensor y = ops::linear(cx, rows, head_);
  if (spec_.logit_scale != 1) y = ops::scale(cx, y, static_cast<float>(spec_.logit_scale));
  return spec_.logit_softcap > 0 ? ops::softcap(cx, y, static_cast<float>(spec_.logit_softcap)) : y;
}

Encoder::Encoder(const Scope& s, const EncoderSpec& spec)
    : words_((s / "word_embeddings").table("weight", spec.vocab, spec.hidden, {Split::Axis::kOut, 1})),
      positions_((s / "position_embeddings").table("weight", spec.max_positions, spec.hidden)),
      types_(spec.token_types ? (s / "token_type_embeddings").table("weight", spec.token_types, spec.hidden) : nullptr),
      norm_(s / "LayerNorm", spec.norm) {}

Tensor Encoder::hidden(Ctx& cx) const {
  Tensor x = ops::embedding(cx, *words_, cx.batch.ids, cx.batch.rows);
  x = ops::add(cx, x, ops::embedding(cx, *positions_, cx.batch.positions, cx.batch.rows));
  if (types_) {
    CHECK(cx.batch.token_types);
    x = ops::add(cx, x, ops::embedding(cx, *types_, cx.batch.token_types, cx.batch.rows));
  }
  x = norm_.forward(cx, x);
  if (cx.observer) cx.observer("embed", x);
  return stack_.forward(cx, {.x = x, .pending = {}}).x;
}

Tensor Encoder::logits(Ctx&, const Tensor&) const {
  fail(Code::kUnsupported, "logits", "expected a model with a language-model head, got an encoder without one");
}

}  // namespace transom::nn
