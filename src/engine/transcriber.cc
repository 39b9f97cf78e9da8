// Transcriber: see include/transom/transcriber.h. The order of tokens and the way from timestamps to segments are Whisper's, as
// transformers' generation_whisper.py has them.
#include "transom/transcriber.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <map>

#include "audio/log_mel.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "engine/loaded_model.h"
#include "engine/whisper_languages.h"

namespace transom {
namespace {

constexpr double kTick = 0.02;  // seconds between two timestamps: of two frames

// The ids of tasks and languages in generation_config.json.
struct Ids {
  std::map<std::string, int32_t> languages, tasks;  // languages as "<|en|>"
  int32_t no_timestamps = -1;
  std::optional<int32_t> max_initial;
};

Ids read_ids(const std::string& directory, int64_t vocab) {
  const std::string file = directory + "/generation_config.json";
  if (!file_exists(file)) fail(Code::kNotFound, directory, "expected generation_config.json beside the weights, got none");
  const Json c = read_json_file(file);
  const auto id = [&](const char* key, const Json& v) {
    if (!v.is_number_unsigned() || v.get<uint64_t>() >= static_cast<uint64_t>(vocab))
      fail(Code::kCorrupt, file, "expected ids below {} for {}, got {}", vocab, key, v.dump());
    return v.get<int32_t>();
  };
  Ids out;
  const auto read = [&](const char* key, std::map<std::string, int32_t>& to) {
    if (const auto it = c.find(key); it != c.end() && it->is_object())
      for (const auto& [name, v] : it->items()) to.emplace(name, id(key, v));
  };
  read("lang_to_id", out.languages);
  read("task_to_id", out.tasks);
  if (!c.contains("no_timestamps_token_id")) fail(Code::kUnsupported, file, "expected no_timestamps_token_id, got none");
  out.no_timestamps = id("no_timestamps_token_id", c["no_timestamps_token_id"]);
  if (const auto it = c.find("max_initial_timestamp_index"); it != c.end() && it->is_number_unsigned()) out.max_initial = it->get<int32_t>();
  return out;
}

std::string lower(std::string s) {
  for (char& c : s) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return s;
}

std::string code_of(const std::string& token) { return token.size() > 4 ? token.substr(2, token.size() - 4) : token; }

}  // namespace

struct Transcriber::Impl {
  Engine engine;
  std::optional<Tokenizer> tokenizer;
  LogMel mel;
  Ids ids;

  Impl(Model m, std::optional<Tokenizer> t)
      : engine(m, {}, t), tokenizer(std::move(t)), mel(read_log_mel_spec(m.path())), ids(read_ids(m.path(), m.vocab_size())) {}

  const Model& model() const { return engine.model(); }

  int32_t language_id(const std::string& wanted) const {
    const std::string word = lower(wanted);
    for (const std::string& token : {word, "<|" + word + "|>", "<|" + whisper_language_code(word) + "|>"})
      if (const auto it = ids.languages.find(token); it != ids.languages.end()) return it->second;
    std::string known;
    for (const auto& [token, id] : ids.languages) known += (known.empty() ? "" : ", ") + code_of(token);
    if (known.empty()) known = "none: it has one language";
    fail(Code::kInvalidArgument, "language", "expected one that the model knows ({}), got {}", known, wanted);
  }

  int32_t detect_language(const Matrix& chunk) {
    const std::vector<int32_t> start = {model().decoder_start_id()};
    const Matrix y = engine.logits({.ids = start, .rows = Engine::Rows::kLast, .features = &chunk}, 0);
    const auto logit = [&](int32_t id) { return y.values[static_cast<size_t>(id)]; };
    const auto less = [&](const auto& a, const auto& b) { return logit(a.second) < logit(b.second); };
    return std::max_element(ids.languages.begin(), ids.languages.end(), less)->second;
  }

  std::string language_name(int32_t id) const {
    for (const auto& [token, other] : ids.languages)
      if (other == id) return code_of(token);
    return "";
  }

  // The tokens with which the decoder begins.
  std::vector<int32_t> prompt(std::optional<int32_t> language, const TranscribeOptions& o) const {
    std::vector<int32_t> p = {model().decoder_start_id()};
    if (language) p.push_back(*language);
    if (const auto it = ids.tasks.find(o.task); it != ids.tasks.end() && language) p.push_back(it->second);
    else if (o.task != "transcribe") fail(Code::kUnsupported, "task", "expected transcribe (the model knows no other), got {}", o.task);
    if (!o.timestamps) p.push_back(ids.no_timestamps);
    return p;
  }

  // What the model says of one chunk, without end tokens.
  std::vector<int32_t> decode(Matrix chunk, const std::vector<int32_t>& prompt, const TranscribeOptions& o) {
    Request r{.prompt = {}, .sampling = model().default_sampling(), .decoder_prompt = prompt, .features = std::move(chunk)};
    const auto room = static_cast<int>(std::min<int64_t>(engine.max_model_len() - static_cast<int64_t>(prompt.size()), std::numeric_limits<int>::max()));
    r.sampling.temperature = 0;
    r.sampling.max_tokens = o.max_tokens > 0 ? std::min(o.max_tokens, room) : room;
    r.sampling.beams = o.beams;
    const std::vector<int32_t>& ends = model().end_ids();
    if (o.timestamps)
      r.sampling.timestamps = TimestampRules{.begin = ids.no_timestamps + 1, .no_timestamps = ids.no_timestamps,
                                             .end_of_text = ends.empty() ? 0 : ends[0], .max_initial = ids.max_initial};
    engine.submit(std::move(r));
    std::vector<int32_t> out;
    std::string error;
    const auto report = [&](const Output& e) {
      if (e.token) out.push_back(*e.token);
      error += e.error;
    };
    while (engine.step(report)) {
    }
    if (!error.empty()) fail(Code::kInternal, "transcribe", "{}", error);
    std::erase_if(out, [&](int32_t id) { return std::find(ends.begin(), ends.end(), id) != ends.end(); });
    return out;
  }

