// Transcriber: speech to text with a Whisper checkpoint, sound of any length, 30 seconds at a time. One thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transom/audio.h"
#include "transom/engine.h"

namespace transom {

struct TranscribeOptions {
  std::string language;              // "en", "english" or "<|en|>"; "": detected in the first chunk
  std::string task = "transcribe";   // or "translate", to English
  bool timestamps = true;            // false: each chunk is one segment
  BeamParams beams;
  int max_tokens = 0;                // of a chunk; 0: what the model has positions for
};

struct Segment {
  double start = 0, end = 0;  // seconds
  std::string text;
  std::vector<int32_t> tokens;  // timestamps among them, no end token
};

struct Transcript {
  std::string language;  // "en"; "" for a model of one language
  std::string text;
  std::vector<Segment> segments;
};

class Transcriber {
 public:
  // Throws Error{kUnsupported} for a model that is not one of speech, or whose generation_config.json lacks what tasks need.
  explicit Transcriber(Model model);
  ~Transcriber();
  // Sound at any rate. `report` (may be null) is given each segment as soon as it is known; it returns false to stop.
  Transcript transcribe(const Sound& sound, const TranscribeOptions& options = {}, const std::function<bool(const Segment&)>& report = {});
  const Engine& engine() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace transom
