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
    auto it = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return g.window == specs_[i].window && g.tokens == specs_[i].tokens; });
    if (it == groups_.end())
      it = groups_.insert(it, Group{.window = specs_[i].window, .tokens = specs_[i].tokens, .states = {}, .free = {}, .users = {}});
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
  g.users.resize(capacity, 0);
}

int32_t PagePool::take(Group& g, Stream& stream) {
  if (g.free.empty()) grow(g, 1, stream);
  const int32_t page = g.free.back();
  g.free.pop_back();
  g.users[page] = 1;
  return page;
}

void PagePool::drop(Group& g, int32_t page) {
  if (--g.users[page] == 0) g.free.push_back(page);
}

int64_t PagePool::pages_for(const Group& g, const SequenceState& s, int64_t tokens) const {
  const int64_t kept = g.tokens == StateSpec::Tokens::kSource ? s.source_length : s.length + tokens;
  return (kept + page_size_ - 1) / page_size_;
}

void PagePool::reserve(SequenceState& s, int64_t tokens, Stream& stream) {
  s.pages.resize(groups_.size());
  for (size_t i = 0; i < groups_.size(); ++i) {
    Group& g = groups_[i];
    const int64_t missing = pages_for(g, s, tokens) - static_cast<int64_t>(s.pages[i].size());
    if (missing > static_cast<int64_t>(g.free.size())) grow(g, static_cast<int32_t>(missing - static_cast<int64_t>(g.free.size())), stream);
  }
  for (size_t i = 0; i < groups_.size(); ++i)
    while (static_cast<int64_t>(s.pages[i].size()) < pages_for(groups_[i], s, tokens)) s.pages[i].push_back(take(groups_[i], stream));
}

SequenceState PagePool::fork(const SequenceState& s, Stream& stream) {
  SequenceState out{.length = s.length, .source_length = s.source_length, .pages = std::vector<std::vector<int32_t>>(groups_.size())};
  try {
    for (size_t i = 0; i < s.pages.size(); ++i) {
      Group& g = groups_[i];
      const bool own = g.tokens == StateSpec::Tokens::kOwn;
      const int64_t used = std::min(static_cast<int64_t>(s.pages[i].size()), pages_for(g, s, 0)), rest = own ? s.length % page_size_ : 0;
      for (int64_t p = 0; p < used; ++p) {
        const int32_t page = s.pages[i][p];
        if (page < 0 || p + 1 < used || rest == 0) {
          if (page >= 0) ++g.users[page];
          out.pages[i].push_back(page);
          continue;
        }
        out.pages[i].push_back(take(g, stream));
        for (const int32_t state : g.states) copy_rows(state, page, out.pages[i].back(), rest, stream);
      }
    }
  } catch (...) {
    release(out);
    throw;
  }
  return out;
}

void PagePool::copy_rows(int32_t state, int32_t from, int32_t to, int64_t rows, Stream& stream) {
  const auto copy = [&](std::byte* memory, int64_t dim) {
    const int64_t row = row_bytes(dtype_, dim);
    kernels_.copy_on_device(memory + to * page_bytes(dim), memory + from * page_bytes(dim), rows * row, stream);
  };
  copy(caches_[state].k.get(), specs_[state].k_dim);
  copy(caches_[state].v.get(), specs_[state].v_dim);
}

void PagePool::advance(SequenceState& s, int64_t tokens) {
  s.length += tokens;
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (groups_[i].window == 0) continue;
    // The next query is at `length` and sees keys after length - window.
    const int64_t passed = (s.length - groups_[i].window + 1) / page_size_;
    for (int64_t p = 0; p < passed && p < static_cast<int64_t>(s.pages[i].size()); ++p) {
      if (s.pages[i][p] < 0) continue;
      drop(groups_[i], s.pages[i][p]);
      s.pages[i][p] = -1;
    }
  }
}

void PagePool::release(SequenceState& s) {
  for (size_t i = 0; i < s.pages.size(); ++i)
    for (const int32_t p : s.pages[i])
      if (p >= 0) drop(groups_[i], p);
  s.pages.clear();
  s.length = s.source_length = 0;
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
  for (const StateSpec& s : specs_) n += row_bytes(dtype_, s.k_dim) + row_bytes(dtype_, s.v_dim);
  return n;
}

}  // namespace transom
