// Reading the small JSON objects of tokenizer.json's stages: typed fields with one-line errors.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "text/unicode.h"

namespace transom::text {

class StageJson {
 public:
  // `where` names the stage in errors, e.g. "tokenizer.json normalizer".
  StageJson(const Json& json, std::string where) : json_(json), where_(std::move(where)) {
    if (!json_.is_object()) fail(Code::kCorrupt, where_, "expected an object, got {}", json_.type_name());
    type_ = string("type");
  }

  const std::string& type() const { return type_; }
  const std::string& where() const { return where_; }
  bool has(const char* key) const {
    const auto it = json_.find(key);
    return it != json_.end() && !it->is_null();
  }
  const Json& at(const char* key) const {
    const auto it = json_.find(key);
    if (it == json_.end()) fail(Code::kCorrupt, where_, "expected a field '{}' in {}, got none", key, type_.empty() ? "the stage" : type_);
    return *it;
  }
  std::string string(const char* key) const {
    const Json& v = at(key);
    if (!v.is_string()) bad(key, "a string", v);
    return v.get<std::string>();
  }
  bool boolean(const char* key) const {
    const Json& v = at(key);
    if (!v.is_boolean()) bad(key, "true or false", v);
    return v.get<bool>();
  }
  bool boolean(const char* key, bool otherwise) const { return has(key) ? boolean(key) : otherwise; }
  uint64_t number(const char* key) const {
    const Json& v = at(key);
    if (!v.is_number_unsigned()) bad(key, "a number", v);
    return v.get<uint64_t>();
  }
  char32_t character(const char* key) const {
    const std::string s = string(key);
    if (s.empty() || utf8_len(s[0]) != s.size()) fail(Code::kCorrupt, where_, "expected one character as '{}' of {}, got {}", key, type_, quote(s, 40));
    return decode_utf8(s.data()).c;
  }
  const Json& array(const char* key) const {
    const Json& v = at(key);
    if (!v.is_array()) bad(key, "a list", v);
    return v;
  }
  [[noreturn]] void unknown() const {
    fail(Code::kUnsupported, where_, "expected a stage type of tokenizer.json, got {}", quote(type_, 60));
  }

 private:
  [[noreturn]] void bad(const char* key, const char* expected, const Json& v) const {
    fail(Code::kCorrupt, where_, "expected {} as '{}' of {}, got {}", expected, key, type_.empty() ? "the stage" : type_, v.type_name());
  }

  const Json& json_;
  std::string where_, type_;
};

}  // namespace transom::text
