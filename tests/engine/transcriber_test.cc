// Speech to text against transformers' generate() for Whisper: segments, times and tokens over several chunks, languages given and
// detected. The fixture's chunks have one second.
#include "transom/transcriber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fixture.h"

namespace transom {
namespace {

using testing::HasSubstr;

Model whisper() { return Model::load(test::fixture_path("whisper"), {.threads = 1}); }
Sound sound() { return read_wav(test::fixture_path("whisper/sound.wav")); }

TEST(Transcriber, SegmentsEqualTransformers) {
  Transcriber t(whisper());
  const Sound heard = sound();
  const Json file = read_json_file(test::fixture_path("whisper/golden.json"));
  for (const Json& golden : file.at("transcripts")) {
    const Json& s = golden.at("settings");
    TranscribeOptions o{.language = s.value("language", ""), .task = s.at("task")};
    o.beams.num_beams = s.value("num_beams", 1);
    const Transcript got = t.transcribe(heard, o);
    ASSERT_EQ(got.segments.size(), golden.at("segments").size()) << s;
    for (size_t i = 0; i < got.segments.size(); ++i) {
      const Json& expected = golden["segments"][i];
      EXPECT_NEAR(got.segments[i].start, expected.at("start").get<double>(), 1e-6) << s << i;
      EXPECT_NEAR(got.segments[i].end, expected.at("end").get<double>(), 1e-6) << s << i;
      auto tokens = expected.at("tokens").get<std::vector<int32_t>>();
      if (tokens.size() == got.segments[i].tokens.size() + 1) tokens.pop_back();  // the timestamp that begins what is heard again
      EXPECT_EQ(got.segments[i].tokens, tokens) << s << i;
    }
  }
}

TEST(Transcriber, EachChunkIsEncodedOnceAndOnceMoreForTheLanguage) {
  Transcriber t(whisper());
  const Transcript given = t.transcribe(sound(), {.language = "fr"});
  const int64_t chunks = t.engine().stats().sources_encoded;
  EXPECT_GE(chunks, 3);
  EXPECT_EQ(given.language, "fr");
  const Transcript found = t.transcribe(sound(), {.language = ""});
  EXPECT_THAT(found.language, testing::AnyOf("en", "fr", "de"));
  EXPECT_EQ(t.engine().stats().state_pages, 0);
}

TEST(Transcriber, WithoutTimestampsAChunkIsASegment) {
  Transcriber t(whisper());
  const Transcript y = t.transcribe(sound(), {.language = "English", .timestamps = false});
  ASSERT_EQ(y.segments.size(), 3u);
  EXPECT_EQ(y.segments[1].start, 1.0);
  EXPECT_NEAR(y.segments[2].end, 2.3, 1e-9);
}

TEST(Transcriber, ReportingCanStopIt) {
  Transcriber t(whisper());
  int reported = 0;
  t.transcribe(sound(), {.language = "en"}, [&](const Segment&) { return ++reported < 1; });
  EXPECT_GE(reported, 1);
  EXPECT_LE(reported, 2);
}

std::string complaint(const TranscribeOptions& o, const Sound& s) {
  try {
    Transcriber(whisper()).transcribe(s, o);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Transcriber, WhatItCannotDoIsOneError) {
  EXPECT_EQ(complaint({.language = "klingon"}, sound()), "language: expected one that the model knows (de, en, fr), got klingon");
  EXPECT_EQ(complaint({.task = "sing"}, sound()), "task: expected transcribe or translate, got sing");
  EXPECT_EQ(complaint({}, {.rate = 16000, .samples = {}}), "sound: expected at least one sample, got none");
  EXPECT_THAT(complaint({}, {.rate = 10, .samples = {0}}), HasSubstr("expected rates from 1000 to 768000"));
  EXPECT_THROW(Transcriber(Model::load(test::fixture_path("bart"), {.threads = 1})), Error);
}

}  // namespace
}  // namespace transom