  std::string text_of(const std::vector<int32_t>& tokens) const {
    if (!tokenizer) return "";
    std::vector<int32_t> words;
    for (const int32_t id : tokens)
      if (id <= ids.no_timestamps) words.push_back(id);
    return tokenizer->decode(words, true);
  }

  Segment segment(double offset, double start, double end, std::span<const int32_t> tokens) const {
    Segment s{.start = offset + start, .end = offset + end, .text = {}, .tokens = {tokens.begin(), tokens.end()}};
    s.text = text_of(s.tokens);
    return s;
  }

  // The segments of a chunk of `frames` that begins at `offset` seconds; returns how many frames they take.
  int64_t segments_of(const std::vector<int32_t>& tokens, double offset, int64_t frames, std::vector<Segment>& out) const;
};

int64_t Transcriber::Impl::segments_of(const std::vector<int32_t>& tokens, double offset, int64_t frames, std::vector<Segment>& out) const {
  const int32_t begin = ids.no_timestamps + 1;
  const auto is_time = [&](size_t i) { return tokens[i] >= begin; };
  const auto seconds = [&](int32_t id) { return kTick * (id - begin); };
  const size_t n = tokens.size();
  std::vector<size_t> borders;  // between two timestamps: the end of a segment and the start of the next
  for (size_t i = 0; i + 1 < n; ++i)
    if (is_time(i) && is_time(i + 1)) borders.push_back(i + 1);
  if (borders.empty()) {
    double end = static_cast<double>(frames / 2) * kTick;
    for (size_t i = 0; i < n; ++i)
      if (is_time(i) && tokens[i] != begin) end = seconds(tokens[i]);
    out.push_back(segment(offset, 0, end, tokens));
    return frames;
  }
  const bool complete = n >= 2 && !is_time(n - 2) && is_time(n - 1);  // nothing is said after the last timestamp
  if (complete) borders.push_back(n);
  size_t first = 0;
  for (const size_t border : borders) {
    const std::span<const int32_t> own = std::span(tokens).subspan(first, border - first);
    out.push_back(segment(offset, seconds(own.front()), seconds(own.back()), own));
    first = border;
  }
  if (complete) return frames;
  return int64_t{2} * (tokens[borders.back() - 1] - begin);  // what was cut off is heard again in the next chunk
}

Transcriber::Transcriber(Model model) {
  if (model.source_features() == 0) fail(Code::kUnsupported, "transcribe", "expected a model of speech (Whisper), got {}", model.architecture());
  std::optional<Tokenizer> tokenizer;
  try {
    tokenizer = Tokenizer::load(model.path());
  } catch (const Error& e) {
    if (e.code() != Code::kNotFound) throw;
  }
  impl_ = std::make_unique<Impl>(std::move(model), std::move(tokenizer));
  const LogMelSpec& s = impl_->mel.spec();
  if (s.bins != impl_->model().source_features() || s.frames() != impl_->model().impl().network->source()->positions)
    fail(Code::kCorrupt, impl_->model().path(), "expected preprocessor_config.json to give frames of {} features, {} a chunk, got {} and {}",
         impl_->model().source_features(), impl_->model().impl().network->source()->positions, s.bins, s.frames());
}
Transcriber::~Transcriber() = default;
const Engine& Transcriber::engine() const { return impl_->engine; }

Transcript Transcriber::transcribe(const Sound& sound, const TranscribeOptions& o, const std::function<bool(const Segment&)>& report) {
  Impl& t = *impl_;
  const LogMelSpec& spec = t.mel.spec();
  if (sound.samples.empty()) fail(Code::kInvalidArgument, "sound", "expected at least one sample, got none");
  if (o.task != "transcribe" && o.task != "translate") fail(Code::kInvalidArgument, "task", "expected transcribe or translate, got {}", o.task);
  std::optional<int32_t> language;
  if (!o.language.empty()) language = t.language_id(o.language);
  const Sound heard = resample(sound, spec.rate);
  const std::vector<float> features = t.mel.features(heard.samples);
  const auto total = static_cast<int64_t>(features.size()) / spec.bins;
  Transcript out;
  for (int64_t seek = 0; seek < total;) {
    const int64_t frames = std::min(spec.frames(), total - seek);
    Matrix chunk{.rows = spec.frames(), .cols = spec.bins, .values = std::vector<float>(spec.frames() * spec.bins)};
    std::copy_n(features.begin() + seek * spec.bins, frames * spec.bins, chunk.values.begin());
    if (!language && !t.ids.languages.empty()) language = t.detect_language(chunk);
    const std::vector<int32_t> tokens = t.decode(std::move(chunk), t.prompt(language, o), o);
    const double offset = static_cast<double>(seek * spec.hop) / static_cast<double>(spec.rate);
    std::vector<Segment> found;
    int64_t taken = frames;
    if (o.timestamps) taken = t.segments_of(tokens, offset, frames, found);
    else found.push_back(t.segment(offset, 0, static_cast<double>(frames * spec.hop) / static_cast<double>(spec.rate), tokens));
    seek += taken > 0 ? taken : frames;
    for (Segment& s : found) {
      out.text += s.text;
      out.segments.push_back(std::move(s));
      if (report && !report(out.segments.back())) seek = total;
    }
  }
  if (language) out.language = t.language_name(*language);
  return out;
}

}  // namespace transom
