// The registry: one line per architecture string.
#include "models/registry.h"

#include <array>

namespace transom {
namespace {

struct Row {
  std::string_view architecture;
  Family (*family)();
  std::string_view gguf = {};  // general.architecture of GGUF files of this family
};

constexpr std::array kRows = {
    Row{"BertForMaskedLM", bert_family},  // as an encoder: its head is not read yet
    Row{"BertModel", bert_family},
    Row{"Cohere2ForCausalLM", cohere2_family},
    Row{"CohereForCausalLM", cohere_family},
    Row{"Gemma2ForCausalLM", gemma2_family, "gemma2"},
    Row{"Gemma3ForCausalLM", gemma3_family, "gemma3"},
    Row{"GemmaForCausalLM", gemma_family, "gemma"},
    Row{"GptOssForCausalLM", gpt_oss_family},
    Row{"GraniteForCausalLM", granite_family},
    Row{"GraniteMoeForCausalLM", granite_moe_family},
    Row{"LlamaForCausalLM", llama_family, "llama"},
    Row{"MistralForCausalLM", mistral_family},
    Row{"MixtralForCausalLM", mixtral_family},
    Row{"Olmo2ForCausalLM", olmo2_family},
    Row{"Olmo3ForCausalLM", olmo3_family},
    Row{"OlmoeForCausalLM", olmoe_family, "olmoe"},
    Row{"Phi3ForCausalLM", phi3_family},
    Row{"PhiForCausalLM", phi_family},
    Row{"PhiMoEForCausalLM", phimoe_family},  // as the first checkpoints spell it
    Row{"PhimoeForCausalLM", phimoe_family},
    Row{"Qwen2ForCausalLM", qwen2_family, "qwen2"},
    Row{"Qwen2MoeForCausalLM", qwen2_moe_family, "qwen2moe"},
    Row{"Qwen3ForCausalLM", qwen3_family, "qwen3"},
    Row{"Qwen3MoeForCausalLM", qwen3_moe_family, "qwen3moe"},
    Row{"SmolLM3ForCausalLM", smollm3_family, "smollm3"},
    Row{"StableLmForCausalLM", stablelm_family, "stablelm"},
    Row{"Starcoder2ForCausalLM", starcoder2_family, "starcoder2"},
};

}  // namespace

std::optional<Family> find_family(std::string_view architecture) {
  for (const Row& r : kRows)
    if (r.architecture == architecture) return r.family();
  return std::nullopt;
}

std::string_view architecture_of_gguf(std::string_view gguf_architecture) {
  for (const Row& r : kRows)
    if (!r.gguf.empty() && r.gguf == gguf_architecture) return r.architecture;
  return {};
}

std::vector<std::string_view> native_architectures() {
  std::vector<std::string_view> names;
  for (const Row& r : kRows) names.push_back(r.architecture);
  return names;
}

}  // namespace transom
