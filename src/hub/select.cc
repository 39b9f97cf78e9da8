// The files that are needed: see select.h. The order of preference among weights is that of src/checkpoint/open.cc.
#include "hub/select.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/shard_name.h"

namespace transom::hub {
namespace {

using Names = std::vector<std::string>;

constexpr const char* kDefaultVariant = "Q4_K_M";

std::string_view file_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }
bool has(const Names& names, std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); }
bool at_root(std::string_view path) { return path.find('/') == std::string_view::npos; }

// A file of a sentence embedder's modules, whose folders are named 1_Pooling, 2_Dense, ….
bool in_module(std::string_view name) {
  const size_t slash = name.find('/');
  return slash != std::string_view::npos && name[0] >= '0' && name[0] <= '9' && name.find('_') < slash;
}

// Configs, vocabularies and templates.
bool is_text(std::string_view name) {
  if (name.ends_with(".index.json")) return false;  // with the weights it belongs to
  if (at_root(name)) {
    for (const std::string_view ending : {".json", ".jinja", ".model", ".tiktoken", ".spm"})
      if (name.ends_with(ending)) return true;
    return name == "vocab.txt" || name == "merges.txt";
  }
  return (in_module(name) && name.ends_with(".json")) || (name.starts_with("additional_chat_templates/") && name.ends_with(".jinja"));
}

bool has_tokenizer(const Names& names) {
  return std::any_of(names.begin(), names.end(), [](const std::string& n) {
    return at_root(n) && (n == "tokenizer.json" || n == "vocab.json" || n == "vocab.txt" || n == "tekken.json" || n.ends_with(".model") ||
                          n.ends_with(".tiktoken") || n.ends_with(".spm"));
  });
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

bool is_word(char c) { return (c >= '0' && c <= '9') || (upper(c) >= 'A' && upper(c) <= 'Z'); }

// Whether a name has the variant as a whole word: Q4_K is not in Q4_K_M, Q4_XS not in IQ4_XS.
bool has_variant(std::string name, std::string variant) {
  std::transform(name.begin(), name.end(), name.begin(), upper);
  std::transform(variant.begin(), variant.end(), variant.begin(), upper);
  if (variant.ends_with(".GGUF")) return name == variant;
  for (size_t at = name.find(variant); at != std::string::npos; at = name.find(variant, at + 1)) {
    const size_t end = at + variant.size();
    if ((at == 0 || !is_word(name[at - 1])) && (end == name.size() || (!is_word(name[end]) && name[end] != '_'))) return true;
  }
  return false;
}

std::string list_of(const Names& names) {
  std::string out;
  for (size_t i = 0; i < names.size() && i < 30; ++i) out += (i ? ", " : "") + quote(names[i]);
  return out + (names.size() > 30 ? ", …" : "");
}

Names ggufs(const Names& names) {
  Names out;
  for (const std::string& name : names) {
    const std::string_view file = file_name(name);
    if (file.ends_with(".gguf") && !file.starts_with("mmproj") && file.find("imatrix") == std::string_view::npos) out.push_back(name);
  }
  return out;
}

// The set of parts (mostly one) that the variant means; the shortest name where several have it. Sets of which parts are missing
// matter only if they are chosen.
Selection select_gguf(const Names& names, const std::string& variant) {
  Names found;
  for (const std::string& name : names)
    if (variant.empty() || has_variant(name, variant)) found.push_back(name);
  if (found.empty()) fail(Code::kNotFound, "", "no .gguf file with {} in its name; there is {}", quote(variant), list_of(names));
  std::vector<Names> sets = group_shards(found);
  std::stable_sort(sets.begin(), sets.end(), [](const Names& a, const Names& b) { return a[0].size() < b[0].size(); });
  if (variant.empty() && sets.size() > 1) {
    const auto usual = std::find_if(sets.begin(), sets.end(), [](const Names& set) { return has_variant(set[0], kDefaultVariant); });
    if (usual == sets.end()) fail(Code::kNotFound, "", "expected one .gguf file, got several: name one as org/name:QUANTIZATION; there is {}", list_of(found));
    std::swap(sets.front(), *usual);
  }
  return {sets.front(), sets.front().front()};
}

Names indexed(const Names& names, const std::string& index, const std::string& text) {
  const Json json = parse_json(text, index);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object()) fail(Code::kCorrupt, index, "expected an object \"weight_map\", got none");
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string() || !is_safe_relative_path(shard.get_ref<const std::string&>()))
      fail(Code::kCorrupt, index, "expected a file name for each tensor, got {}", quote(shard.dump(-1, ' ', true)));
    shards.insert(shard.get<std::string>());
  }
  Names out{index};
  for (const std::string& shard : shards) {
    if (!has(names, shard)) fail(Code::kNotFound, index, "expected the shard {}, got no such file", quote(shard));
    out.push_back(shard);
  }
  return out;
}

// The weights of one format; empty when there are none.
Names select_weights(const Names& names, const std::function<std::string(const std::string&)>& read) {
  const auto sets = [&](const std::string& start, const std::string& end) {
    Names found;
    for (const std::string& name : names)
      if (at_root(name) && name.starts_with(start) && name.ends_with(end)) found.push_back(name);
    return found.empty() ? Names() : group_shards(found).front();
  };
  if (!has(names, "config.json") && has(names, "adapter_config.json"))
    return sets("adapter_model", has(names, "adapter_model.safetensors") ? ".safetensors" : ".bin");
  for (const auto& [single, parts, ending] : {std::tuple{"model.safetensors", "model-", ".safetensors"}, {"pytorch_model.bin", "pytorch_model-", ".bin"}}) {
    const std::string index = std::string(single) + ".index.json";
    if (has(names, single)) return {single};
    if (has(names, index)) return indexed(names, index, read(index));
    if (Names found = sets(parts, ending); !found.empty()) return found;
  }
  return sets("", ".safetensors");
}

}  // namespace

Selection select_files(const Names& names, HubFiles want, const std::string& variant,
                       const std::function<std::string(const std::string&)>& read) {
  const Names quantized = ggufs(names);
  if (!variant.empty()) {
    if (quantized.empty()) fail(Code::kNotFound, "", "expected a .gguf file with {} in its name, got no .gguf file", quote(variant));
    return select_gguf(quantized, variant);
  }
  Selection out;
  for (const std::string& name : names)
    if (is_text(name)) out.files.push_back(name);
  if (want == HubFiles::kText && has_tokenizer(names)) return out;
  const Names weights = select_weights(names, read);
  if (weights.empty() && !quantized.empty()) return select_gguf(quantized, "");
  if (want == HubFiles::kText) fail(Code::kNotFound, "", "expected a tokenizer's files, got none");
  if (weights.empty()) fail(Code::kNotFound, "", "expected weights (safetensors, pytorch_model.bin or GGUF), got none");
  if (!has(names, "config.json") && !has(names, "adapter_config.json")) fail(Code::kNotFound, "", "expected config.json, got none");
  out.files.insert(out.files.end(), weights.begin(), weights.end());
  for (const std::string& name : names)  // the layers of a sentence embedder (2_Dense/model.safetensors)
    if (in_module(name) && name.ends_with(".safetensors")) out.files.push_back(name);
  return out;
}

}  // namespace transom::hub
