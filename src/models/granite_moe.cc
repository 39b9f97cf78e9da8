// Granite 3 MoE (IBM 2024; transformers modeling_granitemoe): Granite's layers with a mixture of experts that lie stacked, gate
// and up joined, in one tensor of a layer.
#include "models/moe_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const DecoderParts p = granite_parts(c);
  nn::MoeSpec moe = moe_spec(c, p);
  moe.routing.normalize = true;  // a softmax over the chosen logits
  moe.router = "router.layer";
  return pre_norm_decoder(root, p, {}, [&](const Scope& s, int64_t) { return nn::layer<nn::Moe>(s / "block_sparse_moe", moe); });
}

}  // namespace

Rules granite_moe_rules() {
  const std::string moe = "model.layers.*.block_sparse_moe.", expert = moe + "experts.*.";
  return {Fused{expert + "input_linear.weight", {expert + "gate_proj.weight", expert + "up_proj.weight"}},
          Stacked{expert + "input_linear.weight", moe + "input_linear.weight"},
          Stacked{expert + "down_proj.weight", moe + "output_linear.weight"}};
}

Family granite_moe_family() {
  Rules gguf = {Rename{"model.layers.*.block_sparse_moe.router.layer.weight", "blk.*.ffn_gate_inp.weight"},
                Stacked{"model.layers.*.block_sparse_moe.experts.*.gate_proj.weight", "blk.*.ffn_gate_exps.weight"},
                Stacked{"model.layers.*.block_sparse_moe.experts.*.up_proj.weight", "blk.*.ffn_up_exps.weight"},
                Stacked{"model.layers.*.block_sparse_moe.experts.*.down_proj.weight", "blk.*.ffn_down_exps.weight"}};
  gguf += gguf_decoder_rules();
  GgufNames names = granite_gguf(gguf);
  for (const auto& key : gguf_moe_keys()) names.keys.push_back(key);
  return {.build = build,
          .rules = granite_moe_rules(),
          .gguf = std::move(names),
          .base_prefix = "model",
          .config_keys = moe_keys({"attention_bias", "embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier"})};
}

}  // namespace transom
