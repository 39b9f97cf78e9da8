// Residency: where a block's weights are while it runs. Resident, streamed from disk and streamed from host memory implement
// it; the layer loop is the only caller.
#pragma once

#include <cstdint>

namespace transom {

class Residency {
 public:
  virtual ~Residency() = default;
  // Makes the weights of `block` readable (waiting for them if need be) until release(block).
  virtual void acquire(int32_t block) = 0;
  virtual void release(int32_t block) = 0;
  // Says that `block` will be acquired next; returns at once.
  virtual void prefetch(int32_t block) = 0;
};

// Holds a block for a scope; a null residency means that all weights are resident.
class Lease {
 public:
  Lease(Residency* r, int32_t block) : residency_(r), block_(block) {
    if (residency_) residency_->acquire(block_);
  }
  ~Lease() {
    if (residency_) residency_->release(block_);
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

 private:
  Residency* residency_;
  int32_t block_;
};

}  // namespace transom
