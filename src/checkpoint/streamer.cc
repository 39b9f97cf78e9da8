// Streamer: see streamer.h.
#include "checkpoint/streamer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "tensor/arena.h"
#include "tensor/quant.h"

namespace transom {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kChunk = uint64_t{4} << 20;

// A file opened for direct reads, or for plain ones where the file system refuses.
class DirectFile {
 public:
  explicit DirectFile(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT)) {
    if (fd_ < 0) fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) fail(Code::kIo, path, "cannot open: {}", std::strerror(errno));
  }
  ~DirectFile() { ::close(fd_); }
  DirectFile(const DirectFile&) = delete;
  DirectFile& operator=(const DirectFile&) = delete;

  // Reads [offset, offset + size), both multiples of a page, into page-aligned memory; short only at the file's end.
  void read(std::byte* to, uint64_t offset, uint64_t size, uint64_t must) const {
    uint64_t done = 0;
    while (done < size) {
      const ssize_t n = ::pread(fd_, to + done, std::min(size - done, kChunk), static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(Code::kIo, path_, "cannot read at byte {}: {}", offset + done, std::strerror(errno));
      if (n == 0) break;
      done += static_cast<uint64_t>(n);
      if (static_cast<uint64_t>(n) % kPage != 0) break;  // the end of the file
    }
    if (done < must) fail(Code::kIo, path_, "expected {} bytes at byte {}, got {}: the file shrank", must, offset, done);
  }

 private:
  std::string path_;
  int fd_;
};

// The bytes of one tensor that a parameter reads; of a quantized one, one of its parts.
struct Piece {
  const Binding* binding;
  size_t part;
  uint64_t begin;  // in the file
};

// A run of one file's bytes that belongs to one block: tensors that lie close together are read as one.
struct Extent {
  const DirectFile* file;
  uint64_t begin, end;     // of the tensors
  uint64_t aligned, size;  // of the read
  uint64_t at = 0;         // in the buffer
  std::vector<Piece> pieces;
};

