// run_program(): see program.h. Files instead of pipes, so that no amount of output can block.
#include "cli/program.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace transom {
namespace {

struct Scratch {
  std::FILE* file = std::tmpfile();
  ~Scratch() { std::fclose(file); }
  int fd() const { return fileno(file); }
  std::string text() const {
    std::string all;
    std::rewind(file);
    char block[4096];
    for (size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;) all.append(block, n);
    return all;
  }
};

}  // namespace

Result run_program(const std::string& path, const std::vector<std::string>& args,
                   const std::map<std::string, std::string>& env, const std::string& input) {
  Scratch in, out, err;
  std::fwrite(input.data(), 1, input.size(), in.file);
  std::fflush(in.file);
  std::rewind(in.file);
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork");
  if (child == 0) {
    for (const auto& [key, value] : env) setenv(key.c_str(), value.c_str(), 1);
    dup2(in.fd(), 0);
    dup2(out.fd(), 1);
    dup2(err.fd(), 2);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  Result result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = out.text();
  result.err = err.text();
  return result;
}

Result run_transom(const std::vector<std::string>& args, const std::map<std::string, std::string>& env,
                   const std::string& input) {
  return run_program(TRANSOM_BINARY, args, env, input);
}

}  // namespace transom
