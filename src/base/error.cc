// Error: see error.h.
#include "base/error.h"

namespace transom {

Error::Error(Code code, std::string message, std::string context)
    : code_(code), message_(std::move(message)), context_(std::move(context)) {
  what_ = context_.empty() ? message_ : context_ + ": " + message_;
}

std::string_view code_name(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "invalid_argument";
    case Code::kNotFound: return "not_found";
    case Code::kUnsupported: return "unsupported";
    case Code::kCorrupt: return "corrupt";
    case Code::kIo: return "io";
    case Code::kResource: return "resource";
    case Code::kCancelled: return "cancelled";
    case Code::kInternal: return "internal";
  }
  return "unknown";
}

}  // namespace transom
