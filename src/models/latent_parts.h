// What families with latent attention share: the values behind DeepSeek's config keys.
#pragma once

#include "models/moe_parts.h"
#include "nn/latent_attention.h"

namespace transom {

// Reads the ranks, the head sizes, attention_bias and the rotation; `parts` gives hidden size and heads.
nn::LatentAttentionSpec latent_attention_spec(const Config& c, const DecoderParts& parts, int64_t query_rank = 1536);

// Latent attention in every layer; mixtures in those that sparse_layers_after names.
std::unique_ptr<nn::Network> latent_decoder(const Config& c, const Scope& root, const DecoderParts& parts,
                                            const nn::LatentAttentionSpec& attention, const nn::MoeSpec& moe, int64_t dense);

// GGUF's names of it and of the mixtures. Newer files hold the expansion of the latents in two, that of the keys transposed.
GgufNames latent_gguf();
void gguf_latent(Json& config);

// grouped_moe_keys() and those of latent_attention_spec.
std::vector<std::string_view> latent_keys(std::initializer_list<std::string_view> more = {});

}  // namespace transom
