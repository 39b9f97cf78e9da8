// Encoders: embeddings -> blocks, seen from both sides, with an optional task head.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/head.h"
#include "nn/network.h"

namespace transom::nn {

struct EncoderSpec {
  int64_t vocab = 0, hidden = 0;
  int64_t embedding = 0;        // columns of the embeddings; 0: hidden
  int64_t positions = 0;        // learned positions, 0: none
  int64_t position_offset = 0;  // rows of them before the first token's (RoBERTa: padding_idx + 1)
  int64_t token_types = 0;
  int64_t padding_id = -1;      // its embedding takes no gradient
  NormSpec norm;                // of the embeddings
  std::optional<NormSpec> final_norm;  // after the last block: pre-norm encoders
  // Names. The tables and their norm lie below `scope`, the others below the model's root.
  std::string scope = "embeddings", words = "word_embeddings", norm_name = "LayerNorm", final_norm_name = "final_norm";
  std::string projection;  // from the embeddings' columns to hidden; "": none
};

class Encoder final : public Network {
 public:
  Encoder(const Scope& root, const EncoderSpec& spec);
  template <class B, class... Args>
  void add(Args&&... args) {
    stack_.add(std::make_unique<const B>(std::forward<Args>(args)...));
  }
  // The blocks run in this order, some of them more than once (ALBERT). Without it: each once.
  void set_order(std::vector<int32_t> order) { stack_.set_order(std::move(order)); }
  void set_head(const Scope& root, const HeadSpec& spec) override { head_.emplace(root, spec, words_); }

  Tensor hidden(Ctx& cx) const override;
  Tensor logits(Ctx& cx, const Tensor& rows) const override;
  HeadShape head() const override { return head_ ? head_->shape() : HeadShape{}; }
  InputLimits limits() const override { return {spec_.positions - spec_.position_offset, spec_.token_types}; }

 private:
  Tensor embed(Ctx& cx) const;

  EncoderSpec spec_;
  const Param *words_, *positions_ = nullptr, *types_ = nullptr;
  NormLayer norm_;
  std::optional<Linear> projection_;
  Stack stack_;
  std::optional<NormLayer> final_norm_;
  std::optional<Head> head_;
};

}  // namespace transom::nn
