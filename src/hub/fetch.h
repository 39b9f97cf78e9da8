// fetch_from_hub() with what the public one takes from the environment or does not show.
#pragma once

#include <string>

#include "hub/download.h"
#include "hub/hub_id.h"
#include "hub/settings.h"
#include "transom/hub.h"

namespace transom::hub {

std::string fetch(const HubId& id, const HubOptions& options, const Settings& settings, const TransferLimits& limits = {});

}  // namespace transom::hub
