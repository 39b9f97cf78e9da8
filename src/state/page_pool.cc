// PagePool: see page_pool.h.
#include "state/page_pool.h"

#include <algorithm>

#include "base/error.h"

namespace transom {

PagePool::PagePool(std::vector<StateSpec> specs, int32_t page_size, DType dtype, const Kernels& kernels, int64_t max_pages)
    : specs_(std::move(specs)), caches_(specs_.size()), page_size_(page_size), dtype_(dtype), kernels_(kernels), max_pages_(max_pages) {
  CHECK(page_size > 0 && page_size % 16 == 0);
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].k_dim + specs_[i].v_dim == 0) {  // a recurrence: a slot a sequence instead (SlotPool)
      group_of_.push_back(-1);
      continue;
    }
    auto it = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.window == specs_[i].window; });
    if (it == groups_.end()) it = groups_.insert(it, Group{.window = specs_[i].window, .states = {}, .free = {}});
    it->states.push_back(static_cast<int32_t>(i));
    group_of_.push_back(static_cast<int32_t>(it - groups_.begin()));
  }
}

void PagePool::grow(Group& g, int32_t pages, Stream& stream) {
  const int64_t bound = max_pages_ > 0 ? max_pages_ : INT32_MAX / page_size_;
  if (g.capacity + static_cast<int64_t>(pages) > bound)
    fail(Code::kResource, "kv cache", "expected at most {} pages of {} tokens, got a need for {}", bound, page_size_, g.capacity + pages);
  const auto capacity = static_cast<int32_t>(std::min<int64_t>(std::max(g.capacity + pages, 2 * g.capacity), bound));
  for (const int32_t i : g.states) {
    const auto enlarge = [&](std::shared_ptr<std::byte>& memory, int64_t dim) {
      if (dim == 0) return;
      std::shared_ptr<std::byte> larger = kernels_.allocate(page_bytes(dim) * capacity);
      kernels_.fill_zero(larger.get(), page_bytes(dim) * capacity, stream);
      if (memory) kernels_.copy_on_device(larger.get(), memory.get(), page_bytes(dim) * g.capacity, stream);
      memory = std::move(larger);
    };
    enlarge(caches_[i].k, specs_[i].k_dim);
    enlarge(caches_[i].v, specs_[i].v_dim);
  }
  for (int32_t p = capacity; p-- > g.capacity;) g.free.push_back(p);  // the lowest page is handed out first
  g.capacity = capacity;
}

void PagePool::reserve(SequenceState& s, int64_t tokens, Stream& stream) {
  s.pages.resize(groups_.size());
  const int64_t need = (s.length + tokens + page_size_ - 1) / page_size_;
  for (size_t i = 0; i < groups_.size(); ++i) {
    Group& g = groups_[i];
    const int64_t missing = need - static_cast<int64_t>(s.pages[i].size());
    if (missing > static_cast<int64_t>(g.free.size())) grow(g, static_cast<int32_t>(missing - static_cast<int64_t>(g.free.size())), stream);
  }
  for (size_t i = 0; i < groups_.size(); ++i)
    while (static_cast<int64_t>(s.pages[i].size()) < need) {
      s.pages[i].push_back(groups_[i].free.back());
      groups_[i].free.pop_back();
    }
}

void PagePool::advance(SequenceState& s, int64_t tokens) {
  s.length += tokens;
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (groups_[i].window == 0) continue;
    // The next query is at `length` and sees keys after length - window.
    const int64_t passed = (s.length - groups_[i].window + 1) / page_size_;
    for (int64_t p = 0; p < passed && p < static_cast<int64_t>(s.pages[i].size()); ++p) {
      if (s.pages[i][p] < 0) continue;
      groups_[i].free.push_back(s.pages[i][p]);
      s.pages[i][p] = -1;
    }
  }
}

void PagePool::release(SequenceState& s) {
  for (size_t i = 0; i < s.pages.size(); ++i)
    for (const int32_t p : s.pages[i])
      if (p >= 0) groups_[i].free.push_back(p);
  s.pages.clear();
  s.length = 0;
}

std::vector<KvState> PagePool::views() const {
  std::vector<KvState> out;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (group_of_[i] < 0) {
      out.emplace_back();
      continue;
    }
    const int64_t rows = int64_t{groups_[group_of_[i]].capacity} * page_size_;
    out.push_back({.k = {caches_[i].k.get(), dtype_, rows, specs_[i].k_dim, specs_[i].k_dim},
                   .v = {caches_[i].v.get(), dtype_, rows, specs_[i].v_dim, specs_[i].v_dim},
                   .group = group_of_[i]});
  }
  return out;
}

int64_t PagePool::used_pages() const {
  int64_t n = 0;
  for (const Group& g : groups_) n += g.capacity - static_cast<int64_t>(g.free.size());
  return n;
}

int64_t PagePool::bytes() const {
  int64_t n = 0;
  for (size_t i = 0; i < specs_.size(); ++i)
    if (group_of_[i] >= 0) n += page_bytes(specs_[i].k_dim + specs_[i].v_dim) * groups_[group_of_[i]].capacity;
  return n;
}

int64_t PagePool::bytes_per_token() const {
  int64_t n = 0;
  for (const StateSpec& s : specs_) n += (s.k_dim + s.v_dim) * info(dtype_).bytes;
  return n;
}

}  // namespace transom
