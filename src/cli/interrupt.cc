// Interrupt: see interrupt.h.
#include "cli/interrupt.h"

#include <csignal>

namespace transom::cli {
namespace {

volatile std::sig_atomic_t g_requested = 0;  // a signal handler can reach nothing else

void on_signal(int) {
  if (g_requested) std::signal(SIGINT, SIG_DFL), std::raise(SIGINT);
  g_requested = 1;
}

}  // namespace

Interrupt::Interrupt() {
  g_requested = 0;
  std::signal(SIGINT, on_signal);
}
Interrupt::~Interrupt() { std::signal(SIGINT, SIG_DFL); }
bool Interrupt::requested() const { return g_requested != 0; }
void Interrupt::clear() { g_requested = 0; }

}  // namespace transom::cli
