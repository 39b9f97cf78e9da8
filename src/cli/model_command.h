// What the commands that run a model share: loading it by the common flags, ids from the command line, matrices as JSON.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "transom/engine.h"

namespace transom::cli {

ModelOptions model_options(const CommonOptions& common);
Model load_model(const CommonOptions& common);

// "1,2,3" or "1 2 3"; a UsageError names what is no id.
std::vector<int32_t> parse_ids(const std::string& text);

// [[…], …] with every float in full precision (the shortest text that reads back as the same float).
Json matrix_json(const Matrix& m);

}  // namespace transom::cli
