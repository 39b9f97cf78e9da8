// Engine: runs sequences of one Model, any number together. Two levels: forward() computes logits or hidden states for
// tokens that the caller chooses; submit() and step() generate text by continuous batching. One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transom/model.h"
#include "transom/sampling.h"
#include "transom/tokenizer.h"

namespace transom {

struct EngineOptions {
  int64_t max_model_len = 0;  // tokens of a sequence, prompt and answer; 0: the model's context length
  int64_t max_num_seqs = 16;  // sequences that run together; more wait
  int64_t max_step_tokens = 512;  // rows of a step: long prompts are cut into chunks of what is left of it
  int64_t max_pages = 0;      // bound on the state, in pages of page_size tokens a group; 0: grows with the need
  int32_t page_size = 32;     // a multiple of 16
};

// A dense matrix of floats, row by row.
struct Matrix {
  int64_t rows = 0, cols = 0;
  std::vector<float> values;
};

struct NamedMatrix {
  std::string name;
  Matrix matrix;
};

// A chosen token's log-probability under the model, and the most probable tokens, the best first.
struct TokenLogprobs {
  int32_t token = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top;
};

struct Request {
  std::vector<int32_t> prompt;          // an encoder-decoder's: what its encoder reads
  SamplingParams sampling;
  std::string adapter;  // the name of a loaded adapter; "": none
  // Encoder-decoders: the tokens with which the decoder begins (none: the model's own), and frames instead of a prompt.
  std::vector<int32_t> decoder_prompt;
  Matrix features;
};

// What one step gave one sequence. `text` is final: its concatenation over a sequence is the whole answer.
struct Output {
  uint64_t request = 0;
  int32_t index = 0;                   // which of sampling.n
  std::optional<int32_t> token;        // the token that was chosen, an end token included; none when the sequence ended otherwise
  std::string text;                    // end tokens and what follows a stop string are no text
  std::optional<TokenLogprobs> logprobs;  // when asked for
  // "" while running; then "stop" (an end token or stop string), "length", "cancelled" or "error" (with `error` set).
  std::string finish_reason;
  std::string error;
  std::optional<float> score;  // with finish_reason under beam search: what the answers are ordered by
};

class Engine {
 public:
  // `tokenizer` may be absent: then outputs carry no text, and stop strings are refused.
  explicit Engine(Model model, EngineOptions options = {}, std::optional<Tokenizer> tokenizer = std::nullopt);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  const Model& model() const;
  int64_t max_model_len() const;

  // --- Passes over chosen tokens
  using SequenceId = uint64_t;
  // `adapter`: the name of a loaded adapter that all of the sequence's tokens go through; "": none.
  SequenceId open(const std::string& adapter = "");
  void close(SequenceId id);
  enum class Rows : uint8_t { kLast, kAll };
  struct Feed {
    SequenceId sequence = 0;
    std::span<const int32_t> ids;
    Rows rows = Rows::kLast;
    std::span<const int32_t> token_types = {};  // of an encoder's pair of texts (BERT): as many as ids, or none (all 0)
    // Encoder-decoders, with a sequence's first ids: what its encoder reads, ids or frames.
    std::span<const int32_t> source = {};
    const Matrix* features = nullptr;
  };
  struct Logits {
    int64_t rows = 0, cols = 0;
    std::span<const float> values;
  };
  // One pass over several sequences: appends the ids to each and returns the wanted rows of logits, in order, in the engine's memory:
  // they are there until it is next asked for anything. A head over whole texts (HeadInfo::per_text) gives one row a sequence. The length is
  // not held against the model's context, but for learned positions: some rotations are defined past it.
  Logits forward(std::span<const Feed> feeds);
  // Logits of every position (or the last) of one text: in one pass, or in chunks through the state when chunk > 0.
  Matrix logits(std::span<const int32_t> ids, int64_t chunk = 0, Rows rows = Rows::kAll, const std::string& adapter = "",
                std::span<const int32_t> token_types = {});
  // The same for what `text` says (its sequence is not used).
  Matrix logits(const Feed& text, int64_t chunk, const std::string& adapter = "");
  // The last hidden states of several texts in one pass, without state: rows of all texts, one after another.
  Matrix hidden(std::span<const std::vector<int32_t>> texts);
  // What one pass over a text passes through, in order: "embed", "layers.0" … and, where the model has one, "norm" (after the
  // last norm), each [T, hidden]; of an encoder-decoder first the encoder's, whose layers are "encoder.layers.0" …, and at their
  // end "encoder". With `products`, what each matrix gives too, under its weight's name, before the layer that it is part of.
  // What a comparison with another implementation looks at.
  std::vector<NamedMatrix> hidden_states(const Feed& text, bool products = false);

  // --- Generation
  // Throws Error{kInvalidArgument} for bad parameters, or a prompt that does not fit (with both numbers).
  uint64_t submit(Request request);
  void cancel(uint64_t request);
  // One step over all running sequences; every sequence that got a token or ended is reported. False when there is nothing to do.
  bool step(const std::function<void(const Output&)>& report);

  struct Stats {
    int64_t steps = 0, tokens_forwarded = 0, sources_encoded = 0, state_bytes = 0, state_pages = 0, activation_bytes = 0;
  };
  Stats stats() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace transom
