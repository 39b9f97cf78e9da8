// BART (Lewis et al. 2020) and its descendants: mBART (Liu et al. 2020), Pegasus (Zhang et al. 2020), Marian (Junczys-Dowmunt et al. 2018)
// and M2M100 (Fan et al. 2021), with NLLB's checkpoints. transformers modeling_bart, …_mbart, …_pegasus, …_marian, …_m2m_100.
#include <cmath>

#include "models/seq2seq_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build_bart(const Config& c, const Scope& root) {
  return seq2seq_network(root, seq2seq_parts(c), {.embedding_norm = true, .positions = {.offset = 2}});
}

std::unique_ptr<nn::Network> build_mbart(const Config& c, const Scope& root) {
  return seq2seq_network(root, seq2seq_parts(c), {.pre_norm = true, .embedding_norm = true, .positions = {.offset = 2}});
}

std::unique_ptr<nn::Network> build_pegasus(const Config& c, const Scope& root) {
  return seq2seq_network(root, seq2seq_parts(c), {.pre_norm = true, .positions = {.kind = Positions::Kind::kComputed}});
}

std::unique_ptr<nn::Network> build_marian(const Config& c, const Scope& root) {
  c.require(c.b("share_encoder_decoder_embeddings", true), "share_encoder_decoder_embeddings", "true");
  c.require(c.i("decoder_vocab_size", c.size("vocab_size")) == c.size("vocab_size"), "decoder_vocab_size", "vocab_size");
  return seq2seq_network(root, seq2seq_parts(c), {.positions = {.kind = Positions::Kind::kComputed}});
}

// Positions count from pad_token_id + 1, and the table's sines have the period of tensor2tensor.
std::unique_ptr<nn::Network> build_m2m100(const Config& c, const Scope& root) {
  Seq2SeqParts p = seq2seq_parts(c, "relu");
  if (c.b("scale_embedding", true)) p.embedding_scale = std::sqrt(static_cast<double>(p.norm.size));
  const double period = static_cast<double>(p.norm.size) / 2 - 1;
  return seq2seq_network(root, p, {.pre_norm = true, .positions = {.kind = Positions::Kind::kComputed, .offset = p.padding_id + 1, .period = period},
                                   .head_bias = false});
}

}  // namespace

Family bart_family() { return seq2seq_family(build_bart); }
Family mbart_family() { return seq2seq_family(build_mbart); }
Family pegasus_family() { return seq2seq_family(build_pegasus); }
Family marian_family() { return seq2seq_family(build_marian, {"share_encoder_decoder_embeddings", "decoder_vocab_size"}); }
Family m2m100_family() { return seq2seq_family(build_m2m100); }

}  // namespace transom
