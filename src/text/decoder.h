// Decoders: token strings back to text, each as Hugging Face `tokenizers` defines it (tokenizers/src/decoders), and all of
// them incremental: text is passed on as soon as no later token can change it. Decoding a whole list is the same code.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace transom::text {

// One stage of a decoder at work. A stage receives tokens, each in one or more parts (`end` closes a token), and writes
// tokens in the same way to the stage after it.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  virtual void part(std::string_view s) = 0;
  virtual void end() = 0;     // the token is complete
  virtual void finish() = 0;  // no token will follow
};

// What decoding means for a tokenizer: a factory of running stages.
class Decoder {
 public:
  // From tokenizer.json's "decoder"; null joins tokens with a space.
  Decoder(const Json& json, std::string_view context);

  // How much the replacing stages of one run may write: a few in a row could fill any memory.
  struct Budget {
    size_t left = size_t{16} << 20;
    void take(size_t bytes);  // throws Error{kResource}
  };
  using Make = std::function<std::unique_ptr<DecodeStage>(DecodeStage& next, Budget& budget)>;
  class Run;
  std::unique_ptr<Run> start() const;

 private:
  void add(const Json& json, std::string_view context);
  std::vector<Make> steps_;
};

// The stage {"type": "SentencePiece", "special": [tokens], "after_special": text}: sentencepiece_decoder.cc.
Decoder::Make sentencepiece_decoder(const Json& json, std::string_view context);

// One decoding in progress.
class Decoder::Run {
 public:
  explicit Run(const Decoder& decoder);
  ~Run();
  // Takes one token; text that is final is appended to `out`.
  void push(std::string_view token, std::string& out);
  void finish(std::string& out);

 private:
  std::string out_;
  Budget budget_;
  std::vector<std::unique_ptr<DecodeStage>> stages_;  // the sink first, the entrance last
};

}  // namespace transom::text
