// Whole networks: a stack of blocks between an embedding and a head. Stack owns the only loop over layers in the program:
// streaming, recompute, pipelining and tracing hook there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/altup.h"
#include "nn/blocks.h"
#include "nn/head.h"
#include "nn/linear.h"
#include "nn/per_layer.h"

namespace transom::nn {

class Stack {
 public:
  // `tap` names what the observer sees of each block; the blocks' parameters are those of blocks from `first_block` on.
  explicit Stack(std::string tap = "layers", int32_t first_block = 0) : tap_(std::move(tap)), first_block_(first_block) {}
  void add(std::unique_ptr<const Block> block);
  // The blocks run in this order, and perhaps more than once. Without it: each once, as they were added.
  void set_order(std::vector<int32_t> order);
  Hidden forward(Ctx& cx, Hidden h) const;

 private:
  std::vector<std::unique_ptr<const Block>> blocks_;
  std::vector<int32_t> order_;
  std::string tap_;
  int32_t first_block_;
};

// What the tables of a network can take; 0: any.
struct InputLimits {
  int64_t positions = 0, token_types = 0;
  const char* positions_of = "the model's positions";  // what has so many
  int64_t ids = 0;  // the first one that is too large
};

// What an encoder-decoder's encoder reads: token ids below `vocab`, or frames of `features` columns; at most `positions` rows (0:
// any). It makes one row of `stride` of them.
struct SourceShape {
  int64_t vocab = 0, features = 0, positions = 0, stride = 1;
  int64_t rows(int64_t n) const { return (n + stride - 1) / stride; }
};

// What a family builds.
class Network {
 public:
  virtual ~Network() = default;
  // The last hidden states of the step's rows, after the final norm: [T, hidden].
  virtual Tensor hidden(Ctx& cx) const = 0;
  // The head's logits for rows of hidden(), those that head().rows names: [n, head().outputs]. Error{kUnsupported} when
  // there is no head.
  virtual Tensor logits(Ctx& cx, const Tensor& rows) const = 0;
  virtual HeadShape head() const = 0;
  virtual InputLimits limits() const { return {}; }
  // Of an encoder-decoder: its steps carry the sources that begin (Ctx::source).
  virtual std::optional<SourceShape> source() const { return std::nullopt; }
  // Declares the head of the task that a checkpoint is for. Error{kUnsupported} for a network that has its own.
  virtual void set_head(const Scope& root, const HeadSpec& spec);
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
  int64_t position_offset = 0;            // rows of them before the first token's (OPT)
  int64_t embedding = 0;                  // columns of embedding and head, with model.project_in and project_out (OPT 350M); 0: hidden
  bool final_norm = true;
  bool unit_head = false;                 // the head's rows count by their direction alone (Baichuan 2)
  std::optional<NormSpec> embedding_norm; // model.embed_norm (BLOOM)
  InputLimits limits = {};                // beside those of the tables
  std::optional<PerLayerSpec> per_layer;  // Gemma 3n and 4
  std::optional<AltUpSpec> streams;       // Gemma 3n
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
  InputLimits limits() const override;
  HeadShape head() const override { return {.task = Task::kCausalLm, .outputs = spec_.vocab}; }

 private:
  DecoderSpec spec_;
  const Param *embedding_, *positions_;
  std::optional<Linear> project_in_, project_out_;
  std::optional<NormLayer> embedding_norm_;
  std::optional<PerLayerInputs> per_layer_;
  std::optional<AltUpEnds> streams_;
  Stack stack_;
  std::optional<NormLayer> norm_;
  ops::LinearParam head_;
};

}  // namespace transom::nn
