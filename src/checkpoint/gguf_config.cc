// gguf_config: see gguf_config.h.
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
  // A number of either kind.
  void value(std::string_view key, std::string_view to) {
    const GgufValue* v = gguf_.find(take(key));
    if (!v) return;
    const std::string full = arch_ + "." + std::string(key);
    if (v->type == GgufType::kF32 || v->type == GgufType::kF64) config[std::string(to)] = *gguf_.find_f64(full);
    else config[std::string(to)] = *gguf_.find_i64(full);
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
  std::string take(std::string_view key) { return *read_.insert(arch_ + "." + std::string(key)).first; }

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

}  // namespace

Json gguf_config(const TensorSource& source, const std::vector<GgufKey>& keys) {
  CHECK(source.gguf());
  Translator t(source, std::string(source.gguf()->str("general.architecture")));
  t.decoder();
  for (const auto& [key, name] : keys) t.value(key, name);
  return t.finish();
}

}  // namespace transom
