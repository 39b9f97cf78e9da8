// Names of the parts of a checkpoint, <stem>-<number>-of-<count>.<extension> with any zero padding, and which relative
// paths a file or a server may name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace transom {

struct ShardName {
  std::string stem;       // with the directory
  std::string extension;  // ".safetensors", ".bin", ".gguf"
  uint64_t number = 0, count = 0;
  int number_width = 5, count_width = 5;  // digits as written

  // The path of another part with this one's padding.
  std::string with_number(uint64_t other) const;
};

// Nothing when the name has another shape; numbers of at most 9 digits.
std::optional<ShardName> parse_shard_name(std::string_view path);

// The complete sets of parts among `paths`: one path for a file that is no part, all parts in order for a set. Parts
// are numbered from 1 or from 0. A set with a part missing is Code::kNotFound and names that part.
std::vector<std::vector<std::string>> group_shards(const std::vector<std::string>& paths);

// Whether an index or a server may name this file: relative, without "..", control characters or an empty component.
bool is_safe_relative_path(std::string_view path);

}  // namespace transom
