// Runs the built `transom` program and captures what it does; how the tests of the command line see it.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace transom {

struct Result {
  int code = -1;    // exit code, or 128 + the signal
  std::string out, err;
};

// `env` is added to (or replaces in) this process's environment; `input` is its standard input.
Result run_transom(const std::vector<std::string>& args, const std::map<std::string, std::string>& env = {},
                   const std::string& input = "");
Result run_program(const std::string& path, const std::vector<std::string>& args,
                   const std::map<std::string, std::string>& env = {}, const std::string& input = "");

}  // namespace transom
