// Lines from a person or a pipe. In a terminal: line editing and history by libedit (UTF-8, Emacs or vi keys as ~/.editrc
// says), Ctrl-C empties the line, Ctrl-D ends. Otherwise plain lines of standard input, and nothing is shown.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace transom::cli {

class LineEditor {
 public:
  // `prompt` stands before each line of a terminal; `history_file` is read now and written by the destructor ("": none).
  LineEditor(std::string prompt, std::string history_file);
  ~LineEditor();
  LineEditor(const LineEditor&) = delete;
  LineEditor& operator=(const LineEditor&) = delete;

  bool terminal() const;
  // The next line without its end; nullopt at the end of input. In a terminal Ctrl-C gives an empty line and
  // sets interrupted().
  std::optional<std::string> read();
  bool interrupted() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// Where the program keeps lines between runs: ${XDG_STATE_HOME:-~/.local/state}/transom/history; "" without a home.
std::string default_history_file();

}  // namespace transom::cli
