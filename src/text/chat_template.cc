// Chat templates of models: where a model keeps them, which of several is meant, the special tokens they may name, and
// what is done to messages before they are rendered. After transformers 5.23: tokenization_utils_base.py
// (get_chat_template, apply_chat_template, special_tokens_map) and utils/chat_template_utils.py (render_jinja_template).
#include "transom/chat_template.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/file.h"
#include "base/gguf_metadata.h"
#include "text/jinja/engine.h"

namespace transom {
namespace {

constexpr size_t kMaxTemplateBytes = size_t{16} << 20;
constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

struct Sources {
  std::map<std::string, std::string> templates;  // by name; "default" is the ordinary one
  Json tokens = Json::object();                   // what transformers calls special_tokens_map
};

// The text of a special token in a config: a string, or an AddedToken object. Null when it is neither.
Json token_text(const Json& v) {
  if (v.is_string()) return v;
  if (v.is_object() && v.contains("content") && v["content"].is_string()) return v["content"];
  return nullptr;
}

void add_tokens(const Json& config, Json& tokens) {
  for (const char* name : kSpecialTokens)
    if (config.contains(name))
      if (Json text = token_text(config[name]); !text.is_null()) tokens[name] = std::move(text);
  // tokens of the model's own: "image_token" and the like, and a mapping of extra ones
  for (const auto& [key, value] : config.items())
    if (key.ends_with("_token") && !tokens.contains(key) && !token_text(value).is_null()) tokens[key] = token_text(value);
  if (config.contains("extra_special_tokens") && config["extra_special_tokens"].is_object())
    for (const auto& [key, value] : config["extra_special_tokens"].items())
      if (Json text = token_text(value); !text.is_null()) tokens[key] = std::move(text);
}

// A chat_template entry: one template, or a list of {"name", "template"}.
void add_templates(const Json& entry, const std::string& path, Sources& s) {
  if (entry.is_null()) return;
  if (entry.is_string()) {
    s.templates["default"] = entry.get<std::string>();
    return;
  }
  if (!entry.is_array()) fail(Code::kCorrupt, path, "expected chat_template to be a string or a list, got {}", entry.type_name());
  for (const Json& e : entry) {
    if (!e.is_object() || !e.contains("name") || !e["name"].is_string() || !e.contains("template") || !e["template"].is_string())
      fail(Code::kCorrupt, path, "expected entries of chat_template to have a name and a template");
    s.templates[e["name"].get<std::string>()] = e["template"].get<std::string>();
  }
}

// Templates in files of their own: chat_template.jinja and additional_chat_templates/NAME.jinja.
std::map<std::string, std::string> template_files(const std::string& dir) {
  std::map<std::string, std::string> out;
  if (const std::string path = dir + "/chat_template.jinja"; file_exists(path)) out["default"] = read_file(path, kMaxTemplateBytes);
  const std::string more = dir + "/additional_chat_templates";
  if (!dir_exists(more)) return out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(more, ec))
    if (entry.path().extension() == ".jinja" && file_exists(entry.path().string()))
      out[entry.path().stem().string()] = read_file(entry.path().string(), kMaxTemplateBytes);
  if (ec) fail(Code::kIo, more, "cannot list: {}", ec.message());
  return out;
}

Json read_object(const std::string& path) {
  Json j = read_json_file(path);
  if (!j.is_object()) fail(Code::kCorrupt, path, "expected a JSON object, got {}", j.type_name());
  return j;
}

Sources from_directory(const std::string& dir) {
  Sources s;
  const std::string config_path = dir + "/tokenizer_config.json";
  Json config = file_exists(config_path) ? read_object(config_path) : Json::object();
  const std::string tokens_path = dir + "/special_tokens_map.json";
  Json tokens = config;
  if (!config.contains("added_tokens_decoder") && file_exists(tokens_path)) {
    const Json more = read_object(tokens_path);
    for (const auto& [key, value] : more.items()) tokens[key] = value;
  }
  add_tokens(tokens, s.tokens);
  s.templates = template_files(dir);
  if (s.templates.empty() && config.contains("chat_template")) add_templates(config["chat_template"], config_path, s);
  const std::string processor_path = dir + "/chat_template.json";
  if (s.templates.empty() && file_exists(processor_path)) {
    const Json processor = read_object(processor_path);
    if (processor.contains("chat_template")) add_templates(processor["chat_template"], processor_path, s);
  }
  return s;
}

Sources from_gguf(const std::string& path) {
  Sources s;
  const GgufMetadata gguf = GgufMetadata::open(path);
  constexpr std::string_view kKey = "tokenizer.chat_template";
  for (const auto& [key, value] : gguf.values()) {
    if (value.type != GgufType::kString || !key.starts_with(kKey)) continue;
    if (key == kKey) s.templates["default"] = std::string(gguf.str(key));
    else if (key[kKey.size()] == '.') s.templates[std::string(key.substr(kKey.size() + 1))] = std::string(gguf.str(key));
  }
  const std::vector<std::string_view> words = gguf.strings("tokenizer.ggml.tokens");
  constexpr std::pair<const char*, const char*> kIds[] = {
      {"bos_token", "bos"}, {"eos_token", "eos"}, {"unk_token", "unknown"}, {"sep_token", "seperator"},
      {"pad_token", "padding"}, {"cls_token", "cls"}, {"mask_token", "mask"}};
  for (const auto& [name, word] : kIds) {
    const auto id = gguf.find_u64("tokenizer.ggml." + std::string(word) + "_token_id");
    if (id && *id < words.size()) s.tokens[name] = std::string(words[*id]);
  }
  return s;
}

Sources read_sources(const std::string& path) {
  if (dir_exists(path)) return from_directory(path);
  if (!file_exists(path)) fail(Code::kNotFound, path, "expected a model directory or a GGUF file, got nothing there");
  return from_gguf(path);
}

// The messages as a template sees them: keys that are null dropped, and reasoning under all of its names.
Json prepared(const Json& messages, const std::string& name) {
  if (!messages.is_array()) fail(Code::kInvalidArgument, name, "expected messages to be a list, got {}", messages.type_name());
  if (messages.empty()) fail(Code::kInvalidArgument, name, "expected at least one message, got none");
  Json out = Json::array();
  for (const Json& message : messages) {
    if (!message.is_object()) fail(Code::kInvalidArgument, name, "expected messages to be objects, got {}", message.type_name());
    Json kept = Json::object();
    for (const auto& [key, value] : message.items())
      if (!value.is_null()) kept[key] = value;
    const Json* reasoning = nullptr;
    for (const char* key : {"reasoning_content", "thinking", "reasoning"})
      if (!reasoning && kept.contains(key)) reasoning = &kept[key];
    if (reasoning) {
      const Json text = *reasoning;
      Json aliased = Json::object();
      aliased["thinking"] = text;
      for (const auto& [key, value] : kept.items()) aliased[key] = value;
      aliased["reasoning_content"] = text;
      kept = std::move(aliased);
    }
    out.push_back(std::move(kept));
  }
  return out;
}

void check_objects(const Json& list, const char* what, const std::string& name) {
  if (list.is_null()) return;
  if (!list.is_array()) fail(Code::kInvalidArgument, name, "expected {} to be a list, got {}", what, list.type_name());
  for (const Json& e : list)
    if (!e.is_object()) fail(Code::kInvalidArgument, name, "expected {} to be objects, got {}", what, e.type_name());
}

}  // namespace

