// Whisper (Radford et al. 2023; transformers modeling_whisper): BART's pre-norm blocks over frames of sound, keys without a bias,
// learned positions in the decoder.
#include "models/seq2seq_parts.h"
#include "nn/audio_embedder.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  Seq2SeqParts p = seq2seq_parts(c);
  p.encoder.attention.k_bias = p.decoder.attention.k_bias = false;
  c.require(!c.b("scale_embedding", false), "scale_embedding", "false");
  for (const char* key : {"classifier_proj_size", "use_weighted_layer_sum", "median_filter_width",  // other heads', and alignment's
                          "apply_spec_augment", "mask_feature_length", "mask_feature_min_masks", "mask_feature_prob", "mask_time_length",
                          "mask_time_min_masks", "mask_time_prob"})
    c.ignore(key);
  const int64_t features = c.size("num_mel_bins", 80), sounds = c.size("max_source_positions", 1500);
  const Scope model = root / "model", encoder = model / "encoder", decoder = model / "decoder";
  const Split by_row{Split::Axis::kOut, 1};
  const Param* words = (decoder / "embed_tokens").table("weight", p.decoder.vocab, p.norm.size, by_row);
  const ops::LinearParam head{(root / "proj_out").matrix("weight", p.decoder.vocab, p.norm.size, by_row, p.tied ? words : nullptr), nullptr};
  auto n = std::make_unique<nn::EncoderDecoder>(nn::EncoderDecoderSpec{
      .source = {.features = features, .positions = 2 * sounds, .stride = 2}, .vocab = p.decoder.vocab, .positions = p.decoder.positions,
      .encoder_layers = p.encoder.layers, .head = head});
  n->encoder().set_embedder(std::make_unique<const nn::AudioEmbedder>(encoder, features, p.norm.size, sounds));
  n->decoder().set_embedder(std::make_unique<const nn::TokenEmbedder>(nn::TokenEmbedderSpec{
      .words = words, .padding_id = p.padding_id, .positions = (decoder / "embed_positions").table("weight", p.decoder.positions, p.norm.size),
      .norm = {}}));
  add_blocks(*n, model, p, true);
  n->encoder().set_norm({encoder / "layer_norm", p.norm});
  n->decoder().set_norm({decoder / "layer_norm", p.norm});
  return n;
}

}  // namespace

Family whisper_family() {
  return {.build = build,
          .rules = {},
          .gguf = {},
          .base_prefix = "model",
          .config_keys = seq2seq_keys({"num_mel_bins", "max_source_positions"}),
          .config_aliases = {{"d_model", "hidden_size"}, {"max_target_positions", "max_position_embeddings"}}};
}

}  // namespace transom
