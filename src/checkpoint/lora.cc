// read_lora: see lora.h. Names and scales as in peft: "base_model.model.<module>.lora_A.weight"; scale = alpha / r, or
// alpha / sqrt(r) with use_rslora; alpha_pattern's keys are regular expressions for the end of a module's name.
#include "checkpoint/lora.h"

#include <cmath>
#include <regex>

#include "base/error.h"
#include "checkpoint/loader.h"
#include "checkpoint/source.h"

namespace transom {
namespace {

// Settings that change the mathematics and that only their neutral value is done of.
void require_plain(const Json& c, const std::string& file) {
  const std::string type = c.value("peft_type", "LORA");
  if (type != "LORA") fail(Code::kUnsupported, file, "expected peft_type LORA, got {}", quote(type));
  for (const char* key : {"use_dora", "fan_in_fan_out", "lora_bias", "use_qalora", "use_bdlora"})
    if (const auto it = c.find(key); it != c.end() && it->is_boolean() && it->get<bool>())
      fail(Code::kUnsupported, file, "expected {} false, got true", key);
  if (const auto it = c.find("bias"); it != c.end() && it->is_string() && *it != "none")
    fail(Code::kUnsupported, file, "expected bias none, got {}", quote(it->get<std::string>()));
  for (const char* key : {"modules_to_save", "layer_replication", "trainable_token_indices", "target_parameters"})
    if (const auto it = c.find(key); it != c.end() && !it->is_null() && !it->empty())
      fail(Code::kUnsupported, file, "expected no {}, got some", key);
}

double number(const Json& c, const char* key, double otherwise, const std::string& file) {
  const auto it = c.find(key);
  if (it == c.end() || it->is_null()) return otherwise;
  if (!it->is_number()) fail(Code::kCorrupt, file, "expected a number for {}, got {}", key, it->type_name());
  return it->get<double>();
}

double alpha_of(const std::string& module, const Json& c, const std::string& file) {
  const auto patterns = c.find("alpha_pattern");
  if (patterns != c.end() && patterns->is_object())
    for (const auto& [pattern, alpha] : patterns->items()) {
      if (pattern.size() > 256 || !alpha.is_number())
        fail(Code::kCorrupt, file, "expected alpha_pattern of short patterns and numbers, got {}", quote(pattern));
      try {
        if (std::regex_match(module, std::regex("(.*\\.)?(" + pattern + ")"))) return alpha.get<double>();
      } catch (const std::regex_error& e) {
        fail(Code::kCorrupt, file, "expected a regular expression in alpha_pattern, got {}", quote(pattern));
      }
    }
  return number(c, "lora_alpha", 8, file);
}

void check_rank(const Weight& a, const Weight& b, const Param& p, const std::string& name, const std::string& file) {
  if (a.view.cols != p.cols || b.view.rows != p.rows || b.view.cols != a.view.rows)
    fail(Code::kCorrupt, file, "expected factors [r, {}] and [{}, r], got [{}, {}] and [{}, {}] ({})", p.cols, p.rows, a.view.rows,
         a.view.cols, b.view.rows, b.view.cols, name);
}

Weight matrix(const TensorEntry& e, const std::string& file) {
  if (e.shape.size() != 2) fail(Code::kCorrupt, file, "expected two dimensions, got {} ({})", shape_text(e.shape), e.name);
  Param shape{.name = e.name, .rows = e.shape[0], .cols = e.shape[1], .weight = {}};
  return load_weight({.param = &shape, .entry = &e});
}

}  // namespace

Adapter read_lora(const std::string& directory, ParamTable& params) {
  const std::string config_file = directory + "/adapter_config.json", file = directory + "/adapter_model.safetensors";
  const Json config = read_json_file(config_file, size_t{1} << 20);
  if (!config.is_object()) fail(Code::kCorrupt, config_file, "expected a JSON object, got {}", config.type_name());
  require_plain(config, config_file);
  const std::unique_ptr<TensorSource> source = open_checkpoint(file);
  constexpr std::string_view kPrefix = "base_model.model.", kA = ".lora_A.weight", kB = ".lora_B.weight";
  Adapter out{.path = directory, .factors = {}};
  for (const TensorEntry& e : source->entries()) {
    const bool first = e.name.ends_with(kA);
    if (!e.name.starts_with(kPrefix) || (!first && !e.name.ends_with(kB)))
      fail(Code::kUnsupported, file, "expected tensors {}<module>{} and {}, got {}", kPrefix, kA, kB, quote(e.name));
    if (!first) continue;
    const std::string module = e.name.substr(kPrefix.size(), e.name.size() - kPrefix.size() - kA.size());
    const Param* p = params.find(module + ".weight");
    if (!p || p->kind != ParamKind::kMatrix) fail(Code::kCorrupt, file, "expected the name of a linear layer of the model, got {}", quote(module));
    LoraFactors f{.a = matrix(e, file), .b = matrix(source->at(e.name.substr(0, e.name.size() - kA.size()) + std::string(kB)), file)};
    check_rank(f.a, f.b, *p, module, file);
    const auto rank = static_cast<double>(f.a.view.rows);
    const auto rslora = config.find("use_rslora");
    const bool root = rslora != config.end() && rslora->is_boolean() && rslora->get<bool>();
    f.scale = static_cast<float>(alpha_of(module, config, config_file) / (root ? std::sqrt(rank) : rank));
    out.factors.emplace(p, std::move(f));
  }
  if (2 * out.factors.size() != source->entries().size())
    fail(Code::kCorrupt, file, "expected a lora_A and a lora_B for each layer, got {} tensors for {} layers", source->entries().size(),
         out.factors.size());
  return out;
}

}  // namespace transom
