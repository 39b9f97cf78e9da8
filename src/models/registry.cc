// The registry: one line per architecture string. A GGUF file's general.architecture is mapped to these names by the
// checkpoint's config translation.
#include "models/registry.h"

#include <array>

namespace transom {
namespace {

struct Row {
  std::string_view architecture;
  Family (*family)();
};

constexpr std::array kRows = {
    Row{"BertForMaskedLM", bert_family},  // as an encoder: its head is not read yet
    Row{"BertModel", bert_family},
    Row{"Gemma3ForCausalLM", gemma3_family},
    Row{"LlamaForCausalLM", llama_family},
};

}  // namespace

std::optional<Family> find_family(std::string_view architecture) {
  for (const Row& r : kRows)
    if (r.architecture == architecture) return r.family();
  return std::nullopt;
}

std::vector<std::string_view> native_architectures() {
  std::vector<std::string_view> names;
  for (const Row& r : kRows) names.push_back(r.architecture);
  return names;
}

}  // namespace transom
