// Text to token ids and back, with the meaning of Hugging Face `tokenizers` on the checkpoint's own files.
// A Tokenizer is immutable after loading and safe to share between threads.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace transom {

class Tokenizer {
 public:
  // Loads from a model directory (tokenizer.json, else tokenizer.model, *.tiktoken, tekken.json, vocab.json + merges.txt,
  // vocab.txt), from one such file, or from a GGUF file's vocabulary. Throws Error naming what was looked for.
  static Tokenizer load(const std::string& path);

  // Ids of `text` (UTF-8; broken bytes are handled as the pipeline's byte rules say). `add_special_tokens` runs the
  // post-processor's template (BOS, [CLS] …). Never pads; truncates only where the file itself says so.
  // `max_tokens` cuts the end off so that the ids, special tokens included, are at most so many, instead of the file's rule.
  std::vector<int32_t> encode(std::string_view text, bool add_special_tokens = true,
                              std::optional<int64_t> max_tokens = std::nullopt) const;

  // Text of `ids`. Ids outside the vocabulary throw Error{kInvalidArgument}.
  std::string decode(std::span<const int32_t> ids, bool skip_special_tokens = false) const;

  // The surface form of one id as it stands in the vocabulary ("Ġthe"), and its own bytes (" the").
  std::string_view id_to_token(int32_t id) const;
  std::string token_bytes(int32_t id) const;
  std::optional<int32_t> token_to_id(std::string_view token) const;
  bool is_special(int32_t id) const;

  // One more than the largest id, added tokens included.
  int32_t vocab_size() const;

  // Special ids as the checkpoint's files state them (tokenizer_config.json, GGUF keys), if they do.
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> pad_id() const;
  std::optional<int32_t> unk_id() const;

  struct Impl;
  explicit Tokenizer(std::shared_ptr<const Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// Streaming decode: push ids, get text that is final. Never splits a UTF-8 character; the concatenation of all pieces
// and finish() equals decode() of all ids. After finish() it starts anew. Not shared between threads.
class Detokenizer {
 public:
  explicit Detokenizer(Tokenizer tokenizer, bool skip_special_tokens = true);
  ~Detokenizer();
  Detokenizer(Detokenizer&&) noexcept;
  Detokenizer& operator=(Detokenizer&&) noexcept;

  // Text that `id` makes final, often empty. An id outside the vocabulary throws Error{kInvalidArgument}.
  std::string push(int32_t id);
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace transom
