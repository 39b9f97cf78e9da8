// The small files beside a vocabulary: which class reads it, which tokens were added, which ids are special.
// Shapes: transformers' tokenization_utils_base.py (added_tokens_decoder, special_tokens_map.json, added_tokens.json).
#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "text/vocab.h"

namespace transom::text {
namespace {

constexpr int64_t kMaxId = 1 << 24;
constexpr const char* kRoles[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

// A token as a string or as an AddedToken object; nothing for null.
std::optional<std::string> token_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) return value["content"].get<std::string>();
  return std::nullopt;
}

bool truth(const Json& object, const char* key, bool otherwise) {
  const auto it = object.find(key);
  return it != object.end() && it->is_boolean() ? it->get<bool>() : otherwise;
}

int32_t checked_id(int64_t id, const std::string& path) {
  if (id < 0 || id >= kMaxId) fail(Code::kCorrupt, path, "expected a token id of 0 to {}, got {}", kMaxId - 1, id);
  return static_cast<int32_t>(id);
}

void read_added_decoder(VocabularyConfig& out) {
  const auto decoder = out.values.find("added_tokens_decoder");
  if (decoder == out.values.end() || decoder->is_null()) return;
  if (!decoder->is_object()) fail(Code::kCorrupt, out.path, "expected an object as added_tokens_decoder, got {}", decoder->type_name());
  for (const auto& [key, value] : decoder->items()) {
    const std::optional<std::string> text = token_text(value);
    if (!text || key.empty() || key.size() > 9 || key.find_first_not_of("0123456789") != std::string::npos)
      fail(Code::kCorrupt, out.path, "expected ids and tokens in added_tokens_decoder, got the key {}", quote(key, 40));
    AddedToken t{.id = checked_id(std::stoll(key), out.path), .content = *text};
    t.single_word = truth(value, "single_word", false);
    t.lstrip = truth(value, "lstrip", false);
    t.rstrip = truth(value, "rstrip", false);
    t.normalized = truth(value, "normalized", true);
    t.special = truth(value, "special", false);
    out.added.push_back(std::move(t));
  }
}

// added_tokens.json: {"content": id}; a token that has a role is special.
void read_added_tokens(const std::string& path, VocabularyConfig& out, const std::vector<std::string>& specials) {
  const Json values = read_json_file(path);
  if (!values.is_object()) fail(Code::kCorrupt, path, "expected an object, got {}", values.type_name());
  for (const auto& [content, id] : values.items()) {
    if (!id.is_number_integer()) fail(Code::kCorrupt, path, "expected an id for {}, got {}", quote(content, 40), id.type_name());
    const bool special = std::find(specials.begin(), specials.end(), content) != specials.end();
    out.added.push_back({.id = checked_id(id.get<int64_t>(), path), .content = content, .normalized = !special, .special = special});
  }
}

void read_roles(const Json& values, VocabularyConfig& out, std::vector<std::string>& specials) {
  if (!values.is_object()) return;
  for (const char* role : kRoles) {
    const auto it = values.find(role);
    if (it == values.end()) continue;
    if (const auto text = token_text(*it)) {
      out.roles.emplace(role, *text);
      specials.push_back(*text);
    }
  }
  const auto more = values.find("additional_special_tokens");
  if (more == values.end() || !more->is_array()) return;
  for (const Json& t : *more)
    if (const auto text = token_text(t)) specials.push_back(*text);
}

}  // namespace

bool VocabularyConfig::flag(const char* key, bool otherwise) const { return truth(values, key, otherwise); }
bool VocabularyConfig::has(const char* key) const { return values.contains(key) && !values[key].is_null(); }

VocabularyConfig read_vocabulary_config(const std::string& directory) {
  VocabularyConfig out;
  out.values = Json::object();
  out.path = directory + "/tokenizer_config.json";
  std::vector<std::string> specials;
  if (file_exists(out.path)) {
    out.values = read_json_file(out.path);
    if (!out.values.is_object()) fail(Code::kCorrupt, out.path, "expected an object, got {}", out.values.type_name());
    const auto name = out.values.find("tokenizer_class");
    if (name != out.values.end() && name->is_string()) out.tokenizer_class = name->get<std::string>();
    if (out.tokenizer_class.ends_with("Fast")) out.tokenizer_class.resize(out.tokenizer_class.size() - 4);
    read_added_decoder(out);
    read_roles(out.values, out, specials);
  }
  const std::string map = directory + "/special_tokens_map.json", added = directory + "/added_tokens.json";
  if (file_exists(map)) read_roles(read_json_file(map), out, specials);
  if (out.added.empty() && file_exists(added)) read_added_tokens(added, out, specials);
  std::stable_sort(out.added.begin(), out.added.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (size_t i = 1; i < out.added.size(); ++i)
    if (out.added[i].id == out.added[i - 1].id) fail(Code::kCorrupt, out.path, "expected one added token an id, got two for {}", out.added[i].id);
  return out;
}

std::optional<int32_t> find_token(const TokenizerSpec& spec, std::string_view content) {
  for (const AddedToken& t : spec.added_tokens)
    if (t.content == content) return t.id;
  for (size_t i = 0; i < spec.model.tokens.size(); ++i)
    if (spec.model.tokens[i] == content) return static_cast<int32_t>(i);
  return std::nullopt;
}

void apply_config(const VocabularyConfig& config, TokenizerSpec& spec) {
  // A configured token replaces one of the same id or the same text.
  std::unordered_map<int32_t, const AddedToken*> by_id;
  std::unordered_map<std::string_view, const AddedToken*> by_text;
  for (const AddedToken& t : config.added) by_id[t.id] = by_text[t.content] = &t;
  std::erase_if(spec.added_tokens, [&](const AddedToken& t) { return by_id.contains(t.id) || by_text.contains(t.content); });
  spec.added_tokens.insert(spec.added_tokens.end(), config.added.begin(), config.added.end());
  const auto set = [&](const char* role, std::optional<int32_t>& id) {
    const auto it = config.roles.find(role);
    if (it == config.roles.end()) return;
    if (const auto found = find_token(spec, it->second)) id = found;
  };
  set("bos_token", spec.bos_id);
  set("eos_token", spec.eos_id);
  set("pad_token", spec.pad_id);
  set("unk_token", spec.unk_id);
}

}  // namespace transom::text
