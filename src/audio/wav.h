// The bytes of a .wav file as sound.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "transom/audio.h"

namespace transom {

// What read_wav (transom/audio.h) gives for a file of these bytes; `path` names them in errors.
Sound parse_wav(std::span<const std::byte> bytes, const std::string& path);

}  // namespace transom
