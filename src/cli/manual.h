// The man page and the shells' completions, made from the app's own commands and flags so that they cannot disagree
// with --help. `transom --print-man` and `transom --print-completion SHELL` (not shown in --help) print them; the build
// writes them to build/share, and the install step puts them where the system looks.
#pragma once

#include <CLI/CLI.hpp>

#include <string>

namespace transom::cli {

std::string man_page(const CLI::App& app, const std::string& version);
std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

// Adds the two flags to the root app.
void add_manual_flags(CLI::App& app);

}  // namespace transom::cli
