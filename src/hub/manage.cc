// Listing, removing and checking what the cache holds: see transom/hub.h.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/shard_name.h"
#include "hub/cache.h"
#include "hub/digest.h"
#include "hub/hub_id.h"
#include "hub/settings.h"
#include "transom/hub.h"

namespace transom {
namespace {

namespace fs = std::filesystem;
using hub::RepoCache;

constexpr const char* kKinds[] = {"models", "datasets", "spaces", "kernels"};

// models--org--name to org/name, datasets--org--name to datasets/org/name; empty: no repository's folder.
std::string id_of(const std::string& folder) {
  for (const std::string kind : kKinds) {
    if (!folder.starts_with(kind + "--")) continue;
    std::string id = folder.substr(kind.size() + 2);
    if (const size_t dashes = id.find("--"); dashes != std::string::npos) id.replace(dashes, 2, "/");
    return kind == "models" ? id : kind + "/" + id;
  }
  return "";
}

// The other way round, of words that are safe in a path.
std::string folder_of(const std::string& id) {
  std::string kind = "models", rest = id;
  for (const std::string other : kKinds)
    if (id.starts_with(other + "/")) kind = other, rest = id.substr(other.size() + 1);
  const size_t slash = rest.find('/');
  const bool safe = hub::is_repo_word(rest.substr(0, slash)) && (slash == std::string::npos || hub::is_repo_word(rest.substr(slash + 1)));
  if (!safe) fail(Code::kInvalidArgument, quote(id), "expected the id of a repository as `transom cache list` shows it");
  return kind + "--" + (slash == std::string::npos ? rest : rest.substr(0, slash) + "--" + rest.substr(slash + 1));
}

int64_t size_on_disk(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) ? static_cast<int64_t>(st.st_size) : 0;
}

// Names in a folder, sorted; none if there is no such folder.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) names.push_back(it->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// Every path below a folder that is no folder itself, relative to it, links not followed.
std::vector<std::string> paths_below(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->is_symlink() || !it->is_directory()) paths.push_back(it->path().lexically_relative(folder).string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// The blob that a snapshot's link means; empty: a file of its own, or a link to elsewhere.
std::string blob_of(const std::string& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return !error && target.parent_path().filename() == "blobs" ? target.filename().string() : "";
}

std::map<std::string, std::vector<std::string>> refs_of(const RepoCache& cache) {
  std::map<std::string, std::vector<std::string>> refs;  // by commit
  for (const std::string& name : paths_below(cache.path() + "/refs"))
    if (const std::string commit = cache.commit_of(name); !commit.empty()) refs[commit].push_back(name);
  return refs;
}

CachedRevision describe_revision(const RepoCache& cache, const std::string& commit) {
  CachedRevision revision{.commit = commit, .path = cache.snapshot(commit)};
  std::set<std::string> counted;
  for (const std::string& name : cache.files(commit)) {
    const std::string path = cache.file(commit, name), blob = blob_of(path);
    ++revision.files;
    if (blob.empty() || counted.insert(blob).second) revision.bytes += size_on_disk(path);
  }
  return revision;
}

CachedRepo describe_repo(const std::string& cache_dir, const std::string& folder) {
  const RepoCache cache(cache_dir, folder);
  CachedRepo repo{.id = id_of(folder), .path = cache.path()};
  for (const std::string& name : names_in(cache.blobs())) {
    const int64_t bytes = size_on_disk(cache.blob(name));
    repo.bytes += bytes;
    if (name.ends_with(".incomplete")) repo.incomplete_bytes += bytes;
    struct stat st{};
    if (::stat(cache.blob(name).c_str(), &st) == 0) repo.modified = std::max<int64_t>(repo.modified, st.st_mtime);
  }
  auto refs = refs_of(cache);
  for (const std::string& commit : names_in(cache.path() + "/snapshots")) {
    if (!dir_exists(cache.snapshot(commit))) continue;
    CachedRevision revision = describe_revision(cache, commit);
    revision.refs = refs[commit];
    for (const std::string& name : cache.files(commit))  // files of their own, where the file system has no links
      if (blob_of(cache.file(commit, name)).empty()) repo.bytes += size_on_disk(cache.file(commit, name));
    repo.revisions.push_back(std::move(revision));
  }
  return repo;
}

void remove_all(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail(Code::kIo, path, "cannot remove: {}", error.message());
}

void remove_revision(const RepoCache& cache, const std::string& id, const std::string& revision) {
  const std::string commit = cache.commit_of(revision);
  if (commit.empty() || !dir_exists(cache.snapshot(commit))) fail(Code::kNotFound, id, "not in the cache {}", cache.path());
  for (const auto& [to, names] : refs_of(cache))
    if (to == commit)
      for (const std::string& name : names) remove_all(cache.path() + "/refs/" + name);
  remove_all(cache.snapshot(commit));
  remove_all(cache.path() + "/.no_exist/" + commit);
  remove_all(cache.path() + "/trees/" + commit + ".json");
  std::set<std::string> used;
  for (const std::string& other : names_in(cache.path() + "/snapshots"))
    for (const std::string& name : paths_below(cache.snapshot(other))) used.insert(blob_of(cache.file(other, name)));
  for (const std::string& blob : names_in(cache.blobs()))
    if (!used.contains(blob) && !blob.ends_with(".incomplete")) remove_all(cache.blob(blob));
}

std::string hash_file(const std::string& path, hub::Digest digest, const std::function<void(int64_t)>& read) {
  std::ifstream in(path, std::ios::binary);
  std::vector<char> block(size_t{1} << 20);
  while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
    digest.update({block.data(), static_cast<size_t>(in.gcount())});
    read(in.gcount());
  }
  if (in.bad() || !in.eof()) fail(Code::kIo, path, "cannot read");
  return digest.hex();
}

void verify_repo(const RepoCache& cache, const std::string& id, CacheReport& report, const std::function<void(int64_t)>& read) {
  std::map<std::string, std::string> names;  // of blobs
  for (const std::string& commit : names_in(cache.path() + "/snapshots"))
    for (const std::string& name : paths_below(cache.snapshot(commit))) {
      const std::string path = cache.file(commit, name);
      if (!file_exists(path)) report.problems.push_back({id, commit + "/" + name, "a link to a file that is not there"});
      names.try_emplace(blob_of(path), name);
    }
  for (const std::string& blob : names_in(cache.blobs())) {
    const std::string path = cache.blob(blob);
    auto digest = hub::Digest::for_etag(blob, size_on_disk(path));
    if (!digest || !file_exists(path)) continue;  // a download that was not finished, or a name that is no hash
    const std::string found = hash_file(path, std::move(*digest), read);
    ++report.files;
    report.bytes += size_on_disk(path);
    const std::string name = names.contains(blob) ? names[blob] : "blobs/" + blob;
    if (found != blob) report.problems.push_back({id, name, "expected the hash " + blob + ", got " + found});
  }
}

}  // namespace

