// Arena: see arena.h.
#include "tensor/arena.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace transom {
namespace {
constexpr size_t kAlign = 64, kMinChunk = size_t{1} << 20;
size_t round_up(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }
}  // namespace

std::shared_ptr<std::byte> host_memory(size_t bytes) {
  void* p = std::aligned_alloc(kAlign, round_up(std::max<size_t>(bytes, 1)));
  if (!p) fail(Code::kResource, "memory", "expected {} bytes of host memory, got none", bytes);
  return {static_cast<std::byte*>(p), [](std::byte* q) { std::free(q); }};
}

Arena::Arena(Allocate allocate) : allocate_(allocate ? std::move(allocate) : Allocate(host_memory)) {}

std::byte* Arena::allocate(size_t bytes) {
  bytes = round_up(std::max<size_t>(bytes, 1));
  while (current_ < chunks_.size() && used_ + bytes > chunks_[current_].size) ++current_, used_ = 0;
  if (current_ == chunks_.size()) {
    const size_t size = std::max({bytes, kMinChunk, capacity() / 2});
    chunks_.push_back({allocate_(size), size});
    used_ = 0;
  }
  std::byte* p = chunks_[current_].data.get() + used_;
  used_ += bytes;
  return p;
}

Tensor Arena::tensor(DType dtype, int64_t rows, int64_t cols) {
  CHECK(rows >= 0 && cols >= 0 && info(dtype).block == 1);
  Tensor t;
  t.view = {allocate(static_cast<size_t>(rows) * cols * info(dtype).bytes), dtype, rows, cols, cols};
  return t;
}

void Arena::reset() {
  if (chunks_.size() > 1) {
    const size_t total = capacity();
    chunks_.clear();
    chunks_.push_back({allocate_(total), total});
  }
  current_ = used_ = 0;
}

size_t Arena::capacity() const {
  size_t n = 0;
  for (const Chunk& c : chunks_) n += c.size;
  return n;
}

}  // namespace transom
