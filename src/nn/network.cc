// Stack, Network, Decoder: see network.h.
#include "nn/network.h"

#include <fmt/format.h>

#include "base/error.h"
#include "spec/residency.h"

namespace transom::nn {

void Stack::add(std::unique_ptr<const Block> block) {
  order_.push_back(static_cast<int32_t>(blocks_.size()));
  blocks_.push_back(std::move(block));
}

void Stack::set_order(std::vector<int32_t> order) {
  for (const int32_t i : order) CHECK(i >= 0 && i < static_cast<int32_t>(blocks_.size()));
  order_ = std::move(order);
}

Hidden Stack::forward(Ctx& cx, Hidden h) const {
  for (size_t i = 0; i < order_.size(); ++i) {
    const Lease lease(cx.residency, order_[i]);
    if (cx.residency && i + 1 < order_.size() && order_[i + 1] != order_[i]) cx.residency->prefetch(order_[i + 1]);
    h = blocks_[order_[i]]->forward(cx, h);
    if (!cx.observer) continue;
    if (h.pending) h = {.x = ops::add(cx, h.x, h.pending, h.scale), .pending = {}};
    cx.observer(fmt::format("layers.{}", i), h.x);
  }
  return h;
}

void Network::set_head(const Scope&, const HeadSpec&) {
  fail(Code::kUnsupported, "head", "expected a network that takes a task's head, got one with a language-model head");
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

}  // namespace transom::nn
