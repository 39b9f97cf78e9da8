// Wav files in every format and broken ones, resampling against tones, and log-mel features against transformers'.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>

#include "audio/log_mel.h"
#include "support/fixture.h"
#include "support/temp_dir.h"
#include "transom/audio.h"
#include "transom/error.h"

namespace transom {
namespace {

using testing::HasSubstr;

std::string le(uint64_t x, int bytes) {
  std::string s;
  for (int i = 0; i < bytes; ++i) s += static_cast<char>(x >> (8 * i));
  return s;
}

std::string format_chunk(int kind, int channels, int rate, int bits, bool extended = false) {
  const std::string body = le(extended ? 0xFFFE : kind, 2) + le(channels, 2) + le(rate, 4) + le(uint64_t(rate) * channels * bits / 8, 4) +
                           le(channels * bits / 8, 2) + le(bits, 2) + (extended ? le(22, 2) + le(bits, 2) + le(0, 4) + le(kind, 2) + std::string(14, 'g') : "");
  return "fmt " + le(body.size(), 4) + body;
}

std::string riff(const std::string& chunks) { return "RIFF" + le(4 + chunks.size(), 4) + "WAVE" + chunks; }

std::string data_chunk(const std::string& samples) { return "data" + le(samples.size(), 4) + samples; }

Sound read(const std::string& bytes) {
  const test::TempDir dir;
  dir.write("s.wav", bytes);
  return read_wav(dir / "s.wav");
}

std::string complaint(const std::string& bytes) {
  try {
    read(bytes);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Wav, EveryFormat) {
  EXPECT_THAT(read(riff(format_chunk(1, 1, 8000, 8) + data_chunk(le(0, 1) + le(128, 1) + le(192, 1)))).samples, testing::ElementsAre(-1, 0, 0.5));
  EXPECT_THAT(read(riff(format_chunk(1, 1, 8000, 16) + data_chunk(le(0x8000, 2) + le(0x4000, 2)))).samples, testing::ElementsAre(-1, 0.5));
  EXPECT_THAT(read(riff(format_chunk(1, 1, 8000, 24) + data_chunk(le(0x800000, 3) + le(0x400000, 3)))).samples, testing::ElementsAre(-1, 0.5));
  EXPECT_THAT(read(riff(format_chunk(1, 1, 8000, 32, true) + data_chunk(le(0x80000000, 4) + le(0x20000000, 4)))).samples, testing::ElementsAre(-1, 0.25));
  EXPECT_THAT(read(riff(format_chunk(3, 1, 8000, 32) + data_chunk(le(std::bit_cast<uint32_t>(0.75f), 4)))).samples, testing::ElementsAre(0.75));
  EXPECT_THAT(read(riff(format_chunk(3, 1, 8000, 64) + data_chunk(le(std::bit_cast<uint64_t>(-0.75), 8)))).samples, testing::ElementsAre(-0.75));
  const Sound two = read(riff("LIST" + le(3, 4) + "abc" + std::string(1, '\0') + format_chunk(1, 2, 44100, 16) + data_chunk(le(0x4000, 2) + le(0, 2))));
  EXPECT_THAT(two.samples, testing::ElementsAre(0.25));
  EXPECT_EQ(two.rate, 44100);
  EXPECT_THAT(read(riff(format_chunk(1, 1, 8000, 16)) + "data" + le(0xFFFFFFFF, 4) + le(0x4000, 2)).samples, testing::ElementsAre(0.5));
}

TEST(Wav, BrokenFilesAreErrorsThatSayWhere) {
  EXPECT_THAT(complaint(""), HasSubstr("expected a RIFF WAVE file"));
  EXPECT_THAT(complaint("RIFFxxxxAVI "), HasSubstr("expected a RIFF WAVE file"));
  EXPECT_THAT(complaint(riff("")), HasSubstr("expected samples (a chunk \"data\"), got none"));
  EXPECT_THAT(complaint(riff(data_chunk("ab"))), HasSubstr("expected the format before the samples"));
  EXPECT_THAT(complaint(riff(format_chunk(1, 1, 8000, 16) + "data" + le(8, 4) + "ab")), HasSubstr("expected 8 bytes of samples, got 2"));
  EXPECT_THAT(complaint(riff("fmt " + le(4, 4) + "abcd")), HasSubstr("of the format"));
  EXPECT_THAT(complaint(riff(format_chunk(85, 1, 8000, 16) + data_chunk("ab"))), HasSubstr("got format 85 of 16 bits"));
  EXPECT_THAT(complaint(riff(format_chunk(1, 0, 8000, 16) + data_chunk("ab"))), HasSubstr("expected 1 to 64 channels, got 0"));
  EXPECT_THAT(complaint(riff(format_chunk(1, 1, 10, 16) + data_chunk("ab"))), HasSubstr("samples a second, got 10"));
  EXPECT_THAT(complaint(riff(format_chunk(3, 1, 8000, 32) + data_chunk(le(0x7FC00000, 4)))), HasSubstr("expected finite samples"));
  EXPECT_THAT(complaint(riff(format_chunk(1, 1, 8000, 16) + "junk" + le(0xFFFFFFF0, 4))), HasSubstr("of a chunk"));
}

Sound tone(double hertz, int64_t rate, int64_t n) {
  Sound s{.rate = rate, .samples = std::vector<float>(n)};
  const double step = 2 * std::numbers::pi * hertz / static_cast<double>(rate);
  for (int64_t i = 0; i < n; ++i) s.samples[i] = static_cast<float>(std::sin(step * static_cast<double>(i)));
  return s;
}

TEST(Resample, KeepsWhatBothRatesHoldAndNothingElse) {
  for (const int64_t rate : {8000, 11025, 22050, 44100, 48000, 96000, 15999}) {
    const double top = static_cast<double>(std::min<int64_t>(rate, 16000)) / 2;
    for (const double part : {0.01, 0.4, 0.87}) {
      const Sound in = tone(part * top, rate, rate / 2), out = resample(in, 16000), expected = tone(part * top, 16000, 8000);
      ASSERT_NEAR(static_cast<double>(out.samples.size()), 8000, 1);
      for (size_t i = 800; i < 7200; ++i) ASSERT_NEAR(out.samples[i], expected.samples[i], 1.2e-3) << rate << " " << part << " " << i;
    }
    if (rate <= 16000) continue;
    const Sound alias = resample(tone(1.13 * top, rate, rate / 2), 16000);
    for (size_t i = 800; i < 7200; ++i) ASSERT_NEAR(alias.samples[i], 0, 1e-5) << rate;
  }
}

TEST(Resample, TheSameRateIsTheSameSound) { EXPECT_EQ(resample(tone(440, 16000, 99), 16000).samples, tone(440, 16000, 99).samples); }

TEST(LogMel, EqualsTransformers) {
  const Sound sound = read_wav(test::fixture_path("sound/sound.wav"));
  for (const int64_t bins : {80, 128}) {
    const LogMel mel({.bins = bins, .chunk_seconds = 1});
    const std::vector<float> y = mel.features(std::span(sound.samples).first(16000));
    const test::Npy<float> golden = test::read_npy<float>(test::fixture_path("sound/mel_" + std::to_string(bins) + ".npy"));
    ASSERT_EQ(golden.shape, (std::vector<int64_t>{100, bins}));
    ASSERT_EQ(y.size(), golden.data.size());
    for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], golden.data[i], 1e-5) << i;
  }
}

TEST(LogMel, SilenceAndShortSounds) {
  const LogMel mel({.bins = 80, .chunk_seconds = 1});
  const std::vector<float> silent = mel.features({}), one = mel.features(std::vector<float>{0.5f});
  EXPECT_EQ(silent.size(), 8000u);
  EXPECT_THAT(silent, testing::Each(-1.5f));  // (log10(1e-10) + 4) / 4
  EXPECT_EQ(one.size(), 8000u);
}

TEST(Fft, OfAnyLengthIsTheTransform) {
  for (const size_t n : {1, 2, 7, 12, 25, 400}) {
    std::vector<std::complex<double>> x(n), y(n);
    for (size_t i = 0; i < n; ++i) x[i] = {std::sin(1.0 + static_cast<double>(i * i)), std::cos(3.0 * static_cast<double>(i))};
    Fft(n).forward(x, y);
    for (size_t k = 0; k < n; ++k) {
      std::complex<double> sum = 0;
      for (size_t t = 0; t < n; ++t) sum += x[t] * std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k * t % n) / static_cast<double>(n));
      ASSERT_LT(std::abs(sum - y[k]), 1e-9) << n << " " << k;
    }
  }
}

}  // namespace
}  // namespace transom
