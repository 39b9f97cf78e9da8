// Completions for bash, zsh and fish: see manual.h. Each knows the commands, every command's flags and the words that a
// flag takes; everything else (MODEL, files) falls back to file names.
#include <string>

#include "cli/manual.h"
#include "cli/manual_flags.h"

namespace transom::cli {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

// For single quotes: ' itself becomes '\''.
std::string shell_word(const std::string& text) {
  std::string out = "'";
  for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// Brackets and colons are syntax in zsh's _arguments.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string names, flags, values;
  for (const CLI::App* command : commands_of(app)) {
    const std::string name = command->get_name();
    names += (names.empty() ? "" : " ") + name;
    std::vector<std::string> words;
    for (const Flag& flag : flags_of(*command)) {
      words.insert(words.end(), flag.names.begin(), flag.names.end());
      for (const std::string& one : flag.names)
        if (flag.takes_value)
          values += "    " + shell_word(name + " " + one) + ") values=" + shell_word(joined(flag.choices)) + " ;;\n";
    }
    flags += "    " + name + ") flags=" + shell_word(joined(words)) + " ;;\n";
  }
  return "# bash completion for transom; made by `transom --print-completion bash`\n"
         "_transom() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} flags='' values=none\n"
         "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
         "    COMPREPLY=($(compgen -W '" + names + " --help --version' -- \"$cur\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"$command $prev\" in\n" + values +
         "  esac\n"
         "  if [ \"$values\" != none ]; then\n"
         "    COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"$command\" in\n" + flags +
         "  esac\n"
         "  case \"$cur\" in\n"
         "    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\")) ;;\n"
         "    *) COMPREPLY=() ;;\n"
         "  esac\n"
         "}\n"
         "complete -o default -F _transom transom\n";
}

std::string zsh_completion(const CLI::App& app) {
  std::string commands, cases;
  for (const CLI::App* command : commands_of(app)) {
    commands += "    " + shell_word(command->get_name() + ":" + zsh_text(command->get_description())) + "\n";
    cases += "    " + command->get_name() + ")\n      _arguments";
    for (const Flag& flag : flags_of(*command))
      for (const std::string& name : flag.names) {
        std::string spec = name + "[" + zsh_text(flag.description) + "]";
        if (flag.takes_value)
          spec += ":value:" + (flag.choices.empty() ? std::string("_files") : "(" + joined(flag.choices) + ")");
        cases += " \\\n        " + shell_word(spec);
      }
    cases += " \\\n        '*:file:_files' ;;\n";
  }
  return "#compdef transom\n"
         "# zsh completion for transom; made by `transom --print-completion zsh`\n"
         "_transom() {\n"
         "  local -a commands\n"
         "  commands=(\n" + commands +
         "  )\n"
         "  if (( CURRENT == 2 )); then\n"
         "    _describe command commands\n"
         "    return\n"
         "  fi\n"
         "  local command=$words[2]\n"
         "  shift words\n"
         "  (( CURRENT-- ))\n"
         "  case $command in\n" + cases +
         "  esac\n"
         "}\n"
         "_transom \"$@\"\n";
}

std::string fish_completion(const CLI::App& app) {
  std::string out = "# fish completion for transom; made by `transom --print-completion fish`\n";
  for (const CLI::App* command : commands_of(app)) {
    out += "complete -c transom -n __fish_use_subcommand -f -a " + command->get_name() + " -d " +
           shell_word(command->get_description()) + "\n";
    for (const Flag& flag : flags_of(*command)) {
      if (flag.names.empty()) continue;
      out += "complete -c transom -n '__fish_seen_subcommand_from " + command->get_name() + "'";
      for (const std::string& name : flag.names)
        out += name.rfind("--", 0) == 0 ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (!flag.choices.empty()) out += " -x -a " + shell_word(joined(flag.choices));
      else if (flag.takes_value) out += " -r";
      out += " -d " + shell_word(flag.description) + "\n";
    }
  }
  return out;
}

}  // namespace transom::cli
