// Reading Hugging Face's tokenizer.json into a TokenizerSpec. The format: huggingface/tokenizers, tokenizer/serialization
// and models/*/serialization; both spellings of BPE merges ("a b" and ["a", "b"]).
#pragma once

#include <string>
#include <string_view>

#include "text/tokenizer_spec.h"

namespace transom::text {

// Reads the file; Error{kCorrupt, kUnsupported} in one line naming the path, what was expected and what was found.
TokenizerSpec read_tokenizer_json(const std::string& path);

// The same from memory; `context` stands for the path.
TokenizerSpec parse_tokenizer_json(std::string_view bytes, std::string_view context);

// Fills the special ids that `spec` lacks from tokenizer_config.json, special_tokens_map.json (which name tokens) beside it.
void read_special_ids(const std::string& directory, TokenizerSpec& spec);

}  // namespace transom::text
