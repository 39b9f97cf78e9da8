// transom chat: a conversation in the terminal or through a pipe (one line, one message), or one answer to -p.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>

#include "cli/command.h"
#include "cli/conversation.h"
#include "cli/interrupt.h"
#include "cli/line_editor.h"
#include "cli/model_command.h"
#include "cli/sampling_flags.h"

namespace transom::cli {
namespace {

struct ChatFlags {
  std::string prompt, system, template_file;
  SamplingFlags sampling;
};

constexpr const char* kHelp =
    "/help           this list\n"
    "/new            forget the conversation\n"
    "/system TEXT    set the system message and forget the conversation; without TEXT there is none\n"
    "/retry          answer the last message again\n"
    "/stats          tokens and speed of the last answer\n"
    "/exit           end (also Ctrl-D)\n"
    "A line that ends with \\ goes on in the next one. Ctrl-C stops an answer.\n";

ChatTemplate load_template(const std::string& file, const std::string& model_path) {
  if (file.empty()) return ChatTemplate::load(model_path);
  std::ifstream in(file, std::ios::binary);
  if (!in) throw Error(Code::kNotFound, "cannot open the chat template", file);
  return ChatTemplate::parse({std::istreambuf_iterator<char>(in), {}}, file);
}

// A template that came by --chat-template has not seen the checkpoint's files.
Json special_tokens(const Tokenizer& tokenizer) {
  Json variables = Json::object();
  if (const auto id = tokenizer.bos_id()) variables["bos_token"] = tokenizer.id_to_token(*id);
  if (const auto id = tokenizer.eos_id()) variables["eos_token"] = tokenizer.id_to_token(*id);
  return variables;
}

class Chat {
 public:
  Chat(const CommonOptions& common, const ChatFlags& flags)
      : model_(load_model(common)),
        tokenizer_(Tokenizer::load(model_.path())),
        engine_(model_, {.max_num_seqs = 1}, tokenizer_),
        conversation_(engine_, tokenizer_, load_template(flags.template_file, model_.path()),
                      flags.template_file.empty() ? Json::object() : special_tokens(tokenizer_)),
        sampling_(flags.sampling.over(model_.default_sampling())),
        max_tokens_(flags.sampling.max_tokens.value_or(0)) {
    if (sampling_.n != 1) throw UsageError("--n: a conversation has one answer to a message");
    sampling_.logprobs = -1;
    conversation_.set_system(flags.system);
  }

  // Streams the answer to stdout. False when Ctrl-C stopped it.
  bool answer(const std::string& question) {
    last_ = conversation_.ask(question, sampling_, max_tokens_, [&](std::string_view text) {
      if (!text.empty()) print(text);
      return !interrupt_.requested();
    });
    print("\n");
    if (last_.dropped_turns)
      notice(fmt::format("the context of {} tokens is full: the {} oldest turns were left out", engine_.max_model_len(),
                         last_.dropped_turns));
    else if (last_.finish_reason == "length")
      notice(fmt::format("stopped after {} tokens", last_.tokens));
    return !interrupt_.requested();
  }

  // Until the end of input or /exit. In a terminal an error ends the answer only; in a pipe it ends the program.
  int converse() {
    LineEditor editor("> ", default_history_file());
    if (editor.terminal()) notice(fmt::format("{}, {} tokens of context. /help lists what you can say besides text.",
                                              model_.architecture(), engine_.max_model_len()));
    while (const auto message = read_message(editor)) {  // Ctrl-C from here on is about this message
      if (message->empty()) continue;
      const bool is_command = message->front() == '/';
      try {
        const bool go_on = is_command ? command(*message) : answer(*message) || editor.terminal();
        if (!go_on) return is_command ? kDone : kInterrupted;
      } catch (const Error& e) {
        if (!editor.terminal() || e.code() == Code::kIo) throw;
        notice(e.what());
      }
    }
    if (editor.terminal()) print("\n");
    return kDone;
  }

 private:
  static void notice(const std::string& text) { std::fprintf(stderr, "[%s]\n", text.c_str()); }

  std::optional<std::string> read_message(LineEditor& editor) {
    interrupt_.clear();
    std::optional<std::string> message = editor.read();
    while (message && !message->empty() && message->back() == '\\') {
      message->back() = '\n';
      const auto more = editor.read();
      if (!more || editor.interrupted()) return more;
      *message += *more;
    }
    return message;
  }

  // False for /exit.
  bool command(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string name = line.substr(0, space), rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (name == "/exit" || name == "/quit" || name == "/bye") return false;
    if (name == "/new" || name == "/clear") {
      conversation_.clear();
    } else if (name == "/system") {
      conversation_.set_system(rest);
      conversation_.clear();
    } else if (name == "/retry") {
      const std::string question = conversation_.take_back();
      if (question.empty()) notice("nothing to answer again");
      else answer(question);
    } else if (name == "/stats") {
      notice(fmt::format("prompt {} tokens in {:.2f} s ({:.0f}/s), answer {} tokens in {:.2f} s ({:.1f}/s)",
                         last_.prompt_tokens, last_.prefill_s, rate(last_.prompt_tokens, last_.prefill_s), last_.tokens,
                         last_.decode_s, rate(last_.tokens - 1, last_.decode_s)));
    } else {
      if (name != "/help") notice("there is no " + name);
      std::fputs(kHelp, stderr);
    }
    return true;
  }

  static double rate(int64_t n, double seconds) { return seconds > 0 && n > 0 ? static_cast<double>(n) / seconds : 0; }

  Model model_;
  Tokenizer tokenizer_;
  Engine engine_;
  Conversation conversation_;
  SamplingParams sampling_;
  int max_tokens_;
  Conversation::Answer last_;
  Interrupt interrupt_;  // last: while the model loads, Ctrl-C ends the program as usual
};

int run(const CommonOptions& common, const ChatFlags& flags) {
  Chat chat(common, flags);
  if (flags.prompt.empty()) return chat.converse();
  return chat.answer(flags.prompt) ? kDone : kInterrupted;
}

}  // namespace

void add_chat_command(CLI::App& app, CommonOptions& common) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App& command =
      add_command(app, common, "chat", "Talk to a model in the terminal", [&common, flags] { return run(common, *flags); });
  add_model_argument(command, common, "smollm2");
  command.add_option("-p,--prompt", flags->prompt, "Answer this once and end")->type_name("TEXT");
  command.add_option("--system", flags->system, "The system message")->type_name("TEXT");
  command.add_option("--chat-template", flags->template_file, "A Jinja file instead of the model's own template")
      ->type_name("FILE");
  add_sampling_flags(command, flags->sampling);
  add_model_flags(command, common);
}

}  // namespace transom::cli
