// Parts on disk: see shards.h.
#include "checkpoint/shards.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace transom {
namespace {

bool same_set(const ShardName& a, const ShardName& b) {
  return a.count == b.count && a.extension == b.extension &&
         std::filesystem::path(a.stem).filename() == std::filesystem::path(b.stem).filename();
}

std::string directory_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

}  // namespace

std::string find_shard(const ShardName& set, uint64_t number) {
  std::string exact = set.with_number(number);
  if (file_exists(exact)) return exact;
  for (std::string& path : files_ending(directory_of(set.stem), set.extension)) {
    const std::optional<ShardName> other = parse_shard_name(path);
    if (other && other->number == number && same_set(*other, set)) return std::move(path);
  }
  return {};
}

std::vector<std::string> files_ending(const std::string& directory, std::string_view suffix) {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& file : std::filesystem::directory_iterator(directory, ec)) {
    std::string path = file.path().string();
    if (path.ends_with(suffix) && file_exists(path)) out.push_back(std::move(path));
  }
  if (ec) fail(Code::kIo, directory, "cannot list: {}", ec.message());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace transom
