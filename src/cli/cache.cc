// `transom cache`: what the Hugging Face cache holds, and getting, removing and checking it.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <memory>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"

namespace transom::cli {
namespace {

struct CacheFlags {
  std::string action;
  std::vector<std::string> ids;
};

std::string size_text(int64_t bytes) {
  const auto b = static_cast<double>(bytes);
  return b >= 1e9 ? fmt::format("{:.1f} GB", b / 1e9) : b >= 1e6 ? fmt::format("{:.1f} MB", b / 1e6) : fmt::format("{:.1f} kB", b / 1e3);
}

std::string day_text(int64_t seconds) {
  const std::time_t at = seconds;
  std::tm tm{};
  char text[16] = "";
  if (seconds > 0 && ::localtime_r(&at, &tm)) std::strftime(text, sizeof text, "%Y-%m-%d", &tm);
  return text;
}

Json revision_json(const CachedRevision& r) {
  return {{"commit", r.commit}, {"refs", r.refs}, {"files", r.files}, {"bytes", r.bytes}, {"path", r.path}};
}

int list(const CommonOptions& common) {
  const std::vector<CachedRepo> repos = list_hub_cache();
  int64_t total = 0;
  for (const CachedRepo& repo : repos) total += repo.bytes;
  if (common.json) {
    Json all = Json::array();
    for (const CachedRepo& repo : repos) {
      Json revisions = Json::array();
      for (const CachedRevision& r : repo.revisions) revisions.push_back(revision_json(r));
      all.push_back({{"id", repo.id}, {"bytes", repo.bytes}, {"incomplete_bytes", repo.incomplete_bytes}, {"modified", repo.modified},
                     {"path", repo.path}, {"revisions", std::move(revisions)}});
    }
    print_json({{"directory", hub_cache_directory()}, {"bytes", total}, {"repositories", std::move(all)}});
    return kDone;
  }
  size_t width = 10;
  for (const CachedRepo& repo : repos) width = std::max(width, repo.id.size());
  for (const CachedRepo& repo : repos) {
    std::string refs;
    for (const CachedRevision& r : repo.revisions)
      for (const std::string& ref : r.refs) refs += " " + ref;
    const std::string partial = repo.incomplete_bytes > 0 ? fmt::format(" ({} of it unfinished)", size_text(repo.incomplete_bytes)) : "";
    print(fmt::format("{:<{}}  {:>9}  {:<10} {}{}\n", repo.id, width, size_text(repo.bytes), day_text(repo.modified), refs, partial));
  }
  print(fmt::format("{:<{}}  {:>9}  in {}\n", fmt::format("{} in all", repos.size()), width, size_text(total), hub_cache_directory()));
  return kDone;
}

int remove(const CommonOptions& common, const std::vector<std::string>& ids) {
  if (ids.empty()) throw UsageError("cache rm: expected the ids to remove (see: transom cache list)");
  Json removed = Json::array();
  for (const std::string& id : ids) {
    const int64_t bytes = remove_from_hub_cache(id);
    if (common.json) removed.push_back({{"id", id}, {"bytes", bytes}});
    else print(fmt::format("removed {}: {}\n", id, size_text(bytes)));
  }
  if (common.json) print_json({{"removed", std::move(removed)}});
  return kDone;
}

int verify(const CommonOptions& common, const std::vector<std::string>& ids) {
  const Interrupt interrupt;
  CacheReport report;
  {
    Progress progress("Verifying");
    HubOptions options;
    options.progress = [&](int64_t done, int64_t total) { progress.at(done, total); };
    options.cancelled = [&] { return interrupt.requested(); };
    report = verify_hub_cache(ids, options);
  }
  if (common.json) {
    Json problems = Json::array();
    for (const CacheProblem& p : report.problems) problems.push_back({{"id", p.id}, {"file", p.file}, {"problem", p.problem}});
    print_json({{"files", report.files}, {"bytes", report.bytes}, {"problems", std::move(problems)}});
  } else {
    for (const CacheProblem& p : report.problems) print(fmt::format("{}/{}: {}\n", p.id, p.file, p.problem));
    print(fmt::format("{} files ({}) checked, {} problems\n", report.files, size_text(report.bytes), report.problems.size()));
  }
  return report.problems.empty() ? kDone : kFailed;
}

int fetch(const CommonOptions& common, const std::vector<std::string>& ids) {
  if (ids.empty()) throw UsageError("cache fetch: expected the hub ids to download");
  for (const std::string& id : ids) {
    if (!is_hub_id(id)) throw UsageError("cache fetch: expected a hub id (org/name, org/name@revision or org/name:Q4_K_M), got " + id);
    const std::string path = fetch_model(common, id, HubFiles::kModel, true);
    if (common.json) print_json({{"id", id}, {"path", path}});
    else print(path + "\n");
  }
  return kDone;
}

int run(const CommonOptions& common, const CacheFlags& flags) {
  if (flags.action == "rm") return remove(common, flags.ids);
  if (flags.action == "verify") return verify(common, flags.ids);
  if (flags.action == "fetch") return fetch(common, flags.ids);
  if (!flags.ids.empty()) throw UsageError("cache list: expected no further word, got " + flags.ids.front());
  return list(common);
}

}  // namespace

void add_cache_command(CLI::App& app, CommonOptions& common) {
  auto flags = std::make_shared<CacheFlags>();
  CLI::App& command = add_command(app, common, "cache", "Show, get, remove and check downloaded models",
                                  [&common, flags] { return run(common, *flags); });
  add_choice(command, "ACTION", flags->action, {"list", "rm", "verify", "fetch"},
             "list what is there; rm: remove repositories or revisions; verify: compare files with their hashes; fetch: download a model, or "
             "what is new of it")
      ->required();
  command.add_option("ID", flags->ids, "Repositories: org/name, org/name@revision (default of verify: all)")->type_name("");
  add_token_flags(command, common);
  add_json_flag(command, common);
}

}  // namespace transom::cli
