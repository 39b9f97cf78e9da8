// Checkpoints whose architecture has no family here.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/source.h"
#include "models/family.h"

namespace transom {

struct GuessedFamily {
  Family family;
  std::string warning;  // what it was taken for
};

// The generic decoder's family (models/generic.h), if it accounts for every tensor and every config key; else
// Error{kUnsupported} that names the nearest family and what differs. Writes what the tensors show into `config`.
GuessedFamily guess_family(const TensorSource& source, Json& config, const std::string& origin, const std::vector<std::string>& names);

}  // namespace transom
