// RopeSpec: see rope.h.
#include "nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace transom::nn {
namespace {

// base^(-2i/d), computed in float as torch does it.
std::vector<float> inverse_frequencies(int64_t dim, double base) {
  std::vector<float> f(dim / 2);
  for (int64_t i = 0; i < dim / 2; ++i)
    f[i] = 1.0f / std::pow(static_cast<float>(base), static_cast<float>(2 * i) / static_cast<float>(dim));
  return f;
}

// "NTK-by-parts" (YaRN section 3.2): high frequencies are kept, low ones interpolated, with a ramp between.
std::vector<float> yarn_frequencies(const Config& c, int64_t dim, double base, double factor, double original) {
  const double fast = c.f("beta_fast", 32), slow = c.f("beta_slow", 1);
  const auto correction = [&](double rotations) {
    return static_cast<double>(dim) * std::log(original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
  };
  double low = correction(fast), high = correction(slow);
  if (c.b("truncate", true)) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim) - 1);
  if (low == high) high += 0.001;
  std::vector<float> f = inverse_frequencies(dim, base);
  for (size_t i = 0; i < f.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    f[i] = static_cast<float>(f[i] / factor * ramp + f[i] * (1 - ramp));
  }
  return f;
}

double yarn_mscale(double scale, double mscale = 1) { return scale <= 1 ? 1.0 : 0.1 * mscale * std::log(scale) + 1.0; }

double yarn_attention_factor(const Config& c, double factor) {
  if (c.has("attention_factor")) return c.f("attention_factor");
  const double m = c.f("mscale", 0), all = c.f("mscale_all_dim", 0);
  return m != 0 && all != 0 ? yarn_mscale(factor, m) / yarn_mscale(factor, all) : yarn_mscale(factor);
}

// Llama 3.1: long wavelengths are divided by factor, short ones kept, smoothly between.
void llama3_scale(const Config& c, std::vector<float>& f, double factor) {
  const double low = c.f("low_freq_factor"), high = c.f("high_freq_factor");
  const double original = c.f("original_max_position_embeddings");
  for (float& x : f) {
    const double wavelength = 2 * std::numbers::pi / x;
    if (wavelength > original / low) {
      x = static_cast<float>(x / factor);
    } else if (wavelength >= original / high) {
      const double smooth = (original / wavelength - low) / (high - low);
      x = static_cast<float>((1 - smooth) * x / factor + smooth * x);
    }
  }
}

std::vector<float> divided(std::vector<float> f, const std::vector<double>& by, const Config& c, const char* key) {
  if (by.size() != f.size())
    fail(Code::kCorrupt, c.origin(), "expected {} numbers in {}, got {}", f.size(), key, by.size());
  for (size_t i = 0; i < f.size(); ++i) f[i] = 1.0f / (static_cast<float>(by[i]) * (1.0f / f[i]));
  return f;
}

void longrope(RopeSpec& r, const Config& c, const Config& top, int64_t dim, double base) {
  const std::vector<float> plain = inverse_frequencies(dim, base);
  r.inv_freq = divided(plain, c.floats("short_factor"), c, "short_factor");
  r.long_inv_freq = divided(plain, c.floats("long_factor"), c, "long_factor");
  const int64_t longest = top.i("max_position_embeddings");
  r.original = c.i("original_max_position_embeddings", top.i("original_max_position_embeddings", longest));
  const double factor = c.f("factor", static_cast<double>(longest) / static_cast<double>(r.original));
  r.factor = factor <= 1 ? 1 : std::sqrt(1 + std::log(factor) / std::log(static_cast<double>(r.original)));
  r.factor = c.f("attention_factor", r.factor);
}

// The frequencies of time, height and width: in that order (Qwen2-VL), or in turn for as long as there are some of height and
// width left (Qwen3-VL).
std::vector<int32_t> mrope_axes(const Config& c, int64_t half) {
  const std::vector<double> sections = c.floats("mrope_section");
  if (sections.empty()) return {};
  double sum = 0;
  for (const double n : sections) sum += n >= 0 && n == std::floor(n) ? n : std::nan("");
  const bool in_turn = c.b("mrope_interleaved", false);
  if (sections.size() != 3 || !(in_turn ? sum >= 0 : sum == static_cast<double>(half)))
    fail(Code::kCorrupt, c.origin(), "expected the {} rotary frequencies as three whole numbers in mrope_section, got {} numbers of sum {}", half,
         sections.size(), sum);
  std::vector<int32_t> axes(half);
  for (int64_t i = 0; i < half; ++i) {
    const auto at = static_cast<double>(i);
    const int64_t turn = i % 3;
    if (in_turn) axes[i] = at < 3 * sections[turn] ? static_cast<int32_t>(turn) : 0;
    else axes[i] = at < sections[0] ? 0 : at < sections[0] + sections[1] ? 1 : 2;
  }
  return axes;
}

