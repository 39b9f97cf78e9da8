// gguf_config: see gguf_config.h.
#include "checkpoint/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "spec/rules.h"
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
  // A value of any kind.
  void value(std::string_view key, std::string_view to) {
    const std::string full = take(key);
    const GgufValue* v = gguf_.find(full);
    if (!v || to.empty()) return;
    Json& out = config[std::string(to)];
    switch (v->type) {
      case GgufType::kF32:
      case GgufType::kF64: out = *gguf_.find_f64(full); break;
      case GgufType::kBool: out = *gguf_.find_bool(full); break;
      case GgufType::kString: out = *gguf_.find_str(full); break;
      case GgufType::kArray: out = list(full, *v, to == "layer_types"); break;
      default: out = *gguf_.find_i64(full);
    }
  }
  void present(std::string_view tensor, std::string_view to) { config[std::string(to)] = source_.find(tensor) != nullptr; }
  void rows(std::string_view tensor, std::string_view to) {
    const TensorEntry* e = source_.find(tensor);
    config[std::string(to)] = !e ? 0 : e->shape.empty() ? 1 : e->shape[0];
  }
  void layers(std::string_view tensor, std::string_view to) {
    std::set<int64_t> found;
    for (const TensorEntry& e : source_.entries())
      if (const auto stars = match_pattern(tensor, e.name); stars && stars->front().size() < 8) found.insert(std::strtol(stars->front().c_str(), nullptr, 10));
    config[std::string(to)] = found;
  }
  std::optional<int64_t> integer(const char* key) { return gguf_.find_i64(take(key)); }
  std::optional<double> number(const char* key) { return gguf_.find_f64(take(key)); }
  std::string text(const char* key) { return std::string(gguf_.find_str(take(key)).value_or("")); }

  // A number, or one for each layer.
  void integers(std::string_view key, std::string_view to) {
    const GgufValue* v = gguf_.find(arch_ + "." + std::string(key));
    if (v && v->type == GgufType::kArray) value(key, to);
    else integer(std::string(key).c_str(), std::string(to).c_str());
  }

  // `same_values`: values have the keys' head size.
  void model(bool same_values) {
    integer("context_length", "max_position_embeddings");
    integer("embedding_length", "hidden_size");
    integer("block_count", "num_hidden_layers");
    integers("feed_forward_length", "intermediate_size");
    integer("attention.head_count", "num_attention_heads");
    integers("attention.head_count_kv", "num_key_value_heads");
    number("attention.layer_norm_rms_epsilon", "rms_norm_eps");
    number("rope.freq_base", "rope_theta");
    const TensorEntry& embedding = source_.at("token_embd.weight");
    if (embedding.shape.size() != 2)
      fail(Code::kCorrupt, source_.path(), "expected two dimensions, got {} (token_embd.weight)", shape_text(embedding.shape));
    config["vocab_size"] = embedding.shape[0];
    config["tie_word_embeddings"] = source_.find("output.weight") == nullptr;
    take("vocab_size");
    head_size(same_values);
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

  // Bools as 0 and 1, or as the names of the layers' kinds.
  Json list(const std::string& key, const GgufValue& v, bool windows) {
    if (v.element == GgufType::kF32 || v.element == GgufType::kF64) return gguf_.floats(key);
    if (v.element == GgufType::kString) return gguf_.strings(key);
    Json out = gguf_.integers(key);
    if (windows)
      for (Json& x : out) x = x == 0 ? "full_attention" : "sliding_attention";
    return out;
  }

  // What heads have in common, and how much of them is rotated.
  void head_size(bool same_values) {
    const int64_t heads = config.value("num_attention_heads", int64_t{0}), hidden = config.value("hidden_size", int64_t{0});
    const int64_t head = integer("attention.key_length").value_or(heads > 0 ? hidden / heads : 0);
    if (head <= 0) return;  // the family says what is missing
    config["head_dim"] = head;
    if (const auto v = integer("attention.value_length"); v && *v != head && same_values)
      fail(Code::kUnsupported, source_.path(), "expected {}.attention.value_length to be the head size {}, got {}", arch_, head, *v);
    const auto rotated = integer("rope.dimension_count");
    if (!rotated || *rotated == head) return;
    if (*rotated < 0 || *rotated > head)
      fail(Code::kCorrupt, source_.path(), "expected {}.rope.dimension_count up to the head size {}, got {}", arch_, head, *rotated);
    double part = static_cast<double>(*rotated) / static_cast<double>(head);
    if (static_cast<int64_t>(part * static_cast<double>(head)) < *rotated) part = std::nextafter(part, 2.0);
    config["partial_rotary_factor"] = part;
  }

  std::vector<float> factors(const TensorEntry& e) {
    std::vector<float> out(e.shape.empty() ? 1 : e.shape[0]);
    dequantize_row(e.dtype, TensorSource::data(e).data(), out.data(), static_cast<int64_t>(out.size()));
    return out;
  }

  void rope_scaling() {
    const std::string type = text("rope.scaling.type");
    const auto factor = number("rope.scaling.factor");
    const auto original = integer("rope.scaling.original_context_length");
    const auto attention_factor = number("rope.scaling.attn_factor");
    if (const TensorEntry* e = source_.find("rope_freqs.weight")) {
      config["rope_scaling"] = {{"rope_type", "frequency_factors"}, {"factors", factors(*e)}};
    } else if (const TensorEntry* longer = source_.find("rope_factors_long.weight")) {
      config["rope_scaling"] = {{"rope_type", "longrope"}, {"long_factor", factors(*longer)},
                                {"short_factor", factors(source_.at("rope_factors_short.weight"))}};
      if (original) config["rope_scaling"]["original_max_position_embeddings"] = *original;
      if (attention_factor) config["rope_scaling"]["attention_factor"] = *attention_factor;
    } else if (factor && !type.empty() && type != "none") {
      Json scaling = {{"rope_type", type}, {"factor", *factor}};
      if (original) scaling["original_max_position_embeddings"] = *original;
      if (attention_factor) scaling["attention_factor"] = *attention_factor;
      if (const auto f = number("rope.scaling.yarn_beta_fast")) scaling["beta_fast"] = *f;
      if (const auto f = number("rope.scaling.yarn_beta_slow")) scaling["beta_slow"] = *f;
      config["rope_scaling"] = scaling;
    }
  }

  const TensorSource& source_;
  const GgufMetadata& gguf_;
  std::string arch_;
  std::set<std::string> read_;
};

}  // namespace

Json gguf_config(const TensorSource& source, const GgufNames& names) {
  CHECK(source.gguf());
  Translator t(source, std::string(source.gguf()->str("general.architecture")));
  t.model(std::none_of(names.keys.begin(), names.keys.end(), [](const auto& key) { return key.first == "attention.value_length"; }));
  for (const auto& [key, name] : names.keys) t.value(key, name);
  for (const auto& [tensor, name] : names.present) t.present(tensor, name);
  for (const auto& [tensor, name] : names.rows) t.rows(tensor, name);
  for (const auto& [tensor, name] : names.layers) t.layers(tensor, name);
  Json config = t.finish();
  try {
    if (names.adjust) names.adjust(config);
  } catch (const Json::type_error& e) {
    fail(Code::kCorrupt, source.path(), "expected numbers for the keys of {}, got another type ({})",
         source.gguf()->str("general.architecture"), e.what());
  }
  return config;
}

}  // namespace transom
