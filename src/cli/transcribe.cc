// transom transcribe: speech to text with a Whisper model.
#include <fmt/format.h>

#include <cmath>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_command.h"
#include "transom/transcriber.h"

namespace transom::cli {
namespace {

struct TranscribeFlags {
  std::string file, task = "transcribe", language;
  bool no_timestamps = false;
  int num_beams = 1, max_tokens = 0;
};

double milliseconds(double seconds) { return std::round(seconds * 1000) / 1000; }

// "01:02:03.45"
std::string clock_text(double seconds) {
  const auto hundredths = static_cast<int64_t>(std::llround(seconds * 100));
  return fmt::format("{:02}:{:02}:{:02}.{:02}", hundredths / 360000, hundredths / 6000 % 60, hundredths / 100 % 60, hundredths % 100);
}

int run(const CommonOptions& common, const TranscribeFlags& f) {
  const Sound sound = read_wav(f.file);
  Transcriber transcriber(load_model(common));
  TranscribeOptions o{.language = f.language, .task = f.task, .timestamps = !f.no_timestamps, .max_tokens = f.max_tokens};
  o.beams.num_beams = f.num_beams;
  const Interrupt interrupt;
  const auto report = [&](const Segment& s) {
    const std::string times = f.no_timestamps ? "" : fmt::format("[{} - {}]{}", clock_text(s.start), clock_text(s.end), s.text.starts_with(' ') ? "" : " ");
    if (!common.json) print(times + s.text + "\n");
    return !interrupt.requested();
  };
  const Transcript t = transcriber.transcribe(sound, o, report);
  if (common.json) {
    Json segments = Json::array();
    for (const Segment& s : t.segments)
      segments.push_back({{"start", milliseconds(s.start)}, {"end", milliseconds(s.end)}, {"text", s.text}, {"tokens", s.tokens}});
    print_json({{"language", t.language.empty() ? Json() : Json(t.language)}, {"text", t.text}, {"segments", segments}});
  }
  return interrupt.requested() ? kInterrupted : kDone;
}

}  // namespace

void add_transcribe_command(CLI::App& app, CommonOptions& common) {
  auto f = std::make_shared<TranscribeFlags>();
  CLI::App& c = add_command(app, common, "transcribe", "Speech to text (Whisper), with the times of its segments", [&common, f] { return run(common, *f); });
  c.add_option("file", f->file, "A .wav file")->type_name("FILE.wav")->required();
  c.add_option("--model,--model-path", common.model, "A directory with a Whisper checkpoint, or a hub id in the cache")->type_name("MODEL")->required();
  add_choice(c, "--task", f->task, {"transcribe", "translate"}, "Write what is said, or translate it to English");
  c.add_option("--language", f->language, "What is spoken: en, english …; without it the first 30 seconds tell")->type_name("LANG");
  c.add_flag("--no-timestamps", f->no_timestamps, "One segment each 30 seconds");
  c.add_option("--num-beams", f->num_beams, "Beam search with N beams; 1: none")->type_name("N")->check(CLI::PositiveNumber);
  c.add_option("--max-tokens", f->max_tokens, "Tokens of 30 seconds at most; 0: what the model has positions for")->type_name("N");
  add_json_flag(c, common);
  add_model_flags(c, common);
}

}  // namespace transom::cli
