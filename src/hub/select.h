// Which of a repository's files are needed, and which of them is opened.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "transom/hub.h"

namespace transom::hub {

struct Selection {
  std::vector<std::string> files;  // weights come last
  std::string opens;               // the file to open; empty: the snapshot's folder
};

// `names` are all the files there are. `read` gives the text of one of them (an index of shards). What is needed and not
// there, and a choice that is not clear, is Code::kNotFound.
Selection select_files(const std::vector<std::string>& names, HubFiles want, const std::string& variant,
                       const std::function<std::string(const std::string& name)>& read);

}  // namespace transom::hub
