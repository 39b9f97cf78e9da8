// How fast the linear layers of real models run on one kernel table, beside probes of this machine taken in the same rounds:
//   kernels_bench [--kernels NAME] [--threads N] [--rounds N] [--only TEXT] [--cpu-time 0|1]
// decode: one activation row, all weights of the model once, as GB/s of stored weights and as a share of the probe that
// reads memory. prefill: 512 rows, as GFLOP/s and as a share of the faster of the fp32 and bf16 probes. Weights are random.
// Medians of rounds; each round runs the probes and every case once, so that a slow minute falls on all alike.
#include <immintrin.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "tensor/arena.h"
#include "tensor/half.h"

namespace transom {
namespace {

// On a busy machine, one thread's own processor time says more than the clock on the wall (--cpu-time 1, for --threads 1).
bool use_cpu_time = false;
double now() {
  timespec t{};
  clock_gettime(use_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// --- Probes.

[[gnu::target("avx2")]] uint64_t read_memory(const std::byte* p, size_t n) {
  __m256i s = _mm256_setzero_si256();
  for (size_t i = 0; i < n; i += 256) {
    for (int j = 0; j < 256; j += 64) _mm_prefetch(reinterpret_cast<const char*>(p) + i + j + 2048, _MM_HINT_T0);
    for (int j = 0; j < 256; j += 32)
      s = _mm256_or_si256(s, _mm256_load_si256(reinterpret_cast<const __m256i*>(p + i + j)));
  }
  return static_cast<uint64_t>(_mm256_extract_epi64(s, 0) | _mm256_extract_epi64(s, 3));
}

constexpr int kChains = 12, kSteps = 200000;
[[gnu::target("avx2,fma")]] float fma_avx2() {
  __m256 a[kChains], u = _mm256_set1_ps(1e-3f), v = u;
  for (auto& x : a) x = u;
  asm volatile("" : "+x"(u), "+x"(v));
  for (int i = 0; i < kSteps; ++i)
    for (auto& x : a) x = _mm256_fmadd_ps(u, v, x);
  float f = 0;
  for (auto& x : a) f += _mm256_cvtss_f32(x);
  return f;
}
[[gnu::target("avx512f")]] float fma_avx512() {
  __m512 a[kChains], u = _mm512_set1_ps(1e-3f), v = u;
  for (auto& x : a) x = u;
  asm volatile("" : "+v"(u), "+v"(v));
  for (int i = 0; i < kSteps; ++i)
    for (auto& x : a) x = _mm512_fmadd_ps(u, v, x);
  float f = 0;
  for (auto& x : a) f += _mm512_cvtss_f32(x);
  return f;
}
[[gnu::target("avx512f,avx512bf16")]] float dot_bf16() {
  __m512 a[kChains], one = _mm512_set1_ps(1e-3f);
  __m512bh u, v;
  std::memcpy(&u, &one, sizeof u);
  v = u;
  for (auto& x : a) x = one;
  asm volatile("" : "+v"(u), "+v"(v));
  for (int i = 0; i < kSteps; ++i)
    for (auto& x : a) x = _mm512_dpbf16_ps(x, u, v);
  float f = 0;
  for (auto& x : a) f += _mm512_cvtss_f32(x);
  return f;
}

struct Probes {
  double memory = 0, compute = 0;  // bytes/s, flop/s
};
Probes probe(ThreadTeam& team, const std::byte* buffer, size_t size) {
  volatile uint64_t keep = 0;
  volatile float kept = 0;
  Probes p;
  double t = now();
  team.run([&](int rank, int n) {
    const size_t part = size / n / 4096 * 4096;
    keep = keep + read_memory(buffer + rank * part, part - 4096);
  });
  p.memory = static_cast<double>(size) / (now() - t);
  const Isa& isa = cpu_info().isa;
  const auto rate = [&](float (*f)(), double flop) {
    t = now();
    team.run([&](int, int) { kept = kept + f(); });
    p.compute = std::max(p.compute, team.size() * double{kChains} * kSteps * flop / (now() - t));
  };
  if (isa.avx2) rate(fma_avx2, 16);
  if (isa.avx512f) rate(fma_avx512, 32);
  if (isa.avx512_bf16) rate(dot_bf16, 64);
  return p;
}

// --- Models: what one layer's linear calls read.

struct Call {
  int64_t in;
  std::vector<std::pair<DType, int64_t>> segments;  // format, outputs
};
struct Model {
  const char* name;
  int layers;
  std::vector<Call> layer;
  Call head;
};
std::vector<Model> models() {
  using enum DType;
  std::vector<Model> m = {
      {"SmolLM2-135M Q4_1", 30,
       {{576, {{kQ4_1, 576}, {kQ4_1, 192}, {kQ4_1, 192}}}, {576, {{kQ4_1, 576}}}, {576, {{kQ4_1, 1536}, {kQ4_1, 1536}}}, {1536, {{kQ4_1, 576}}}},
       {576, {{kQ8_0, 49152}}}},
      {"Gemma 3 270M Q4_K_M", 18,
       {{640, {{kQ5_0, 1024}, {kQ5_0, 256}, {kQ8_0, 256}}}, {1024, {{kQ4_K, 640}}}, {640, {{kQ5_0, 2048}, {kQ5_0, 2048}}}, {2048, {{kQ6_K, 640}}}},
       {640, {{kQ8_0, 262144}}}},
      {"Whisper tiny BF16", 4,
       {{384, {{kBF16, 384}, {kBF16, 384}, {kBF16, 384}}}, {384, {{kBF16, 384}}}, {384, {{kBF16, 384}}}, {384, {{kBF16, 384}}}, {384, {{kBF16, 1536}}},
        {1536, {{kBF16, 384}}}},
       {384, {{kBF16, 51865}}}},
  };
  for (const auto& [name, t] : {std::pair{"Llama 1B Q4_0", kQ4_0}, {"Llama 1B Q4_K", kQ4_K}, {"Llama 1B Q8_0", kQ8_0}, {"Llama 1B BF16", kBF16},
                                {"Llama 1B F16", kF16}})
    m.push_back({name, 16, {{2048, {{t, 2048}, {t, 512}, {t, 512}}}, {2048, {{t, 2048}}}, {2048, {{t, 8192}, {t, 8192}}}, {8192, {{t, 2048}}}},
                 {2048, {{t, 128256}}}});
  return m;
}

// Weights lie in one buffer, one after the other, as in a file.
class Runner {
 public:
  Runner(const Model& model, int64_t rows, std::mt19937& random) : rows_(rows) {
    for (int i = 0; i < model.layers; ++i)
      for (const Call& c : model.layer) add(c, rows);
    if (rows == 1) add(model.head, 1);  // of a prompt only the last row needs logits
    weights_ = host_memory(static_cast<size_t>(bytes_) + 4096);
    auto* words = reinterpret_cast<uint32_t*>(weights_.get());
    for (int64_t i = 0; i < bytes_ / 4; ++i) words[i] = random() & 0x3bff3bff;  // no infinity, no NaN, in any format
    x_.resize(static_cast<size_t>(rows * widest_in_));
    for (float& f : x_) f = std::normal_distribution<float>()(random);
    y_.resize(static_cast<size_t>(rows * widest_out_));
  }
  double bytes() const { return static_cast<double>(bytes_); }
  double flop() const { return flop_; }
  double run(const Kernels& k, Stream& s) {
    const double t = now();
    int64_t at = 0;
    for (const Call& c : calls_) {
      std::vector<LinearSegment> segments;
      int64_t column = 0;
      for (const auto& [type, n] : c.segments) {
        const int64_t row = row_bytes(type, c.in);
        segments.push_back({{weights_.get() + at, type, n, c.in, row}, nullptr, {y_.data() + column, DType::kF32, rows_, n, widest_out_}});
        at += n * row;
        column += n;
      }
      k.linear({.x = {x_.data(), DType::kF32, rows_, c.in, c.in}, .segments = segments}, s);
    }
    return now() - t;
  }

 private:
  void add(const Call& c, int64_t rows) {
    calls_.push_back(c);
    int64_t out = 0;
    for (const auto& [type, n] : c.segments) bytes_ += n * row_bytes(type, c.in), out += n;
    flop_ += 2.0 * static_cast<double>(rows * c.in * out);
    widest_in_ = std::max(widest_in_, c.in);
    widest_out_ = std::max(widest_out_, out);
  }
  int64_t rows_, bytes_ = 0, widest_in_ = 0, widest_out_ = 0;
  double flop_ = 0;
  std::vector<Call> calls_;
  std::shared_ptr<std::byte> weights_;
  std::vector<float> x_, y_;
};

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

int run(int argc, char** argv) {
  std::string kernels = "auto", only;
  int threads = 0, rounds = 7;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--kernels") kernels = argv[i + 1];
    if (flag == "--threads") threads = std::atoi(argv[i + 1]);
    if (flag == "--rounds") rounds = std::atoi(argv[i + 1]);
    if (flag == "--cpu-time") use_cpu_time = std::string(argv[i + 1]) == "1";
    if (flag == "--only") only = argv[i + 1];
  }
  const Kernels& table = kernels_by_name(kernels);
  ThreadTeam team(threads);
  Stream stream;
  stream.team = &team;
  std::mt19937 random(1);
  const size_t size = size_t{512} << 20;
  const auto buffer = host_memory(size);
  std::memset(buffer.get(), 1, size);
  std::printf("%s, %d threads, table %s\n", cpu_info().brand.c_str(), team.size(), table.name);
  for (const Model& m : models()) {
    if (std::string(m.name).find(only) == std::string::npos) continue;
    Runner decode(m, 1, random), prefill(m, 512, random);
    std::vector<double> memory, compute, decode_s, prefill_s, decode_share, prefill_share;
    for (int r = 0; r < rounds; ++r) {
      const Probes p = probe(team, buffer.get(), size);
      const double d = decode.run(table, stream), f = prefill.run(table, stream);
      memory.push_back(p.memory), compute.push_back(p.compute), decode_s.push_back(d), prefill_s.push_back(f);
      decode_share.push_back(decode.bytes() / d / p.memory), prefill_share.push_back(prefill.flop() / f / p.compute);
    }
    std::printf("%-20s probes %5.1f GB/s %5.0f GFLOP/s | decode %6.1f tok/s %5.1f GB/s %3.0f %% | prefill %6.0f tok/s %5.0f GFLOP/s %3.0f %%\n",
                m.name, median(memory) / 1e9, median(compute) / 1e9, 1 / median(decode_s), decode.bytes() / median(decode_s) / 1e9,
                100 * median(decode_share), 512 / median(prefill_s), prefill.flop() / median(prefill_s) / 1e9, 100 * median(prefill_share));
  }
  return 0;
}

}  // namespace
}  // namespace transom

int main(int argc, char** argv) {
  try {
    return transom::run(argc, argv);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
