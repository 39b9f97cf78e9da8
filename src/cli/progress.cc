// A progress bar: see progress.h.
#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fmt/format.h>

namespace transom::cli {
namespace {

constexpr double kSilent = 1, kRedraw = 0.1, kLine = 10;
constexpr int kWidth = 30;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string size_text(int64_t bytes) {
  const auto b = static_cast<double>(bytes);
  return b >= 1e9 ? fmt::format("{:.1f} GB", b / 1e9) : fmt::format("{:.0f} MB", b / 1e6);
}

}  // namespace

Progress::Progress(std::string what) : Progress(std::move(what), stderr, ::isatty(STDERR_FILENO) == 1, seconds) {}

Progress::Progress(std::string what, std::FILE* out, bool terminal, Clock clock)
    : what_(std::move(what)), out_(out), terminal_(terminal), clock_(std::move(clock)), next_(clock_() + kSilent) {}

Progress::~Progress() {
  if (!drawn_ || !terminal_) return;
  std::fputs("\r\x1b[K", out_);
  std::fflush(out_);
}

void Progress::at(int64_t done_bytes, int64_t total_bytes) {
  const double now = clock_();
  if (now < next_ || total_bytes <= 0) return;
  next_ = now + (terminal_ ? kRedraw : kLine);
  drawn_ = true;
  const double share = std::clamp(static_cast<double>(done_bytes) / static_cast<double>(total_bytes), 0.0, 1.0);
  const std::string figures = fmt::format("{:3.0f} % ({} of {})", 100 * share, size_text(done_bytes), size_text(total_bytes));
  const int filled = static_cast<int>(share * kWidth);
  const std::string line = terminal_ ? fmt::format("\r\x1b[K{} [{:#<{}}{:{}}] {}", what_, "", filled, "", kWidth - filled, figures)
                                     : fmt::format("{}: {}\n", what_, figures);
  std::fputs(line.c_str(), out_);
  std::fflush(out_);
}

}  // namespace transom::cli