class Streamer final : public Residency {
 public:
  Streamer(const std::vector<Binding>& bindings, int32_t blocks) : extents_(blocks), copies_(blocks) {
    for (const Binding& b : bindings)
      if (b.param->block >= 0) plan(b);
    uint64_t largest = 0;
    for (std::vector<Extent>& block : extents_) largest = std::max(largest, lay_out(block));
    for (Slot& s : slots_) s.memory = page_memory(largest);
    reader_ = std::thread([this] { read_ahead(); });
  }
  ~Streamer() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    reader_.join();
  }

  void acquire(int32_t block) override {
    std::unique_lock lock(mutex_);
    request(block);
    Slot* s = nullptr;
    changed_.wait(lock, [&] { return (s = find(block)) && (s->ready || s->error); });
    if (s->error) {
      const std::exception_ptr error = std::exchange(s->error, nullptr);
      s->block = -1;
      std::rethrow_exception(error);
    }
    s->leased = true;
    point(block, *s);
  }

  void release(int32_t block) override {
    {
      const std::lock_guard lock(mutex_);
      if (Slot* s = find(block)) s->leased = false;
      for (const Extent& e : extents_[block])
        for (const Piece& p : e.pieces) p.binding->param->weight = {};
    }
    changed_.notify_all();
  }

  void prefetch(int32_t block) override {
    const std::lock_guard lock(mutex_);
    request(block);
  }

 private:
  struct Slot {
    std::shared_ptr<std::byte> memory;
    int32_t block = -1;
    bool ready = false, leased = false, wanted = false;
    std::exception_ptr error;
  };

  static std::shared_ptr<std::byte> page_memory(uint64_t bytes) {
    void* p = std::aligned_alloc(kPage, std::max(bytes, kPage));
    if (!p) fail(Code::kResource, "streaming", "expected {} bytes of host memory, got none", bytes);
    return {static_cast<std::byte*>(p), [](std::byte* q) { std::free(q); }};
  }

  void plan(const Binding& b) {
    for (size_t i = 0; i < b.joined.size(); ++i)
      plan(b, *b.joined[i].first, {0, static_cast<uint64_t>(TensorSource::data(*b.joined[i].first).size())}, i);
    if (!b.joined.empty()) return;
    if (!b.quantized) return plan(b, *b.entry, stored_bytes(b), 0);
    for (size_t i = 0; i < Coded::kParts; ++i)
      if (const QuantizedWeight::Part& part = b.quantized->parts[i]; part.entry) plan(b, *part.entry, {part.offset, part.size}, i);
  }

  void plan(const Binding& b, const TensorEntry& e, StoredBytes s, size_t part) {
    if (!e.file) fail(Code::kUnsupported, "streaming", "expected tensors stored contiguously in a file, got a strided one ({})", e.name);
    std::unique_ptr<DirectFile>& file = files_[e.file->path()];
    if (!file) file = std::make_unique<DirectFile>(e.file->path());
    const uint64_t begin = e.offset + s.offset;
    extents_[b.param->block].push_back(
        {.file = file.get(), .begin = begin, .end = begin + s.size, .aligned = 0, .size = 0, .at = 0, .pieces = {{&b, part, begin}}});
  }

  // Joins neighbours and gives every extent its place in the buffer; returns the bytes of the block.
  static uint64_t lay_out(std::vector<Extent>& block) {
    std::sort(block.begin(), block.end(),
              [](const Extent& a, const Extent& b) { return std::pair(a.file, a.begin) < std::pair(b.file, b.begin); });
    std::vector<Extent> joined;
    for (Extent& e : block) {
      if (!joined.empty() && joined.back().file == e.file && e.begin <= joined.back().end + kPage) {
        joined.back().end = std::max(joined.back().end, e.end);
        joined.back().pieces.push_back(e.pieces[0]);
      } else {
        joined.push_back(std::move(e));
      }
    }
    uint64_t at = 0;
    for (Extent& e : joined) {
      e.aligned = e.begin / kPage * kPage;
      e.size = (e.end - e.aligned + kPage - 1) / kPage * kPage;
      e.at = at;
      at += e.size;
    }
    block = std::move(joined);
    return at;
  }

  Slot* find(int32_t block) {
    for (Slot& s : slots_)
      if (s.block == block) return &s;
    return nullptr;
  }

  // Gives `block` a slot that nobody leases, if it has none; the reader fills it.
  void request(int32_t block) {
    if (find(block)) return;
    for (Slot& s : slots_)
      if (!s.leased && (s.ready || s.block < 0)) {
        s.block = block;
        s.ready = false;
        s.wanted = true;
        changed_.notify_all();
        return;
      }
    pending_ = block;  // both slots are busy: taken up when one is free
  }

  void read_ahead() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      Slot* next = nullptr;
      for (Slot& s : slots_)
        if (s.wanted) next = &s;
      if (!next && pending_ >= 0) {
        const int32_t block = std::exchange(pending_, -1);
        request(block);
        if (pending_ < 0) continue;
      }
      if (!next) {
        changed_.wait(lock);
        continue;
      }
      next->wanted = false;
      const int32_t block = next->block;
      lock.unlock();
      std::exception_ptr error;
      try {
        for (const Extent& e : extents_[block]) e.file->read(next->memory.get() + e.at, e.aligned, e.size, e.end - e.aligned);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      next->error = error;
      next->ready = !error;
      changed_.notify_all();
    }
  }

  static void point(const Binding& b, const std::byte* value) {
    const Param& p = *b.param;
    const DType type = value_type(b);
    b.param->weight.view = {value, type, p.rows, p.cols, row_bytes(type, p.cols)};
  }

  // Points the block's parameters at the slot's memory, or at copies of what has to be rearranged or, for vectors, converted.
  void point(int32_t block, const Slot& s) {
    const auto room = [](const Binding& b) { return (copied_bytes(b) + 63) / 64 * 64; };
    int64_t bytes = 0;
    for (const Extent& e : extents_[block])
      for (const Piece& p : e.pieces) bytes += p.part == 0 ? room(*p.binding) : 0;
    std::shared_ptr<std::byte>& copies = copies_[block];
    if (!copies) copies = host_memory(static_cast<size_t>(bytes));
    std::byte* next = copies.get();
    std::map<const Binding*, std::array<const std::byte*, Coded::kParts>> in_parts;
    for (const Extent& e : extents_[block])
      for (const Piece& piece : e.pieces) {
        const Binding& b = *piece.binding;
        const std::byte* stored = s.memory.get() + e.at + (piece.begin - e.aligned);
        if (b.quantized || !b.joined.empty()) {
          in_parts[&b][piece.part] = stored;
          continue;
        }
        if (!in_place(b)) {
          copy_value(b, stored, next);
          stored = std::exchange(next, next + room(b));
        }
        point(b, stored);
      }
    for (const auto& [b, parts] : in_parts) {
      std::byte* own = std::exchange(next, next + room(*b));
      if (b->quantized) {
        b->param->weight.view = quantized_view(*b, parts, coded_[b], own);
      } else {
        copy_joined(*b, parts, own);
        point(*b, own);
      }
    }
  }

  std::map<std::string, std::unique_ptr<DirectFile>> files_;
  std::vector<std::vector<Extent>> extents_;
  std::vector<std::shared_ptr<std::byte>> copies_;
  std::map<const Binding*, Coded> coded_;  // what the views of quantized weights refer to
  Slot slots_[2];
  int32_t pending_ = -1;
  bool stopping_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread reader_;
};

}  // namespace

std::unique_ptr<Residency> make_streamer(const std::vector<Binding>& bindings, int32_t blocks) {
  return std::make_unique<Streamer>(bindings, blocks);
}

}  // namespace transom
