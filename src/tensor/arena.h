// Arena: bump allocation for the activations of one step. reset() makes all memory reusable at the same addresses, so
// that the steady state allocates nothing and a captured graph may replay. Between, a loop over layers needs the memory of two: it
// alternates between two frames (Arena::Frames), and what a layer but the last made is gone. Grows by chunks; after a reset that
// followed a growth, the chunks become one. Not thread-safe. The memory comes from a device's allocator (kernels.h).
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace transom {

class Arena {
 public:
  using Allocate = std::function<std::shared_ptr<std::byte>(size_t bytes)>;
  // The default allocator gives host memory, aligned to 64 bytes.
  explicit Arena(Allocate allocate = {});

  // Uninitialized memory, aligned to 64 bytes, valid until reset(), or until its frame is taken again.
  std::byte* allocate(size_t bytes);
  Tensor tensor(DType dtype, int64_t rows, int64_t cols);
  void reset();
  size_t capacity() const;  // bytes held

  class Frames;
  class Lasting;

 private:
  struct Chunk {
    std::shared_ptr<std::byte> data;
    size_t size;
  };
  struct Mark {
    size_t chunk = 0, used = 0;
  };
  // Memory that is given out from one end.
  struct Side {
    std::vector<Chunk> chunks;
    Mark at;

    size_t capacity() const;
    bool holds(Mark from, const void* p) const;  // whether p was given out since
    void rewind(Mark to);
  };
  Allocate allocate_;
  std::array<Side, 3> sides_;  // of the step, and two frames
  size_t current_ = 0;
};

// While it lives, what is allocated belongs to frames.
class Arena::Frames {
 public:
  explicit Frames(Arena& arena);
  ~Frames() { arena_.current_ = before_; }
  Frames(const Frames&) = delete;
  // Goes on to the other frame, whose contents are gone, except if it holds something that is still alive.
  void next(std::span<const void* const> alive);

 private:
  Arena& arena_;
  const size_t before_;
  std::array<Mark, 3> begin_;
};

// While it lives, what is allocated lasts until reset().
class Arena::Lasting {
 public:
  explicit Lasting(Arena& arena) : arena_(arena), before_(arena.current_) { arena.current_ = 0; }
  ~Lasting() { arena_.current_ = before_; }
  Lasting(const Lasting&) = delete;

 private:
  Arena& arena_;
  const size_t before_;
};

// Host memory of `bytes` bytes aligned to 64; throws Error{kResource} when there is none.
std::shared_ptr<std::byte> host_memory(size_t bytes);

}  // namespace transom
