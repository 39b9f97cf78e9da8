// The app's commands and flags as plain data, for the man page and the completions.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace transom::cli {

struct Flag {
  std::vector<std::string> names;    // "-h", "--help"; empty for a pure positional
  std::string positional;            // "MODEL", or empty
  std::string value;                 // what help shows after the flag: "N", "auto|cpu"
  std::vector<std::string> choices;  // the words it takes, where they are known
  std::string description, group, preset;
  bool takes_value = false;
};

// Hidden flags are left out.
std::vector<Flag> flags_of(const CLI::App& app);
std::vector<const CLI::App*> commands_of(const CLI::App& app);

}  // namespace transom::cli
