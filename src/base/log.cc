// log() and set_log_sink(): see base/log.h and transom/log.h.
#include "base/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <utility>

#include "transom/log.h"

namespace transom {
namespace {

class CallbackSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit CallbackSink(LogSink sink) : sink_(std::move(sink)) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    sink_(level_of(message.level), {message.payload.data(), message.payload.size()});
  }
  void flush_() override {}

 private:
  static LogLevel level_of(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::trace: return LogLevel::kTrace;
      case spdlog::level::debug: return LogLevel::kDebug;
      case spdlog::level::info: return LogLevel::kInfo;
      case spdlog::level::warn: return LogLevel::kWarning;
      case spdlog::level::off: return LogLevel::kOff;
      default: return LogLevel::kError;
    }
  }
  LogSink sink_;
};

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
    case LogLevel::kOff: return spdlog::level::off;
  }
  return spdlog::level::off;
}

}  // namespace

spdlog::logger& log() {
  static spdlog::logger logger("transom");
  return logger;
}

void set_log_sink(LogSink sink, LogLevel level) {
  log().sinks().clear();
  if (sink) log().sinks().push_back(std::make_shared<CallbackSink>(std::move(sink)));
  log().set_level(spdlog_level(level));
}

}  // namespace transom
