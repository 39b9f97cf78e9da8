// Shard names: see shard_name.h.
#include "base/shard_name.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/error.h"

namespace transom {
namespace {

constexpr size_t kMaxDigits = 9;

std::optional<uint64_t> parse_digits(std::string_view s) {
  if (s.empty() || s.size() > kMaxDigits) return std::nullopt;
  uint64_t value = 0;
  for (const char c : s) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

// The parts of one set in order; `parts` is sorted by number and not empty.
std::vector<std::string> complete_set(const std::map<uint64_t, std::string>& parts, const ShardName& any) {
  const uint64_t first = parts.contains(0) ? 0 : 1;
  for (uint64_t i = first; i < first + any.count; ++i)
    if (!parts.contains(i))
      fail(Code::kNotFound, std::filesystem::path(any.stem).parent_path().string(), "expected {} parts, got none named {}", any.count,
           quote(std::filesystem::path(any.with_number(i)).filename().string()));
  std::vector<std::string> out;
  for (const auto& [number, path] : parts) {
    if (number >= first + any.count)
      fail(Code::kCorrupt, path, "expected a part number up to {}, got {}", first + any.count - 1, number);
    out.push_back(path);
  }
  return out;
}

}  // namespace

std::string ShardName::with_number(uint64_t other) const {
  return fmt::format("{}-{:0{}}-of-{:0{}}{}", stem, other, number_width, count, count_width, extension);
}

std::optional<ShardName> parse_shard_name(std::string_view path) {
  const size_t dot = path.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view base = path.substr(0, dot);
  const size_t of = base.rfind("-of-");
  if (of == std::string_view::npos || of == 0) return std::nullopt;
  const size_t dash = base.rfind('-', of - 1);
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view number = base.substr(dash + 1, of - dash - 1), count = base.substr(of + 4);
  const std::optional<uint64_t> n = parse_digits(number), c = parse_digits(count);
  if (!n || !c || *c == 0) return std::nullopt;
  return ShardName{std::string(base.substr(0, dash)), std::string(path.substr(dot)), *n, *c, static_cast<int>(number.size()),
                   static_cast<int>(count.size())};
}

std::vector<std::vector<std::string>> group_shards(const std::vector<std::string>& paths) {
  std::vector<std::vector<std::string>> out;
  std::map<std::string, std::pair<ShardName, std::map<uint64_t, std::string>>> sets;
  for (const std::string& path : paths) {
    const std::optional<ShardName> shard = parse_shard_name(path);
    if (!shard) {
      out.push_back({path});
      continue;
    }
    auto& [any, parts] = sets.try_emplace(fmt::format("{}/{}", shard->stem, shard->count), *shard, std::map<uint64_t, std::string>{}).first->second;
    const auto [it, fresh] = parts.emplace(shard->number, path);
    if (!fresh) fail(Code::kCorrupt, path, "expected one file for part {}, got {} too", shard->number, quote(it->second));
  }
  for (const auto& [key, set] : sets) out.push_back(complete_set(set.second, set.first));
  return out;
}

bool is_safe_relative_path(std::string_view path) {
  if (path.empty() || path.size() > 4096 || path.front() == '/') return false;
  for (const char c : path)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

}  // namespace transom
