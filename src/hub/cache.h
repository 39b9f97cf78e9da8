// One repository's folder in the cache, as Hugging Face's Python client writes it:
//   models--org--name/{blobs/ETAG, refs/REVISION, snapshots/COMMIT/FILE -> ../../blobs/ETAG, .no_exist/COMMIT/FILE}
// and .locks/models--org--name/ETAG.lock beside it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace transom::hub {

// A lock that other processes, the Python client's too, respect (flock); given back when this goes.
class FileLock {
 public:
  // Waits for it; `waiting` is called some times a second and may throw.
  FileLock(const std::string& path, const std::function<void()>& waiting);
  FileLock(FileLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

  static bool is_held(const std::string& path);

 private:
  int fd_ = -1;
};

class RepoCache {
 public:
  RepoCache(std::string cache, std::string folder);

  const std::string& path() const { return path_; }
  std::string blobs() const { return path_ + "/blobs"; }
  std::string blob(const std::string& etag) const { return blobs() + "/" + etag; }
  std::string locks() const { return cache_ + "/.locks/" + folder_; }
  std::string lock_path(const std::string& etag) const { return locks() + "/" + etag + ".lock"; }
  std::string snapshot(const std::string& commit) const { return path_ + "/snapshots/" + commit; }
  std::string file(const std::string& commit, const std::string& name) const { return snapshot(commit) + "/" + name; }

  // The commit that a branch, tag or commit means here; empty: not known.
  std::string commit_of(const std::string& revision) const;
  // What a snapshot holds: names whose file is there, sorted.
  std::vector<std::string> files(const std::string& commit) const;
  // The names of all files of a commit, where the Python client has left such a list (trees/COMMIT.json).
  std::vector<std::string> listed(const std::string& commit) const;

  void make_folders() const;
  void point(const std::string& commit, const std::string& name, const std::string& etag) const;
  void write_ref(const std::string& revision, const std::string& commit) const;
  // Says for the Python client that a commit lacks a file, so that it need not ask.
  void note_absent(const std::string& commit, const std::string& name) const;

 private:
  std::string cache_, folder_, path_;
};

}  // namespace transom::hub
