// Arena: bump allocation for the activations of one step. reset() makes all memory reusable at the same addresses, so
// that the steady state allocates nothing and a captured graph may replay. Grows by chunks; after a reset that followed a
// growth, the chunks become one. Not thread-safe. The memory comes from a device's allocator (kernels.h).
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace transom {

class Arena {
 public:
  using Allocate = std::function<std::shared_ptr<std::byte>(size_t bytes)>;
  // The default allocator gives host memory, aligned to 64 bytes.
  explicit Arena(Allocate allocate = {});

  // Uninitialized memory, aligned to 64 bytes, valid until reset().
  std::byte* allocate(size_t bytes);
  Tensor tensor(DType dtype, int64_t rows, int64_t cols);
  void reset();
  // A point to which the arena can be rewound within a step, to reuse a block's scratch.
  struct Mark {
    size_t chunk, used;
  };
  Mark mark() const { return {current_, used_}; }
  void rewind(Mark m) { current_ = m.chunk, used_ = m.used; }

  size_t capacity() const;  // bytes held

 private:
  struct Chunk {
    std::shared_ptr<std::byte> data;
    size_t size;
  };
  Allocate allocate_;
  std::vector<Chunk> chunks_;
  size_t current_ = 0, used_ = 0;
};

// Host memory of `bytes` bytes aligned to 64; throws Error{kResource} when there is none.
std::shared_ptr<std::byte> host_memory(size_t bytes);

}  // namespace transom
