// The hub's answers: what a revision holds, what a file is, what a refusal means. Nothing in an answer is trusted: names,
// hashes and sizes are checked before they are used.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hub/http.h"
#include "hub/hub_id.h"

namespace transom::hub {

struct RepoListing {
  std::string commit;
  std::vector<std::string> files;  // relative paths, none twice
};

struct FileFacts {
  std::string name, etag, url, location;  // url: the hub's; location: where its bytes are, for a while
  int64_t size = 0;
};

// The answer of /api/models/ORG/NAME/revision/REVISION.
RepoListing parse_listing(std::string_view json, std::string_view where);
// The answer to a HEAD of /ORG/NAME/resolve/COMMIT/FILE.
FileFacts parse_facts(const HttpAnswer& answer, const std::string& commit, std::string_view where);

RepoListing ask_listing(HttpConnection& http, const Settings& settings, const HubId& id);
FileFacts ask_facts(HttpConnection& http, const Settings& settings, const HubId& id, const std::string& commit, const std::string& file);

// Throws what the answer means: a gated or unknown repository, a server that is not well.
[[noreturn]] void fail_answer(const HttpAnswer& answer, const Settings& settings, const HubId& id, std::string_view file = {});

}  // namespace transom::hub
