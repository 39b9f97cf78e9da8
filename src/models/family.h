// What a family file provides: how config.json becomes a network, and how checkpoints name its tensors.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "nn/network.h"
#include "spec/config.h"
#include "spec/gguf_names.h"
#include "spec/rules.h"

namespace transom {

struct Family {
  std::unique_ptr<nn::Network> (*build)(const Config& config, const Scope& root);
  Rules rules;                    // for Hugging Face checkpoints
  Rules (*config_rules)(const Config& config) = nullptr;  // likewise, those that depend on the config
  GgufNames gguf;                 // for GGUF files
  std::string_view base_prefix;   // transformers' base_model_prefix: present in some checkpoints, absent in others
  std::vector<std::string_view> config_keys;  // what transformers' config class defines, beyond the common keys
  // The head of a task that build leaves out; null: build declares the only one there is.
  nn::HeadSpec (*head)(const Config& config, nn::Task task) = nullptr;
  // config.json's own names of keys, and the common ones that are read instead (transformers' attribute_map).
  std::vector<std::pair<std::string_view, std::string_view>> config_aliases = {};
  // The object of config.json that is the model's own, where a multimodal model's config holds one for each part.
  std::string_view section = {};
  void (*adjust)(Json& config) = nullptr;  // changes to config.json before it is read
  nn::Task task = nn::Task::kNone;  // what the architecture's name says, set by the registry
};

// Gives the keys of config_aliases the common names, where the config does not have these already.
void apply_aliases(const Family& family, Json& config);

// The network with its task's head.
std::unique_ptr<nn::Network> build_network(const Family& family, const Config& config, const Scope& root);

Family albert_family();
Family baichuan_family();
Family bamba_family();
Family bart_family();
Family bert_family();
Family bloom_family();
Family chatglm_family();
Family cohere2_family();
Family cohere_family();
Family deepseek_v2_family();
Family deepseek_v32_family();
Family deepseek_v3_family();
Family deberta_v2_family();
Family distilbert_family();
Family electra_family();
Family dots1_family();
Family ernie4_5_family();
Family ernie4_5_moe_family();
Family exaone4_family();
Family falcon_family();
Family falcon_h1_family();
Family falcon_mamba_family();
Family gemma2_family();
Family gemma3_family();
Family gemma3n_family();
Family gemma4_family();
Family gemma_family();
Family glm4_family();
Family glm4_moe_family();
Family glm4_moe_lite_family();
Family glm_family();
Family gpt2_family();
Family gpt_neox_family();
Family gpt_oss_family();
Family gptj_family();
Family granite_family();
Family granite_moe_family();
Family granite_moe_hybrid_family();
Family internlm2_family();
Family internlm3_family();
Family internlm_family();
Family jamba_family();
Family lfm2_family();
Family lfm2_moe_family();
Family llama4_family();
Family llama_family();
Family mamba2_family();
Family mamba_family();
Family m2m100_family();
Family marian_family();
Family mbart_family();
Family mimo_family();
Family mimo_v2_family();
Family minimax_m2_family();
Family ministral3_family();
Family mistral3_family();
Family mistral_family();
Family mixtral_family();
Family modernbert_family();
Family mpnet_family();
Family mpt_family();
Family nemotron_family();
Family mt5_family();
Family nomic_bert_family();
Family olmo2_family();
Family olmo3_family();
Family olmo_family();
Family olmoe_family();
Family opt_family();
Family pegasus_family();
Family phi3_family();
Family phi_family();
Family phimoe_family();
Family qwen2_family();
Family qwen2_moe_family();
Family qwen3_5_family();
Family qwen3_5_moe_family();
Family qwen3_family();
Family qwen3_moe_family();
Family qwen3_next_family();
Family qwen_family();
Family roberta_family();
Family rwkv_family();
Family smollm3_family();
Family stablelm_family();
Family starcoder2_family();
Family t5_family();
Family whisper_family();

// The GGUF names that all decoders share: token_embd, output_norm, output and the plain attention and feed-forward ones.
Rules gguf_decoder_rules();
// Likewise for the norms of sandwich_decoder and reordered_decoder (models/decoder_parts.h).
Rules gguf_sandwich_rules();
Rules gguf_reordered_rules();
// q, k and v of a layer in one tensor, one after the other; gate and up likewise.
Rules gguf_fused_qkv();
Rules gguf_fused_gate_up();

// For families that rotate halves of heads where GGUF stores query and key rows permuted for rotation by adjacent pairs.
void gguf_rows_in_pairs(Json& config);

}  // namespace transom
