// Files and maps: see file.h.
#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace transom {
namespace {

// An open file descriptor that closes itself.
struct Descriptor {
  int fd = -1;
  explicit Descriptor(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd < 0) fail(errno == ENOENT ? Code::kNotFound : Code::kIo, path, "cannot open: {}", std::strerror(errno));
  }
  ~Descriptor() { ::close(fd); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

uint64_t regular_size(const Descriptor& d, const std::string& path) {
  struct stat st{};
  if (::fstat(d.fd, &st) != 0) fail(Code::kIo, path, "cannot stat: {}", std::strerror(errno));
  if (!S_ISREG(st.st_mode)) fail(Code::kInvalidArgument, path, "expected a regular file, got something else");
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace

bool file_exists(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

bool dir_exists(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

uint64_t file_size(const std::string& path) {
  const Descriptor d(path);
  return regular_size(d, path);
}

std::string read_file(const std::string& path, size_t max_bytes) {
  const Descriptor d(path);
  const uint64_t size = regular_size(d, path);
  if (size > max_bytes) fail(Code::kInvalidArgument, path, "expected at most {} bytes, got {}", max_bytes, size);
  std::string out(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(d.fd, out.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Code::kIo, path, "cannot read: {}", std::strerror(errno));
    if (n == 0) fail(Code::kIo, path, "expected {} bytes, got {}: the file shrank while it was read", size, done);
    done += static_cast<size_t>(n);
  }
  return out;
}

MappedFile::MappedFile(std::string path, const std::byte* data, size_t size)
    : path_(std::move(path)), data_(data), size_(size) {}

std::shared_ptr<const MappedFile> MappedFile::open(const std::string& path) {
  const Descriptor d(path);
  const uint64_t size = regular_size(d, path);
  if (size == 0) return std::shared_ptr<const MappedFile>(new MappedFile(path, nullptr, 0));
  void* p = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, d.fd, 0);
  if (p == MAP_FAILED) fail(Code::kIo, path, "cannot map {} bytes: {}", size, std::strerror(errno));
  return std::shared_ptr<const MappedFile>(new MappedFile(path, static_cast<const std::byte*>(p), size));
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

namespace {
void advise(const std::byte* base, size_t limit, size_t offset, size_t size, int advice) {
  if (!base || offset >= limit) return;
  const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t start = offset / page * page;
  const size_t end = std::min(limit, offset + size);
  ::madvise(const_cast<std::byte*>(base) + start, end - start, advice);  // a hint: failure changes nothing
}
}  // namespace

void MappedFile::will_need(size_t offset, size_t size) const { advise(data_, size_, offset, size, MADV_WILLNEED); }
void MappedFile::dont_need(size_t offset, size_t size) const { advise(data_, size_, offset, size, MADV_DONTNEED); }

}  // namespace transom
