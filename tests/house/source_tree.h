// The project's own sources as text, for the tests that hold its rules.
#pragma once

#include <string>
#include <vector>

namespace transom {

struct SourceFile {
  std::string path;                // relative to the project's root: "src/base/log.cc"
  std::vector<std::string> lines;  // as they stand
  std::vector<std::string> code;   // the same without // comments; string literals are kept

  // "base" for src/base/…, "transom" for include/transom/…, else the first folder.
  std::string layer() const;
};

// Files under `folder` (relative to the root) with one of `extensions` (".cc"), sorted by path.
std::vector<SourceFile> source_files(const std::string& folder, const std::vector<std::string>& extensions);

}  // namespace transom
