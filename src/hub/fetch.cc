// From a hub id to a path: what the cache has, else what the hub gives. See transom/hub.h.
#include "hub/fetch.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "hub/api.h"
#include "hub/cache.h"
#include "hub/select.h"

namespace transom::hub {
namespace {

using Names = std::vector<std::string>;

constexpr size_t kMaxIndexBytes = size_t{64} << 20;

// What the Python libraries ask for and many repositories lack.
constexpr const char* kOptional[] = {"adapter_config.json",       "added_tokens.json",    "chat_template.jinja",          "chat_template.json",
                                     "generation_config.json",    "merges.txt",           "model.safetensors.index.json", "preprocessor_config.json",
                                     "processor_config.json",     "special_tokens_map.json", "tokenizer.model",           "vocab.json"};

std::string opened(const RepoCache& cache, const std::string& commit, const Selection& chosen) {
  return chosen.opens.empty() ? cache.snapshot(commit) : cache.file(commit, chosen.opens);
}

// The path to open if the cache has all that is needed; else nothing, and why in `reason`.
std::optional<std::string> find_cached(const RepoCache& cache, const HubId& id, HubFiles want, std::string& reason) {
  reason = "nothing of this revision is there";
  const std::string commit = cache.commit_of(id.revision);
  const Names here = commit.empty() ? Names() : cache.files(commit);
  if (here.empty()) return std::nullopt;
  const auto missing = [&](const std::string& name) { return !std::binary_search(here.begin(), here.end(), name); };
  const auto read = [&](const std::string& name) {
    if (missing(name)) fail(Code::kNotFound, name, "expected this file, got none");
    return read_file(cache.file(commit, name), kMaxIndexBytes);
  };
  try {
    const Names listed = cache.listed(commit);
    const Selection chosen = select_files(listed.empty() ? here : listed, want, id.variant, read);
    const auto absent = std::find_if(chosen.files.begin(), chosen.files.end(), missing);
    if (absent == chosen.files.end()) return opened(cache, commit, chosen);
    reason = "it lacks " + quote(*absent);
  } catch (const Error& e) {
    if (e.code() != Code::kNotFound) throw;
    reason = e.what();
  }
  return std::nullopt;
}

class Fetcher {
 public:
  Fetcher(const HubId& id, const HubOptions& options, const Settings& settings, const TransferLimits& limits)
      : id_(id), options_(options), settings_(settings), limits_(limits), cache_(settings.cache, folder_name(id.repo)) {}

  std::string run() {
    each({id_.revision}, [&](HttpConnection& http, size_t) { listing_ = ask_listing(http, settings_, id_); });
    const auto read = [&](const std::string& name) {
      get({name});
      return read_file(cache_.file(listing_.commit, name), kMaxIndexBytes);
    };
    const Selection chosen = select_files(listing_.files, options_.files, id_.variant, read);
    get(chosen.files);
    for (const char* name : kOptional)
      if (std::find(listing_.files.begin(), listing_.files.end(), name) == listing_.files.end()) cache_.note_absent(listing_.commit, name);
    cache_.write_ref(id_.revision, listing_.commit);  // last: a revision that is named here is whole
    return opened(cache_, listing_.commit, chosen);
  }

 private:
  void check_cancelled() const {
    if (options_.cancelled && options_.cancelled())
      fail(Code::kCancelled, id_.repo, "interrupted; the next run goes on where this one stopped");
  }

  // Calls `ask` for each item over some connections.
  void each(const Names& items, const std::function<void(HttpConnection&, size_t)>& ask) {
    std::atomic<size_t> next{0};
    const auto work = [&] {
      HttpConnection http(settings_, stop_);
      for (size_t i; (i = next++) < items.size();) ask(http, i);
    };
    run_workers(static_cast<int>(std::min<size_t>(items.size(), static_cast<size_t>(limits_.connections))), stop_, work, [&] { check_cancelled(); });
  }

