// The directory of a zip file whose records are all stored, not compressed (what torch.save writes), with zip64. A
// compressed or encrypted record is refused: nothing here ever inflates. Format: PKWARE APPNOTE.TXT 6.3, sections 4.3-4.5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>

namespace transom {

struct ZipRecord {
  uint64_t offset = 0;  // of the record's bytes in the file
  uint64_t bytes = 0;
};

// Records by name (views into `bytes`). Every range was checked to lie in the file and to overlap no other. Errors:
// Code::kCorrupt, Code::kUnsupported; `context` names the file.
std::map<std::string_view, ZipRecord> read_stored_zip(std::span<const std::byte> bytes, std::string_view context);

}  // namespace transom
