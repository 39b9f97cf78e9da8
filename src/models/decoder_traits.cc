// decoder_traits: see generic.h.
#include "models/generic.h"

namespace transom {
namespace {

// What the first layer's tensors show.
class Traits {
 public:
  explicit Traits(const ShapeOf& shape_of) : shape_of_(shape_of) {}

  bool decoder() {
    if (!has("self_attn.o_proj.weight") || !(has("self_attn.q_proj.weight") || has("self_attn.qkv_proj.weight"))) return false;
    const bool before = has("input_layernorm.weight"), between = has("post_attention_layernorm.weight");
    const bool sandwich = has("pre_feedforward_layernorm.weight"), after = has("post_feedforward_layernorm.weight");
    if (before && between && sandwich && after) json["block"] = "sandwich", say("norms around both sublayers");
    else if (before && between && !sandwich && !after) json["block"] = "pre_norm";
    else if (!before && between && !sandwich && after) json["block"] = "reordered", say("norms on the sublayers' outputs");
    else return false;
    flag("layer_norm", has("post_attention_layernorm.bias"), "LayerNorm");
    flag("qkv_bias", has("self_attn.q_proj.bias") || has("self_attn.qkv_proj.bias"), "biases on q, k and v");
    flag("out_bias", has("self_attn.o_proj.bias"), "a bias on the attention's output");
    flag("head_bias", shape_of_("lm_head.bias") != nullptr, "a bias on the head");
    if (const auto* q = shape("self_attn.q_norm.weight"); q && q->size() == 1)
      json["qk_norm"] = (*q)[0], say("norms of q and k");
    return feed_forward();
  }

  Json json;
  std::string words;

 private:
  const std::vector<int64_t>* shape(const std::string& name) const { return shape_of_("model.layers.0." + name); }
  bool has(const std::string& name) const { return shape(name) != nullptr; }
  void say(const std::string& what) { words += (words.empty() ? "" : ", ") + what; }
  void flag(const char* key, bool on, const char* what) {
    json[key] = on;
    if (on) say(what);
  }

  bool feed_forward() {
    if (has("mlp.experts.0.gate_proj.weight") && has("mlp.gate.weight")) {
      json["experts"] = "mlp";
      say("experts");
      return true;
    }
    if (has("block_sparse_moe.experts.0.w1.weight") && has("block_sparse_moe.gate.weight")) {
      json["experts"] = "block_sparse_moe";
      say("experts");
      return true;
    }
    if (!has("mlp.down_proj.weight")) return false;
    flag("plain", !has("mlp.gate_proj.weight") && !has("mlp.gate_up_proj.weight"), "a feed-forward without gate");
    flag("mlp_bias", has("mlp.down_proj.bias"), "biases in the feed-forward");
    return true;
  }

  const ShapeOf& shape_of_;
};

}  // namespace

std::optional<Json> decoder_traits(const ShapeOf& shape_of, std::string& found) {
  if (!shape_of("model.embed_tokens.weight") || !shape_of("model.norm.weight")) return std::nullopt;
  Traits t(shape_of);
  if (!t.decoder()) return std::nullopt;
  found = std::move(t.words);
  return std::move(t.json);
}

}  // namespace transom