struct ChatTemplate::Impl {
  std::string name, source;
  Json tokens = Json::object();
  std::shared_ptr<const jinja::Template> ordinary, tool_use;  // one of them is there
  std::string others;                                         // names of templates when there is no default
};

ChatTemplate::ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

ChatTemplate ChatTemplate::load(const std::string& model_path) {
  Sources s = read_sources(model_path);
  if (s.templates.empty())
    fail(Code::kNotFound, model_path, "expected a chat template, got a model without one: give one with --chat-template FILE");
  auto impl = std::make_shared<Impl>();
  impl->name = model_path + ": chat template";
  impl->tokens = std::move(s.tokens);
  for (const auto& [name, source] : s.templates) impl->others += (impl->others.empty() ? "" : ", ") + name;
  if (const auto it = s.templates.find("tool_use"); it != s.templates.end())
    impl->tool_use = std::make_shared<jinja::Template>(it->second, impl->name + " tool_use");
  if (const auto it = s.templates.find("default"); it != s.templates.end()) {
    impl->source = it->second;
    impl->ordinary = std::make_shared<jinja::Template>(it->second, impl->name);
  }
  if (!impl->ordinary && !impl->tool_use)
    fail(Code::kNotFound, model_path, "expected a default chat template, got only {}: give one with --chat-template FILE", impl->others);
  if (!impl->ordinary) impl->source = s.templates["tool_use"];
  return ChatTemplate(std::move(impl));
}

ChatTemplate ChatTemplate::load_tokens(const std::string& model_path, std::string source, std::string name) {
  auto impl = std::make_shared<Impl>();
  impl->tokens = read_sources(model_path).tokens;
  impl->name = std::move(name);
  impl->ordinary = std::make_shared<jinja::Template>(source, impl->name);
  impl->source = std::move(source);
  return ChatTemplate(std::move(impl));
}

ChatTemplate ChatTemplate::parse(std::string source, std::string name) {
  auto impl = std::make_shared<Impl>();
  impl->name = std::move(name);
  impl->ordinary = std::make_shared<jinja::Template>(source, impl->name);
  impl->source = std::move(source);
  return ChatTemplate(std::move(impl));
}

std::string ChatTemplate::render(const Json& messages, const Options& options) const {
  check_objects(options.tools, "tools", impl_->name);
  check_objects(options.documents, "documents", impl_->name);
  Json variables = impl_->tokens;
  if (!options.variables.is_object() && !options.variables.is_null())
    fail(Code::kInvalidArgument, impl_->name, "expected variables to be an object, got {}", options.variables.type_name());
  for (const auto& [key, value] : options.variables.items()) variables[key] = value;
  for (const char* key : {"messages", "tools", "documents", "add_generation_prompt"})
    if (variables.contains(key)) fail(Code::kInvalidArgument, impl_->name, "expected no variable named {}, which the call itself sets", key);
  variables["messages"] = prepared(messages, impl_->name);
  variables["tools"] = options.tools;
  variables["documents"] = options.documents;
  variables["add_generation_prompt"] = options.add_generation_prompt;
  const bool tools = !options.tools.is_null() && impl_->tool_use;
  if (!tools && !impl_->ordinary)
    fail(Code::kNotFound, impl_->name, "expected a default template, got only {}: give one with --chat-template FILE", impl_->others);
  return (tools ? impl_->tool_use : impl_->ordinary)->render(variables, {.now = options.now});
}

const std::string& ChatTemplate::source() const { return impl_->source; }

ChatTemplate::Json ChatTemplate::parse_json(std::string_view text, const std::string& name) {
  return jinja::parse_exact_json(text, name);
}

}  // namespace transom
