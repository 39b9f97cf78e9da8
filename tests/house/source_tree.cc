// source_files(): see source_tree.h.
#include "house/source_tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace transom {
namespace {

namespace fs = std::filesystem;

std::string without_comment(const std::string& line) {
  bool quoted = false;
  for (size_t i = 0; i + 1 < line.size(); ++i) {
    if (line[i] == '\\' && quoted) ++i;
    else if (line[i] == '"') quoted = !quoted;
    else if (!quoted && line[i] == '/' && line[i + 1] == '/') return line.substr(0, i);
  }
  return line;
}

}  // namespace

std::string SourceFile::layer() const {
  const size_t first = path.find('/');
  const std::string top = path.substr(0, first);
  if (top != "src" && top != "include") return top;
  return path.substr(first + 1, path.find('/', first + 1) - first - 1);
}

std::vector<SourceFile> source_files(const std::string& folder, const std::vector<std::string>& extensions) {
  const fs::path root = TRANSOM_SOURCE_DIR;
  std::vector<SourceFile> files;
  if (!fs::is_directory(root / folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
    const std::string extension = entry.path().extension().string();
    if (!entry.is_regular_file() || std::find(extensions.begin(), extensions.end(), extension) == extensions.end())
      continue;
    SourceFile file;
    file.path = fs::relative(entry.path(), root).string();
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      file.code.push_back(without_comment(line));
      file.lines.push_back(std::move(line));
    }
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

}  // namespace transom
