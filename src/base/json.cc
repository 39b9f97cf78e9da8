// parse_json: see json.h. The depth is checked in a pre-pass over the brackets outside strings, because the parser and
// the value's destructor both recurse.
#include "base/json.h"

#include "base/error.h"
#include "base/file.h"

namespace transom {
namespace {

void check_depth(std::string_view text, std::string_view context, int max_depth) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) fail(Code::kCorrupt, context, "expected JSON nested at most {} deep, got more at byte {}", max_depth, i);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view context, int max_depth) {
  check_depth(text, context, max_depth);
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::exception& e) {
    std::string what = e.what();
    const size_t tag = what.find("] ");  // drops nlohmann's "[json.exception.…] "
    if (tag != std::string::npos) what.erase(0, tag + 2);
    for (char& c : what)
      if (c == '\n' || c == '\r') c = ' ';
    if (what.size() > 300) what.resize(300);
    fail(Code::kCorrupt, context, "expected JSON, got {}", what);
  }
}

Json read_json_file(const std::string& path, size_t max_bytes) {
  return parse_json(read_file(path, max_bytes), path);
}

Json read_python_json_file(const std::string& path, size_t max_bytes) {
  constexpr std::string_view kWord = "Infinity", kValue = R"({"__float__": "Infinity"})";
  const std::string text = read_file(path, max_bytes);
  std::string json;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!in_string && text.compare(i, kWord.size(), kWord) == 0) {
      json += kValue;
      i += kWord.size() - 1;
      continue;
    }
    json += text[i];
    if (text[i] == '"') in_string = !in_string;
    if (in_string && text[i] == '\\' && i + 1 < text.size()) json += text[++i];
  }
  return parse_json(json, path);
}

}  // namespace transom
