// Several connections at once: work shared among threads while the caller's thread reports, and blobs in parallel ranges.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "hub/blob_writer.h"
#include "hub/http.h"

namespace transom::hub {

// Runs `work` in `threads` threads. The calling thread calls `watch` some times a second; when that or a thread throws, `stop` is
// set, all threads end, and the first exception goes on.
void run_workers(int threads, std::atomic<bool>& stop, const std::function<void()>& work, const std::function<void()>& watch);

struct TransferLimits {
  int connections = 8;
  int64_t piece = int64_t{8} << 20;    // of a range
  int64_t window = int64_t{64} << 20;  // ranges begin at most this far behind a blob's prefix on disk
};

struct TransferJob {
  std::string name, etag;     // name: for messages
  std::string url, location;  // the hub's, and where it sent us
  int64_t size = 0;
  std::unique_ptr<BlobWriter> writer;
  std::function<void()> done;  // called by a worker once the blob has its name
};

class Transfers {
 public:
  // Throws what answer() makes of an answer that is a refusal.
  using Refuse = std::function<void(const HttpAnswer&, const std::string& name)>;
  Transfers(const Settings& settings, const TransferLimits& limits, std::atomic<bool>& stop, Refuse refuse);
  void add(TransferJob job);
  // Downloads all; `watch` hears the bytes that are here.
  void run(const std::function<void(int64_t received)>& watch);

 private:
  struct Running {
    TransferJob job;
    int64_t next = 0;             // where the next range begins
    std::atomic<bool> whole{false};  // the server sends no ranges: one connection streams the file
    int pieces = 0;               // under way
  };
  struct Piece {
    Running* file;
    int64_t begin, end;
  };
  std::optional<Piece> take();
  void give_back(const Piece& piece);
  void fetch(HttpConnection& http, Piece piece);

  const Settings& settings_;
  TransferLimits limits_;
  std::atomic<bool>& stop_;
  Refuse refuse_;
  std::list<Running> files_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace transom::hub
