// HTTP as the hub needs it, over libcurl: small requests whose body is kept, and ranges whose bytes go to a sink. A token
// goes to the endpoint's own origin (scheme, host, port) and nowhere else, whatever an answer redirects to.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "hub/settings.h"

namespace transom::hub {

struct HttpRequest {
  std::string url;
  bool head = false;
  int64_t begin = 0, end = -1;  // the bytes [begin, end) alone; all of them with end < 0
  int timeout = 10;             // seconds to connect, and without a byte
  // Takes the body of a 200 (from offset 0) or a 206 (from the offset it says); false ends the transfer. Without one the body is
  // kept in the answer.
  std::function<bool(int64_t offset, std::string_view bytes)> sink;
};

struct HttpAnswer {
  int status = 0;                              // 0: no answer, see `problem`
  std::string problem;                         // why the transfer did not end well; empty: it did
  bool permanent = false;                      // trying again cannot help
  bool unreachable = false;                    // nobody was there
  std::map<std::string, std::string> headers;  // of the last response, names in lower case
  std::string body;
  std::string url;       // of the last response
  std::string redirect;  // where a HEAD was sent on to and did not follow, absolute

  std::string header(const std::string& name) const;
  bool ok() const { return problem.empty() && (status == 200 || status == 206); }
  // The server's own wish for how long to wait, in seconds.
  std::optional<int> retry_after() const;
  bool worth_retrying() const;
};

class HttpConnection {
 public:
  // `stop` set from another thread ends a request with Code::kCancelled.
  HttpConnection(const Settings& settings, const std::atomic<bool>& stop);
  ~HttpConnection();

  // One try. Follows redirects; a HEAD stops before another origin, because the hub's own answer has the facts.
  HttpAnswer perform(const HttpRequest& request);
  // With new tries after passing faults.
  HttpAnswer ask(const HttpRequest& request);

 private:
  struct Transfer;
  HttpAnswer once(const HttpRequest& request, const std::string& url);
  void prepare(const HttpRequest& request, const std::string& url, Transfer& transfer);

  const Settings& settings_;
  const std::atomic<bool>& stop_;
  std::unique_ptr<void, void (*)(void*)> curl_;
};

// Counts tries that got nowhere and waits between them.
class Retry {
 public:
  Retry(const Settings& settings, const std::atomic<bool>& stop) : settings_(settings), stop_(stop) {}
  // Waits before the next try: false when there have been enough.
  bool again(const HttpAnswer& answer);
  void progressed() { failures_ = 0; }

 private:
  const Settings& settings_;
  const std::atomic<bool>& stop_;
  int failures_ = 0;
};

bool same_origin(const std::string& a, const std::string& b);
// A path or one component as it stands in a URL.
std::string url_encoded(std::string_view text, bool keep_slashes);
// One line of an answer's head into `headers`; a status line starts them anew.
void read_header_line(std::string_view line, std::map<std::string, std::string>& headers);
// A whole, non-negative decimal number.
std::optional<int64_t> parse_count(std::string_view text);

}  // namespace transom::hub
