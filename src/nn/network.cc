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

// What the next layers read of the earlier ones.
static std::vector<const void*> alive(const Ctx& cx, const Hidden& h) {
  std::vector<const void*> p = {h.x.view.data, h.pending.view.data, h.per_layer.view.data};
  for (const Tensor& t : h.streams) p.push_back(t.view.data);
  for (const KeysValues& kv : cx.step_keys) p.insert(p.end(), {kv.k.view.data, kv.v.view.data});
  return p;
}

Hidden Stack::forward(Ctx& cx, Hidden h) const {
  Arena::Frames frames(cx.arena);
  for (size_t i = 0; i < order_.size(); ++i) {
    if (!cx.tape) frames.next(alive(cx, h));  // a tape reads all again
    const Lease lease(cx.residency, first_block_ + order_[i]);
    if (cx.residency && i + 1 < order_.size() && order_[i + 1] != order_[i]) cx.residency->prefetch(first_block_ + order_[i + 1]);
    h = blocks_[order_[i]]->forward(cx, h);
    if (!cx.observer) continue;
    if (h.pending) h = {.x = ops::add(cx, h.x, h.pending, h.scale), .pending = {}, .per_layer = h.per_layer};
    cx.observer(fmt::format("{}.{}", tap_, i), h.x);
  }
  return h;
}

void Network::set_head(const Scope&, const HeadSpec&) {
  fail(Code::kUnsupported, "head", "expected a network that takes a task's head, got one with a language-model head");
}

Decoder::Decoder(const Scope& root, const DecoderSpec& spec) : spec_(spec) {
  const int64_t hidden = spec.norm.size, columns = spec.embedding ? spec.embedding : hidden;
  const Scope body = root / "model", head = root / "lm_head";
  const Split by_row{Split::Axis::kOut, 1};
  embedding_ = (body / "embed_tokens").table("weight", spec.vocab, columns, by_row);
  positions_ = spec.positions ? (body / "embed_positions").table("weight", spec.positions, hidden) : nullptr;
  if (columns != hidden) project_in_.emplace(body / "project_in", columns, hidden, Split{});
  if (columns != hidden) project_out_.emplace(body / "project_out", hidden, columns, Split{});
  if (spec.embedding_norm) embedding_norm_.emplace(body / "embed_norm", *spec.embedding_norm);
  if (spec.per_layer) per_layer_.emplace(body, *spec.per_layer, hidden, spec.padding_id);
  if (spec.streams) streams_.emplace(body, *spec.streams);
  if (spec.final_norm) norm_.emplace(body / "norm", spec.norm);
  Param* weight = head.matrix("weight", spec.vocab, columns, by_row, spec.tied ? embedding_ : nullptr);
  weight->unit_rows = spec.unit_head;
  head_ = {weight, spec.head_bias ? head.vector("bias", spec.vocab, by_row) : nullptr};
}

InputLimits Decoder::limits() const {
  InputLimits l = spec_.positions > 0 ? InputLimits{.positions = spec_.positions - spec_.position_offset} : spec_.limits;
  if (spec_.per_layer) l.ids = spec_.per_layer->vocab;
  return l;
}

Tensor Decoder::hidden(Ctx& cx) const {
  Hidden h{.x = ops::embedding(cx, *embedding_, cx.batch.ids, cx.batch.rows, static_cast<float>(spec_.embedding_scale),
                                  static_cast<int32_t>(spec_.padding_id)),
           .pending = {}};
  if (project_in_) h.x = project_in_->forward(cx, h.x);
  if (positions_)
    h.x = ops::add(cx, h.x, ops::embedding(cx, *positions_, cx.batch.positions, cx.batch.rows, 1.f, -1, spec_.position_offset));
  if (embedding_norm_) h.x = embedding_norm_->forward(cx, h.x);
  if (cx.observer) cx.observer("embed", h.x);
  if (per_layer_) h.per_layer = per_layer_->forward(cx, h.x);
  if (streams_) streams_->enter(cx, h);
  h = stack_.forward(cx, h);
  if (streams_) h.x = streams_->leave(cx, h);
  if (!norm_ && h.pending) h = {.x = ops::add(cx, h.x, h.pending, h.scale), .pending = {}};
  Tensor y = norm_ ? norm_->absorb(cx, h) : h.x;
  if (project_out_) y = project_out_->forward(cx, y);
  if (cx.observer) cx.observer("norm", y);
  return y;
}

Tensor Decoder::logits(Ctx& cx, const Tensor& rows) const {
  Tensor y = ops::linear(cx, rows, head_);
  if (spec_.logit_scale != 1) y = ops::scale(cx, y, static_cast<float>(spec_.logit_scale));
  return spec_.logit_softcap > 0 ? ops::softcap(cx, y, static_cast<float>(spec_.logit_softcap)) : y;
}

}  // namespace transom::nn
