// resolve_model(): what MODEL may be. A path stays a path; what has the shape of a hub id and is no path is the library's to find.
#include <cstdlib>
#include <filesystem>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"

namespace transom::cli {
namespace {

namespace fs = std::filesystem;

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

fs::path user_cache() {
  const std::string xdg = env("XDG_CACHE_HOME");
  return xdg.empty() ? fs::path(env("HOME")) / ".cache" : fs::path(xdg);
}

}  // namespace

std::string default_model_path() {
  const fs::path file = user_cache() / "transom" / "models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf";
  std::error_code error;
  if (fs::is_regular_file(file, error)) return file.string();
  throw Error(Code::kNotFound, "the default model is not there: run scripts/fetch_models (looked for " + file.string() + ")", "smollm2");
}

std::string fetch_model(const CommonOptions& common, const std::string& id, HubFiles files, bool update) {
  const Interrupt interrupt;
  Progress progress("Downloading " + id);
  HubOptions options;
  options.token = common.token.empty() ? common.hf_token : common.token;
  options.files = files;
  options.update = update;
  options.progress = [&](int64_t done, int64_t total) { progress.at(done, total); };
  options.cancelled = [&] { return interrupt.requested(); };
  return fetch_from_hub(id, options);
}

std::string resolve_model(const CommonOptions& common, const std::string& model, HubFiles files) {
  std::error_code error;
  if (model == "smollm2") return default_model_path();
  if (fs::is_directory(model, error) || fs::is_regular_file(model, error)) return model;
  // Where the first word is a folder here, the rest of a path was mistyped.
  if (is_hub_id(model) && !fs::exists(model.substr(0, model.find('/')), error)) return fetch_model(common, model, files, false);
  throw Error(Code::kNotFound,
              "no such file or directory (expected a directory with config.json, a .gguf file, a hub id like org/name, "
              "or the word smollm2)", model);
}

}  // namespace transom::cli
