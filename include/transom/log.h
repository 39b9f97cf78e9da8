// The library's log as a program sees it. The library itself never prints: until a sink is set, nothing is shown.
#pragma once

#include <functional>
#include <string_view>

namespace transom {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError, kOff };

// Messages of `level` and above go to `sink`, one line each without a newline, from any thread but one at a time.
// Replaces an earlier sink; a null sink silences the log. Not to be called while other threads use the library.
using LogSink = std::function<void(LogLevel, std::string_view message)>;
void set_log_sink(LogSink sink, LogLevel level = LogLevel::kInfo);

}  // namespace transom
