// resolve_model(): what MODEL may be. Hub ids are looked up where huggingface_hub keeps its files
// (HF_HUB_CACHE, HF_HOME/hub, XDG_CACHE_HOME/huggingface/hub): models--ORG--NAME/{refs/REV, snapshots/COMMIT/…}.
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "cli/command.h"
#include "transom/error.h"

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

fs::path hub_cache() {
  if (const std::string dir = env("HF_HUB_CACHE"); !dir.empty()) return dir;
  if (const std::string dir = env("HF_HOME"); !dir.empty()) return fs::path(dir) / "hub";
  return user_cache() / "huggingface" / "hub";
}

struct HubId {
  std::string org, name, revision = "main", variant;  // variant: the Q4_K_M of org/name:Q4_K_M
};

std::optional<HubId> parse_hub_id(std::string text) {
  HubId id;
  if (const size_t at = text.find_first_of("@:"); at != std::string::npos) {
    (text[at] == '@' ? id.revision : id.variant) = text.substr(at + 1);
    text.erase(at);
  }
  const size_t slash = text.find('/');
  if (slash == std::string::npos) return std::nullopt;
  id.org = text.substr(0, slash);
  id.name = text.substr(slash + 1);
  const auto word = [](const std::string& s) {
    return !s.empty() && s[0] != '.' && std::all_of(s.begin(), s.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '-' || c == '_' || c == '.';
    });
  };
  if (!word(id.org) || !word(id.name) || id.revision.empty() || id.revision.find("..") != std::string::npos)
    return std::nullopt;
  return id;
}

// A .gguf file of the snapshot whose name holds the variant, in any case; the first by name.
std::string find_variant(const fs::path& snapshot, std::string variant) {
  const auto upper = [](std::string s) {
    std::transform(s.begin(), s.end(), s.begin(), [](unsigned char c) { return std::toupper(c); });
    return s;
  };
  std::string best;
  for (const auto& entry : fs::directory_iterator(snapshot)) {
    const std::string file = entry.path().filename().string();
    if (entry.path().extension() != ".gguf" || upper(file).find(upper(variant)) == std::string::npos) continue;
    if (best.empty() || entry.path().string() < best) best = entry.path().string();
  }
  return best;
}

std::string resolve_hub_id(const HubId& id, const std::string& model) {
  const fs::path repository = hub_cache() / ("models--" + id.org + "--" + id.name);
  std::string commit = id.revision;
  std::ifstream(repository / "refs" / id.revision) >> commit;
  const fs::path snapshot = repository / "snapshots" / commit;
  std::error_code error;
  if (fs::is_directory(snapshot, error)) {
    if (id.variant.empty()) return snapshot.string();
    if (std::string file = find_variant(snapshot, id.variant); !file.empty()) return file;
    throw Error(Code::kNotFound, "no .gguf file with " + id.variant + " in its name in " + snapshot.string(), model);
  }
  throw Error(Code::kNotFound,
              "no such file or directory, and not in the Hugging Face cache (looked for " + snapshot.string() +
                  "); downloading from the hub is not there yet: download it with Hugging Face's own tools, or give a path",
              model);
}

}  // namespace

std::string resolve_model(const std::string& model) {
  std::error_code error;
  if (model == "smollm2") {
    const fs::path file = user_cache() / "transom" / "models" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf";
    if (fs::is_regular_file(file, error)) return file.string();
    throw Error(Code::kNotFound, "the default model is not there: run scripts/fetch_models (looked for " +
                                     file.string() + ")", model);
  }
  if (fs::is_directory(model, error) || fs::is_regular_file(model, error)) return model;
  if (const auto id = parse_hub_id(model); id && !fs::exists(id->org, error)) return resolve_hub_id(*id, model);
  throw Error(Code::kNotFound,
              "no such file or directory (expected a directory with config.json, a .gguf file, a hub id like org/name, "
              "or the word smollm2)", model);
}

}  // namespace transom::cli
