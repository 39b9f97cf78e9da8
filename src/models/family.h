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

Family albert_family(), arcee_family(), baichuan_family(), bamba_family(), bart_family(), bert_family(), bloom_family(),
    chatglm_family(), cohere2_family(), cohere_family(), deberta_v2_family(), deepseek_v2_family(),
    deepseek_v32_family(), deepseek_v3_family(), distilbert_family(), dots1_family(), electra_family(),
    ernie4_5_family(), ernie4_5_moe_family(), exaone4_family(), falcon_family(), falcon_h1_family(),
    falcon_mamba_family(), gemma2_family(), gemma3_family(), gemma3n_family(), gemma4_family(), gemma_family(),
    glm4_family(), glm4_moe_family(), glm4_moe_lite_family(), glm_family(), gpt2_family(), gpt_neox_family(),
    gpt_oss_family(), gptj_family(), granite_family(), granite_moe_family(), granite_moe_hybrid_family(),
    internlm2_family(), internlm3_family(), internlm_family(), jamba_family(), lfm2_family(), lfm2_moe_family(),
    llama4_family(), llama_family(), m2m100_family(), mamba2_family(), mamba_family(), marian_family(),
    mbart_family(), mimo_family(), mimo_v2_family(), minimax_m2_family(), ministral3_family(), mistral3_family(),
    mistral_family(), mixtral_family(), modernbert_family(), mpnet_family(), mpt_family(), mt5_family(),
    nemotron_family(), nomic_bert_family(), olmo2_family(), olmo3_family(), olmo_family(), olmoe_family(),
    opt_family(), pegasus_family(), phi3_family(), phi_family(), phimoe_family(), qwen2_family(), qwen2_moe_family(),
    qwen3_5_family(), qwen3_5_moe_family(), qwen3_family(), qwen3_moe_family(), qwen3_next_family(), qwen_family(),
    roberta_family(), rwkv_family(), smollm3_family(), stablelm_family(), starcoder2_family(), t5_family(),
    whisper_family();

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
