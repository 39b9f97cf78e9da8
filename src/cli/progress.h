// How far a long piece of work is, on stderr: a bar on a terminal, a plain line every ten seconds elsewhere. Work that ends
// within a second shows nothing.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>

namespace transom::cli {

class Progress {
 public:
  using Clock = std::function<double()>;  // seconds since any fixed time
  explicit Progress(std::string what);
  Progress(std::string what, std::FILE* out, bool terminal, Clock clock);
  ~Progress();  // takes the bar away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void at(int64_t done_bytes, int64_t total_bytes);

 private:
  std::string what_;
  std::FILE* out_;
  bool terminal_, drawn_ = false;
  Clock clock_;
  double next_;
};

}  // namespace transom::cli
