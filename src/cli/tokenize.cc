// `transom tokenize`: text to ids, ids to text, a conversation to the ids of its prompt. Input is one text (the argument,
// a file, or stdin), or with --lines many: each line that ends in \n is one JSON string (or one JSON list of ids), and each
// gets one JSON object on its own line of stdout. Only \n ends a line: U+2028 and U+0085 are text.
#include <cstdint>
#include <fstream>
#include <iostream>
#include <iterator>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cli/command.h"
#include "transom/chat_template.h"
#include "transom/error.h"
#include "transom/tokenizer.h"

namespace transom::cli {
namespace {

struct TokenizeOptions {
  std::string text, file, decode, messages;
  bool has_text = false, has_decode = false;
  bool no_special = false, lines = false;
};

std::string read_all(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(Code::kNotFound, "cannot open the file", path);
  std::string out{std::istreambuf_iterator<char>(in), {}};
  if (in.bad()) throw Error(Code::kIo, "cannot read the file", path);
  return out;
}

Json parse(const std::string& text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const Json::exception&) {
    throw Error(Code::kInvalidArgument, "expected JSON, got " + (text.empty() ? "nothing" : "'" + text.substr(0, 40) + "'"), where);
  }
}

std::vector<int32_t> ids_of(const Json& list, const std::string& where) {
  if (!list.is_array()) throw Error(Code::kInvalidArgument, std::string("expected a list of ids, got ") + list.type_name(), where);
  std::vector<int32_t> ids;
  for (const Json& id : list) {
    constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
    const int64_t value = id.is_number_integer() ? id.get<int64_t>() : -1;  // beyond 2^63 wraps around to below 0
    const bool fits = value >= 0 && value <= kMax;
    if (!fits) throw Error(Code::kInvalidArgument, "expected an id of 0 or more, got " + id.dump().substr(0, 40), where);
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

// "1,2,3", "1 2 3" or "[1, 2, 3]".
std::vector<int32_t> parse_ids(const std::string& text, const std::string& where) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return {};
  if (text[first] == '[') return ids_of(parse(text, where), where);
  if (text.find(',') != std::string::npos) return ids_of(parse("[" + text + "]", where), where);
  std::istringstream words(text);
  std::string list, word;
  while (words >> word) list += (list.empty() ? "" : ",") + word;
  return ids_of(parse("[" + list + "]", where), where);
}

class Tokenize {
 public:
  Tokenize(const CommonOptions& common, const TokenizeOptions& options)
      : common_(common), options_(options), model_(resolve_model(common, common.model, HubFiles::kText)), tokenizer_(Tokenizer::load(model_)) {}

  int run() {
    if (options_.lines) each_line();
    else if (!options_.messages.empty()) encode_messages();
    else if (options_.has_decode) decode_one();
    else show_ids(encode(options_.has_text ? options_.text : read_all(options_.file.empty() ? "-" : options_.file)));
    return kDone;
  }

 private:
  std::vector<int32_t> encode(const std::string& text) const { return tokenizer_.encode(text, !options_.no_special); }
  std::string decode(const std::vector<int32_t>& ids) const { return tokenizer_.decode(ids, options_.no_special); }

  void show_ids(const std::vector<int32_t>& ids) const {
    if (common_.json) return print_json({{"ids", ids}});
    std::string line;
    for (const int32_t id : ids) line += (line.empty() ? "" : ",") + std::to_string(id);
    print(line + "\n");
  }

  void decode_one() const {
    const std::string text = decode(parse_ids(options_.decode == "-" ? read_all("-") : options_.decode, "--decode"));
    if (common_.json) print_json({{"text", text}});
    else print(text + "\n");
  }

  void encode_messages() const {
    const Json messages = parse(read_all(options_.messages), options_.messages);
    const std::string prompt = ChatTemplate::load(model_).render(messages, {});
    show_ids(tokenizer_.encode(prompt, false));  // the template writes its own special tokens
  }

  void each_line() const {
    const std::string source = options_.file.empty() ? "-" : options_.file;
    std::ifstream file;
    if (source != "-") {
      file.open(source, std::ios::binary);
      if (!file) throw Error(Code::kNotFound, "cannot open the file", source);
    }
    std::istream& in = source == "-" ? std::cin : file;
    std::string line;
    for (size_t number = 1; std::getline(in, line); ++number) {
      const std::string where = (source == "-" ? "stdin" : source) + " line " + std::to_string(number);
      const Json value = parse(line, where);
      if (options_.has_decode) {
        print_json({{"text", decode(ids_of(value, where))}});
      } else {
        if (!value.is_string()) throw Error(Code::kInvalidArgument, std::string("expected a JSON string, got ") + value.type_name(), where);
        print_json({{"ids", encode(value.get<std::string>())}});
      }
    }
  }

  const CommonOptions& common_;
  const TokenizeOptions& options_;
  std::string model_;
  Tokenizer tokenizer_;
};

void check_usage(const TokenizeOptions& o) {
  const int inputs = o.has_text + !o.file.empty() + o.has_decode + !o.messages.empty();
  if (o.lines) {
    if (o.has_text || !o.messages.empty()) throw UsageError("--lines reads lines from --file or stdin, not TEXT or --template");
    if (o.has_decode && o.decode != "-") throw UsageError("--lines takes ids as lines: --decode -");
  } else if (inputs > 1) {
    throw UsageError("expected one of TEXT, --file, --decode and --template, got " + std::to_string(inputs));
  }
}

}  // namespace

void add_tokenize_command(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App& command = add_command(app, common, "tokenize", "Text to token ids and back", [&common, options] {
    check_usage(*options);
    return Tokenize(common, *options).run();
  });
  add_model_argument(command, common);
  command.add_option_function<std::string>("TEXT", [options](const std::string& s) { options->text = s, options->has_text = true; },
                                           "The text (default: stdin)")->type_name("");
  command.add_option("--file", options->file, "Read the text from a file (- for stdin)")->type_name("F");
  command.add_option_function<std::string>("--decode", [options](const std::string& s) { options->decode = s, options->has_decode = true; },
                                           "Ids to turn into text: 1,2,3 or - for stdin")->type_name("IDS");
  command.add_option("--template", options->messages, "Tokenize the prompt that the chat template makes of these messages")
      ->type_name("MESSAGES.json");
  command.add_flag("--no-special", options->no_special, "Add no special tokens; skip them in decoding");
  command.add_flag("--lines", options->lines, "Each line is a JSON string (with --decode -, a JSON list of ids)");
  add_json_flag(command, common);
}

}  // namespace transom::cli
