// log(): see log.h.
#include "base/log.h"

#include <spdlog/spdlog.h>

namespace transom {

spdlog::logger& log() {
  static spdlog::logger logger("transom");
  return logger;
}

}  // namespace transom
