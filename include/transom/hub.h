// Models on the Hugging Face hub, and the cache on disk that Transom shares with Hugging Face's Python client.
//
// The cache is HF_HUB_CACHE, HF_HOME/hub or XDG_CACHE_HOME/huggingface/hub; the hub is HF_ENDPOINT. The network is used by
// fetch_from_hub() alone, and only for what the cache lacks; HF_HUB_OFFLINE=1 forbids that too.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "transom/error.h"

namespace transom {

enum class HubFiles {
  kModel,  // what running needs: configs, tokenizer, chat template, weights of one format; or one GGUF file with its parts
  kText,   // what a tokenizer and a chat template need: no weights, unless the tokenizer is inside them (GGUF)
};

struct HubOptions {
  // Empty: HF_TOKEN, HUGGING_FACE_HUB_TOKEN, then the file of a login (HF_TOKEN_PATH, HF_HOME/token);
  // HF_HUB_DISABLE_IMPLICIT_TOKEN=1 leaves these out.
  std::string token;
  HubFiles files = HubFiles::kModel;
  bool update = false;  // ask the hub for the revision even if the cache has it
  std::function<void(int64_t done, int64_t total)> progress;  // bytes; called on the calling thread
  std::function<bool()> cancelled;                            // asked some times a second; true ends in Code::kCancelled
};

// Whether the text is a hub id by its shape: org/name, org/name@revision, org/name:Q4_K_M (a GGUF file by quantization).
bool is_hub_id(std::string_view text);

// The path to open: the snapshot's folder, or the (first) .gguf file. What the cache lacks is downloaded into it, checked
// against the hub's hashes; an interrupted download goes on where it stopped. Several processes may do so at once.
std::string fetch_from_hub(const std::string& id, const HubOptions& options = {});

struct CachedRevision {
  std::string commit, path;
  std::vector<std::string> refs;  // branches and tags that point here
  int64_t files = 0, bytes = 0;
};

struct CachedRepo {
  std::string id;    // org/name; of other kinds with the kind before it: datasets/org/name
  std::string path;
  int64_t bytes = 0;             // on disk; revisions share files
  int64_t incomplete_bytes = 0;  // of these, in downloads that were not finished
  int64_t modified = 0;          // seconds since 1970
  std::vector<CachedRevision> revisions;
};

struct CacheProblem {
  std::string id, file, problem;
};

struct CacheReport {
  int64_t files = 0, bytes = 0;  // checked
  std::vector<CacheProblem> problems;
};

std::string hub_cache_directory();
// Every repository in the cache, sorted by id.
std::vector<CachedRepo> list_hub_cache();
// Removes a repository, or with id@revision one revision and the files that only it has. Gives the bytes freed.
int64_t remove_from_hub_cache(const std::string& id);
// Computes every file's hash again; `ids` empty: of all repositories. Options used: progress, cancelled.
CacheReport verify_hub_cache(const std::vector<std::string>& ids, const HubOptions& options = {});

}  // namespace transom
