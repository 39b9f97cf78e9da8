// read_wav, parse_wav: RIFF WAVE files (Microsoft and IBM 1991; Microsoft's WAVEFORMATEXTENSIBLE). See include/transom/audio.h.
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "audio/wav.h"
#include "base/error.h"
#include "base/file.h"

namespace transom {
namespace {

struct Format {
  uint16_t kind = 0, channels = 0, bits = 0;
  uint32_t rate = 0;
};

constexpr uint16_t kPcm = 1, kFloat = 3, kExtensible = 0xFFFE;

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

  std::span<const std::byte> take(size_t n, const char* what) {
    if (n > bytes_.size()) fail(Code::kCorrupt, path_, "expected {} bytes of {}, got {}", n, what, bytes_.size());
    const auto out = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return out;
  }
  template <class T>
  T number(const char* what) {
    T x;
    std::memcpy(&x, take(sizeof x, what).data(), sizeof x);
    return x;
  }
  std::string_view tag(const char* what) { return {reinterpret_cast<const char*>(take(4, what).data()), 4}; }
  size_t left() const { return bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  const std::string& path_;
};

Format read_format(std::span<const std::byte> chunk, const std::string& path) {
  Reader r(chunk, path);
  Format f;
  f.kind = r.number<uint16_t>("the format");
  f.channels = r.number<uint16_t>("the format");
  f.rate = r.number<uint32_t>("the format");
  r.take(6, "the format");
  f.bits = r.number<uint16_t>("the format");
  if (f.kind == kExtensible) {
    r.take(8, "the extended format");
    f.kind = r.number<uint16_t>("the extended format");  // of a GUID whose other bytes are the same for all
  }
  const bool pcm = f.kind == kPcm && (f.bits == 8 || f.bits == 16 || f.bits == 24 || f.bits == 32);
  if (!pcm && !(f.kind == kFloat && (f.bits == 32 || f.bits == 64)))
    fail(Code::kUnsupported, path, "expected PCM of 8, 16, 24 or 32 bits or floats of 32 or 64, got format {} of {} bits", f.kind, f.bits);
  if (f.channels < 1 || f.channels > 64) fail(Code::kCorrupt, path, "expected 1 to 64 channels, got {}", f.channels);
  if (f.rate < 1000 || f.rate > 768000) fail(Code::kCorrupt, path, "expected 1000 to 768000 samples a second, got {}", f.rate);
  return f;
}

double sample(const std::byte* p, const Format& f) {
  const auto at = [p](int i) { return static_cast<uint32_t>(p[i]); };
  if (f.kind == kFloat && f.bits == 32) return std::bit_cast<float>(at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24);
  if (f.kind == kFloat) {
    double x;
    std::memcpy(&x, p, sizeof x);
    return x;
  }
  if (f.bits == 8) return (static_cast<double>(at(0)) - 128) / 128;
  uint32_t x = 0;  // in the upper bits
  for (int i = 0; i < f.bits / 8; ++i) x |= at(i) << (32 - f.bits + 8 * i);
  return static_cast<double>(static_cast<int32_t>(x)) / 2147483648.0;
}

std::vector<float> read_samples(std::span<const std::byte> data, const Format& f, const std::string& path) {
  const size_t bytes = f.bits / 8, frames = data.size() / (bytes * f.channels);
  std::vector<float> out(frames);
  for (size_t i = 0; i < frames; ++i) {
    double sum = 0;
    for (size_t c = 0; c < f.channels; ++c) sum += sample(data.data() + (i * f.channels + c) * bytes, f);
    out[i] = static_cast<float>(sum / f.channels);
    if (!std::isfinite(out[i])) fail(Code::kCorrupt, path, "expected finite samples, got {} at {}", out[i], i);
  }
  return out;
}

}  // namespace

Sound read_wav(const std::string& path) { return parse_wav(MappedFile::open(path)->bytes(), path); }

Sound parse_wav(std::span<const std::byte> bytes, const std::string& path) {
  static_assert(std::endian::native == std::endian::little);
  Reader r(bytes, path);
  if (r.left() < 12 || r.tag("the header") != "RIFF" || (r.take(4, "the header"), r.tag("the header")) != "WAVE")
    fail(Code::kCorrupt, path, "expected a RIFF WAVE file, got another");
  std::optional<Format> format;
  while (r.left() >= 8) {
    const std::string_view tag = r.tag("a chunk");
    const auto size = r.number<uint32_t>("a chunk");
    if (tag == "data") {
      if (!format) fail(Code::kCorrupt, path, "expected the format before the samples, got none");
      // Written by a program that could not go back: the samples reach to the end.
      const bool open = size == 0 || size == 0xFFFFFFFF;
      return {.rate = format->rate, .samples = read_samples(r.take(open ? r.left() : size, "samples"), *format, path)};
    }
    const auto chunk = r.take(size, "a chunk");
    if (tag == "fmt ") format = read_format(chunk, path);
    if (size % 2 == 1 && r.left() > 0) r.take(1, "padding");
  }
  fail(Code::kCorrupt, path, "expected samples (a chunk \"data\"), got none");
}

}  // namespace transom
