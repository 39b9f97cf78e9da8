// LineEditor: see line_editor.h. libedit's wide-character interface (editline(7)); characters are read by a function of
// our own, because libedit restarts a read that a signal ended, and then Ctrl-C would be lost.
#include "cli/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <cwchar>
#include <filesystem>
#include <iostream>

namespace transom::cli {
namespace {

volatile std::sig_atomic_t g_line_interrupted = 0;  // a signal handler can reach nothing else

void on_interrupt(int) { g_line_interrupted = 1; }

// SIGINT while a line is read: held back except while waiting for a key, so that it cannot slip in between a look at the
// flag and the wait.
class InterruptedReads {
 public:
  InterruptedReads() {
    g_line_interrupted = 0;
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &old_mask_);
    struct sigaction action = {};
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, &old_);
  }
  ~InterruptedReads() {
    sigaction(SIGINT, &old_, nullptr);
    sigprocmask(SIG_SETMASK, &old_mask_, nullptr);  // one that came meanwhile goes to the program's own handler now
  }

 private:
  struct sigaction old_ = {};
  sigset_t old_mask_ = {};
};

// Waits for a byte: 1, or 0 at the end of input, or -1 when Ctrl-C came.
int read_byte(char* out) {
  sigset_t open;
  sigprocmask(SIG_SETMASK, nullptr, &open);
  sigdelset(&open, SIGINT);
  for (;;) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    const int ready = ppoll(&input, 1, nullptr, &open);
    if (g_line_interrupted) return -1;
    if (ready < 0 && errno == EINTR) continue;  // the window changed its size
    const ssize_t n = ready < 0 ? -1 : ::read(STDIN_FILENO, out, 1);
    if (n < 0 && errno == EINTR) continue;
    return n == 1 ? 1 : 0;
  }
}

// One character of the terminal; results as read_byte's.
int read_character(EditLine*, wchar_t* out) {
  std::mbstate_t state = {};
  for (;;) {
    char byte = 0;
    const int got = read_byte(&byte);
    if (got != 1) return got;
    const size_t used = std::mbrtowc(out, &byte, 1, &state);
    if (used == static_cast<size_t>(-2)) continue;  // more bytes to come
    if (used == static_cast<size_t>(-1)) *out = L'\xfffd';
    return 1;
  }
}

std::wstring widen(const std::string& text) {
  std::wstring wide(text.size(), L'\0');
  const size_t n = std::mbstowcs(wide.data(), text.c_str(), wide.size());
  wide.resize(n == static_cast<size_t>(-1) ? 0 : n);
  return wide;
}

std::string narrow(const wchar_t* wide) {
  std::string text(std::wcslen(wide) * MB_CUR_MAX, '\0');
  const size_t n = std::wcstombs(text.data(), wide, text.size());
  text.resize(n == static_cast<size_t>(-1) ? 0 : n);
  return text;
}

// The model speaks UTF-8 whatever the locale; only the character type is set, so that numbers keep their point.
void use_utf8() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) std::setlocale(LC_CTYPE, "C.UTF-8");
}

}  // namespace

struct LineEditor::Impl {
  std::wstring prompt;
  std::string history_file;
  bool terminal = false, interrupted = false;
  EditLine* editor = nullptr;
  HistoryW* history = nullptr;
  HistEventW event = {};

  static wchar_t* give_prompt(EditLine* editor) {
    void* self = nullptr;
    el_wget(editor, EL_CLIENTDATA, &self);
    return static_cast<Impl*>(self)->prompt.data();
  }

  void open() {
    use_utf8();
    editor = el_init("transom", stdin, stdout, stderr);
    history = history_winit();
    history_w(history, &event, H_SETSIZE, 1000);
    history_w(history, &event, H_SETUNIQUE, 1);
    if (!history_file.empty()) history_w(history, &event, H_LOAD, history_file.c_str());
    el_wset(editor, EL_CLIENTDATA, this);
    el_wset(editor, EL_PROMPT, give_prompt);
    el_wset(editor, EL_EDITOR, L"emacs");
    el_wset(editor, EL_HIST, history_w, history);
    el_wset(editor, EL_GETCFN, read_character);
    el_wset(editor, EL_SETTY, L"-d", L"+noflsh", nullptr);  // Ctrl-C must not throw away keys that poll() has announced
    el_wset(editor, EL_BIND, L"^R", L"em-inc-search-prev", nullptr);
    el_source(editor, nullptr);
  }

  void save() {
    if (history_file.empty()) return;
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(history_file).parent_path(), error);
    const mode_t old = umask(0077);  // what people say to a model is theirs
    history_w(history, &event, H_SAVE, history_file.c_str());
    umask(old);
  }
};

LineEditor::LineEditor(std::string prompt, std::string history_file) : impl_(std::make_unique<Impl>()) {
  impl_->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
  impl_->history_file = std::move(history_file);
  if (!impl_->terminal) return;
  impl_->open();
  impl_->prompt = widen(prompt);
}

LineEditor::~LineEditor() {
  if (!impl_->editor) return;
  impl_->save();
  history_wend(impl_->history);
  el_end(impl_->editor);
}

bool LineEditor::terminal() const { return impl_->terminal; }
bool LineEditor::interrupted() const { return impl_->interrupted; }

std::optional<std::string> LineEditor::read() {
  impl_->interrupted = false;
  std::string line;
  if (!impl_->terminal) {
    if (!std::getline(std::cin, line)) return std::nullopt;
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
  }
  const InterruptedReads reads;
  int count = 0;
  const wchar_t* wide = el_wgets(impl_->editor, &count);
  if (g_line_interrupted) {
    impl_->interrupted = true;
    el_reset(impl_->editor);  // drops what was typed
    std::fputs("\n", stdout);
    return std::string();
  }
  if (!wide || count <= 0) return std::nullopt;
  line = narrow(wide);
  if (!line.empty() && line.back() == '\n') line.pop_back();
  if (!line.empty()) history_w(impl_->history, &impl_->event, H_ENTER, widen(line).c_str());
  return line;
}

std::string default_history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state && *state) return std::string(state) + "/transom/history";
  const char* home = std::getenv("HOME");
  return home && *home ? std::string(home) + "/.local/state/transom/history" : "";
}

}  // namespace transom::cli
