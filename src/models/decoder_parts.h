// What most decoder families share: the values behind Hugging Face's common config keys, which a family then changes, and
// the plain pre-norm decoder made of them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "models/family.h"
#include "nn/attention.h"
#include "nn/mlp.h"

namespace transom {

// transformers' defaults for keys that a config may leave out.
struct DecoderDefaults {
  nn::Norm norm = nn::Norm::kRms;
  const char* eps_key = "rms_norm_eps";
  double eps = 1e-6;
  double rope_theta = 10000;
  double partial_rotary = 1;
  const char* rope_layers = "";  // where layer types rotate differently: those that DecoderParts::attention is for
  int64_t head_dim = 0;  // 0: hidden_size / num_attention_heads
  const char* act_key = "hidden_act";
  const char* act = "silu";
  bool gated = true;
  int64_t inner_per_hidden = 0;  // where intermediate_size may be absent
  bool rotates = true;
  bool tied = false;
};

struct DecoderParts {
  nn::NormSpec norm;
  nn::AttentionSpec attention;
  nn::MlpSpec mlp;
  nn::DecoderSpec decoder;
  int64_t layers = 0;
  double residual_scale = 1;
};

// Reads the keys of decoder_keys().
DecoderParts decoder_parts(const Config& c, const DecoderDefaults& defaults = {});

// decoder_parts with Granite's multipliers.
DecoderParts granite_parts(const Config& c);
GgufNames granite_gguf(Rules rules);

// The config keys that decoder_parts reads, and `more`.
std::vector<std::string_view> decoder_keys(std::initializer_list<std::string_view> more = {});

// For hybrids, of which GGUF gives the kv heads layer by layer, 0 where there is no attention: layer_types of these names.
void gguf_layer_types(Json& config, std::string_view attention, std::string_view other);

// The same rotation, of adjacent pairs.
std::shared_ptr<const nn::RopeSpec> interleaved(const nn::RopeSpec& rope);

// sliding_window; 0 when there is none. `otherwise`: the family's default for an absent key.
int32_t sliding_window(const Config& c, int64_t otherwise);

// Which layers are of type `yes` rather than `no`, by `layer_types`, or those that `otherwise` says.
std::vector<bool> layers_of_type(const Config& c, int64_t layers, std::string_view yes, std::string_view no,
                                 const std::function<bool(int64_t)>& otherwise);

// Which layers see only the window: `layer_types`, or those that `otherwise` says.
std::vector<bool> sliding_layers(const Config& c, int64_t layers, const std::function<bool(int64_t)>& otherwise);

// The rotation of the windowed layers where it differs from the others': their own in `rope_parameters`, else plain.
std::shared_ptr<const nn::RopeSpec> local_rope(const Config& c, int64_t head_dim, double theta);

// The attention of layer i.
using AttentionOfLayer = std::function<nn::AttentionSpec(int64_t)>;

// The feed-forward of layer i, declared below the layer's scope.
using FeedForwardOfLayer = std::function<nn::LayerPtr(const Scope& layer, int64_t i)>;

// The mixer of layer i, declared below the layer's scope.
using MixerOfLayer = std::function<nn::LayerPtr(const Scope& layer, int64_t i)>;

// embed -> n times PreNorm(mixer, feed-forward) -> norm -> head, under the names of Llama's layers.
std::unique_ptr<nn::Network> mixed_decoder(const Scope& root, const DecoderParts& parts, const MixerOfLayer& mixer,
                                           const FeedForwardOfLayer& feed_forward = {});

// Likewise with attention, and the same feed-forward in every layer unless told otherwise.
std::unique_ptr<nn::Network> pre_norm_decoder(const Scope& root, const DecoderParts& parts, const AttentionOfLayer& attention = {},
                                              const FeedForwardOfLayer& feed_forward = {});

// Likewise of Sandwich blocks, under the names of Gemma's layers.
std::unique_ptr<nn::Network> sandwich_decoder(const Scope& root, const DecoderParts& parts, const AttentionOfLayer& attention);
// Likewise of Parallel blocks with one norm for both sublayers.
std::unique_ptr<nn::Network> parallel_decoder(const Scope& root, const DecoderParts& parts, const AttentionOfLayer& attention = {});

// Likewise of Reordered blocks, under the names of OLMo 2's layers.
std::unique_ptr<nn::Network> reordered_decoder(const Scope& root, const DecoderParts& parts, const AttentionOfLayer& attention);

}  // namespace transom
