// apply_aliases, build_network: see family.h.
#include "models/family.h"

namespace transom {

void apply_aliases(const Family& family, Json& config) {
  for (const auto& [alias, name] : family.config_aliases)
    if (const auto it = config.find(alias); it != config.end() && !config.contains(name)) {
      Json value = *it;
      config.erase(it);
      config[name] = std::move(value);
    }
}

std::unique_ptr<nn::Network> build_network(const Family& family, const Config& config, const Scope& root) {
  std::unique_ptr<nn::Network> network = family.build(config, root);
  if (family.head && family.task != nn::Task::kNone) network->set_head(root, family.head(config, family.task));
  return network;
}

}  // namespace transom
