// transom inspect: what a checkpoint is and how it would run.
#include <fmt/format.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/model_command.h"
#include "transom/model.h"

namespace transom::cli {
namespace {

// Three digits and a binary unit: "92.1 MiB".
std::string bytes_text(double b) {
  if (b < 1024) return fmt::format("{:.0f} B", b);
  const char* unit = "";
  for (const char* next : {"KiB", "MiB", "GiB"}) {
    if (b < 1024) break;
    b /= 1024;
    unit = next;
  }
  return fmt::format("{:.{}f} {}", b, b < 10 ? 2 : b < 100 ? 1 : 0, unit);
}

int run(const CommonOptions& common, bool tensors) {
  Json d = load_model(common).describe();
  if (common.json) {
    print_json(d);
    return kDone;
  }
  std::string s;
  const auto line = [&](const std::string& key, const std::string& value) { s += fmt::format("{:<18} {}\n", key, value); };
  line("path", d["path"]);
  line("architecture", fmt::format("{} ({})", d["architecture"].get<std::string>(), d["impl"].get<std::string>()));
  line("parameters", fmt::format("{:.1f} M in {} tensors", d["parameters"].get<double>() / 1e6, d["tensors"].size()));
  line("weights", bytes_text(d["weight_bytes"]));
  size_t width = 8;
  for (const auto& [type, bytes] : d["bytes_by_dtype"].items()) width = std::max(width, type.size());
  for (const auto& [type, bytes] : d["bytes_by_dtype"].items()) line("", fmt::format("{:<{}} {}", type, width, bytes_text(bytes)));
  const Json& head = d["head"];
  line("head", head["outputs"] == 0 ? "none" : fmt::format("{}, {} columns a {}", head["task"].get<std::string>(), head["outputs"].get<int64_t>(),
                                                           head["per_text"].get<bool>() ? "text" : "token"));
  line("context", fmt::format("{} tokens", d["context_length"].get<int64_t>()));
  line("vocabulary", std::to_string(d["vocab_size"].get<int64_t>()));
  const int64_t slot = d["state_bytes_per_sequence"];
  line("state", fmt::format("{} a token{} in {} layers", bytes_text(d["state_bytes_per_token"]),
                            slot > 0 ? fmt::format(" and {} a text", bytes_text(slot)) : "", d["state"].size()));
  const Json& p = d["placement"];
  line("runs on", fmt::format("{} kernels, {} threads, {} activations, {} keys and values; weights {}", p["kernels"].get<std::string>(),
                              p["threads"].get<int>(), p["activations"].get<std::string>(), p["kv_cache"].get<std::string>(),
                              p["weights"].get<std::string>()));
  for (const Json& w : d["warnings"]) line("warning", w);
  if (tensors)
    for (const Json& t : d["tensors"])
      s += fmt::format("  {:<60} {:<{}} {:<16} {}\n", t["name"].get<std::string>(), t["dtype"].get<std::string>(), width,
                       t["shape"].dump(), bytes_text(t["bytes"]));
  print(s);
  return kDone;
}

// The architectures that run natively: a Markdown table, which is docs/models.md too.
int list_families(bool json) {
  if (json) {
    Json rows = Json::array();
    for (const ArchitectureInfo& a : native_architectures())
      rows.push_back({{"architecture", a.name}, {"task", a.task}, {"gguf", a.gguf.empty() ? Json() : Json(a.gguf)}});
    print_json({{"transformers", checked_transformers()}, {"architectures", std::move(rows)}});
    return kDone;
  }
  std::string s = fmt::format("{:<44} | {:<25} | GGUF\n{:-<44}-|-{:-<25}-|-----\n", "architecture", "task", "", "");
  for (const ArchitectureInfo& a : native_architectures()) s += fmt::format("{:<44} | {:<25} | {}\n", a.name, a.task, a.gguf);
  print(s + fmt::format("\nChecked against Python transformers {}.\n", checked_transformers()));
  return kDone;
}

}  // namespace

void add_inspect_command(CLI::App& app, CommonOptions& common) {
  auto tensors = std::make_shared<bool>(false), families = std::make_shared<bool>(false);
  CLI::App& c = add_command(app, common, "inspect", "Architecture, parameters, dtypes, sizes, state per token, placement",
                            [&common, tensors, families] {
                              if (*families) return list_families(common.json);
                              return run(common, *tensors);
                            });
  add_model_argument(c, common);
  add_model_flags(c, common);
  add_json_flag(c, common);
  c.add_flag("--tensors", *tensors, "List every tensor");
  // A flag instead of the model.
  CLI::Option* model = c.get_option("MODEL");
  model->required(false);
  CLI::Option* list = c.add_flag("--families", *families, "List the architectures that run natively, without a model");
  c.parse_complete_callback([model, list] {
    if (model->empty() && list->empty()) throw CLI::RequiredError("MODEL");
  });
}

}  // namespace transom::cli
