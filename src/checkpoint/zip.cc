// read_stored_zip: see zip.h. The central directory at the end of the file is the authority on sizes (torch leaves them
// 0 in the local headers); each local header must agree with it on name and method.
#include "checkpoint/zip.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "tensor/half.h"

namespace transom {
namespace {

constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr uint64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint64_t kMaxComment = 65535;
constexpr uint32_t kSaturated = 0xffffffff;

struct Directory {
  uint64_t offset, bytes, records;
};

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> bytes, std::string_view context) : bytes_(bytes), context_(context) {}

  std::map<std::string_view, ZipRecord> read() {
    const Directory directory = find_directory();
    if (directory.records > directory.bytes / kCentralBytes)
      error("at most {} records in a directory of {} bytes, got {}", directory.bytes / kCentralBytes, directory.bytes, directory.records);
    uint64_t at = directory.offset;
    const uint64_t end = directory.offset + directory.bytes;
    for (uint64_t i = 0; i < directory.records; ++i) at = read_central(at, end, directory.offset);
    check_overlap();
    return std::move(records_);
  }

 private:
  struct Extent {
    uint64_t begin, end;
    std::string_view name;
  };

  template <class... Args>
  [[noreturn]] void error(fmt::format_string<Args...> f, Args&&... args) const {
    fail(Code::kCorrupt, context_, "expected {}", fmt::format(f, std::forward<Args>(args)...));
  }

  template <class T>
  T at(uint64_t offset) const {
    return load_le<T>(bytes_.data() + offset);
  }
  bool has(uint64_t offset, uint64_t n) const { return offset <= bytes_.size() && n <= bytes_.size() - offset; }
  std::string_view text(uint64_t offset, uint64_t n) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + offset, static_cast<size_t>(n)};
  }

  Directory find_directory() const {
    const uint64_t size = bytes_.size();
    if (size < kEndBytes) error("a zip file, got {} bytes", size);
    const uint64_t lowest = size - kEndBytes > kMaxComment ? size - kEndBytes - kMaxComment : 0;
    uint64_t end = size - kEndBytes;
    while (at<uint32_t>(end) != kEnd || end + kEndBytes + at<uint16_t>(end + 20) != size)
      if (end-- == lowest) error("a zip directory at the end of the file, got none: the file is truncated or no zip file");
    if (at<uint16_t>(end + 4) != 0 && at<uint16_t>(end + 4) != 0xffff) error("a zip file of one volume, got several");
    Directory d{at<uint32_t>(end + 16), at<uint32_t>(end + 12), at<uint16_t>(end + 10)};
    uint64_t limit = end;
    if (end >= kLocator64Bytes && at<uint32_t>(end - kLocator64Bytes) == kLocator64) {
      limit = at<uint64_t>(end - kLocator64Bytes + 8);
      if (!has(limit, kEnd64Bytes) || limit + kEnd64Bytes > end || at<uint32_t>(limit) != kEnd64)
        error("a zip64 directory end at byte {}, got other bytes", limit);
      d = {at<uint64_t>(limit + 48), at<uint64_t>(limit + 40), at<uint64_t>(limit + 32)};
    }
    if (d.offset > limit || d.bytes > limit - d.offset)
      error("a zip directory before byte {}, got {} bytes at byte {}", limit, d.bytes, d.offset);
    return d;
  }

  // Replaces saturated 32-bit fields by those of the zip64 extra field, which come in a fixed order.
  void read_zip64(uint64_t extra, uint64_t n, uint64_t& size, uint64_t& packed, uint64_t& offset) const {
    for (uint64_t p = extra; p + 4 <= extra + n;) {
      const uint64_t length = at<uint16_t>(p + 2), next = p + 4 + length;
      if (next > extra + n) error("an extra field within the zip directory, got {} bytes at byte {}", length, p);
      if (at<uint16_t>(p) == 1) {
        uint64_t q = p + 4;
        for (uint64_t* field : {&size, &packed, &offset})
          if (*field == kSaturated && q + 8 <= next) {
            *field = at<uint64_t>(q);
            q += 8;
          }
        return;
      }
      p = next;
    }
  }

  uint64_t read_central(uint64_t p, uint64_t end, uint64_t data_end) {
    if (end - p < kCentralBytes || at<uint32_t>(p) != kCentral) error("a zip directory record at byte {}, got other bytes", p);
    const uint16_t flags = at<uint16_t>(p + 8), method = at<uint16_t>(p + 10);
    const uint64_t name_bytes = at<uint16_t>(p + 28), extra_bytes = at<uint16_t>(p + 30), comment_bytes = at<uint16_t>(p + 32);
    const uint64_t next = p + kCentralBytes + name_bytes + extra_bytes + comment_bytes;
    if (next > end) error("a zip directory record within the directory, got one over its end at byte {}", p);
    const std::string_view name = text(p + kCentralBytes, name_bytes);
    uint64_t packed = at<uint32_t>(p + 20), size = at<uint32_t>(p + 24), header = at<uint32_t>(p + 42);
    read_zip64(p + kCentralBytes + name_bytes, extra_bytes, size, packed, header);
    if (flags & 1) fail(Code::kUnsupported, context_, "expected plain records, got the encrypted {}", quote(name));
    if (method != 0)
      fail(Code::kUnsupported, context_, "expected stored records, as torch.save writes them, got {} compressed (method {})", quote(name), method);
    if (size != packed) error("equal sizes for the stored record {}, got {} and {}", quote(name), packed, size);
    const uint64_t begin = local_data(header, name, data_end);
    if (size > data_end - begin) error("{} bytes for the record {}, got {} up to the directory", size, quote(name), data_end - begin);
    if (!records_.emplace(name, ZipRecord{begin, size}).second) error("each record once, got {} twice", quote(name));
    extents_.push_back({header, begin + size, name});
    return next;
  }

  // Where the bytes of the record with this local header start.
  uint64_t local_data(uint64_t header, std::string_view name, uint64_t data_end) const {
    if (header > data_end || data_end - header < kLocalBytes || at<uint32_t>(header) != kLocal)
      error("a local header at byte {}, got other bytes (record {})", header, quote(name));
    const uint64_t name_bytes = at<uint16_t>(header + 26), extra_bytes = at<uint16_t>(header + 28);
    if (name_bytes + extra_bytes > data_end - header - kLocalBytes) error("a local header within the file, got one over its end (record {})", quote(name));
    const std::string_view local_name = text(header + kLocalBytes, name_bytes);
    if (local_name != name) error("the name {} in the local header at byte {}, got {}", quote(name), header, quote(local_name));
    if (at<uint16_t>(header + 8) != 0)
      fail(Code::kUnsupported, context_, "expected stored records, got {} compressed (method {})", quote(name), at<uint16_t>(header + 8));
    return header + kLocalBytes + name_bytes + extra_bytes;
  }

  void check_overlap() {
    std::sort(extents_.begin(), extents_.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
    for (size_t i = 1; i < extents_.size(); ++i)
      if (extents_[i - 1].end > extents_[i].begin)
        error("records apart, got {} and {} overlapping at byte {}", quote(extents_[i - 1].name), quote(extents_[i].name), extents_[i].begin);
  }

  std::span<const std::byte> bytes_;
  std::string_view context_;
  std::map<std::string_view, ZipRecord> records_;
  std::vector<Extent> extents_;
};

}  // namespace

std::map<std::string_view, ZipRecord> read_stored_zip(std::span<const std::byte> bytes, std::string_view context) {
  return ZipReader(bytes, context).read();
}

}  // namespace transom
