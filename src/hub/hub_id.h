// What a hub id names: org/name, org/name@revision, org/name:variant, org/name@revision:variant.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace transom::hub {

struct HubId {
  std::string repo;               // org/name
  std::string revision = "main";  // a branch, a tag, or a commit
  std::string variant;            // the Q4_K_M of org/name:Q4_K_M
};

std::optional<HubId> parse_hub_id(std::string_view text);
// parse_hub_id(), or Code::kInvalidArgument.
HubId require_hub_id(std::string_view text);

// One component of a repository's name.
bool is_repo_word(std::string_view text);
bool is_commit(std::string_view text);
// Lower-case hexadecimal of this length.
bool is_hex(std::string_view text, size_t length);

// The name of a repository's folder in the cache: models--org--name.
std::string folder_name(std::string_view repo);

}  // namespace transom::hub
