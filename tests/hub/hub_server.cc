// HubServer: see hub_server.h. It asks by a socket of its own, so that tests of the program need not link libcurl's callers.
#include "hub/hub_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

namespace transom::test {

HubServer::HubServer() {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0 || ::pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  child_ = ::fork();
  if (child_ == 0) {
    ::dup2(in[0], 0);
    ::dup2(out[1], 1);
    ::execlp("python3", "python3", TRANSOM_SOURCE_DIR "/tests/hub/server.py", root_.path().c_str(), nullptr);
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  stdin_ = in[1];
  std::string line;
  for (char c; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
  ::close(out[0]);
  if (line.empty()) throw std::runtime_error("python3 tests/hub/server.py did not start");
  hub_ = Json::parse(line).at("hub").get<int>();
}

HubServer::~HubServer() {
  ::close(stdin_);
  ::kill(child_, SIGTERM);
  int status = 0;
  ::waitpid(child_, &status, 0);
}

std::string HubServer::ask(const std::string& path) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(hub_));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 &&
      ::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size())) {
    char block[4096];
    for (ssize_t n; (n = ::recv(fd, block, sizeof block, 0)) > 0;) answer.append(block, static_cast<size_t>(n));
  }
  ::close(fd);
  const size_t body = answer.find("\r\n\r\n");
  if (body == std::string::npos) throw std::runtime_error("tests/hub/server.py does not answer " + path);
  return answer.substr(body + 4);
}

void HubServer::set(const Json& faults) {
  static const char* const kDigits = "0123456789ABCDEF";
  std::string query;
  for (const unsigned char c : faults.dump()) query += {'%', kDigits[c >> 4], kDigits[c & 15]};
  ask("/_set?" + query);
}

int64_t HubServer::bytes_sent() { return Json::parse(ask("/_log")).at("bytes").get<int64_t>(); }
HubServer::Json HubServer::requests() { return Json::parse(ask("/_log")).at("requests"); }

int HubServer::count(const std::string& method, const std::string& in_path) {
  int n = 0;
  for (const Json& r : requests()) n += r.at("method") == method && r.at("path").get<std::string>().find(in_path) != std::string::npos;
  return n;
}

std::string noise(size_t size, uint32_t seed) {
  std::string out(size, '\0');
  uint32_t x = seed * 2654435761u + 1;
  for (char& c : out) {
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    c = static_cast<char>(x);
  }
  return out;
}

}  // namespace transom::test
