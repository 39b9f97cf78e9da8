// Files: whole reads with a size bound, and read-only memory maps. Errors name the path and the system's reason.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace transom {

bool file_exists(const std::string& path);  // a regular file (links followed)
bool dir_exists(const std::string& path);
uint64_t file_size(const std::string& path);

// Reads a whole regular file; larger than `max_bytes` is Code::kInvalidArgument.
std::string read_file(const std::string& path, size_t max_bytes = size_t{1} << 30);

// A read-only, shared map of a whole regular file. Shared ownership: tensors keep the map alive.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Tells the kernel that [offset, offset+size) is wanted soon, or no longer.
  void will_need(size_t offset, size_t size) const;
  void dont_need(size_t offset, size_t size) const;

 private:
  MappedFile(std::string path, const std::byte* data, size_t size);
  std::string path_;
  const std::byte* data_;
  size_t size_;
};

}  // namespace transom
