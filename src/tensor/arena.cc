// Arena: see arena.h.
#include "tensor/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "base/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace transom {
namespace {
constexpr size_t kAlign = 64, kMinChunk = size_t{1} << 20, kHugePage = size_t{2} << 20;
// Under AddressSanitizer, memory that is not given out must not be touched. Device memory is never in such a build.
#if defined(__SANITIZE_ADDRESS__)
void close(const std::byte* p, size_t bytes) { __asan_poison_memory_region(p, bytes); }
void open(const std::byte* p, size_t bytes) { __asan_unpoison_memory_region(p, bytes); }
#else
void close(const std::byte*, size_t) {}
void open(const std::byte*, size_t) {}
#endif
size_t round_up(size_t n, size_t to = kAlign) { return (n + to - 1) / to * to; }
}  // namespace

std::shared_ptr<std::byte> host_memory(size_t bytes) {
  const bool large = bytes >= 2 * kHugePage;  // read in order, up to half as fast again as pages of 4 KiB
  const size_t align = large ? kHugePage : kAlign;
  void* p = std::aligned_alloc(align, round_up(std::max<size_t>(bytes, 1), align));
  if (p && large) madvise(p, bytes, MADV_HUGEPAGE);  // nothing is lost without
  if (!p) fail(Code::kResource, "memory", "expected {} bytes of host memory, got none", bytes);
  return {static_cast<std::byte*>(p), [](std::byte* q) { std::free(q); }};
}

Arena::Arena(Allocate allocate) : allocate_(allocate ? std::move(allocate) : Allocate(host_memory)) {}

std::byte* Arena::allocate(size_t bytes) {
  bytes = round_up(std::max<size_t>(bytes, 1));
  Side& s = sides_[current_];
  while (s.at.chunk < s.chunks.size() && s.at.used + bytes > s.chunks[s.at.chunk].size) s.at = {s.at.chunk + 1, 0};
  if (s.at.chunk == s.chunks.size()) {
    const size_t size = std::max({bytes, kMinChunk, s.capacity() / 2});
    s.chunks.push_back({allocate_(size), size});
  }
  std::byte* p = s.chunks[s.at.chunk].data.get() + s.at.used;
  s.at.used += bytes;
  open(p, bytes);
  return p;
}

Tensor Arena::tensor(DType dtype, int64_t rows, int64_t cols) {
  CHECK(rows >= 0 && cols >= 0 && info(dtype).block == 1);
  Tensor t;
  t.view = {allocate(static_cast<size_t>(rows) * cols * info(dtype).bytes), dtype, rows, cols, cols};
  return t;
}

void Arena::reset() {
  for (Side& s : sides_) {
    if (s.chunks.size() > 1) {
      const size_t total = s.capacity();
      s.rewind({});
      s.chunks.clear();
      s.chunks.push_back({allocate_(total), total});
    }
    s.rewind({});
  }
  current_ = 0;
}

size_t Arena::capacity() const {
  size_t n = 0;
  for (const Side& s : sides_) n += s.capacity();
  return n;
}

size_t Arena::Side::capacity() const {
  size_t n = 0;
  for (const Chunk& c : chunks) n += c.size;
  return n;
}

void Arena::Side::rewind(Mark to) {
  for (size_t i = to.chunk; i < chunks.size(); ++i) {
    const size_t used = i == to.chunk ? to.used : 0;
    close(chunks[i].data.get() + used, chunks[i].size - used);
  }
  at = to;
}

bool Arena::Side::holds(Mark from, const void* p) const {
  const std::less<> before;
  for (size_t i = from.chunk; i < chunks.size() && i <= at.chunk; ++i) {
    const std::byte* begin = chunks[i].data.get() + (i == from.chunk ? from.used : 0);
    if (!before(p, static_cast<const void*>(begin)) && before(p, static_cast<const void*>(chunks[i].data.get() + chunks[i].size))) return true;
  }
  return false;
}

Arena::Frames::Frames(Arena& arena) : arena_(arena), before_(arena.current_) {
  for (size_t i = 0; i < begin_.size(); ++i) begin_[i] = arena.sides_[i].at;
}

void Arena::Frames::next(std::span<const void* const> alive) {
  arena_.current_ = arena_.current_ == 1 ? 2 : 1;
  Side& s = arena_.sides_[arena_.current_];
  const Mark begin = begin_[arena_.current_];
  if (std::none_of(alive.begin(), alive.end(), [&](const void* p) { return s.holds(begin, p); })) s.rewind(begin);
}

}  // namespace transom
