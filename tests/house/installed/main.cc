// Uses the installed library as a stranger would: public headers only; fails unless the parts link and answer.
#include <cstdio>

#include "transom/error.h"
#include "transom/log.h"
#include "transom/machine.h"

int main() {
  transom::set_log_sink(nullptr);
  const transom::Machine machine = transom::probe_machine();
  std::printf("transom %s on %s, %d threads\n", transom::build_info().version.c_str(), machine.cpu.c_str(),
              machine.default_threads);
  return transom::code_name(transom::Code::kIo) == "io" && machine.default_threads > 0 ? 0 : 1;
}
