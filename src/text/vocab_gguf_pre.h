// The pre-tokenizers that GGUF files name (tokenizer.ggml.pre), as stages of tokenizer.json.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace transom::text {

struct GgufPreTokenizer {
  Json normalizer, pre_tokenizer;
  bool ignore_merges = false, add_bos = false;
  bool raw = false;     // tokens are UTF-8 with U+2581 for spaces and <0x00> bytes, not GPT-2's byte alphabet
};

// `name` as in the file, "" or "default" for files without one. Nothing for a name that is not known.
std::optional<GgufPreTokenizer> gguf_pre_tokenizer(std::string_view name);

// Every name that is known.
std::vector<std::string_view> gguf_pre_tokenizer_names();

}  // namespace transom::text
