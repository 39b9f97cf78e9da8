// ThreadTeam: the threads that one engine's kernels run on. run() gives every thread (rank 0 is the caller) the same
// task and returns when all are done; barrier() meets inside a task. Waiting threads spin for some tens of
// microseconds (the gap between two kernels of one step) and then sleep on a futex, so an idle team burns no CPU.
#pragma once

#include <atomic>
#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace transom {

// A borrowed callable void(int rank, int size); it must live until run() returns, which a lambda in the call does.
class TeamTask {
 public:
  template <class F>
    requires(std::invocable<F&, int, int> && !std::same_as<std::remove_cvref_t<F>, TeamTask>)
  TeamTask(F&& f)  // NOLINT: a conversion on purpose
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, int rank, int size) { (*static_cast<std::remove_reference_t<F>*>(object))(rank, size); }) {}
  void operator()(int rank, int size) const { call_(object_, rank, size); }

 private:
  void* object_;
  void (*call_)(void*, int, int);
};

// The part of [0, n) that belongs to `rank`: equal parts, each border a multiple of `multiple`, possibly empty.
struct TeamRange {
  int64_t begin, end;
};
TeamRange team_range(int64_t n, int rank, int size, int64_t multiple = 1);

class ThreadTeam {
 public:
  // `threads` <= 0 means usable_cores(). The calling thread counts, so `threads` - 1 are started.
  // Error kResource when the system gives no more threads.
  explicit ThreadTeam(int threads = 0, int spin_us = 50);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return size_; }

  // Runs task(rank, size) on every rank; what the ranks wrote is visible to the caller afterwards. If a rank throws, the
  // others leave at their next barrier, and the first exception is thrown here. One run at a time: a second caller, or
  // a call from inside a task, is Code::kInternal.
  void run(TeamTask task);

  // Only inside a task, by every rank equally often: returns when all have arrived; earlier writes are visible to all.
  void barrier();

  // task(begin, end) over [0, n) in pieces of `grain`, handed out as ranks become free. Which rank gets which piece
  // varies from run to run, so a piece's result must not depend on it.
  template <class F>
  void for_each_chunk(int64_t n, int64_t grain, F&& task) {
    if (n <= grain || size_ == 1) {
      if (n > 0) task(int64_t{0}, n);
      return;
    }
    std::atomic<int64_t> next{0};
    run([&](int, int) {
      for (int64_t begin; (begin = next.fetch_add(grain, std::memory_order_relaxed)) < n;)
        task(begin, begin + grain < n ? begin + grain : n);
    });
  }

 private:
  // A counter that threads wait on; its own cache line, so that spinning on one does not slow another.
  struct alignas(64) Event {
    std::atomic<uint32_t> value{0};
    std::atomic<uint32_t> sleepers{0};
  };
  void await_change(Event& event, uint32_t seen) const;
  static void announce(Event& event, uint32_t value);
  void worker(int rank);
  void perform(int rank);
  void stop();

  const int size_;
  const int spin_us_;
  Event start_;    // counts runs; workers wait for the next
  Event done_;     // counts finished runs; the caller waits
  Event crossed_;  // counts passed barriers
  alignas(64) std::atomic<int> working_{0};
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<bool> failed_{false};
  std::atomic<bool> busy_{false};
  bool stopping_ = false;
  const TeamTask* task_ = nullptr;
  std::exception_ptr error_;
  std::vector<std::thread> threads_;
};

}  // namespace transom
