// Hashes that name the hub's files: SHA-256 of what git-lfs stores, git's SHA-1 of the rest.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace transom::hub {

class Digest {
 public:
  // For a blob of `size` bytes named `etag`: 64 hexadecimal digits are SHA-256, 40 are git's SHA-1 ("blob <size>\0" and the
  // bytes). Nothing for another name, which no hash checks.
  static std::optional<Digest> for_etag(std::string_view etag, int64_t size);
  void update(std::string_view bytes);
  std::string hex();  // ends it

 private:
  struct Free {
    void operator()(void* context) const;
  };
  explicit Digest(void* context) : context_(context) {}
  std::unique_ptr<void, Free> context_;
};

}  // namespace transom::hub
