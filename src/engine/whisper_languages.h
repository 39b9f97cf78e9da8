// Names of languages ("english") and Whisper's codes of them ("en").
#pragma once

#include <string>
#include <string_view>

namespace transom {

// "" for a name that is not known.
std::string whisper_language_code(std::string_view name);

}  // namespace transom
