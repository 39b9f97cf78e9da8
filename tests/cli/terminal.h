// A program in a pseudo-terminal, as a person uses it: type keys, wait for what appears.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace transom {

class Terminal {
 public:
  Terminal(const std::string& program, const std::vector<std::string>& args, const std::map<std::string, std::string>& env);
  ~Terminal();  // ends the program if it still runs
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void type(const std::string& keys);  // "\r" is Enter, "\x03" Ctrl-C, "\x04" Ctrl-D, "\x7f" Backspace, "\x1b[A" Up
  // Waits until `text` has appeared after what earlier calls waited for; false when the program ends first or nothing
  // more comes for a long time.
  bool wait_for(const std::string& text);
  int wait_exit();  // its exit code, or 128 + the signal
  const std::string& screen() const { return screen_; }  // all that appeared

 private:
  bool read_more();
  int fd_ = -1;
  pid_t child_ = -1;
  int code_ = -1;
  std::string screen_;
  size_t seen_ = 0;
};

}  // namespace transom
