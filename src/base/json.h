// JSON for configs and messages: nlohmann's ordered value (key order is kept), parsed with a bound on nesting so that
// hostile input cannot overflow the stack. Large tokenizer files are read with simdjson instead (src/text).
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace transom {

using Json = nlohmann::ordered_json;

// Parses one JSON text. `context` names the source in errors (Code::kCorrupt, one line with the byte offset).
// Nesting deeper than `max_depth` is an error.
Json parse_json(std::string_view text, std::string_view context, int max_depth = 256);

// Reads and parses a whole file; errors name the path. Files over `max_bytes` are refused.
Json read_json_file(const std::string& path, size_t max_bytes = size_t{512} << 20);

// The same of a file that Python's json wrote: Infinity, which JSON lacks, is read as {"__float__": "Infinity"}, as
// transformers 5 writes it.
Json read_python_json_file(const std::string& path, size_t max_bytes);

}  // namespace transom
