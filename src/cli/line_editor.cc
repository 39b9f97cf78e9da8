// LineEditor: see line_editor.h. libedit's wide-character interface (editline(3)). While a line is edited Ctrl-C is a key
// like any other and not a signal: what was typed before it goes, what was typed after it stays, whatever the timing.
#include "cli/line_editor.h"

#include <histedit.h>
#include <langinfo.h>
#include <sys/stat.h>
#include <unistd.h>

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

  static unsigned char give_up_line(EditLine* editor, wint_t) {
    void* self = nullptr;
    el_wget(editor, EL_CLIENTDATA, &self);
    static_cast<Impl*>(self)->interrupted = true;
    return CC_EOF;
  }

  static unsigned char suspend(EditLine* editor, wint_t) {
    el_wset(editor, EL_PREP_TERM, 0);
    std::raise(SIGTSTP);
    el_wset(editor, EL_PREP_TERM, 1);
    return CC_REDISPLAY;
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
    el_wset(editor, EL_BIND, L"^R", L"em-inc-search-prev", nullptr);
    el_source(editor, nullptr);
    el_wset(editor, EL_SETTY, L"-d", L"-isig", nullptr);  // no key makes a signal while a line is edited
    el_wset(editor, EL_ADDFN, L"give-up-line", L"Drop the line", give_up_line);
    el_wset(editor, EL_BIND, L"^C", L"give-up-line", nullptr);
    el_wset(editor, EL_ADDFN, L"suspend", L"Stop until the shell goes on with us", suspend);
    el_wset(editor, EL_BIND, L"^Z", L"suspend", nullptr);
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
  el_wset(impl_->editor, EL_PREP_TERM, 1);  // before the prompt: el_wgets alone sets the terminal up after showing it
  int count = 0;
  const wchar_t* wide = el_wgets(impl_->editor, &count);
  if (impl_->interrupted) {
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
