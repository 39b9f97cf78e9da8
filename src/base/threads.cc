// ThreadTeam: see threads.h. Waiting is a counter plus a futex: a waiter counts itself as a sleeper and looks again
// before it sleeps; an announcer bumps the counter and wakes only if there are sleepers (both sequentially consistent,
// so one of the two always sees the other).
#include "base/threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

#include "base/cpu.h"
#include "base/error.h"

namespace transom {
namespace {

// Thrown through a task at barrier() when another rank has failed; never leaves run().
struct TeamFailed {};

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

uint32_t* word(std::atomic<uint32_t>& value) {
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  return reinterpret_cast<uint32_t*>(&value);
}

}  // namespace

TeamRange team_range(int64_t n, int rank, int size, int64_t multiple) {
  const int64_t pieces = (n + multiple - 1) / multiple;
  const int64_t each = pieces / size, extra = pieces % size;
  const int64_t begin = each * rank + std::min<int64_t>(rank, extra);
  const int64_t end = begin + each + (rank < extra ? 1 : 0);
  return {std::min(n, begin * multiple), std::min(n, end * multiple)};
}

ThreadTeam::ThreadTeam(int threads, int spin_us) : size_(threads > 0 ? threads : usable_cores()), spin_us_(spin_us) {
  try {
    threads_.reserve(static_cast<size_t>(size_) - 1);
    for (int rank = 1; rank < size_; ++rank) threads_.emplace_back([this, rank] { worker(rank); });
  } catch (const std::system_error& e) {
    const size_t started = threads_.size();
    stop();
    fail(Code::kResource, "thread team", "expected {} threads, got {}: {}", size_, started + 1, e.what());
  }
}

ThreadTeam::~ThreadTeam() { stop(); }

void ThreadTeam::stop() {
  stopping_ = true;
  announce(start_, start_.value.load(std::memory_order_relaxed) + 1);
  for (std::thread& t : threads_) t.join();
}

void ThreadTeam::await_change(Event& event, uint32_t seen) const {
  using Clock = std::chrono::steady_clock;
  const auto changed = [&](std::memory_order order) { return event.value.load(order) != seen; };
  for (int i = 0; i < 64; ++i) {  // most waits end here, before the clock is ever read
    if (changed(std::memory_order_acquire)) return;
    relax();
  }
  const auto deadline = Clock::now() + std::chrono::microseconds(spin_us_);
  do {
    for (int i = 0; i < 32; ++i) {
      if (changed(std::memory_order_acquire)) return;
      relax();
    }
  } while (Clock::now() < deadline);
  event.sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (!changed(std::memory_order_seq_cst))
    syscall(SYS_futex, word(event.value), FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
  event.sleepers.fetch_sub(1, std::memory_order_relaxed);
}

void ThreadTeam::announce(Event& event, uint32_t value) {
  event.value.store(value, std::memory_order_seq_cst);
  if (event.sleepers.load(std::memory_order_seq_cst) != 0)
    syscall(SYS_futex, word(event.value), FUTEX_WAKE_PRIVATE, INT32_MAX, nullptr, nullptr, 0);
}

void ThreadTeam::worker(int rank) {
  pthread_setname_np(pthread_self(), ("transom-" + std::to_string(rank)).c_str());
  for (uint32_t seen = 0;; ++seen) {
    await_change(start_, seen);
    if (stopping_) return;
    perform(rank);
    if (working_.fetch_sub(1, std::memory_order_acq_rel) == 1) announce(done_, seen + 1);
  }
}

void ThreadTeam::perform(int rank) {
  try {
    (*task_)(rank, size_);
    return;
  } catch (const TeamFailed&) {
    return;
  } catch (...) {
    if (failed_.exchange(true)) return;
    error_ = std::current_exception();
  }
  // Ranks that already wait at a barrier must come out of it; all later barriers throw at once.
  announce(crossed_, crossed_.value.load(std::memory_order_relaxed) + 1);
}

void ThreadTeam::run(TeamTask task) {
  if (busy_.exchange(true, std::memory_order_acquire))
    fail(Code::kInternal, "thread team", "run() while another run() is in progress");
  task_ = &task;
  if (size_ > 1) {
    working_.store(size_ - 1, std::memory_order_relaxed);
    const uint32_t round = start_.value.load(std::memory_order_relaxed);
    announce(start_, round + 1);
    perform(0);
    await_change(done_, round);
  } else {
    perform(0);
  }
  std::exception_ptr error;
  if (failed_.load(std::memory_order_relaxed)) {
    error = std::exchange(error_, nullptr);
    arrived_.store(0, std::memory_order_relaxed);
    failed_.store(false, std::memory_order_relaxed);
  }
  busy_.store(false, std::memory_order_release);
  if (error) std::rethrow_exception(error);
}

void ThreadTeam::barrier() {
  if (size_ == 1) return;
  // In this order: a failure announced before `seen` was read is visible here, a later one changes crossed_.
  const uint32_t seen = crossed_.value.load(std::memory_order_acquire);
  if (failed_.load(std::memory_order_acquire)) throw TeamFailed();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
    arrived_.store(0, std::memory_order_relaxed);
    announce(crossed_, seen + 1);
    return;
  }
  await_change(crossed_, seen);
  if (failed_.load(std::memory_order_acquire)) throw TeamFailed();
}

}  // namespace transom
