// Terminal: see terminal.h.
#include "cli/terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace transom {

Terminal::Terminal(const std::string& program, const std::vector<std::string>& args,
                   const std::map<std::string, std::string>& env) {
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
  argv.push_back(nullptr);
  struct winsize size = {.ws_row = 40, .ws_col = 200, .ws_xpixel = 0, .ws_ypixel = 0};
  child_ = forkpty(&fd_, nullptr, nullptr, &size);
  if (child_ < 0) throw std::runtime_error("forkpty");
  if (child_ > 0) return;
  setenv("TERM", "xterm", 1);
  for (const auto& [key, value] : env) setenv(key.c_str(), value.c_str(), 1);
  execv(program.c_str(), argv.data());
  _exit(127);
}

Terminal::~Terminal() {
  if (code_ < 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  close(fd_);
}

void Terminal::type(const std::string& keys) {
  if (write(fd_, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size())) throw std::runtime_error("write");
}

bool Terminal::read_more() {
  struct pollfd poller = {.fd = fd_, .events = POLLIN, .revents = 0};
  if (poll(&poller, 1, 60'000) <= 0) return false;
  char block[4096];
  const ssize_t n = read(fd_, block, sizeof block);
  if (n <= 0) return false;  // EIO: the program has closed its side
  screen_.append(block, static_cast<size_t>(n));
  return true;
}

bool Terminal::wait_for(const std::string& text) {
  for (;;) {
    const size_t at = screen_.find(text, seen_);
    if (at != std::string::npos) {
      seen_ = at + text.size();
      return true;
    }
    if (!read_more()) return false;
  }
}

int Terminal::wait_exit() {
  while (read_more()) {
  }
  int status = 0;
  waitpid(child_, &status, 0);
  return code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace transom