void scale(RopeSpec& r, const Config& c, const Config& top, int64_t dim, double base, const std::string& type) {
  r.inv_freq = inverse_frequencies(dim, base);
  if (type == "default" || type == "none" || type == "mrope") return;  // "mrope": in Qwen2-VL's first files
  if (type == "proportional") {  // all pairs rotate, those past the partial factor by nothing (Gemma 4)
    const auto turning = static_cast<size_t>(c.f("partial_rotary_factor", 1) * static_cast<double>(dim) / 2);
    std::fill(r.inv_freq.begin() + static_cast<ptrdiff_t>(std::min(turning, r.inv_freq.size())), r.inv_freq.end(), 0.f);
    for (float& x : r.inv_freq) x = static_cast<float>(x / c.f("factor", 1));
    return;
  }
  if (type == "longrope" || type == "su") return longrope(r, c, top, dim, base);
  if (type == "frequency_factors") {  // a GGUF file's rope_freqs tensor
    r.inv_freq = divided(r.inv_freq, c.floats("factors"), c, "factors");
    return;
  }
  const double factor = c.f("factor");
  if (factor <= 0) fail(Code::kCorrupt, c.origin(), "expected a rope factor > 0, got {}", factor);
  if (type == "linear") {
    for (float& x : r.inv_freq) x = static_cast<float>(x / factor);
  } else if (type == "dynamic") {
    r.dynamic_factor = factor;
    r.base = base;
    r.original = c.i("original_max_position_embeddings", top.i("max_position_embeddings"));
  } else if (type == "yarn") {
    const double original = c.f("original_max_position_embeddings", static_cast<double>(top.i("max_position_embeddings")));
    r.inv_freq = yarn_frequencies(c, dim, base, factor, original);
    r.factor = yarn_attention_factor(c, factor);
    if (const double all = c.f("mscale_all_dim", 0); all != 0) r.key_factor = yarn_mscale(factor, all);
  } else if (type == "llama3") {
    llama3_scale(c, r.inv_freq, factor);
  } else {
    fail(Code::kUnsupported, c.origin(), "expected rope_type default, linear, dynamic, yarn, longrope or llama3, got {}", type);
  }
}

}  // namespace

std::vector<float> RopeSpec::frequencies(int64_t length) const {
  if (!long_inv_freq.empty() && length > original) return long_inv_freq;
  if ((dynamic_factor == 0 && !doubling) || length <= original) return inv_freq;
  const double dim = static_cast<double>(2 * inv_freq.size()), times = static_cast<double>(length) / static_cast<double>(original);
  const double ratio = doubling ? std::exp2(std::ceil(std::log2(times) + 1)) - 1 : dynamic_factor * times - (dynamic_factor - 1);
  return inverse_frequencies(static_cast<int64_t>(2 * inv_freq.size()), base * std::pow(ratio, dim / (dim - 2)));
}

RopeTables RopeSpec::tables(Ctx& cx) const {
  for (const RopeTables& t : cx.rope)
    if (t.key == this) return t;
  RopeTables t = ops::rope_tables(cx, frequencies(cx.batch.max_position), static_cast<float>(factor), axes);
  t.key = this;
  cx.rope.push_back(t);
  return t;
}

RopeSpec plain_rope(int64_t rotary_dim, double theta) {
  RopeSpec r;
  r.inv_freq = inverse_frequencies(rotary_dim, theta);
  return r;
}

RopeSpec rope_from_config(const Config& c, int64_t head_dim, double default_theta, const std::string& layer_type, double default_partial) {
  std::optional<Config> p = c.sub("rope_parameters");
  if (p && !layer_type.empty() && p->has(layer_type.c_str())) p = p->sub(layer_type.c_str());
  const bool modern = p.has_value();
  if (!p) p = c.sub("rope_scaling");
  double theta = c.f("rope_theta", default_theta);
  double partial = c.f("partial_rotary_factor", default_partial);
  std::string type = "default";
  if (p) {
    if (modern) theta = p->f("rope_theta", theta);
    partial = p->f("partial_rotary_factor", partial);
    type = p->s("rope_type", p->s("type", "default"));
    if (p->has("type")) p->ignore("type");
  }
  if (type == "proportional") partial = 1;
  constexpr int64_t kLargestHead = 1 << 16;  // far above any model's; bounds what a config can make us allocate
  if (!(partial > 0 && partial <= 1)) fail(Code::kCorrupt, c.origin(), "expected partial_rotary_factor above 0 and up to 1, got {}", partial);
  const auto dim = head_dim <= kLargestHead ? static_cast<int64_t>(static_cast<double>(head_dim) * partial) : 0;
  if (dim < 2 || dim % 2 != 0 || dim > head_dim || theta <= 0)
    fail(Code::kCorrupt, c.origin(), "expected an even rotary size within the head size {} and a rope_theta > 0, got {} and {}",
         head_dim, dim, theta);
  RopeSpec r;
  if (p) scale(r, *p, c, dim, theta, type), r.axes = mrope_axes(*p, dim / 2);
  else r.inv_freq = inverse_frequencies(dim, theta);
  r.interleaved = c.b("rope_interleaved", false);
  return r;
}

}  // namespace transom::nn
