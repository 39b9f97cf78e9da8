// Hub ids: see hub_id.h.
#include "hub/hub_id.h"

#include <algorithm>

#include "base/error.h"
#include "base/shard_name.h"
#include "transom/hub.h"

namespace transom::hub {
namespace {

constexpr size_t kMaxWord = 96;  // the hub's own bound on org/name

// A mistyped path is no question to the hub.
bool looks_like_file(std::string_view name) {
  for (const std::string_view ending : {".gguf", ".safetensors", ".bin", ".json", ".jinja", ".pt", ".pth"})
    if (name.ends_with(ending)) return true;
  return false;
}

}  // namespace

bool is_repo_word(std::string_view text) {
  return !text.empty() && text.size() <= kMaxWord && text[0] != '.' && text[0] != '-' && text.find("--") == std::string_view::npos &&
         text.find("..") == std::string_view::npos && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '.';
         });
}

bool is_hex(std::string_view text, size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_commit(std::string_view text) { return is_hex(text, 40); }

std::optional<HubId> parse_hub_id(std::string_view text) {
  HubId id;
  if (const size_t colon = text.find(':'); colon != std::string_view::npos) {
    id.variant = text.substr(colon + 1);
    text = text.substr(0, colon);
    if (!is_safe_relative_path(id.variant)) return std::nullopt;
  }
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    id.revision = text.substr(at + 1);
    text = text.substr(0, at);
    if (!is_safe_relative_path(id.revision)) return std::nullopt;
  }
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || !is_repo_word(text.substr(0, slash)) || !is_repo_word(text.substr(slash + 1)))
    return std::nullopt;
  if (looks_like_file(text)) return std::nullopt;
  id.repo = text;
  return id;
}

HubId require_hub_id(std::string_view text) {
  const std::optional<HubId> id = parse_hub_id(text);
  if (!id) fail(Code::kInvalidArgument, quote(text), "expected a hub id: org/name, org/name@revision or org/name:Q4_K_M");
  return *id;
}

std::string folder_name(std::string_view repo) {
  std::string out = "models--";
  for (const char c : repo) out += c == '/' ? std::string("--") : std::string(1, c);
  return out;
}

}  // namespace transom::hub

namespace transom {

bool is_hub_id(std::string_view text) { return hub::parse_hub_id(text).has_value(); }

}  // namespace transom
