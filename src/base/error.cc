// Error: see error.h.
#include "base/error.h"

namespace transom {

Error::Error(Code code, std::string message, std::string context)
    : code_(code), message_(std::move(message)), context_(std::move(context)) {
  what_ = context_.empty() ? message_ : context_ + ": " + message_;
}

namespace {

// Length of the well-formed UTF-8 character at the start of `s` (RFC 3629, table 3-7 of Unicode), 0 if there is none.
size_t utf8_length(std::string_view s) {
  const auto byte = [&](size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto in = [&](size_t i, unsigned lo, unsigned hi) { return byte(i) >= lo && byte(i) <= hi; };
  const unsigned b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return in(1, 0x80, 0xbf) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef)
    return in(1, b == 0xe0 ? 0xa0 : 0x80, b == 0xed ? 0x9f : 0xbf) && in(2, 0x80, 0xbf) ? 3 : 0;
  if (b >= 0xf0 && b <= 0xf4)
    return in(1, b == 0xf0 ? 0x90 : 0x80, b == 0xf4 ? 0x8f : 0xbf) && in(2, 0x80, 0xbf) && in(3, 0x80, 0xbf) ? 4 : 0;
  return 0;
}

}  // namespace

std::string quote(std::string_view text, size_t limit) {
  std::string out = "'";
  for (size_t i = 0; i < text.size();) {
    if (i >= limit) return out + "…'";
    const size_t n = utf8_length(text.substr(i));
    const auto c = static_cast<unsigned char>(text[i]);
    if (n == 0 || c < 0x20 || c == 0x7f) out += '?';
    else out += text.substr(i, n);
    i += n == 0 ? 1 : n;
  }
  return out + "'";
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
