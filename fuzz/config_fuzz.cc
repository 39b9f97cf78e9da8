// libFuzzer target: config.json, read by every family into a network, and the judgement of its unread keys.
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "models/registry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transom;
  for (const auto& [name, task, gguf] : registry_lines()) {
    try {
      const Config config(parse_json({reinterpret_cast<const char*>(data), size}, "fuzz"), "fuzz");
      const Family family = *find_family(name);
      // A network of thousands of layers is no fault, but slow to build over and over.
      if (config.document().value("num_hidden_layers", 0.0) > 64) continue;
      ParamTable params;
      std::vector<StateSpec> states;
      family.build(config, Scope(params, states));
      judge_unread(config, family.config_keys);
    } catch (const Error&) {
    } catch (const Json::exception&) {  // value() above, on a key of another type
    }
  }
  return 0;
}
