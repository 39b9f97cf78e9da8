// BlobWriter: see blob_writer.h.
#include "hub/blob_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/log.h"

namespace transom::hub {

BlobWriter::BlobWriter(std::string path, std::string etag, int64_t size, const std::function<void(int64_t)>& hashed)
    : path_(std::move(path)), scratch_(path_ + ".incomplete"), etag_(std::move(etag)), size_(size), digest_(Digest::for_etag(etag_, size)) {
  fd_ = ::open(scratch_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd_ < 0) fail(Code::kIo, scratch_, "cannot open: {}", std::strerror(errno));
  try {
    resume(hashed);
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

BlobWriter::~BlobWriter() { ::close(fd_); }

void BlobWriter::resume(const std::function<void(int64_t)>& hashed) {
  struct stat st{};
  if (::fstat(fd_, &st) != 0) fail(Code::kIo, scratch_, "cannot stat: {}", std::strerror(errno));
  if (st.st_size > size_ && ::ftruncate(fd_, 0) != 0) fail(Code::kIo, scratch_, "cannot empty: {}", std::strerror(errno));
  std::vector<char> block(size_t{1} << 20);
  for (;;) {
    const ssize_t n = ::read(fd_, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Code::kIo, scratch_, "cannot read: {}", std::strerror(errno));
    if (n == 0) return;
    if (digest_) digest_->update({block.data(), static_cast<size_t>(n)});
    written_ += n;
    hashed(n);
  }
}

int64_t BlobWriter::written() const {
  const std::lock_guard lock(mutex_);
  return written_;
}

int64_t BlobWriter::received() const {
  const std::lock_guard lock(mutex_);
  return written_ + waiting_bytes_;
}

void BlobWriter::append(std::string_view bytes) {
  if (digest_) digest_->update(bytes);
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(errno == ENOSPC ? Code::kResource : Code::kIo, scratch_, "cannot write: {}", std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(n));
    written_ += n;
  }
}

void BlobWriter::put(int64_t offset, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (offset < 0 || offset > size_ || static_cast<int64_t>(bytes.size()) > size_ - offset)
    fail(Code::kCorrupt, path_, "expected {} bytes, got more", size_);
  if (offset > written_) {
    auto next = waiting_.upper_bound(offset);
    if (next != waiting_.begin()) {
      auto before = std::prev(next);
      if (before->first + static_cast<int64_t>(before->second.size()) == offset) {
        before->second += bytes;
        waiting_bytes_ += static_cast<int64_t>(bytes.size());
        return;
      }
    }
    const auto [at, fresh] = waiting_.emplace(offset, bytes);
    if (fresh) waiting_bytes_ += static_cast<int64_t>(bytes.size());
    return;
  }
  const auto skip = std::min<int64_t>(written_ - offset, static_cast<int64_t>(bytes.size()));
  append(bytes.substr(static_cast<size_t>(skip)));
  while (!waiting_.empty() && waiting_.begin()->first <= written_) {
    const auto piece = waiting_.extract(waiting_.begin());
    const auto known = std::min<int64_t>(written_ - piece.key(), static_cast<int64_t>(piece.mapped().size()));
    waiting_bytes_ -= static_cast<int64_t>(piece.mapped().size());
    append(std::string_view(piece.mapped()).substr(static_cast<size_t>(known)));
  }
}

void BlobWriter::finish(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (written_ != size_) fail(Code::kIo, name, "expected {} bytes, got {}", size_, written_);
  if (digest_) {
    if (const std::string found = digest_->hex(); found != etag_) {
      ::unlink(scratch_.c_str());
      fail(Code::kCorrupt, name, "expected the hash {}, got {}: the file was removed; run this again to download it anew", etag_, found);
    }
  } else {
    log().warn("{}: the server gave no hash to check ({})", name, etag_);
  }
  if (::fsync(fd_) != 0 || ::rename(scratch_.c_str(), path_.c_str()) != 0) fail(Code::kIo, path_, "cannot write: {}", std::strerror(errno));
}

}  // namespace transom::hub
