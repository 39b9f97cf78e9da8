// Settings: see settings.h.
#include "hub/settings.h"

#include <charconv>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "transom/hub.h"

namespace transom::hub {
namespace {

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool is_true(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

std::string first(std::initializer_list<std::string> values) {
  for (const std::string& value : values)
    if (!value.empty()) return value;
  return "";
}

std::string expanded(const std::string& path) {
  return path == "~" || path.starts_with("~/") ? env("HOME") + path.substr(1) : path;
}

int seconds(const char* name, int preset) {
  const std::string text = env(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value > 0 && value < 86400 ? value : preset;
}

std::string trimmed(std::string text) {
  const size_t from = text.find_first_not_of(" \t\r\n");
  if (from == std::string::npos) return "";
  return text.substr(from, text.find_last_not_of(" \t\r\n") + 1 - from);
}

void read_token(Settings& s, const std::string& given) {
  if (!given.empty()) {
    s.token = trimmed(given);
    s.token_source = "the token given";
    return;
  }
  if (is_true(env("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return;
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    s.token = trimmed(env(name));
    s.token_source = name;
    if (!s.token.empty()) return;
  }
  if (file_exists(s.token_file)) s.token = trimmed(read_file(s.token_file, 1 << 16));
  s.token_source = s.token.empty() ? "" : s.token_file;
}

}  // namespace

Settings read_settings(const std::string& token) {
  Settings s;
  const std::string home = env("HOME"), xdg = env("XDG_CACHE_HOME");
  const std::string hf_home = expanded(first({env("HF_HOME"), (xdg.empty() ? home + "/.cache" : xdg) + "/huggingface"}));
  s.cache = expanded(first({env("HF_HUB_CACHE"), env("HUGGINGFACE_HUB_CACHE"), hf_home + "/hub"}));
  s.token_file = expanded(first({env("HF_TOKEN_PATH"), hf_home + "/token"}));
  s.endpoint = first({env("HF_ENDPOINT"), s.endpoint});
  while (s.endpoint.ends_with('/')) s.endpoint.pop_back();
  if (!s.endpoint.starts_with("https://") && !s.endpoint.starts_with("http://"))
    fail(Code::kInvalidArgument, "HF_ENDPOINT", "expected a URL that starts with https:// or http://, got {}", quote(s.endpoint));
  s.ca_file = first({env("CURL_CA_BUNDLE"), env("REQUESTS_CA_BUNDLE"), env("SSL_CERT_FILE")});
  s.offline = is_true(first({env("HF_HUB_OFFLINE"), env("TRANSFORMERS_OFFLINE")}));
  s.etag_timeout = seconds("HF_HUB_ETAG_TIMEOUT", s.etag_timeout);
  s.download_timeout = seconds("HF_HUB_DOWNLOAD_TIMEOUT", s.download_timeout);
  read_token(s, token);
  for (const char c : s.token)
    if (c <= 0x20 || c > 0x7e) fail(Code::kInvalidArgument, s.token_source, "expected a token of printable characters, got others");
  return s;
}

}  // namespace transom::hub

namespace transom {

std::string hub_cache_directory() { return hub::read_settings().cache; }

}  // namespace transom
