// Config: config.json with every read tracked, so that a key with a meaning that nobody consumed (a silently ignored
// rope_scaling) can be reported. Reads name the key, what was expected and what was found. A GGUF file's metadata is
// translated into the same form (checkpoint/gguf_names). Values are cheap to copy: they share the document and the record.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace transom {

class Config {
 public:
  // `origin` is the path used in errors. The top level must be an object.
  Config(Json document, std::string origin);

  // Required reads: Error{kCorrupt} when the key is absent or of another type. Integers must fit and be >= 0.
  int64_t i(const char* key) const;
  double f(const char* key) const;
  bool b(const char* key) const;
  std::string s(const char* key) const;
  // A size or count: a whole number from 1 to 2^31 - 1, so that products of two are safe and division is.
  int64_t size(const char* key) const;
  int64_t size(const char* key, int64_t otherwise) const;
  // Reads with a default for an absent or null key.
  int64_t i(const char* key, int64_t otherwise) const;
  double f(const char* key, double otherwise) const;
  bool b(const char* key, bool otherwise) const;
  std::string s(const char* key, std::string otherwise) const;
  // Lists; empty when absent or null.
  std::vector<double> floats(const char* key) const;
  std::vector<std::string> strings(const char* key) const;

  bool has(const char* key) const;  // present and not null; does not count as a read
  bool is_null(const char* key) const;  // present and null: some defaults hold for an absent key only
  // The object under `key`, its reads tracked as "key.inner"; nullopt when absent or null.
  std::optional<Config> sub(const char* key) const;
  // The raw value, counted as read (with all below it); null when absent.
  Json raw(const char* key) const;
  // Error{kUnsupported} "expected <expected> for <key>, got <its value>" unless ok.
  void require(bool ok, const char* key, std::string_view expected) const;
  // Marks a key as consumed because it is known to have no effect here.
  void ignore(const char* key) const;

  const std::string& origin() const;
  const Json& document() const;
  // Full paths of the keys that nobody has read, in document order.
  std::vector<std::string> unread() const;

 private:
  struct Shared {
    Json root;
    std::string origin;
    std::set<std::string> read;
  };
  Config(std::shared_ptr<Shared> shared, const Json* node, std::string prefix);
  const Json* find(const char* key) const;  // marks as read
  const Json& need(const char* key) const;
  [[noreturn]] void wrong(const char* key, std::string_view expected, const Json& found) const;

  std::shared_ptr<Shared> shared_;
  const Json* node_;
  std::string prefix_;  // "" or "rope_parameters."
};

// pad_token_id, -1 when there is none (older configs write -1 themselves).
int64_t padding_id(const Config& config);

// How the unread keys are judged: those a transformers config class of this model defines (`known`) are errors, keys
// that never change a result (use_cache, initializer_range …) are nothing, the rest are warnings.
struct UnreadKeys {
  std::vector<std::string> errors, warnings;
};
UnreadKeys judge_unread(const Config& config, const std::vector<std::string_view>& known);

}  // namespace transom
