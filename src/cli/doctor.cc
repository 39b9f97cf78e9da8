// transom doctor: the machine, what this build can use of it, what is missing and how to get it.
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/command.h"
#include "transom/error.h"
#include "transom/machine.h"

namespace transom::cli {
namespace {

struct Advice {
  std::string missing, remedy;
};

bool on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  for (std::string_view rest = path ? path : ""; !rest.empty();) {
    const size_t colon = rest.find(':');
    std::error_code error;
    if (std::filesystem::exists(std::filesystem::path(rest.substr(0, colon)) / program, error)) return true;
    rest = colon == std::string_view::npos ? std::string_view() : rest.substr(colon + 1);
  }
  return false;
}

std::vector<Advice> missing_things(const Machine& machine, const BuildInfo& build) {
  std::vector<Advice> list;
  try {
    default_model_path();
  } catch (const Error&) {
    list.push_back({"the default model smollm2", "scripts/fetch_models"});
  }
  if (!machine.gpus.empty() && !build.cuda)
    list.push_back({"CUDA kernels, although there is a GPU", "install the CUDA toolkit (nvcc on PATH) and build again"});
  if (!on_path("python3"))
    list.push_back({"python3, for models without a native implementation", "apt-get install python3 python3-venv"});
  bool wide = false;
  for (const std::string& name : machine.isa) wide = wide || name == "avx2";
  if (!wide) list.push_back({"AVX2 on this processor", "nothing: the portable kernels run, slowly"});
  if (build.sanitized) list.push_back({"an optimized build: this one has a sanitizer", "cmake --preset release"});
  return list;
}

Json to_json(const Machine& machine, const BuildInfo& build, const std::vector<Advice>& missing) {
  Json gpus = Json::array(), lacks = Json::array();
  for (const Gpu& gpu : machine.gpus)
    gpus.push_back({{"name", gpu.name}, {"memory_bytes", gpu.memory}, {"compute_capability", gpu.capability / 10.0}});
  for (const Advice& advice : missing) lacks.push_back({{"missing", advice.missing}, {"remedy", advice.remedy}});
  Json root;
  root["version"] = build.version;
  root["build"] = {{"compiler", build.compiler}, {"cuda", build.cuda}, {"sanitized", build.sanitized}};
  root["cpu"] = {{"name", machine.cpu},
                 {"isa", machine.isa},
                 {"logical_cpus", machine.logical_cpus},
                 {"cores", machine.cores},
                 {"container_cpu_limit", machine.cpu_limit > 0 ? Json(machine.cpu_limit) : Json(nullptr)},
                 {"default_threads", machine.default_threads},
                 {"l1d_bytes", machine.l1d},
                 {"l2_bytes", machine.l2},
                 {"l3_bytes", machine.l3}};
  root["memory_bytes"] = machine.memory;
  root["gpus"] = gpus;
  root["gpu_note"] = machine.gpu_note;
  root["cuda_driver"] = machine.cuda_driver;
  root["missing"] = lacks;
  return root;
}

std::string size_text(uint64_t bytes) {
  if (bytes >= uint64_t{1} << 30) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
  if (bytes >= uint64_t{1} << 20) return fmt::format("{:g} MiB", static_cast<double>(bytes) / (1 << 20));
  return fmt::format("{:g} KiB", static_cast<double>(bytes) / 1024);
}

std::string to_text(const Machine& machine, const BuildInfo& build, const std::vector<Advice>& missing) {
  std::string out = fmt::format("transom    {} ({}, CUDA kernels {}{})\n", build.version, build.compiler,
                                build.cuda ? "built in" : "not built in", build.sanitized ? ", sanitizer build" : "");
  out += fmt::format("processor  {}\n", machine.cpu.empty() ? "unknown" : machine.cpu);
  out += fmt::format("           {} cores, {} processors usable{}; {} threads by default\n", machine.cores,
                     machine.logical_cpus,
                     machine.cpu_limit > 0 ? fmt::format(", container limit {:g}", machine.cpu_limit) : "",
                     machine.default_threads);
  out += fmt::format("           caches {} / {} / {}\n", size_text(machine.l1d), size_text(machine.l2),
                     size_text(machine.l3));
  out += fmt::format("           {}\n", machine.isa.empty() ? "no vector sets" : fmt::format("{}", fmt::join(machine.isa, " ")));
  out += fmt::format("memory     {}\n", size_text(machine.memory));
  for (const Gpu& gpu : machine.gpus)
    out += fmt::format("gpu        {}, {}, compute capability {}.{}\n", gpu.name, size_text(gpu.memory),
                       gpu.capability / 10, gpu.capability % 10);
  if (machine.gpus.empty()) out += fmt::format("gpu        none: {}\n", machine.gpu_note);
  for (const Advice& advice : missing) out += fmt::format("missing    {}\n           get it: {}\n", advice.missing, advice.remedy);
  if (missing.empty()) out += "missing    nothing\n";
  return out;
}

}  // namespace

void add_doctor_command(CLI::App& app, CommonOptions& common) {
  CLI::App& command = add_command(app, common, "doctor", "The machine, what is built in, what is missing", [&common] {
    const Machine machine = probe_machine();
    const BuildInfo build = build_info();
    const std::vector<Advice> missing = missing_things(machine, build);
    if (common.json) print_json(to_json(machine, build, missing));
    else print(to_text(machine, build, missing));
    return kDone;
  });
  add_json_flag(command, common);
}

}  // namespace transom::cli
