// How fast the linear layers of real models run on one kernel table, beside the machine's limits taken in the same rounds:
//   kernels_bench [--kernels NAME] [--threads N] [--rounds N] [--only TEXT] [--cpu-time 0|1]
// For 1, 8, 32 and 512 activation rows: all weights of the model once, as rows a second, GB/s of stored weights, GFLOP/s, and the share of the
// limit, the longer of the times that the probes would take to read the weights and to multiply. Up to 32 rows are sequences that each need
// logits; 512 are a prompt. Weights are random. Medians of rounds; each round probes and runs every case once, so that a slow minute falls
// on all alike.
#include <time.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "tensor/arena.h"
#include "transom/machine.h"

namespace transom {
namespace {

// On a busy machine, one thread's own processor time says more than the clock on the wall (--cpu-time 1, for --threads 1).
bool use_cpu_time = false;
double now() {
  timespec t{};
  clock_gettime(use_cpu_time ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
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
    if (rows <= 32) add(model.head, rows);  // of a prompt only the last row needs logits
    weights_ = host_memory(static_cast<size_t>(bytes_) + 4096);
    auto* words = reinterpret_cast<uint32_t*>(weights_.get());
    for (int64_t i = 0; i < bytes_ / 4; ++i) words[i] = (random() & 0x3bff3bff) | 0x20002000;  // no infinity, NaN or denormal number in any format
    x_.resize(static_cast<size_t>(rows * widest_in_));
    for (uint16_t& v : x_) v = static_cast<uint16_t>(std::bit_cast<uint32_t>(std::normal_distribution<float>()(random)) >> 16);
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
      k.linear({.x = {x_.data(), DType::kBF16, rows_, c.in, c.in}, .segments = segments}, s);
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
  std::vector<uint16_t> x_;  // bfloat16
  std::vector<float> y_;
};

constexpr int64_t kRows[] = {1, 8, 32, 512};

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
  std::printf("%s, %d threads, table %s\n", cpu_info().brand.c_str(), team.size(), table.name);
  for (const Model& m : models()) {
    if (std::string(m.name).find(only) == std::string::npos) continue;
    std::vector<Runner> runners;
    for (const int64_t rows : kRows) runners.emplace_back(m, rows, random);
    std::vector<std::vector<double>> seconds(runners.size()), shares(runners.size());
    std::vector<double> memory, compute;
    for (int r = 0; r < rounds; ++r) {
      const MachineLimits limits = probe_machine_limits(team.size());
      memory.push_back(limits.dram_gb_s), compute.push_back(limits.tflops * 1e3);
      for (size_t i = 0; i < runners.size(); ++i) {
        const double s = runners[i].run(table, stream);
        seconds[i].push_back(s);
        shares[i].push_back(std::max(runners[i].bytes() / limits.dram_gb_s / 1e9, runners[i].flop() / limits.tflops / 1e12) / s);
      }
    }
    std::printf("%s: probes %.1f GB/s, %.0f GFLOP/s\n", m.name, median(memory), median(compute));
    for (size_t i = 0; i < runners.size(); ++i) {
      const double s = median(seconds[i]);
      std::printf("  %4lld rows %8.1f rows/s %6.1f GB/s %6.0f GFLOP/s %4.0f %% of the limit\n", static_cast<long long>(kRows[i]),
                  static_cast<double>(kRows[i]) / s, runners[i].bytes() / s / 1e9, runners[i].flop() / s / 1e9, 100 * median(shares[i]));
    }
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
