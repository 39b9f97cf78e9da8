// The man page, and what it shares with the completions: see manual.h. Format: man(7).
#include "cli/manual.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/manual_flags.h"
#include "transom/machine.h"

namespace transom::cli {

std::vector<Flag> flags_of(const CLI::App& app) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    Flag flag;
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    flag.positional = option->get_positional() ? option->get_name(true, false) : "";
    if (!option->nonpositional()) flag.names.clear();
    flag.description = option->get_description();
    flag.group = option->get_group();
    flag.preset = option->get_default_str();
    flag.takes_value = option->get_items_expected_max() > 0;
    if (flag.takes_value) flag.value = option->get_type_name();
    // "a|b|c" are the words that the flag takes.
    for (size_t at = 0; flag.value.find('|') != std::string::npos && at <= flag.value.size();) {
      const size_t bar = std::min(flag.value.find('|', at), flag.value.size());
      const std::string word = flag.value.substr(at, bar - at);
      flag.choices.push_back(word.substr(0, word.find('[')));
      at = bar + 1;
    }
    flags.push_back(std::move(flag));
  }
  return flags;
}

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

namespace {

// Text for groff: its own signs escaped, everything beyond ASCII as \[uXXXX]. The text is our own, so valid UTF-8.
std::string roff(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if ((i == 0 || text[i - 1] == '\n') && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') out += "\\e";
    else if (c == '-') out += "\\-";
    else if (c < 0x80) out += text[i];
    else {
      const int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
      unsigned code = c & (0x3f >> more);
      for (int k = 0; k < more; ++k) code = code << 6 | (static_cast<unsigned char>(text[++i]) & 0x3f);
      out += fmt::format("\\[u{:04X}]", code);
    }
  }
  return out;
}

std::string roff_flag(const Flag& flag) {
  std::string head;
  for (const std::string& name : flag.names) head += (head.empty() ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
  if (head.empty()) head = "\\fI" + roff(flag.positional) + "\\fR";
  else if (!flag.value.empty()) head += " \\fI" + roff(flag.value) + "\\fR";
  std::string text = flag.description;
  if (!flag.preset.empty()) text += " (default: " + flag.preset + ")";
  return ".TP\n" + head + "\n" + roff(text) + "\n";
}

bool is_shared(const Flag& flag) { return flag.group == "Common flags" || flag.group == "Model flags"; }

// Flags that several commands have are told once, with the first command that has them.
std::string shared_flags(const CLI::App& app, const std::string& group) {
  for (const CLI::App* command : commands_of(app)) {
    std::string out;
    for (const Flag& flag : flags_of(*command))
      if (flag.group == group) out += roff_flag(flag);
    if (!out.empty()) return out;
  }
  return "";
}

}  // namespace

std::string man_page(const CLI::App& app, const std::string& version) {
  std::string out = ".TH TRANSOM 1 \"\" \"transom " + roff(version) + "\" \"User Commands\"\n";
  out += ".SH NAME\ntransom \\- run Hugging Face checkpoints as they lie on disk\n";
  out += ".SH SYNOPSIS\n.B transom\n\\fICOMMAND\\fR [\\fIMODEL\\fR] [\\fIFLAGS\\fR]\n";
  out += ".SH DESCRIPTION\n" + roff(app.get_description()) + "\n.PP\n" +
         roff("MODEL is a directory with config.json, a .gguf file, a hub id (org/name[@revision] or org/name:Q4_K_M), "
              "or the word smollm2. Results go to stdout, everything else to stderr.") + "\n";
  out += ".SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) {
    out += ".SS transom " + roff(command->get_name()) + "\n" + roff(command->get_description()) + ".\n";
    for (const Flag& flag : flags_of(*command))
      if (!is_shared(flag) && flag.names != std::vector<std::string>{"-h", "--help"}) out += roff_flag(flag);
  }
  out += ".SH FLAGS OF EVERY COMMAND\n" + shared_flags(app, "Common flags");
  if (const std::string flags = shared_flags(app, "Model flags"); !flags.empty())
    out += ".SH FLAGS OF COMMANDS THAT RUN A MODEL\n" + flags;
  out += ".SH EXIT STATUS\n0 done, 1 the work failed (the message is on stderr), 2 wrong usage, 130 interrupted.\n";
  out += ".SH FILES\n.TP\n\\fI${XDG_CACHE_HOME:\\-~/.cache}/transom/models\\fR\nmodels that the project fetches by name\n";
  out += ".TP\n\\fI${HF_HUB_CACHE:\\-~/.cache/huggingface/hub}\\fR\nwhere hub ids are looked up and downloaded to, shared with Hugging Face's "
         "Python client (also HF_HOME/hub)\n";
  out += ".SH ENVIRONMENT\n.TP\n\\fBHF_TOKEN\\fR\nthe token for the hub without \\-\\-token (else the file of a login: HF_TOKEN_PATH, HF_HOME/token)\n";
  out += ".TP\n\\fBHF_HUB_OFFLINE\\fR\n1: never use the network\n";
  out += ".TP\n\\fBHF_ENDPOINT\\fR\nanother hub than https://huggingface.co\n";
  out += ".TP\n\\fBHF_HUB_DOWNLOAD_TIMEOUT\\fR, \\fBHF_HUB_ETAG_TIMEOUT\\fR\nseconds without a byte, or without an answer, before a new try (10)\n";
  return out;
}

void add_manual_flags(CLI::App& app) {
  app.add_flag_callback("--print-man",
                        [&app] {
                          print(man_page(app, build_info().version));
                          throw CLI::Success();
                        })
      ->group("");
  app.add_option_function<std::string>("--print-completion",
                                       [&app](const std::string& shell) {
                                         print(shell == "bash"  ? bash_completion(app)
                                               : shell == "zsh" ? zsh_completion(app)
                                                                : fish_completion(app));
                                         throw CLI::Success();
                                       })
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->group("");
}

}  // namespace transom::cli
