// build_network: see family.h.
#include "models/family.h"

namespace transom {

std::unique_ptr<nn::Network> build_network(const Family& family, const Config& config, const Scope& root) {
  std::unique_ptr<nn::Network> network = family.build(config, root);
  if (family.head && family.task != nn::Task::kNone) network->set_head(root, family.head(config, family.task));
  return network;
}

}  // namespace transom
