// Post-processors: special tokens around a single sequence. Meaning as Hugging Face `tokenizers`, processors/.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace transom::text {

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  // Rewrites the parts of an encoding (at first one part, the text's ids).
  virtual void apply(std::vector<std::vector<int32_t>>& parts, bool add_special_tokens) const = 0;
  // How many ids it adds around one sequence: truncation leaves room for them.
  virtual size_t added() const = 0;
};

// From tokenizer.json's "post_processor"; null for a JSON null.
std::unique_ptr<PostProcessor> make_post_processor(const Json& json, std::string_view context);

}  // namespace transom::text
