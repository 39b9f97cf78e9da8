// The architectures that run natively. registry.cc is the one file that lists their names.
#pragma once

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "models/family.h"

namespace transom {

// The family of an entry of config.json's `architectures`; nullopt when it is not native.
std::optional<Family> find_family(std::string_view architecture);
// The config.json name of a GGUF file's general.architecture; "" when there is none. has(key): whether the file has the key
// "<general.architecture>.<key>", or a tensor of that name.
std::string_view architecture_of_gguf(std::string_view gguf_architecture, const std::function<bool(std::string_view)>& has);

// A line of the registry, as include/transom/model.h shows it.
struct RegistryLine {
  std::string_view name;
  nn::Task task = nn::Task::kNone;
  std::string_view gguf;
};
std::vector<RegistryLine> registry_lines();
// The release of Python transformers whose logits the tests compare with (scripts/requirements-fixtures.txt).
inline constexpr std::string_view kCheckedTransformers = "5.23.0";

}  // namespace transom
