// Writes zip files byte by byte for tests: stored records with right headers, and fields that a test sets wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace transom::test {

struct ZipOptions {
  uint16_t flags = 0, method = 0;
  uint32_t size_lie = 0;    // added to the record's sizes in the directory
  int64_t header_lie = 0;  // added to the record's place in the directory
  bool zip64 = false;       // sizes and place in the directory's zip64 extra field
  std::string local_name;   // when not empty, in place of the name in the local header
};

class ZipBytes {
 public:
  ZipBytes& add(std::string_view name, std::string_view data, const ZipOptions& o = {}) {
    const auto header = static_cast<uint32_t>(static_cast<int64_t>(body_.size()) + o.header_lie);
    const std::string_view local = o.local_name.empty() ? name : std::string_view(o.local_name);
    put<uint32_t>(body_, 0x04034b50);
    fields(body_, o, static_cast<uint32_t>(data.size()), local.size());
    body_.append(local).append(data);
    put<uint32_t>(directory_, 0x02014b50);
    put<uint16_t>(directory_, 20);
    const uint32_t size = static_cast<uint32_t>(data.size()) + o.size_lie;
    fields(directory_, o, o.zip64 ? ~0u : size, name.size(), o.zip64 ? 28 : 0);
    directory_.append(10, '\0');
    put<uint32_t>(directory_, o.zip64 ? ~0u : header);
    directory_ += name;
    if (o.zip64) put_zip64(size, header);
    ++count_;
    return *this;
  }

  std::string bytes(int count_lie = 0, int64_t offset_lie = 0) const {
    std::string out = body_ + directory_;
    put<uint32_t>(out, 0x06054b50);
    put<uint32_t>(out, 0);
    put<uint16_t>(out, static_cast<uint16_t>(count_ + count_lie));
    put<uint16_t>(out, static_cast<uint16_t>(count_ + count_lie));
    put<uint32_t>(out, static_cast<uint32_t>(directory_.size()));
    put<uint32_t>(out, static_cast<uint32_t>(static_cast<int64_t>(body_.size()) + offset_lie));
    put<uint16_t>(out, 0);
    return out;
  }

 private:
  template <class T>
  static void put(std::string& out, T v) {
    out.append(reinterpret_cast<const char*>(&v), sizeof v);
  }
  // version, flags, method, time, date, crc, sizes, lengths of name and extra field
  static void fields(std::string& out, const ZipOptions& o, uint32_t size, size_t name_bytes, uint16_t extra_bytes = 0) {
    for (const uint16_t v : {uint16_t{20}, o.flags, o.method, uint16_t{0}, uint16_t{0}}) put(out, v);
    for (const uint32_t v : {uint32_t{0}, size, size}) put(out, v);
    put(out, static_cast<uint16_t>(name_bytes));
    put(out, extra_bytes);
  }
  void put_zip64(uint64_t size, uint64_t header) {
    put<uint16_t>(directory_, 1);
    put<uint16_t>(directory_, 24);
    for (const uint64_t v : {size, size, header}) put(directory_, v);
  }

  std::string body_, directory_;
  int count_ = 0;
};

}  // namespace transom::test
