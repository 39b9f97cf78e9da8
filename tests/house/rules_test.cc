// Rules of the house that a search can hold: who may name an architecture, a device or a dtype; sizes of files and
// functions; opening comments; no printing in the library; no traces of a machine or of a registry's host.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <string>
#include <vector>

#include "house/source_tree.h"

namespace transom {
namespace {

const std::vector<std::string> kCode = {".h", ".cc", ".cu", ".cuh"};

bool starts_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }

long characters(const std::string& line) {
  return std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

// Reports every code line of `files` that matches, except in files for which `allowed` holds.
template <class Allowed>
void expect_nowhere(const std::vector<SourceFile>& files, const std::string& pattern, const std::string& rule,
                    Allowed allowed) {
  const std::regex regex(pattern);
  for (const SourceFile& file : files) {
    if (allowed(file.path)) continue;
    for (size_t i = 0; i < file.code.size(); ++i)
      EXPECT_FALSE(std::regex_search(file.code[i], regex)) << file.path << ":" << i + 1 << ": " << rule << "\n"
                                                           << file.lines[i];
  }
}

constexpr const char* kArchitecture =
    R"re("[A-Z]\w*(ForCausalLM|ForConditionalGeneration|ForMaskedLM|ForSequenceClassification|LMHeadModel|Model)")re";
constexpr const char* kDevice = R"re(\bDevice::k|\bdevice\w*(\(\))?\s*[=!]=|[Cc]uda|CUDA|\bis_cpu\b)re";
// A layer may ask for a minimum precision (kF32); it may not ask which type it was given.
constexpr const char* kDtype =
    R"re(\b(dtype|format)\w*(\(\))?\s*[=!]=|[=!]=\s*DType::|case\s+DType::|switch\s*\([^)]*(dtype|format)|DType::k(?!F32\b))re";

TEST(Rules, OnlyTheRegistryNamesArchitectures) {
  expect_nowhere(source_files("src", kCode), kArchitecture, "architecture names stand in src/models/registry.cc",
                 [](const std::string& path) { return path == "src/models/registry.cc"; });
}

TEST(Rules, LayersAndFamiliesTestNoDeviceAndNoDtype) {
  for (const char* folder : {"src/nn", "src/models"}) {
    const auto files = source_files(folder, kCode);
    const auto registry = [](const std::string& path) { return path == "src/models/registry.cc"; };
    expect_nowhere(files, kDevice, "no layer or family tests the device", registry);
    expect_nowhere(files, kDtype, "no layer or family tests the dtype", registry);
    expect_nowhere(files, R"re("model_type"|"architectures")re", "no layer or family asks for its name", registry);
  }
}

TEST(Rules, ThePatternsFindOffenders) {
  const auto finds = [](const char* pattern, const std::string& line) {
    return std::regex_search(line, std::regex(pattern));
  };
  EXPECT_TRUE(finds(kArchitecture, R"(if (name == "LlamaForCausalLM") {)"));
  EXPECT_TRUE(finds(kDevice, "if (x.device() == cx.device()) {"));
  EXPECT_TRUE(finds(kDtype, "if (x.dtype() == DType::kBF16)"));
  EXPECT_TRUE(finds(kDtype, "switch (w.format) {"));
  EXPECT_FALSE(finds(kDtype, "Tensor y = ops::cast(cx, x, DType::kF32);"));
}

TEST(Rules, FilesAndFunctionsAreShort) {
  for (const char* folder : {"src", "include", "tests", "bench", "fuzz", "examples"})
    for (const SourceFile& file : source_files(folder, kCode)) {
      const bool kernel = starts_with(file.path, "src/kernels/");
      EXPECT_LE(file.lines.size(), kernel ? 800u : 500u) << file.path;
      const bool family = starts_with(file.path, "src/models/") && file.path != "src/models/registry.cc";
      if (family) EXPECT_LE(file.lines.size(), 120u) << file.path;
      size_t opened = 0;
      for (size_t i = 0; i < file.lines.size(); ++i) {
        const std::string& line = file.lines[i];
        EXPECT_LE(characters(line), 160) << file.path << ":" << i + 1 << ": characters in a line";
        if (line.empty()) continue;
        // A function at the outer level opens at column 0 with a parameter list and closes with a lone brace.
        const bool opens = line[0] != ' ' && line.back() == '{' && line.find('(') != std::string::npos;
        if (opens || (line[0] != ' ' && line[0] != '}' && line[0] != '#')) opened = i;
        if (line == "}" && file.lines[opened].find('(') != std::string::npos)
          EXPECT_LE(i - opened + 1, 60u) << file.path << ":" << opened + 1 << ": lines in a function";
      }
    }
}

// `for (x : f(…).at("key"))` goes over what f's value held before it was destroyed, often over nothing.
const char* const kDeadRange = R"(^\s*for \(.* : [\w:]+\(.*\)\.(at|items|value|front|back)\()";

TEST(Rules, LoopsGoOverWhatLives) {
  EXPECT_TRUE(std::regex_search(std::string(R"(  for (const Json& c : read_json_file(path).at("cases")) {)"), std::regex(kDeadRange)));
  const std::regex dead(kDeadRange);
  for (const char* folder : {"src", "include", "tests", "bench", "fuzz", "examples"})
    for (const SourceFile& file : source_files(folder, kCode))
      for (size_t i = 0; i < file.lines.size(); ++i)
        if (file.path != "tests/house/rules_test.cc") EXPECT_FALSE(std::regex_search(file.lines[i], dead)) << file.path << ":" << i + 1;
}

TEST(Rules, FilesOpenWithWhatTheyAre) {
  for (const char* folder : {"src", "include", "tests", "bench", "fuzz", "examples"})
    for (const SourceFile& file : source_files(folder, kCode)) {
      ASSERT_FALSE(file.lines.empty()) << file.path;
      EXPECT_TRUE(starts_with(file.lines[0], "// ")) << file.path;
      if (file.path.substr(file.path.rfind('.')) == ".h") {
        bool once = false;
        for (const std::string& line : file.lines) once = once || line == "#pragma once";
        EXPECT_TRUE(once) << file.path;
      }
    }
}

TEST(Rules, TheLibraryNeverPrintsAbortsOrExits) {
  expect_nowhere(source_files("src", kCode),
                 R"re(std::c(out|err|log)\b|\b(printf|fprintf|puts|fputs|perror|abort|exit|_exit|quick_exit)\s*\(|std::terminate)re",
                 "the library throws and logs", [](const std::string& path) {
                   return starts_with(path, "src/cli/") || starts_with(path, "src/fallback/worker");
                 });
}

TEST(Rules, NothingNamesAMachineOrARegistryHost) {
  // Written in pieces, so that this file does not find itself.
  const std::string hosts = std::string("pypi") + R"(\.org|files\.python)" + R"(hosted|registry\.np)" + R"(mjs|conda\.an)" + "aconda";
  const std::string paths = std::string("/wo") + "rk/|/ro" + "ot/|/home/[a-z]+/|/opt/r" + "ef|/tmp/[a-z]+_jobs";
  const std::regex regex(hosts + "|" + paths);
  for (const char* folder : {"src", "include", "tests", "bench", "fuzz", "examples", "scripts", "docs", ".ci"})
    for (const SourceFile& file :
         source_files(folder, {".h", ".cc", ".cu", ".py", ".sh", ".md", ".txt", ".cmake", ".json", ""})) {
      if (file.path.find("fixtures/") != std::string::npos) continue;
      for (size_t i = 0; i < file.lines.size(); ++i)
        EXPECT_FALSE(std::regex_search(file.lines[i], regex)) << file.path << ":" << i + 1 << "\n" << file.lines[i];
    }
}

}  // namespace
}  // namespace transom
