// libFuzzer target: what a hub may answer (a listing, an index of shards, a head) and what a hub id may be. Names that are let through
// stay below the cache.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "hub/api.h"
#include "hub/select.h"

namespace {

using namespace transom;

void require_safe(std::string_view name) {
  if (name.empty() || name[0] == '/' || name.starts_with("../") || name.find("/../") != std::string_view::npos) __builtin_trap();
}

template <class F>
void attempt(F f) {
  try {
    f();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = [&](const std::string&) { return std::string(text); };
  attempt([&] {
    const hub::RepoListing listing = hub::parse_listing(text, "fuzz");
    for (const std::string& name : listing.files) require_safe(name);
    for (const HubFiles want : {HubFiles::kModel, HubFiles::kText})
      attempt([&] {
        for (const std::string& name : hub::select_files(listing.files, want, "", read).files) require_safe(name);
      });
    attempt([&] { hub::select_files(listing.files, HubFiles::kModel, "Q4_K_M", {}); });
  });
  attempt([&] { hub::select_files({"config.json", "model.safetensors.index.json", "a.safetensors"}, HubFiles::kModel, "", read); });
  hub::HttpAnswer answer{.status = 200};
  for (size_t at = 0; at < size; at = std::min(text.find('\n', at), size - 1) + 1)
    hub::read_header_line(text.substr(at, text.find('\n', at) - at), answer.headers);
  answer.retry_after();
  attempt([&] {
    const std::string etag = hub::parse_facts(answer, answer.header("x-repo-commit"), "fuzz").etag;
    if (etag.find_first_of("/.\\") != std::string::npos) __builtin_trap();
  });
  if (const auto id = hub::parse_hub_id(text)) {
    require_safe(id->repo);
    require_safe(id->revision);
  }
  return 0;
}
