// The one error type of the library. A message is a single line,
//   `file or op: expected …, got … (tensor name)`:
// `context` says where (a path, an op, a tensor), `message` what was expected and what was found.
// The library throws Error and never prints, aborts or exits.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace transom {

enum class Code {
  kInvalidArgument,  // the caller or a request asked for something wrong
  kNotFound,         // a file, tensor, key or model is not there
  kUnsupported,      // understood, and not (yet) done by this program or build
  kCorrupt,          // a file or message breaks its own format
  kIo,               // the operating system refused
  kResource,         // out of memory, pages or another bounded resource
  kCancelled,        // interrupted on request
  kInternal,         // a bug of ours
};

std::string_view code_name(Code code);

class Error : public std::exception {
 public:
  Error(Code code, std::string message, std::string context = {});

  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& context() const noexcept { return context_; }
  // "context: message", or the message alone when there is no context.
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  Code code_;
  std::string message_, context_, what_;
};

}  // namespace transom
