// tests/hub/server.py as a process of a test: repositories on disk, faults to set, a log to read.
#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/temp_dir.h"

namespace transom::test {

class HubServer {
 public:
  using Json = nlohmann::json;
  HubServer();
  ~HubServer();

  // Writes a file of a repository.
  void write(const std::string& repo, const std::string& name, const std::string& bytes) { root_.write(repo + "/" + name, bytes); }
  const std::string& root() const { return root_.path(); }
  std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(hub_); }
  int hub_port() const { return hub_; }

  // Sets faults (see server.py) and forgets the log.
  void set(const Json& faults = Json::array());
  int64_t bytes_sent();
  Json requests();
  int count(const std::string& method, const std::string& in_path);

 private:
  std::string ask(const std::string& path);
  TempDir root_;
  pid_t child_ = -1;
  int stdin_ = -1, hub_ = 0;
};

// Bytes that look random and are the same in every run.
std::string noise(size_t size, uint32_t seed);

}  // namespace transom::test
