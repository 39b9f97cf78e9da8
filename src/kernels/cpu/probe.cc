// probe_machine_limits (transom/machine.h): reads a buffer far larger than the caches, and runs independent multiply-adds in registers. Each loop is
// compiled for its instruction set by a target attribute and chosen by CPUID.
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <vector>

#include "base/cpu.h"
#include "base/threads.h"
#include "tensor/arena.h"
#include "transom/machine.h"

namespace transom {
namespace {

using Clock = std::chrono::steady_clock;
// Independent accumulators: latency times throughput on current cores. Loops over them are unrolled, or they would lie in memory.
constexpr int kChains = 12;
constexpr int64_t kSteps = 2'000'000, kAmxSteps = 500'000;

double seconds(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct alignas(64) Sink {
  double value[8];
};

// Four sums of two by two tiles, as a blocked product has them. Tiles hold zeros: products of any numbers take as long.
__attribute__((target("amx-tile,amx-bf16"))) void bf16_amx(Sink& sink) {
  static constexpr struct alignas(64) {  // a constant: GCC 12 believes that loading it reads its first eight bytes only
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } config;
  _tile_loadconfig(&config);  // clears all tiles
  for (int64_t i = 0; i < kAmxSteps; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  sink.value[0] = 1;
}

__attribute__((target("avx512f,avx512bf16"))) void bf16_avx512(Sink& sink) {
  __m512 c[kChains] = {};
  const __m512bh a = (__m512bh)_mm512_set1_epi32(0x3f803f80), b = (__m512bh)_mm512_set1_epi32(0x3f803f80);
  for (int64_t i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      c[j] = _mm512_dpbf16_ps(c[j], a, b);
      __asm__ volatile("" : "+v"(c[j]));
    }
#pragma GCC unroll 12
  for (int j = 1; j < kChains; ++j) c[0] = _mm512_add_ps(c[0], c[j]);
  std::memcpy(&sink, &c[0], sizeof sink);
}

__attribute__((target("avx512f"))) void fp32_avx512(Sink& sink) {
  __m512 c[kChains] = {};
  const __m512 a = _mm512_set1_ps(0.5f);
  for (int64_t i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      c[j] = _mm512_fmadd_ps(a, a, c[j]);
      __asm__ volatile("" : "+v"(c[j]));
    }
#pragma GCC unroll 12
  for (int j = 1; j < kChains; ++j) c[0] = _mm512_add_ps(c[0], c[j]);
  std::memcpy(&sink, &c[0], sizeof sink);
}

__attribute__((target("avx2,fma"))) void fp32_avx2(Sink& sink) {
  __m256 c[kChains] = {};
  const __m256 a = _mm256_set1_ps(0.5f);
  for (int64_t i = 0; i < kSteps; ++i)
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) {
      c[j] = _mm256_fmadd_ps(a, a, c[j]);
      __asm__ volatile("" : "+x"(c[j]));
    }
#pragma GCC unroll 12
  for (int j = 1; j < kChains; ++j) c[0] = _mm256_add_ps(c[0], c[j]);
  std::memcpy(&sink, &c[0], sizeof(__m256));
}

struct Unit {
  void (*run)(Sink&);
  double operations;  // of one run
  const char* name;
};

Unit widest() {
  constexpr double kRuns = double{kChains} * kSteps;
  const Isa& isa = cpu_info().isa;
  if (isa.amx_bf16) return {bf16_amx, 4. * kAmxSteps * 2 * 16 * 16 * 32, "bf16 amx"};
  if (isa.avx512_bf16) return {bf16_avx512, 64 * kRuns, "bf16 avx512"};
  if (isa.avx512f) return {fp32_avx512, 32 * kRuns, "fp32 avx512"};
  if (isa.avx2 && isa.fma) return {fp32_avx2, 16 * kRuns, "fp32 avx2"};
  return {nullptr, 0, ""};
}

// The whole buffer, read once by the team; returns GB/s.
double read_pass(ThreadTeam& team, const std::byte* data, size_t bytes, std::vector<Sink>& sinks) {
  const Clock::time_point start = Clock::now();
  team.run([&](int rank, int size) {
    const TeamRange r = team_range(static_cast<int64_t>(bytes), rank, size, 4096);
    __m128i sum[8] = {};
    for (int64_t i = r.begin; i < r.end; i += 128) {
      _mm_prefetch(reinterpret_cast<const char*>(data + i + 4096), _MM_HINT_T0);
      _mm_prefetch(reinterpret_cast<const char*>(data + i + 4160), _MM_HINT_T0);
      for (int j = 0; j < 8; ++j)
        sum[j] = _mm_xor_si128(sum[j], _mm_load_si128(reinterpret_cast<const __m128i*>(data + i + 16 * j)));
    }
    for (int j = 1; j < 8; ++j) sum[0] = _mm_xor_si128(sum[0], sum[j]);
    std::memcpy(&sinks[rank], &sum[0], sizeof sum[0]);
  });
  return static_cast<double>(bytes) / seconds(start) / 1e9;
}

}  // namespace

MachineLimits probe_machine_limits(int threads) {
  ThreadTeam team(threads);
  constexpr size_t kBytes = size_t{512} << 20;
  MachineLimits limits;
  std::vector<Sink> sinks(team.size());
  const std::shared_ptr<std::byte> buffer = host_memory(kBytes);
  team.run([&](int rank, int size) {
    const TeamRange r = team_range(static_cast<int64_t>(kBytes), rank, size, 4096);
    std::memset(buffer.get() + r.begin, rank + 1, r.end - r.begin);
  });
  for (int pass = 0; pass < 6; ++pass) limits.dram_gb_s = std::max(limits.dram_gb_s, read_pass(team, buffer.get(), kBytes, sinks));
  const Unit unit = widest();
  if (!unit.run) return limits;
  limits.unit = unit.name;
  for (int pass = 0; pass < 3; ++pass) {
    const Clock::time_point start = Clock::now();
    team.run([&](int rank, int) { unit.run(sinks[rank]); });
    limits.tflops = std::max(limits.tflops, unit.operations * team.size() / seconds(start) / 1e12);
  }
  return limits;
}

}  // namespace transom
