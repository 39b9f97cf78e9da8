// Streaming residency: a block's weights are read from disk when it is leased, the next block's meanwhile on a thread of
// their own, into a ring of two buffers. Reads bypass the page cache (O_DIRECT) where the file system allows it, so that the
// memory used is what it says: two blocks, whatever the size of the model.
#pragma once

#include <memory>
#include <vector>

#include "checkpoint/loader.h"
#include "spec/residency.h"

namespace transom {

// `bindings` must outlive the streamer; those with block >= 0 are streamed, the rest are not touched.
std::unique_ptr<Residency> make_streamer(const std::vector<Binding>& bindings, int32_t blocks);

}  // namespace transom
