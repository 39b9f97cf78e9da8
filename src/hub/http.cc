// HTTP over libcurl: see http.h.
#include "hub/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "transom/machine.h"

namespace transom::hub {
namespace {

constexpr int kRedirects = 10, kTries = 5, kLongestWait = 300;
constexpr size_t kMaxBody = size_t{64} << 20, kMaxHeaders = 256;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

struct Origin {
  std::string scheme, host, port;
  bool operator==(const Origin&) const = default;
};

std::optional<Origin> origin_of(const std::string& url) {
  const std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  Origin origin;
  for (const auto& [part, to] : {std::pair{CURLUPART_SCHEME, &origin.scheme}, {CURLUPART_HOST, &origin.host}, {CURLUPART_PORT, &origin.port}}) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return std::nullopt;
    *to = lower(text);
    curl_free(text);
  }
  return origin;
}

void start_curl() {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (started != CURLE_OK) fail(Code::kInternal, "libcurl", "cannot start: {}", curl_easy_strerror(started));
}

// The first byte of "bytes 100-199/5000".
std::optional<int64_t> range_start(std::string_view header) {
  if (!header.starts_with("bytes ")) return std::nullopt;
  return parse_count(header.substr(6, header.find('-') - 6));
}

bool is_permanent(CURLcode code) {
  return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT || code == CURLE_PEER_FAILED_VERIFICATION ||
         code == CURLE_SSL_CACERT_BADFILE;
}

bool is_unreachable(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT;
}

}  // namespace

// What curl's callbacks fill.
struct HttpConnection::Transfer {
  const HttpRequest& request;
  HttpAnswer answer;
  CURL* curl;
  const std::atomic<bool>& stop;
  int64_t at = -1;  // of the next body byte
  std::exception_ptr thrown;
  curl_off_t seen = 0;  // bytes, and since when no more came
  std::chrono::steady_clock::time_point heard = std::chrono::steady_clock::now();
  bool silent = false;
  char reason[CURL_ERROR_SIZE] = {};
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> lines{nullptr, curl_slist_free_all};

  bool body(std::string_view bytes) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (!request.sink || (status != 200 && status != 206)) {
      if (answer.body.size() + bytes.size() > kMaxBody) fail(Code::kCorrupt, request.url, "expected an answer of at most {} bytes, got more", kMaxBody);
      answer.body += bytes;
      return true;
    }
    if (at < 0) {
      const std::optional<int64_t> start = status == 200 ? 0 : range_start(answer.header("content-range"));
      if (!start) fail(Code::kCorrupt, request.url, "expected a range of bytes, got {}", quote(answer.header("content-range")));
      at = *start;
    }
    const bool more = request.sink(at, bytes);
    at += static_cast<int64_t>(bytes.size());
    return more;
  }

  static size_t on_body(char* data, size_t size, size_t count, void* self) {
    auto& t = *static_cast<Transfer*>(self);
    try {
      return t.body({data, size * count}) ? size * count : CURL_WRITEFUNC_ERROR;
    } catch (...) {  // curl is C: the exception goes on after it returns
      t.thrown = std::current_exception();
      return CURL_WRITEFUNC_ERROR;
    }
  }
  static size_t on_header(char* data, size_t size, size_t count, void* self) {
    read_header_line({data, size * count}, static_cast<Transfer*>(self)->answer.headers);
    return size * count;
  }
  // curl's own limit on slow transfers looks at an average of five seconds; silence is simpler.
  static int on_progress(void* self, curl_off_t, curl_off_t done, curl_off_t, curl_off_t) {
    auto& t = *static_cast<Transfer*>(self);
    const auto now = std::chrono::steady_clock::now();
    if (done != t.seen) t.seen = done, t.heard = now;
    t.silent = now - t.heard > std::chrono::seconds(t.request.timeout);
    return t.stop || t.silent ? 1 : 0;
  }
};

std::optional<int64_t> parse_count(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

void read_header_line(std::string_view line, std::map<std::string, std::string>& headers) {
  if (line.starts_with("HTTP/")) return headers.clear();
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || headers.size() >= kMaxHeaders) return;
  headers[lower(trimmed(line.substr(0, colon)))] = trimmed(line.substr(colon + 1));
}

std::string HttpAnswer::header(const std::string& name) const {
  const auto it = headers.find(name);
  return it == headers.end() ? "" : it->second;
}

std::optional<int> HttpAnswer::retry_after() const {
  std::optional<int64_t> wait = parse_count(header("retry-after"));
  if (!wait) {  // the hub's own form: "api";r=0;t=55
    const std::string limit = header("ratelimit");
    if (const size_t t = limit.find(";t="); t != std::string::npos) wait = parse_count(limit.substr(t + 3, limit.find(';', t + 3) - t - 3));
  }
  return wait ? std::optional<int>(static_cast<int>(std::min<int64_t>(*wait, 1 << 20))) : std::nullopt;
}

