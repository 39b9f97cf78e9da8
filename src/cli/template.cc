// `transom template`: renders a model's chat template, or a template file's, over messages from a JSON file. The result
// is byte-equal to transformers' apply_chat_template(tokenize=False).
#include <chrono>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include "cli/command.h"
#include "transom/chat_template.h"
#include "transom/error.h"

namespace transom::cli {
namespace {

using Clock = std::chrono::system_clock;

struct TemplateOptions {
  std::string messages, tools, documents, chat_template;
  bool no_generation_prompt = false;
  std::vector<std::string> set;
};

std::string read_text(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.good() && !in.eof()) throw Error(Code::kNotFound, "cannot read", path);
  if (!in.is_open()) throw Error(Code::kNotFound, "cannot open: no such file, or not readable", path);
  return text;
}

Json read_json(const std::string& path) { return ChatTemplate::parse_json(read_text(path), path); }

// A time such as 2024-07-26, 2024-07-26T12:34:56 or 2024-07-26 12:34:56.5Z; local unless an offset is given.
Clock::time_point parse_time(const std::string& text) {
  std::tm tm{};
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, used = 0;
  double seconds = 0;
  const char* s = text.c_str();
  const auto wrong = [&] { return UsageError("--set strftime_now: expected a time like 2024-07-26T12:34:56, got " + text); };
  if (std::sscanf(s, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3) throw wrong();
  s += used;
  if (*s == 'T' || *s == ' ') {
    if (std::sscanf(++s, "%2d:%2d%n", &hour, &minute, &used) != 2) throw wrong();
    s += used;
    if (*s == ':') {
      if (std::sscanf(++s, "%lf%n", &seconds, &used) != 1) throw wrong();
      s += used;
    }
  }
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || !(seconds >= 0 && seconds < 61)) throw wrong();
  tm.tm_year = year - 1900, tm.tm_mon = month - 1, tm.tm_mday = day, tm.tm_hour = hour, tm.tm_min = minute, tm.tm_isdst = -1;
  const auto fraction = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  if (*s == '\0') return Clock::from_time_t(std::mktime(&tm)) + fraction;
  int off_hour = 0, off_minute = 0;
  const char sign = *s++;
  if (sign != 'Z' && ((sign != '+' && sign != '-') || std::sscanf(s, "%2d:%2d%n", &off_hour, &off_minute, &used) != 2)) throw wrong();
  if (sign != 'Z') s += used;
  if (*s != '\0') throw wrong();
  const auto offset = std::chrono::minutes((off_hour * 60 + off_minute) * (sign == '-' ? -1 : 1));
  return Clock::from_time_t(::timegm(&tm)) + fraction - offset;
}

// k=v: v is JSON if it parses, else a string; strftime_now freezes the clock instead.
void apply_setting(const std::string& setting, ChatTemplate::Options& options) {
  const size_t equals = setting.find('=');
  if (equals == std::string::npos || equals == 0) throw UsageError("--set: expected k=v, got " + setting);
  const std::string key = setting.substr(0, equals), value = setting.substr(equals + 1);
  if (key == "strftime_now") {
    options.now = parse_time(value);
    return;
  }
  try {
    options.variables[key] = ChatTemplate::parse_json(value, "--set");
  } catch (const Error&) {
    options.variables[key] = value;
  }
}

bool is_gguf(const std::string& path) {
  char magic[4] = {};
  std::ifstream(path, std::ios::binary).read(magic, 4);
  return std::string_view(magic, 4) == "GGUF";
}

ChatTemplate open_template(const CommonOptions& common, const std::string& given) {
  const std::string path = resolve_model(common, common.model, HubFiles::kText);
  if (!given.empty()) return ChatTemplate::load_tokens(path, read_text(given), given);
  const bool file = std::ifstream(path).good() && !is_gguf(path) && path.ends_with(".jinja");
  return file ? ChatTemplate::parse(read_text(path), path) : ChatTemplate::load(path);
}

int run_template(const CommonOptions& common, const TemplateOptions& o) {
  ChatTemplate::Options options;
  for (const std::string& setting : o.set) apply_setting(setting, options);
  const ChatTemplate chat = open_template(common, o.chat_template);
  const Json messages = read_json(o.messages);
  if (!o.tools.empty()) options.tools = read_json(o.tools);
  if (!o.documents.empty()) options.documents = read_json(o.documents);
  options.add_generation_prompt = !o.no_generation_prompt;
  const std::string text = chat.render(messages, options);
  if (common.json) print_json({{"text", text}});
  else print(text);
  return kDone;
}

}  // namespace

void add_template_command(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<TemplateOptions>();
  CLI::App& command = add_command(app, common, "template", "Render a chat template",
                                  [&common, options] { return run_template(common, *options); });
  add_model_argument(command, common);
  command.get_option("--model-path")->description("A model, or a template file (NAME.jinja)");
  command.add_option("--messages", options->messages, "JSON file with the list of messages (- is standard input)")->required()->type_name("F.json");
  command.add_option("--tools", options->tools, "JSON file with the list of tools")->type_name("F.json");
  command.add_option("--documents", options->documents, "JSON file with the list of documents")->type_name("F.json");
  command.add_option("--chat-template", options->chat_template, "Render this template, with the model's special tokens")->type_name("FILE");
  command.add_flag("--no-generation-prompt", options->no_generation_prompt, "Do not open the assistant's turn");
  command.add_option("--set", options->set, "A variable (JSON, else a string); strftime_now=ISO-TIME freezes the clock")
      ->type_name("K=V")
      ->allow_extra_args(false);
  add_json_flag(command, common);
}

}  // namespace transom::cli
