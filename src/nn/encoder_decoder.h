// Encoder-decoders: an encoder that runs once over a sequence's source, and a decoder whose blocks attend to what it made.
// Each side is embedder -> blocks [-> norm]; the head follows the decoder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nn/network.h"

namespace transom::nn {

// What turns a side's inputs into its first hidden states: [T, hidden].
class Embedder {
 public:
  virtual ~Embedder() = default;
  virtual Tensor forward(Ctx& cx) const = 0;
};

struct TokenEmbedderSpec {
  const Param* words = nullptr;
  double scale = 1;
  int64_t padding_id = -1;             // its embedding takes no gradient
  const Param* positions = nullptr;    // null: none
  int64_t position_offset = 0;         // rows of them before the first token's
  std::optional<NormLayer> norm;
};

class TokenEmbedder final : public Embedder {
 public:
  explicit TokenEmbedder(TokenEmbedderSpec spec) : spec_(std::move(spec)) {}
  Tensor forward(Ctx& cx) const override;

 private:
  TokenEmbedderSpec spec_;
};

// Positions that are computed: [rows, hidden], sines in the left half of a row and cosines in the right, of p / 10000^(i / period)
// for i = 0 … hidden / 2 - 1, in row p.
std::vector<float> sinusoids(int64_t rows, int64_t hidden, double period);

class Side {
 public:
  Side(std::string tap, int32_t first_block) : stack_(std::move(tap), first_block) {}
  void set_embedder(std::unique_ptr<const Embedder> e) { embedder_ = std::move(e); }
  void set_norm(NormLayer norm) { norm_ = norm; }
  template <class B, class... Args>
  void add(Args&&... args) {
    stack_.add(std::make_unique<const B>(std::forward<Args>(args)...));
  }
  Tensor forward(Ctx& cx) const;

 private:
  std::unique_ptr<const Embedder> embedder_;
  Stack stack_;
  std::optional<NormLayer> norm_;
};

struct EncoderDecoderSpec {
  SourceShape source;
  int64_t vocab = 0, positions = 0;  // of the decoder; positions 0: any
  double logit_scale = 1;
  int64_t encoder_layers = 0;
  ops::LinearParam head;
};

class EncoderDecoder final : public Network {
 public:
  explicit EncoderDecoder(const EncoderDecoderSpec& spec)
      : spec_(spec), encoder_("encoder.layers", 0), decoder_("layers", static_cast<int32_t>(spec.encoder_layers)) {}
  Side& encoder() { return encoder_; }
  Side& decoder() { return decoder_; }

  Tensor hidden(Ctx& cx) const override;
  Tensor logits(Ctx& cx, const Tensor& rows) const override;
  HeadShape head() const override { return {.task = Task::kCausalLm, .outputs = spec_.vocab}; }
  InputLimits limits() const override { return {spec_.positions, 0}; }
  std::optional<SourceShape> source() const override { return spec_.source; }

 private:
  EncoderDecoderSpec spec_;
  Side encoder_, decoder_;
};

}  // namespace transom::nn
