// The cache's layout: see cache.h.
#include "hub/cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/shard_name.h"
#include "hub/hub_id.h"

namespace transom::hub {
namespace {

namespace fs = std::filesystem;

void make_directory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(Code::kIo, path.string(), "cannot make the folder: {}", error.message());
}

// A name beside `path` that no other thread, process or machine has.
std::string scratch_name(const std::string& path) {
  std::random_device random;
  return fmt::format("{}.{:08x}{:08x}.tmp", path, random(), random());
}

void write_atomically(const std::string& path, const std::string& text) {
  make_directory(fs::path(path).parent_path());
  const std::string scratch = scratch_name(path);
  std::ofstream(scratch, std::ios::binary) << text << std::flush;
  std::error_code error;
  fs::rename(scratch, path, error);
  if (error) fail(Code::kIo, path, "cannot write: {}", error.message());
}

// Locks an open file unless another has it. A file that was removed meanwhile guards nothing.
bool lock_now(int fd) {
  struct stat st{};
  return ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &st) == 0 && st.st_nlink > 0;
}

}  // namespace

FileLock::FileLock(const std::string& path, const std::function<void()>& waiting) {
  make_directory(fs::path(path).parent_path());
  const auto started = std::chrono::steady_clock::now();
  for (bool told = false;;) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    if (fd_ < 0) fail(Code::kIo, path, "cannot open: {}", std::strerror(errno));
    if (lock_now(fd_)) return;
    ::close(fd_);
    fd_ = -1;
    waiting();
    if (!told && std::chrono::steady_clock::now() - started > std::chrono::seconds(3)) {
      log().warn("waiting for another process that downloads the same file ({})", path);
      told = true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

bool FileLock::is_held(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  const bool held = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return held;
}

RepoCache::RepoCache(std::string cache, std::string folder)
    : cache_(std::move(cache)), folder_(std::move(folder)), path_(cache_ + "/" + folder_) {}

std::string RepoCache::commit_of(const std::string& revision) const {
  const std::string ref = path_ + "/refs/" + revision;
  if (file_exists(ref)) {
    std::string commit = read_file(ref, 4096);
    commit.erase(std::find_if(commit.begin(), commit.end(), [](char c) { return c == '\n' || c == '\r' || c == ' '; }), commit.end());
    if (is_commit(commit)) return commit;
  }
  return is_commit(revision) ? revision : "";
}

std::vector<std::string> RepoCache::files(const std::string& commit) const {
  std::vector<std::string> out;
  const fs::path root = snapshot(commit);
  std::error_code error;
  for (fs::recursive_directory_iterator it(root, error), end; !error && it != end; it.increment(error))
    if (file_exists(it->path().string())) out.push_back(it->path().lexically_relative(root).string());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> RepoCache::listed(const std::string& commit) const {
  const std::string path = path_ + "/trees/" + commit + ".json";
  std::vector<std::string> out;
  if (!file_exists(path)) return out;
  try {
    const Json tree = read_json_file(path, size_t{64} << 20);
    const bool known = tree.is_object() && tree.contains("format_version") && tree["format_version"] == 1 && tree.contains("files");
    if (!known || !tree["files"].is_object()) return out;
    for (const auto& [name, facts] : tree["files"].items())
      if (is_safe_relative_path(name)) out.push_back(name);
  } catch (const Error& e) {  // a hint, and not ours
    log().info("{}", e.what());
  }
  return out;
}

void RepoCache::make_folders() const {
  make_directory(blobs());
  const std::string tag = cache_ + "/CACHEDIR.TAG";  // backup programs leave a folder with this out
  if (!file_exists(tag)) write_atomically(tag, "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of files from the Hugging Face hub.\n");
}

void RepoCache::point(const std::string& commit, const std::string& name, const std::string& etag) const {
  const std::string link = file(commit, name), scratch = scratch_name(link);
  make_directory(fs::path(link).parent_path());
  std::string target = "../../blobs/" + etag;
  for (const char c : name)
    if (c == '/') target.insert(0, "../");
  std::error_code error;
  fs::remove(scratch, error);
  fs::create_symlink(target, scratch, error);
  if (error) fs::copy_file(blob(etag), scratch, error = {});  // a file system without links
  if (!error) fs::rename(scratch, link, error);
  if (error) fail(Code::kIo, link, "cannot make the link to {}: {}", target, error.message());
}

void RepoCache::write_ref(const std::string& revision, const std::string& commit) const {
  if (revision != commit && commit_of(revision) != commit) write_atomically(path_ + "/refs/" + revision, commit);
}

void RepoCache::note_absent(const std::string& commit, const std::string& name) const {
  const std::string path = path_ + "/.no_exist/" + commit + "/" + name;
  if (!file_exists(path)) write_atomically(path, "");
}

}  // namespace transom::hub
