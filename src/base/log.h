// The library's log. It is silent until a program attaches a sink (the CLI attaches stderr), so that the library
// itself never prints. Use: log().info("impl=native arch={}", arch).
#pragma once

#include <spdlog/logger.h>

namespace transom {

// The process-wide logger, thread-safe. Starts with no sinks.
spdlog::logger& log();

}  // namespace transom