  // Brings files into the snapshot.
  void get(const Names& names) {
    Names missing;
    for (const std::string& name : names)
      if (!file_exists(cache_.file(listing_.commit, name))) missing.push_back(name);
    if (missing.empty()) return;
    cache_.make_folders();
    std::vector<FileFacts> facts(missing.size());
    each(missing, [&](HttpConnection& http, size_t i) { facts[i] = ask_facts(http, settings_, id_, listing_.commit, missing[i]); });
    std::map<std::string, std::vector<const FileFacts*>> blobs;  // in the order of their locks, which is the same in every process
    for (const FileFacts& f : facts) blobs[f.etag].push_back(&f);
    std::vector<TransferJob> jobs;
    for (const auto& [etag, files] : blobs)
      if (std::optional<TransferJob> job = prepare(etag, files)) jobs.push_back(std::move(*job));
    if (!jobs.empty()) download(std::move(jobs), missing);
  }

  // Points at a blob that is there (another process may just have brought it), or opens it for download.
  std::optional<TransferJob> prepare(const std::string& etag, const std::vector<const FileFacts*>& files) {
    auto lock = std::make_shared<FileLock>(cache_.lock_path(etag), [this] { check_cancelled(); });
    const auto point = [this, etag, names = names_of(files), lock] {
      for (const std::string& name : names) cache_.point(listing_.commit, name, etag);
    };
    if (file_exists(cache_.blob(etag))) {
      point();
      return std::nullopt;
    }
    const FileFacts& f = *files.front();
    TransferJob job{.name = id_.repo + "/" + f.name, .etag = etag, .url = f.url, .location = f.location, .size = f.size};
    job.writer = std::make_unique<BlobWriter>(cache_.blob(etag), etag, f.size, [&](int64_t) { check_cancelled(); });
    job.done = point;
    return job;
  }

  static Names names_of(const std::vector<const FileFacts*>& files) {
    Names names;
    for (const FileFacts* f : files) names.push_back(f->name);
    return names;
  }

  void download(std::vector<TransferJob> jobs, const Names& order) {
    // As selected: small files first, so that what is interrupted is mostly weights.
    const auto place = [&](const TransferJob& job) { return std::find(order.begin(), order.end(), job.name.substr(id_.repo.size() + 1)) - order.begin(); };
    std::sort(jobs.begin(), jobs.end(), [&](const TransferJob& a, const TransferJob& b) { return place(a) < place(b); });
    int64_t total = 0, needed = 0;
    for (const TransferJob& job : jobs) total += job.size, needed += job.size - job.writer->written();
    std::error_code error;
    const auto space = std::filesystem::space(cache_.blobs(), error);
    if (!error && static_cast<uint64_t>(needed) > space.available)
      fail(Code::kResource, cache_.blobs(), "expected {:.2f} GB of free disk space, got {:.2f} GB", static_cast<double>(needed) / 1e9,
           static_cast<double>(space.available) / 1e9);
    log().info("downloading {} files of {} ({} bytes) into {}", jobs.size(), id_.repo, needed, cache_.path());
    Transfers transfers(settings_, limits_, stop_, [&](const HttpAnswer& answer, const std::string& name) {
      fail_answer(answer, settings_, id_, std::string_view(name).substr(id_.repo.size() + 1));
    });
    for (TransferJob& job : jobs) transfers.add(std::move(job));
    transfers.run([&](int64_t received) {
      check_cancelled();
      if (options_.progress) options_.progress(received, total);
    });
  }

  const HubId& id_;
  const HubOptions& options_;
  const Settings& settings_;
  const TransferLimits& limits_;
  RepoCache cache_;
  RepoListing listing_;
  std::atomic<bool> stop_{false};
};

}  // namespace

std::string fetch(const HubId& id, const HubOptions& options, const Settings& settings, const TransferLimits& limits) {
  std::string reason;
  const RepoCache cache(settings.cache, folder_name(id.repo));
  if (!options.update || settings.offline) {
    if (const std::optional<std::string> path = find_cached(cache, id, options.files, reason)) return *path;
  }
  if (settings.offline)
    fail(Code::kNotFound, id.repo, "not in the cache {} ({}), and HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids downloading", settings.cache, reason);
  try {
    return Fetcher(id, options, settings, limits).run();
  } catch (const Error& e) {
    if (!e.context().empty()) throw;
    throw Error(e.code(), e.message(), id.repo);
  }
}

}  // namespace transom::hub

namespace transom {

std::string fetch_from_hub(const std::string& id, const HubOptions& options) {
  return hub::fetch(hub::require_hub_id(id), options, hub::read_settings(options.token));
}

}  // namespace transom
