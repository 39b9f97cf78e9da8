// A blob while it is downloaded. Bytes may arrive in any order; the file ETAG.incomplete holds a prefix of the blob at every
// moment, so that whoever finds it, however its writer ended, can go on after its last byte. What arrives early waits in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "hub/digest.h"

namespace transom::hub {

class BlobWriter {
 public:
  // Goes on with `path`.incomplete if it is there; `hashed` hears of the bytes found, block by block.
  BlobWriter(std::string path, std::string etag, int64_t size, const std::function<void(int64_t)>& hashed);
  ~BlobWriter();
  BlobWriter(const BlobWriter&) = delete;
  BlobWriter& operator=(const BlobWriter&) = delete;

  int64_t size() const { return size_; }
  int64_t written() const;   // the prefix on disk
  int64_t received() const;  // and what waits
  // Bytes that are there already are dropped, so that a piece may be sent twice.
  void put(int64_t offset, std::string_view bytes);
  // All bytes are there: checks the hash and gives the file its name. A wrong hash removes the file and is Code::kCorrupt.
  void finish(const std::string& name);

 private:
  void resume(const std::function<void(int64_t)>& hashed);
  void append(std::string_view bytes);

  std::string path_, scratch_, etag_;
  int64_t size_, written_ = 0, waiting_bytes_ = 0;
  int fd_ = -1;
  std::optional<Digest> digest_;
  std::map<int64_t, std::string> waiting_;  // by offset
  mutable std::mutex mutex_;
};

}  // namespace transom::hub
