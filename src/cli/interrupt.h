// Ctrl-C as a request: while an Interrupt lives, SIGINT sets a flag instead of ending the process; a second one ends it.
#pragma once

namespace transom::cli {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  bool requested() const;
  void clear();
};

}  // namespace transom::cli
