// The hub's answers: see api.h.
#include "hub/api.h"

#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/shard_name.h"

namespace transom::hub {
namespace {

constexpr int64_t kMaxFile = int64_t{1} << 50;
constexpr size_t kMaxName = 1024;

// An entity tag without its quotes and its mark of weakness.
std::string bare_etag(std::string etag) {
  if (etag.starts_with("W/")) etag.erase(0, 2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

// It becomes a file's name.
bool is_safe_etag(std::string_view etag) {
  if (etag.empty() || etag.size() > 128) return false;
  for (const char c : etag)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_')) return false;
  return true;
}

std::string token_advice(const Settings& s, const HubId& id) {
  return fmt::format(
      "accept its licence at {}/{} if it has one, and give a token that may read it: --token, --hf-token, HF_TOKEN, or a login's file "
      "({}), in this order; {}",
      s.endpoint, id.repo, s.token_file, s.token.empty() ? "no token was sent" : "the token sent came from " + s.token_source);
}

}  // namespace

RepoListing parse_listing(std::string_view text, std::string_view where) {
  const Json json = parse_json(text, where, 64);
  const auto field = [&](const char* name) { return json.is_object() ? json.find(name) : json.end(); };
  RepoListing listing;
  const auto sha = field("sha");
  if (sha == json.end() || !sha->is_string() || !is_commit(sha->get_ref<const std::string&>()))
    fail(Code::kCorrupt, where, "expected the commit \"sha\" of 40 hexadecimal digits, got {}", sha == json.end() ? "none" : quote(sha->dump(-1, ' ', true)));
  listing.commit = sha->get<std::string>();
  const auto siblings = field("siblings");
  if (siblings == json.end() || !siblings->is_array()) fail(Code::kCorrupt, where, "expected the list of files \"siblings\", got none");
  std::set<std::string> seen;
  for (const Json& file : *siblings) {
    const auto name = file.is_object() ? file.find("rfilename") : file.end();
    if (!file.is_object() || name == file.end() || !name->is_string()) fail(Code::kCorrupt, where, "expected each file's \"rfilename\", got none");
    const auto& path = name->get_ref<const std::string&>();
    if (path.size() > kMaxName || !is_safe_relative_path(path))
      fail(Code::kCorrupt, where, "expected file names below the repository, got {}", quote(path));
    if (seen.insert(path).second) listing.files.push_back(path);
  }
  return listing;
}

FileFacts parse_facts(const HttpAnswer& answer, const std::string& commit, std::string_view where) {
  FileFacts facts;
  const std::string linked = answer.header("x-linked-etag"), size = answer.header("x-linked-size");
  facts.etag = bare_etag(linked.empty() ? answer.header("etag") : linked);
  if (!is_safe_etag(facts.etag)) fail(Code::kCorrupt, where, "expected a hash in X-Linked-ETag or ETag, got {}", quote(facts.etag));
  if (const std::string at = answer.header("x-repo-commit"); at != commit)
    fail(Code::kCorrupt, where, "expected the commit {} in X-Repo-Commit, got {}", commit, quote(at));
  const std::string text = !size.empty() || !answer.redirect.empty() ? size : answer.header("content-length");
  const std::optional<int64_t> bytes = parse_count(text);
  if (!bytes || *bytes > kMaxFile) fail(Code::kCorrupt, where, "expected a size of at most 2^50 bytes, got {}", quote(text));
  facts.size = *bytes;
  facts.location = answer.redirect.empty() ? answer.url : answer.redirect;
  return facts;
}

RepoListing ask_listing(HttpConnection& http, const Settings& s, const HubId& id) {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}", s.endpoint, id.repo, url_encoded(id.revision, false));
  const HttpAnswer answer = http.ask({.url = url, .timeout = s.etag_timeout});
  if (!answer.ok()) fail_answer(answer, s, id);
  return parse_listing(answer.body, url);
}

FileFacts ask_facts(HttpConnection& http, const Settings& s, const HubId& id, const std::string& commit, const std::string& file) {
  const std::string url = fmt::format("{}/{}/resolve/{}/{}", s.endpoint, id.repo, commit, url_encoded(file, true));
  const HttpAnswer answer = http.ask({.url = url, .head = true, .timeout = s.etag_timeout});
  if (!answer.ok() && answer.redirect.empty()) fail_answer(answer, s, id, file);
  FileFacts facts = parse_facts(answer, commit, url);
  facts.name = file;
  facts.url = url;
  return facts;
}

void fail_answer(const HttpAnswer& answer, const Settings& s, const HubId& id, std::string_view file) {
  const std::string where = file.empty() ? id.repo : id.repo + "/" + std::string(file);
  const std::string error = answer.header("x-error-code"), text = answer.header("x-error-message");
  const std::string said = text.empty() ? "" : ", " + quote(text, 300);
  if (answer.status == 0 || !answer.problem.empty())
    fail(Code::kIo, where, "cannot reach {}: {}", s.endpoint, answer.problem.empty() ? "no answer" : quote(answer.problem, 300));
  if (error == "GatedRepo")
    fail(Code::kNotFound, where, "the repository is gated (HTTP {}{}): {}", answer.status, said, token_advice(s, id));
  if (error == "RevisionNotFound") fail(Code::kNotFound, where, "the hub has no revision {} of it (HTTP {})", quote(id.revision), answer.status);
  if (error == "EntryNotFound") fail(Code::kNotFound, where, "the hub has no such file (HTTP {})", answer.status);
  if (answer.status == 401 || answer.status == 403 || error == "RepoNotFound")
    fail(Code::kNotFound, where, "the hub has no such repository, or it is private or gated (HTTP {}{}): {}", answer.status, said, token_advice(s, id));
  if (answer.status == 404) fail(Code::kNotFound, where, "{} has no such thing (HTTP 404{})", s.endpoint, said);
  if (answer.status == 429) fail(Code::kIo, where, "{} asks for fewer requests (HTTP 429{}): try again later, or give a token", s.endpoint, said);
  fail(Code::kIo, where, "expected an answer of {}, got HTTP {}{}", s.endpoint, answer.status, said);
}

}  // namespace transom::hub
