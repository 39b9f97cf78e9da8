// Parallel downloads: see download.h.
#include "hub/download.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace transom::hub {

void run_workers(int threads, std::atomic<bool>& stop, const std::function<void()>& work, const std::function<void()>& watch) {
  std::mutex mutex;
  std::condition_variable ended;
  std::exception_ptr first;
  int running = threads;
  const auto guarded = [&](const std::function<void()>& f) {
    try {
      f();
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!first) first = std::current_exception();
      stop = true;
    }
  };
  std::vector<std::thread> team;
  for (int i = 0; i < threads; ++i)
    team.emplace_back([&] {
      guarded(work);
      const std::lock_guard lock(mutex);
      --running;
      ended.notify_all();
    });
  for (std::unique_lock lock(mutex); running > 0;) {
    ended.wait_for(lock, std::chrono::milliseconds(50));
    lock.unlock();
    if (!stop) guarded(watch);
    lock.lock();
  }
  for (std::thread& thread : team) thread.join();
  if (first) std::rethrow_exception(first);
  watch();
}

Transfers::Transfers(const Settings& settings, const TransferLimits& limits, std::atomic<bool>& stop, Refuse refuse)
    : settings_(settings), limits_(limits), stop_(stop), refuse_(std::move(refuse)) {}

void Transfers::add(TransferJob job) {
  Running& file = files_.emplace_back();
  file.next = job.writer->written();
  file.job = std::move(job);
}

void Transfers::run(const std::function<void(int64_t)>& watch) {
  int64_t pieces = 0;
  for (const Running& file : files_) pieces += (file.job.size - file.next) / limits_.piece + 1;
  const int threads = static_cast<int>(std::min<int64_t>(limits_.connections, pieces));
  const auto work = [&] {
    HttpConnection http(settings_, stop_);
    while (const std::optional<Piece> piece = take()) {
      fetch(http, *piece);
      give_back(*piece);
    }
  };
  const auto report = [&] {
    int64_t received = 0;
    for (const Running& file : files_) received += file.job.writer->received();
    watch(received);
    changed_.notify_all();  // a worker that waits looks at `stop`
  };
  run_workers(threads, stop_, work, report);
}

// A file of which nothing is missing still gives one (empty) piece, so that a worker ends it.
std::optional<Transfers::Piece> Transfers::take() {
  std::unique_lock lock(mutex_);
  for (;;) {
    bool more = false;
    for (Running& file : files_) {
      const int64_t size = file.job.size;
      if (file.whole || file.next > size) continue;
      more = true;
      if (file.next >= file.job.writer->written() + limits_.window) continue;
      const Piece piece{&file, file.next, std::min(size, file.next + limits_.piece)};
      file.next = piece.end == size ? size + 1 : piece.end;
      ++file.pieces;
      return piece;
    }
    if (!more || stop_) return std::nullopt;
    changed_.wait_for(lock, std::chrono::milliseconds(200));
  }
}

void Transfers::give_back(const Piece& piece) {
  Running& file = *piece.file;
  {
    const std::lock_guard lock(mutex_);
    --file.pieces;
    changed_.notify_all();
    if (file.pieces > 0 || (!file.whole && file.next <= file.job.size)) return;
  }
  file.job.writer->finish(file.job.name);
  if (file.job.done) std::exchange(file.job.done, nullptr)();
}

void Transfers::fetch(HttpConnection& http, Piece piece) {
  TransferJob& job = piece.file->job;
  Retry retry(settings_, stop_);
  bool mine = false;  // this connection streams the whole file
  std::string url = job.location;
  for (int64_t at = piece.begin; at < piece.end && (mine || !piece.file->whole);) {
    HttpRequest request{.url = url, .timeout = settings_.download_timeout};
    if (at > 0 || piece.end < job.size) request.begin = at, request.end = piece.end;
    const int64_t before = at;
    request.sink = [&](int64_t offset, std::string_view bytes) {
      const int64_t end = offset + static_cast<int64_t>(bytes.size());
      if (!mine && (offset != at || end > piece.end)) {  // all of the file although a range was asked for
        if (piece.file->whole.exchange(true)) return false;
        mine = true;
        piece.end = job.size;
      }
      job.writer->put(offset, bytes);
      at = std::max(at, end);
      return true;
    };
    const HttpAnswer answer = http.perform(request);
    if (answer.ok() && at >= piece.end) return;
    if (piece.file->whole && !mine) return;
    if (at > before) retry.progressed();
    const bool moved = url != job.url;
    url = job.url;  // the place it sent us to may have forgotten us
    if (!moved && !answer.ok() && !answer.worth_retrying()) refuse_(answer, job.name);
    if (!retry.again(answer)) refuse_(answer, job.name);
  }
}

}  // namespace transom::hub