bool HttpAnswer::worth_retrying() const {
  if (permanent) return false;
  if (!problem.empty()) return true;
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

bool same_origin(const std::string& a, const std::string& b) {
  const std::optional<Origin> x = origin_of(a), y = origin_of(b);
  return x && y && *x == *y;
}

std::string url_encoded(std::string_view text, bool keep_slashes) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain || (c == '/' && keep_slashes)) out += c;
    else out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

HttpConnection::HttpConnection(const Settings& settings, const std::atomic<bool>& stop)
    : settings_(settings), stop_(stop), curl_(nullptr, [](void* curl) { curl_easy_cleanup(curl); }) {
  start_curl();
  curl_.reset(curl_easy_init());
  if (!curl_) fail(Code::kResource, "libcurl", "cannot make a connection");
}

HttpConnection::~HttpConnection() = default;

void HttpConnection::prepare(const HttpRequest& request, const std::string& url, Transfer& t) {
  CURL* const curl = t.curl;
  curl_easy_reset(curl);  // keeps connections
  const auto set = [&](CURLoption option, auto value) {
    if (const CURLcode code = curl_easy_setopt(curl, option, value); code != CURLE_OK)
      fail(Code::kInternal, "libcurl", "cannot set option {}: {}", static_cast<int>(option), curl_easy_strerror(code));
  };
  set(CURLOPT_ERRORBUFFER, t.reason);
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, settings_.endpoint.starts_with("https:") ? "https" : "http,https");  // no way back to plain text
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, ("transom/" + build_info().version).c_str());
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.timeout));
  if (!settings_.ca_file.empty()) set(CURLOPT_CAINFO, settings_.ca_file.c_str());
  if (request.head) set(CURLOPT_NOBODY, 1L);
  if (request.end >= 0) set(CURLOPT_RANGE, fmt::format("{}-{}", request.begin, request.end - 1).c_str());
  curl_slist* lines = curl_slist_append(nullptr, "Accept-Encoding: identity");
  if (!settings_.token.empty() && same_origin(url, settings_.endpoint))
    lines = curl_slist_append(lines, ("Authorization: Bearer " + settings_.token).c_str());
  t.lines.reset(lines);
  set(CURLOPT_HTTPHEADER, lines);
  set(CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&t));
  set(CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&t));
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  set(CURLOPT_XFERINFODATA, static_cast<void*>(&t));
}

HttpAnswer HttpConnection::once(const HttpRequest& request, const std::string& url) {
  Transfer t{request, {}, curl_.get(), stop_};
  prepare(request, url, t);
  const CURLcode code = curl_easy_perform(t.curl);
  if (t.thrown) std::rethrow_exception(t.thrown);
  if (stop_) throw Error(Code::kCancelled, "interrupted");
  HttpAnswer answer = std::move(t.answer);
  answer.url = url;
  long status = 0;
  curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  if (code != CURLE_OK) {
    answer.problem = t.silent ? fmt::format("nothing came for {} seconds", request.timeout) : t.reason[0] ? t.reason : curl_easy_strerror(code);
    answer.permanent = is_permanent(code);
    answer.unreachable = is_unreachable(code);
  } else if (status >= 300 && status < 400) {
    char* to = nullptr;
    curl_easy_getinfo(t.curl, CURLINFO_REDIRECT_URL, &to);
    if (to) answer.redirect = to;
  }
  return answer;
}

HttpAnswer HttpConnection::perform(const HttpRequest& request) {
  std::string url = request.url;
  for (int i = 0; i < kRedirects; ++i) {
    HttpAnswer answer = once(request, url);
    if (answer.redirect.empty() || (request.head && !same_origin(answer.redirect, url))) return answer;
    url = answer.redirect;
  }
  fail(Code::kCorrupt, request.url, "expected at most {} redirects, got more", kRedirects);
}

HttpAnswer HttpConnection::ask(const HttpRequest& request) {
  Retry retry(settings_, stop_);
  for (;;) {
    HttpAnswer answer = perform(request);
    // A machine without a network should say so at once; a download under way waits for the network to come back.
    if (answer.unreachable || !answer.worth_retrying() || !retry.again(answer)) return answer;
  }
}

bool Retry::again(const HttpAnswer& answer) {
  if (++failures_ >= kTries) return false;
  double wait = settings_.backoff * (1 << (failures_ - 1));
  if (const std::optional<int> wish = answer.retry_after()) {
    if (*wish > kLongestWait) return false;
    wait = *wish;
  }
  // Signed addresses stay out of the log.
  log().log(wait >= 5 ? spdlog::level::warn : spdlog::level::info, "{}: {}; trying again in {:.1f} s", answer.url.substr(0, answer.url.find('?')),
            answer.problem.empty() ? fmt::format("HTTP {}", answer.status) : answer.problem, wait);
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(wait);
  while (std::chrono::steady_clock::now() < until) {
    if (stop_) throw Error(Code::kCancelled, "interrupted");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

}  // namespace transom::hub