std::vector<CachedRepo> list_hub_cache() {
  const std::string cache = hub_cache_directory();
  std::vector<CachedRepo> repos;
  for (const std::string& folder : names_in(cache))
    if (!id_of(folder).empty() && dir_exists(cache + "/" + folder)) repos.push_back(describe_repo(cache, folder));
  std::sort(repos.begin(), repos.end(), [](const CachedRepo& a, const CachedRepo& b) { return a.id < b.id; });
  return repos;
}

int64_t remove_from_hub_cache(const std::string& id) {
  const size_t at = id.find('@');
  const std::string repo = id.substr(0, at), revision = at == std::string::npos ? "" : id.substr(at + 1);
  const std::string folder = folder_of(repo), cache_dir = hub_cache_directory();
  const RepoCache cache(cache_dir, folder);
  if (at != std::string::npos && !is_safe_relative_path(revision)) fail(Code::kInvalidArgument, quote(id), "expected a revision after @");
  if (!dir_exists(cache.path())) fail(Code::kNotFound, id, "not in the cache {}", cache_dir);
  for (const std::string& lock : names_in(cache.locks()))
    if (hub::FileLock::is_held(cache.locks() + "/" + lock)) fail(Code::kIo, id, "another process is downloading it");
  const int64_t before = describe_repo(cache_dir, folder).bytes;
  if (at != std::string::npos) {
    remove_revision(cache, id, revision);
    return before - describe_repo(cache_dir, folder).bytes;
  }
  remove_all(cache.path());
  remove_all(cache.locks());
  return before;
}

CacheReport verify_hub_cache(const std::vector<std::string>& ids, const HubOptions& options) {
  const std::string cache_dir = hub_cache_directory();
  std::vector<std::string> folders;
  for (const std::string& id : ids) {
    folders.push_back(folder_of(id));
    if (!dir_exists(cache_dir + "/" + folders.back())) fail(Code::kNotFound, id, "not in the cache {}", cache_dir);
  }
  if (ids.empty())
    for (const std::string& folder : names_in(cache_dir))
      if (!id_of(folder).empty()) folders.push_back(folder);
  CacheReport report;
  int64_t done = 0, total = 0;
  for (const std::string& folder : folders)
    for (const std::string& blob : names_in(cache_dir + "/" + folder + "/blobs")) total += size_on_disk(cache_dir + "/" + folder + "/blobs/" + blob);
  const auto read = [&](int64_t bytes) {
    if (options.cancelled && options.cancelled()) throw Error(Code::kCancelled, "interrupted");
    if (options.progress) options.progress(done += bytes, total);
  };
  for (const std::string& folder : folders) verify_repo(RepoCache(cache_dir, folder), id_of(folder), report, read);
  return report;
}

}  // namespace transom
