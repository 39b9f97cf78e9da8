// gguf_config: see gguf_config.h. A translation reads every key below the architecture's prefix; one that it does not know is
// passed on under its own name, so that the reader of the config reports it.
#include "checkpoint/gguf_config.h"

#include <set>

#include "base/error.h"
#include "tensor/quant.h"

namespace transom {
namespace {

// Reads "<arch>.<key>" values into config keys and remembers which were read.
class Translator {
 public:
  Translator(const TensorSource& source, std::string arch) : source_(source), gguf_(*source.gguf()), arch_(std::move(arch)) {}

  void integer(const char* key, const char* to) {
    if (const auto v = gguf_.find_i64(take(key))) config[to] = *v;
  }
  void number(const char* key, const char* to) {
    if (const auto v = gguf_.find_f64(take(key))) config[to] = *v;
  }
  std::optional<int64_t> integer(const char* key) { return gguf_.find_i64(take(key)); }
  std::optional<double> number(const char* key) { return gguf_.find_f64(take(key)); }
  std::string text(const char* key) { return std::string(gguf_.find_str(take(key)).value_or("")); }

  void decoder() {
    integer("context_length", "max_position_embeddings");
    integer("embedding_length", "hidden_size");
    integer("block_count", "num_hidden_layers");
    integer("feed_forward_length", "intermediate_size");
    integer("attention.head_count", "num_attention_heads");
    integer("attention.head_count_kv", "num_key_value_heads");
    integer("attention.key_length", "head_dim");
    number("attention.layer_norm_rms_epsilon", "rms_norm_eps");
    number("rope.freq_base", "rope_theta");
    const TensorEntry& embedding = source_.at("token_embd.weight");
    if (embedding.shape.size() != 2)
      fail(Code::kCorrupt, source_.path(), "expected two dimensions, got {} (token_embd.weight)", shape_text(embedding.shape));
    config["vocab_size"] = embedding.shape[0];
    config["tie_word_embeddings"] = source_.find("output.weight") == nullptr;
    take("vocab_size");
    head_size("attention.value_length");
    head_size("rope.dimension_count");
    rope_scaling();
  }

  Json finish() {
    for (const auto& [key, value] : gguf_.values())
      if (key.starts_with(arch_ + ".") && !read_.contains(std::string(key))) config[std::string(key)] = "present in the GGUF file";
    return std::move(config);
  }

  Json config = Json::object();

 private:
  std::string take(const char* key) { return *read_.insert(arch_ + "." + key).first; }

  // Keys that must agree with the head size.
  void head_size(const char* key) {
    const auto v = integer(key);
    if (!v) return;
    const int64_t heads = config.value("num_attention_heads", int64_t{0}), hidden = config.value("hidden_size", int64_t{0});
    const int64_t head = config.contains("head_dim") ? config["head_dim"].get<int64_t>() : heads > 0 ? hidden / heads : 0;
    if (*v != head) fail(Code::kUnsupported, source_.path(), "expected {}.{} to be the head size {}, got {}", arch_, key, head, *v);
  }

  void rope_scaling() {
    const std::string type = text("rope.scaling.type");
    const auto factor = number("rope.scaling.factor");
    const auto original = integer("rope.scaling.original_context_length");
    if (const TensorEntry* e = source_.find("rope_freqs.weight")) {
      std::vector<float> factors(e->shape.empty() ? 1 : e->shape[0]);
      dequantize_row(e->dtype, TensorSource::data(*e).data(), factors.data(), static_cast<int64_t>(factors.size()));
      config["rope_scaling"] = {{"rope_type", "frequency_factors"}, {"factors", factors}};
    } else if (factor && !type.empty() && type != "none") {
      Json scaling = {{"rope_type", type}, {"factor", *factor}};
      if (original) scaling["original_max_position_embeddings"] = *original;
      if (const auto f = number("rope.scaling.attn_factor")) scaling["attention_factor"] = *f;
      config["rope_scaling"] = scaling;
    }
  }

  const TensorSource& source_;
  const GgufMetadata& gguf_;
  std::string arch_;
  std::set<std::string> read_;
};

// Query and key rows of GGUF's llama are permuted for rotation by adjacent pairs: the rotation is interleaved instead.
void llama(Translator& t) {
  t.decoder();
  t.config["architectures"] = {"LlamaForCausalLM"};
  t.config["rope_interleaved"] = true;
}

void gemma3(Translator& t) {
  t.decoder();
  t.config["architectures"] = {"Gemma3ForCausalLM"};
  t.integer("attention.sliding_window", "sliding_window");
  t.number("rope.freq_base_swa", "rope_local_base_freq");
  t.number("final_logit_softcapping", "final_logit_softcapping");
  t.number("attn_logit_softcapping", "attn_logit_softcapping");
  // The 27B model divides by hidden / heads, the others by the head size; the file does not say (llama.cpp knows it by the
  // number of layers).
  const bool is_27b = t.config.value("num_hidden_layers", 0) == 62;
  const int64_t heads = t.config.value("num_attention_heads", int64_t{1});
  t.config["query_pre_attn_scalar"] =
      is_27b && heads > 0 ? t.config.value("hidden_size", int64_t{0}) / heads : t.config.value("head_dim", int64_t{256});
}

}  // namespace

Json gguf_config(const TensorSource& source) {
  CHECK(source.gguf());
  const std::string arch(source.gguf()->str("general.architecture"));
  Translator t(source, arch);
  if (arch == "llama") llama(t);
  else if (arch == "gemma3") gemma3(t);
  else fail(Code::kUnsupported, source.path(), "expected general.architecture llama or gemma3, got {}", arch);
  return t.finish();
}

}  // namespace transom
