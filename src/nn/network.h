// Whole networks: a stack of blocks between an embedding and a head. Stack owns the only loop over layers in the program:
// streaming, recompute, pipelining and tracing hook there.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "nn/blocks.h"
#include "nn/linear.h"

namespace transom::nn {

class Stack {
 public:
  void add(std::unique_ptr<const Block> block) { blocks_.push_back(std::move(block)); }
  Hidden forward(Ctx& cx, Hidden h) const;
  int64_t size() const { return static_cast<int64_t>(blocks_.size()); }

 private:
  std::vector<std::unique_ptr<const Block>> blocks_;
};

// What a family builds.
class Network {
 public:
  virtual ~Network() = default;
  // The last hidden states of the step's rows, after the final norm: [T, hidden].
  virtual Tensor hidden(Ctx& cx) const = 0;
  // The head's logits for rows of hidden(): [n, vocab]. Error{kUnsupported} when there is no head.
  virtual Tensor logits(Ctx& cx, const Tensor& rows) const = 0;
  virtual bool has_head() const = 0;
};

struct DecoderSpec {
  int64_t vocab = 0;
  NormSpec norm;
  bool tied = false;           // the head may be absent from the checkpoint: the embedding is used
  int64_t padding_id = -1;     // its embedding takes no gradient
  double embedding_scale = 1;  // Gemma multiplies embeddings by sqrt(hidden)
  double logit_softcap = 0;
  double logit_scale = 1;                 // Cohere, Granite
  bool head_bias = false;                 // Phi, GPT-J
  int64_t positions = 0;                  // learned positions, as many: model.embed_positions (GPT-2); 0: none
  std::optional<NormSpec> embedding_norm; // model.embed_norm (BLOOM)
};

// embed_tokens -> blocks -> norm -> lm_head. Scope: the model's root; the body lies below "model".
class Decoder final : public Network {
 public:
  Decoder(const Scope& root, const DecoderSpec& spec);
  template <class B, class... Args>
  void add(Args&&... args) {
    stack_.add(std::make_unique<const B>(std::forward<Args>(args)...));
  }
  Tensor hidden(Ctx& cx) const override;
  Tensor logits(Ctx& cx, const Tensor& rows) const override;
  bool has_head() const override { return true; }

 private:
  DecoderSpec spec_;
  const Param *embedding_, *positions_;
  std::optional<NormLayer> embedding_norm_;
  Stack stack_;
  NormLayer norm_;
  ops::LinearParam head_;
};

struct EncoderSpec {
  int64_t vocab = 0, hidden = 0, max_positions = 0, token_types = 0;
  NormSpec norm;
};

// word + position + token-type embeddings -> norm -> blocks (BERT).
class Encoder final : public Network {
 public:
  Encoder(const Scope& embeddings, const EncoderSpec& spec);
  template <class B, class... Args>
  void add(Args&&... args) {
    stack_.add(std::make_unique<const B>(std::forward<Args>(args)...));
  }
  Tensor hidden(Ctx& cx) const override;
  Tensor logits(Ctx& cx, const Tensor& rows) const override;
  bool has_head() const override { return false; }

 private:
  const Param *words_, *positions_, *types_;
  NormLayer norm_;
  Stack stack_;
};

}  // namespace transom::nn
