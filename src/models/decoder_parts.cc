// decoder_parts and pre_norm_decoder: see decoder_parts.h.
#include "models/decoder_parts.h"

#include <cmath>

namespace transom {

DecoderParts decoder_parts(const Config& c, const DecoderDefaults& d) {
  const int64_t hidden = c.size("hidden_size"), heads = c.size("num_attention_heads");
  const int64_t kv_heads = c.size("num_key_value_heads", heads);
  const int64_t head_dim = c.size("head_dim", d.head_dim ? d.head_dim : hidden / heads);
  nn::require_groups(c, heads, kv_heads);
  DecoderParts p;
  p.norm = {.kind = d.norm, .size = hidden, .eps = c.f(d.eps_key, d.eps), .bias = d.norm == nn::Norm::kLayer};
  p.attention = {.hidden = hidden, .heads = heads, .kv_heads = kv_heads, .head_dim = head_dim,
                 .scale = 1 / std::sqrt(static_cast<double>(head_dim))};
  if (d.rotates) p.attention.rope = std::make_shared<nn::RopeSpec>(nn::rope_from_config(c, head_dim, d.rope_theta, d.rope_layers, d.partial_rotary));
  p.mlp = {.hidden = hidden,
           .inner = d.inner_per_hidden ? c.size("intermediate_size", d.inner_per_hidden * hidden) : c.size("intermediate_size"),
           .act = nn::activation_by_name(c.s(d.act_key, d.act), c.origin())};
  if (!d.gated) p.mlp.gate = "";
  p.decoder = {.vocab = c.size("vocab_size"), .norm = p.norm, .tied = c.b("tie_word_embeddings", d.tied), .padding_id = padding_id(c)};
  p.layers = c.size("num_hidden_layers");
  return p;
}

std::vector<std::string_view> decoder_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                                        "num_key_value_heads", "max_position_embeddings", "tie_word_embeddings", "rope_theta",
                                        "rope_scaling", "rope_parameters", "head_dim"};
  keys.insert(keys.end(), more);
  return keys;
}

std::shared_ptr<const nn::RopeSpec> interleaved(const nn::RopeSpec& rope) {
  nn::RopeSpec r = rope;
  r.interleaved = true;
  return std::make_shared<nn::RopeSpec>(std::move(r));
}

int32_t sliding_window(const Config& c, int64_t otherwise) {
  if (c.is_null("sliding_window") || (!c.has("sliding_window") && otherwise == 0)) {
    c.ignore("sliding_window");
    return 0;
  }
  return static_cast<int32_t>(c.size("sliding_window", otherwise));
}

std::vector<bool> layers_of_type(const Config& c, int64_t layers, std::string_view yes, std::string_view no,
                                 const std::function<bool(int64_t)>& otherwise) {
  const std::vector<std::string> types = c.strings("layer_types");
  c.require(types.empty() || static_cast<int64_t>(types.size()) == layers, "layer_types", "as many as num_hidden_layers");
  std::vector<bool> out;
  for (int64_t i = 0; i < layers; ++i) {
    if (!types.empty()) c.require(types[i] == yes || types[i] == no, "layer_types", std::string(no) + " or " + std::string(yes));
    out.push_back(types.empty() ? otherwise(i) : types[i] == yes);
  }
  return out;
}

std::vector<bool> sliding_layers(const Config& c, int64_t layers, const std::function<bool(int64_t)>& otherwise) {
  return layers_of_type(c, layers, "sliding_attention", "full_attention", otherwise);
}

std::shared_ptr<const nn::RopeSpec> local_rope(const Config& c, int64_t head_dim, double theta) {
  return std::make_shared<nn::RopeSpec>(c.has("rope_parameters") ? nn::rope_from_config(c, head_dim, theta, "sliding_attention")
                                                                 : nn::plain_rope(head_dim, theta));
}

// A decoder whose layers add(decoder, scope, attention, number) adds.
template <class Add>
static std::unique_ptr<nn::Network> decoder_of(const Scope& root, const DecoderParts& p, const AttentionOfLayer& attention, Add add) {
  auto d = std::make_unique<nn::Decoder>(root, p.decoder);
  int64_t i = 0;
  for (const Scope& s : layers(root / "model.layers", p.layers)) {
    add(*d, s, attention ? attention(i) : p.attention, i);
    ++i;
  }
  return d;
}

std::unique_ptr<nn::Network> mixed_decoder(const Scope& root, const DecoderParts& p, const MixerOfLayer& mixer,
                                           const FeedForwardOfLayer& feed_forward) {
  return decoder_of(root, p, {}, [&](nn::Decoder& d, const Scope& s, const nn::AttentionSpec&, int64_t i) {
    d.add<nn::PreNorm>(nn::NormLayer(s / "input_layernorm", p.norm), mixer(s, i), nn::NormLayer(s / "post_attention_layernorm", p.norm),
                       feed_forward ? feed_forward(s, i) : nn::layer<nn::Mlp>(s / "mlp", p.mlp), static_cast<float>(p.residual_scale));
  });
}

std::unique_ptr<nn::Network> pre_norm_decoder(const Scope& root, const DecoderParts& p, const AttentionOfLayer& attention,
                                              const FeedForwardOfLayer& feed_forward) {
  const auto mixer = [&](const Scope& s, int64_t i) { return nn::layer<nn::Attention>(s / "self_attn", attention ? attention(i) : p.attention); };
  return mixed_decoder(root, p, mixer, feed_forward);
}

std::unique_ptr<nn::Network> sandwich_decoder(const Scope& root, const DecoderParts& p, const AttentionOfLayer& attention) {
  return decoder_of(root, p, attention, [&](nn::Decoder& d, const Scope& s, const nn::AttentionSpec& a, int64_t) {
    d.add<nn::Sandwich>(nn::NormLayer(s / "input_layernorm", p.norm), nn::layer<nn::Attention>(s / "self_attn", a),
                        nn::NormLayer(s / "post_attention_layernorm", p.norm), nn::NormLayer(s / "pre_feedforward_layernorm", p.norm),
                        nn::layer<nn::Mlp>(s / "mlp", p.mlp), nn::NormLayer(s / "post_feedforward_layernorm", p.norm));
  });
}

std::unique_ptr<nn::Network> parallel_decoder(const Scope& root, const DecoderParts& p, const AttentionOfLayer& attention) {
  return decoder_of(root, p, attention, [&](nn::Decoder& d, const Scope& s, const nn::AttentionSpec& a, int64_t) {
    d.add<nn::Parallel>(nn::NormLayer(s / "input_layernorm", p.norm), nn::layer<nn::Attention>(s / "self_attn", a), std::nullopt,
                        nn::layer<nn::Mlp>(s / "mlp", p.mlp));
  });
}

std::unique_ptr<nn::Network> reordered_decoder(const Scope& root, const DecoderParts& p, const AttentionOfLayer& attention) {
  return decoder_of(root, p, attention, [&](nn::Decoder& d, const Scope& s, const nn::AttentionSpec& a, int64_t) {
    d.add<nn::Reordered>(nn::layer<nn::Attention>(s / "self_attn", a), nn::NormLayer(s / "post_attention_layernorm", p.norm),
                         nn::layer<nn::Mlp>(s / "mlp", p.mlp), nn::NormLayer(s / "post_feedforward_layernorm", p.norm));
  });
}

}  // namespace transom
