// NomicBERT (Nussbaum et al. 2024; transformers modeling_nomic_bert): BERT's post-norm with rotary positions, a gated
// feed-forward and no biases in its layers.
#include <cmath>

#include "models/encoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  EncoderParts p = encoder_parts(c, "silu");
  p.encoder.positions = 0;
  nn::AttentionSpec& a = p.attention;
  a.head_dim = c.size("head_dim", a.head_dim);
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  a.rope = std::make_shared<nn::RopeSpec>(nn::rope_from_config(c, a.head_dim, 1000));
  a.qkv_bias = a.out_bias = p.mlp.bias = false;
  a.q = "q_proj", a.k = "k_proj", a.v = "v_proj", a.o = "o_proj";
  p.mlp.gate = "gate_proj", p.mlp.up = "up_proj", p.mlp.down = "down_proj";
  auto e = std::make_unique<nn::Encoder>(root, p.encoder);
  for (const Scope& s : layers(root / "layers", p.layers))
    e->add<nn::PostNorm>(nn::layer<nn::Attention>(s / "self_attn", a), nn::NormLayer(s / "post_attention_layernorm", p.norm),
                         nn::layer<nn::Mlp>(s / "mlp", p.mlp), nn::NormLayer(s / "post_mlp_layernorm", p.norm));
  return e;
}

nn::HeadSpec head(const Config& c, nn::Task task) {
  return encoder_head(c, task,
                      {.masked_lm = {.dense = "cls.predictions.transform.dense", .act = activation(c, "hidden_act", "silu"),
                                     .norm_name = "cls.predictions.transform.layer_norm", .out = "cls.predictions.decoder",
                                     .bias = "cls.predictions.bias"},
                       .sequence = {.dense = "pooler.dense", .act = Activation::kTanh, .out = "classifier"}});
}

// Checkpoints have the names of the code that they were published with; transformers' own are those above.
Rules stored_names() {
  return {Drop{"pooler.**"}, Drop{"nomic_bert.pooler.**"}, Drop{"cls.**"},
          Fused{"encoder.layers.*.attn.Wqkv.*", {"layers.*.self_attn.q_proj.*", "layers.*.self_attn.k_proj.*", "layers.*.self_attn.v_proj.*"}},
          Rename{"embeddings.LayerNorm.*", "emb_ln.*"},
          Rename{"layers.*.self_attn.o_proj.*", "encoder.layers.*.attn.out_proj.*"},
          Rename{"layers.*.post_attention_layernorm.*", "encoder.layers.*.norm1.*"},
          Rename{"layers.*.post_mlp_layernorm.*", "encoder.layers.*.norm2.*"},
          Rename{"layers.*.mlp.up_proj.*", "encoder.layers.*.mlp.fc11.*"},
          Rename{"layers.*.mlp.gate_proj.*", "encoder.layers.*.mlp.fc12.*"},
          Rename{"layers.*.mlp.down_proj.*", "encoder.layers.*.mlp.fc2.*"}};
}

}  // namespace

Family nomic_bert_family() {
  return {.build = build,
          .rules = stored_names(),
          .gguf = nomic_bert_gguf(),
          .base_prefix = "nomic_bert",
          .config_keys = encoder_keys({"head_dim", "rope_parameters", "rope_scaling", "rope_theta"}),
          .head = head};
}

}  // namespace transom
