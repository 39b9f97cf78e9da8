// Chat templates: Jinja as `transformers` sets it up (sandboxed, trim_blocks, lstrip_blocks, tojson, strftime_now,
// raise_exception, the generation tag and loop controls), byte-equal to its apply_chat_template.
#pragma once

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace transom {

class ChatTemplate {
 public:
  using Json = nlohmann::ordered_json;

  // From a model directory (chat_template.jinja, tokenizer_config.json, chat_template.json; bos/eos tokens from the
  // config) or a GGUF file. Throws Error{kNotFound} naming --chat-template when the model has none.
  static ChatTemplate load(const std::string& model_path);
  // A template given by the user with the special tokens of a model, which need not have a template of its own.
  static ChatTemplate load_tokens(const std::string& model_path, std::string source, std::string name = "chat template");
  // From template source; `name` is used in error messages, which carry line numbers.
  static ChatTemplate parse(std::string source, std::string name = "chat template");

  struct Options {
    Json tools = nullptr;      // list of tools, or null
    Json documents = nullptr;  // list of documents, or null
    bool add_generation_prompt = true;
    Json variables = Json::object();                              // extra variables: chat_template_kwargs, bos_token …
    std::optional<std::chrono::system_clock::time_point> now = {};  // freezes strftime_now
  };
  // Renders a list of messages. Template errors and raise_exception throw Error{kInvalidArgument} with the line.
  std::string render(const Json& messages, const Options& options) const;

  // The source of the default template, or of the only one.
  const std::string& source() const;

  // Reads JSON for messages, tools and variables: integers beyond 64 bits stay exact, in a form that only render() reads
  // (anything else sees a binary value). Throws Error{kCorrupt}.
  static Json parse_json(std::string_view text, const std::string& name);

 private:
  struct Impl;
  explicit ChatTemplate(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

}  // namespace transom
