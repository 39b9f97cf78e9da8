// The parts of a checkpoint on disk; their names are in base/shard_name.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/shard_name.h"

namespace transom {

// The existing file that is part `number` of the same set, whatever its padding; empty when there is none.
std::string find_shard(const ShardName& set, uint64_t number);

// Regular files (links followed) in a directory whose names end with `suffix`, sorted.
std::vector<std::string> files_ending(const std::string& directory, std::string_view suffix);

}  // namespace transom
