// Pre-tokenizers: stages that split text into the words that the model sees, each as Hugging Face `tokenizers` defines it
// (tokenizers/src/pre_tokenizers). Stages form a chain; a stage hands each of its pieces to the next at once, so that no
// list of pieces is ever built.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace transom::text {

// Where the last stage's pieces go.
class PieceSink {
 public:
  virtual void piece(std::string_view s) = 0;

 protected:
  ~PieceSink() = default;
};

class PreTokenizerChain;

// A piece between two stages. `start_bytes`: as in NormalizedText.
struct Piece {
  std::string_view s;
  size_t start_bytes = 0;
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  // Splits `in` and passes every piece that is not empty to `out`.
  class Out;
  virtual void split(Piece in, Out& out) const = 0;
};

// What a stage writes to: the next stage, or the sink.
class PreTokenizer::Out {
 public:
  Out(const PreTokenizerChain& chain, size_t next, PieceSink& sink) : chain_(chain), next_(next), sink_(sink) {}
  void operator()(Piece p);
  // Passes in.s[begin, end).
  void operator()(const Piece& in, size_t begin, size_t end) {
    if (begin < end) (*this)(Piece{in.s.substr(begin, end - begin), in.start_bytes > begin ? in.start_bytes - begin : 0});
  }

 private:
  const PreTokenizerChain& chain_;
  size_t next_;
  PieceSink& sink_;
};

class PreTokenizerChain {
 public:
  // From tokenizer.json's "pre_tokenizer" (nested sequences are flattened). When `byte_level_tail` is not null and the chain
  // ends in a ByteLevel stage, the stage's mapping to characters is left out and the flag set: pieces are then raw bytes.
  PreTokenizerChain(const Json& json, std::string_view context, bool* byte_level_tail);

  void split(Piece text, PieceSink& sink) const {
    if (text.s.empty()) return;
    PreTokenizer::Out(*this, 0, sink)(text);
  }
  size_t size() const { return stages_.size(); }
  const PreTokenizer& stage(size_t i) const { return *stages_[i]; }

 private:
  void add(const Json& json, std::string_view context);
  std::vector<std::unique_ptr<PreTokenizer>> stages_;
};

inline void PreTokenizer::Out::operator()(Piece p) {
  if (next_ == chain_.size()) return sink_.piece(p.s);
  Out next(chain_, next_ + 1, sink_);
  chain_.stage(next_).split(p, next);
}

}  // namespace transom::text
