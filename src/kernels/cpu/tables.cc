// The tables by name; see tables.h. A table's row is a function without state, so each table is an instance of the
// templates below over its level.
#include "kernels/cpu/tables.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/cpu/linear.h"
#include "kernels/ref/row.h"

namespace transom::cpu {
namespace {

enum class Level { kAvx2, kAvx512, kAvx512Bf16, kAmx };

Primitives make_primitives(Level level) {
  if (level == Level::kAvx2) return avx2_primitives();
  Primitives p = avx512_primitives();
  if (level == Level::kAvx512) return p;
  add_avx512bf16(p);
  if (level == Level::kAmx) add_amx(p);
  return p;
}

constexpr int64_t kAloneElements = 8192;  // a row with less work runs on the calling thread

template <Level kLevel>
struct Rows {
  static const Primitives& p() {
    static const Primitives primitives = make_primitives(kLevel);
    return primitives;
  }

  // f(begin, end) over rows, in equal parts.
  template <class Call>
  static void by_rows(Stream& s, int64_t rows, int64_t cols, Call&& f) {
    if (rows * cols <= kAloneElements || rows == 1) return f(int64_t{0}, rows);
    s.team->run([&](int rank, int size) {
      const TeamRange r = team_range(rows, rank, size);
      if (r.begin < r.end) f(r.begin, r.end);
    });
  }
  // f(row, begin, end) over all elements: a few long rows are shared as well as many short ones.
  template <class Call>
  static void by_elements(Stream& s, int64_t rows, int64_t cols, Call&& f) {
    const auto part = [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end;) {
        const int64_t row = at / cols, stop = std::min(end, (row + 1) * cols);
        f(row, at - row * cols, stop - row * cols);
        at = stop;
      }
    };
    if (rows * cols <= kAloneElements) return part(0, rows * cols);
    s.team->run([&](int rank, int size) {
      const TeamRange r = team_range(rows * cols, rank, size, 64);
      part(r.begin, r.end);
    });
  }

  static void embedding(const EmbeddingArgs& a, Stream& s) {
    const int64_t bytes = (a.y.cols * 4 + 63) / 64 * 64;
    std::byte* memory = s.scratch(static_cast<size_t>(bytes * s.team->size()));
    const auto rows = [&](int64_t begin, int64_t end, int rank) {
      float* row = reinterpret_cast<float*>(memory + bytes * rank);
      for (int64_t t = begin; t < end; ++t) {
        p().decode(a.weight, a.ids[t], 0, row, a.y.cols);
        p().convert(a.y.dtype, element(a.y, t), DType::kF32, row, a.y.cols, a.scale);
      }
    };
    if (a.y.rows * a.y.cols <= kAloneElements) return rows(0, a.y.rows, 0);
    s.team->run([&](int rank, int size) {
      const TeamRange r = team_range(a.y.rows, rank, size);
      rows(r.begin, r.end, rank);
    });
  }
  static void rms_norm(const NormArgs& a, Stream& s) {
    by_rows(s, a.x.rows, a.x.cols, [&](int64_t b, int64_t e) { p().norm(a, false, b, e); });
  }
  static void layer_norm(const NormArgs& a, Stream& s) {
    by_rows(s, a.x.rows, a.x.cols, [&](int64_t b, int64_t e) { p().norm(a, true, b, e); });
  }
  static void rope_table(const RopeTableArgs& a, Stream& s) {
    by_rows(s, a.cos.rows, a.cos.cols * 8, [&](int64_t b, int64_t e) { p().rope_table(a, b, e); });
  }
  static void rope(const RopeArgs& a, Stream& s) {
    by_rows(s, a.x.rows, a.x.cols, [&](int64_t b, int64_t e) { p().rope(a, b, e); });
  }
  static void keep_row(const View& cache, int64_t slot, const ConstView& from, int64_t t) {
    std::byte* to = static_cast<std::byte*>(cache.data) + row_bytes(cache.dtype, slot * cache.stride);
    const auto* row = static_cast<const std::byte*>(element(from, t));
    if (!is_quantized(cache.dtype)) return p().convert(cache.dtype, to, from.dtype, row, from.cols, 1.f);
    float part[512];
    for (int64_t c = 0; c < from.cols; c += 512) {
      const int64_t n = std::min<int64_t>(512, from.cols - c);
      p().convert(DType::kF32, part, from.dtype, row + c * info(from.dtype).bytes, n, 1.f);
      quantize_row(cache.dtype, part, to + row_bytes(cache.dtype, c), n);
    }
  }
  static void kv_write(const KvWriteArgs& a, Stream& s) {
    by_rows(s, a.k.rows, a.k.cols + a.v.cols, [&](int64_t b, int64_t e) {
      for (int64_t t = b; t < e; ++t) {
        keep_row(a.k_cache, a.slots[t], a.k, t);
        keep_row(a.v_cache, a.slots[t], a.v, t);
      }
    });
  }
  template <bool kOneOrder>
  static void attention(const AttentionArgs& a, Stream& s) {
    run_attention(p(), a, s, kOneOrder);
  }
  static void head_linear(const HeadLinearArgs& a, Stream& s) { run_head_linear(p(), a, s); }
  static void act_mul(const ActMulArgs& a, Stream& s) {
    by_elements(s, a.y.rows, a.y.cols, [&](int64_t t, int64_t b, int64_t e) { p().act_mul(a, t, b, e); });
  }
  static void axpby(const AxpbyArgs& a, Stream& s) {
    by_elements(s, a.y.rows, a.y.cols, [&](int64_t t, int64_t b, int64_t e) { p().axpby(a, t, b, e); });
  }
  static void softcap(const SoftcapArgs& a, Stream& s) {
    by_elements(s, a.y.rows, a.y.cols, [&](int64_t t, int64_t b, int64_t e) { p().softcap(a, t, b, e); });
  }
  static void clamp(const ClampArgs& a, Stream& s) {
    by_elements(s, a.y.rows, a.y.cols, [&](int64_t t, int64_t b, int64_t e) { p().clamp(a, t, b, e); });
  }
  // One sequence after another, its rows in equal parts. A frame is converted once, and then spread.
  static void unfold_rows(const UnfoldRowsArgs& a, Stream& s) {
    const int64_t size = info(a.y.dtype).bytes, bytes = (a.x.cols * size + 63) / 64 * 64;
    std::byte* memory = s.scratch(static_cast<size_t>(bytes * s.team->size()));
    const auto frames = [&](int32_t q, int64_t b, int64_t e, std::byte* frame) {
      const int64_t first = a.x_start[q], length = a.x_start[q + 1] - first;
      for (int64_t i = b; i < e; ++i)
        for (int64_t w = 0; w < a.width; ++w) {
          const int64_t at = i * a.stride + w - 1;
          if (at >= 0 && at < length) p().convert(a.y.dtype, frame, a.x.dtype, element(a.x, first + at), a.x.cols, 1.f);
          else std::memset(frame, 0, static_cast<size_t>(bytes));
          std::byte* to = element(a.y, a.y_start[q] + i) + w * size;
          size == 2 ? spread<uint16_t>(frame, to, a.x.cols, a.width) : spread<uint32_t>(frame, to, a.x.cols, a.width);
        }
    };
    for (int32_t q = 0; q < a.count; ++q) {
      const int64_t rows = a.y_start[q + 1] - a.y_start[q];
      if (rows * a.y.cols <= kAloneElements) {
        frames(q, 0, rows, memory);
        continue;
      }
      s.team->run([&](int rank, int n) {
        const TeamRange r = team_range(rows, rank, n);
        frames(q, r.begin, r.end, memory + rank * bytes);
      });
    }
  }
  static void gather_rows(const GatherRowsArgs& a, Stream& s) {
    by_rows(s, a.y.rows, a.y.cols, [&](int64_t b, int64_t e) {
      for (int64_t t = b; t < e; ++t)
        p().convert(a.y.dtype, element(a.y, t), a.x.dtype, element(a.x, a.rows[t]), a.y.cols, 1.f);
    });
  }
  static void routing(const RoutingArgs& a, Stream& s) {
    by_rows(s, a.logits.rows, a.logits.cols * a.rule.top_k, [&](int64_t b, int64_t e) {
      for (int64_t t = b; t < e; ++t) ref::route_row(a, t);
    });
    ref::sort_pairs(a);
  }
  // Sums in float, whatever the type of y.
  static void combine_rows(const CombineRowsArgs& a, Stream& s) {
    const int64_t k = a.weights.cols, bytes = (a.y.cols * 4 + 63) / 64 * 64;
    std::byte* memory = s.scratch(static_cast<size_t>(bytes * s.team->size()));
    const auto rows = [&](int64_t begin, int64_t end, int rank) {
      View sum{memory + bytes * rank, DType::kF32, 1, a.y.cols, a.y.cols};
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t j = 0; j < k; ++j) {
          float w;
          p().convert(DType::kF32, &w, a.weights.dtype, element(a.weights, t) + j * info(a.weights.dtype).bytes, 1, 1.f);
          const int64_t pair = t * k + j;
          ConstView x = a.x;
          x.data = element(a.x, a.positions ? a.positions[pair] : pair);
          p().axpby({.x = x, .y = sum, .a = w, .b = j > 0 ? 1.f : 0.f}, 0, 0, a.y.cols);
        }
        p().convert(a.y.dtype, element(a.y, t), DType::kF32, sum.data, a.y.cols, 1.f);
      }
    };
    if (a.y.rows * a.y.cols * k <= kAloneElements) return rows(0, a.y.rows, 0);
    s.team->run([&](int rank, int size) {
      const TeamRange r = team_range(a.y.rows, rank, size);
      rows(r.begin, r.end, rank);
    });
  }
  // f(task, the thread's scratch) over all tasks.
  template <class Call>
  static void by_tasks(Stream& s, int64_t tasks, int64_t work, int64_t floats, Call&& f) {
    const int64_t bytes = (floats * 4 + 63) / 64 * 64;
    std::byte* memory = s.scratch(static_cast<size_t>(bytes * s.team->size()));
    const auto part = [&](TeamRange r, int rank) {
      for (int64_t i = r.begin; i < r.end; ++i) f(i, reinterpret_cast<float*>(memory + bytes * rank));
    };
    if (work <= kAloneElements) return part({0, tasks}, 0);
    s.team->run([&](int rank, int size) { part(team_range(tasks, rank, size), rank); });
  }
  // f(sequence, columns, scratch) over blocks of columns; the sequences of a block follow each other, so that every thread gets
  // some of the long ones.
  template <class Call>
  static void by_columns(Stream& s, const RecurrentTable& seqs, const ConstView& x, int64_t floats, Call&& f) {
    constexpr int64_t kColumns = 2 * kMostLanes;
    const int64_t blocks = (x.cols + kColumns - 1) / kColumns;
    by_tasks(s, blocks * seqs.count, x.rows * x.cols, floats, [&](int64_t i, float* scratch) {
      const int64_t begin = i / seqs.count * kColumns;
      f(static_cast<int32_t>(i % seqs.count), begin, std::min(begin + kColumns, x.cols), scratch);
    });
  }
  static void causal_conv(const CausalConvArgs& a, Stream& s) {
    by_columns(s, a.seqs, a.x, 2 * a.width * kMostLanes,
               [&](int32_t i, int64_t b, int64_t e, float* scratch) { p().causal_conv(a, i, b, e, scratch); });
  }
  static void time_step(const TimeStepArgs& a, Stream& s) {
    by_elements(s, a.x.rows, a.x.cols, [&](int64_t t, int64_t b, int64_t e) { p().time_step(a, t, b, e); });
  }
  static void linear_recurrence(const LinearRecurrenceArgs& a, Stream& s) {
    const int64_t dk = a.q.cols / a.key_heads, dv = a.v.cols / a.heads, width = p().recurrence_columns();
    const int64_t parts = (dv + width - 1) / width;  // of a head
    by_tasks(s, a.heads * parts * a.seqs.count, a.v.rows * a.v.cols * dk, dk * (width + 2), [&](int64_t i, float* scratch) {
      const int64_t part = i / a.seqs.count;
      p().linear_recurrence(a, static_cast<int32_t>(i % a.seqs.count), part / parts, part % parts * width, scratch);
    });
  }
  static void selective_scan(const SelectiveScanArgs& a, Stream& s) {
    by_columns(s, a.seqs, a.x, 2 * a.b.cols * (kMostLanes + 1),
               [&](int32_t i, int64_t b, int64_t e, float* scratch) { p().selective_scan(a, i, b, e, scratch); });
  }
  static void wkv(const WkvArgs& a, Stream& s) {
    by_columns(s, a.seqs, a.k, 0, [&](int32_t i, int64_t b, int64_t e, float*) { p().wkv(a, i, b, e); });
  }
  template <bool kOneOrder>
  static void expert_linear(const ExpertLinearArgs& a, Stream& s) {
    run_expert_linear(p(), a, s, kOneOrder);
  }
  template <bool kOneOrder>
  static void linear(const LinearArgs& a, Stream& s) {
    run_linear(p(), a, s, kOneOrder);
  }

  static Kernels make(const char* name, bool one_order) {
    Kernels k = ref_kernels();
    k.name = name;
    k.embedding = embedding;
    k.linear = one_order ? linear<true> : linear<false>;
    k.rms_norm = rms_norm;
    k.layer_norm = layer_norm;
    k.rope_table = rope_table;
    k.rope = rope;
    k.kv_write = kv_write;
    k.attention = one_order ? attention<true> : attention<false>;
    k.latent_attention = nullptr;  // composed: with dense products
    k.head_linear = head_linear;
    k.act_mul = act_mul;
    k.axpby = axpby;
    k.softcap = softcap;
    k.clamp = clamp;
    k.unfold_rows = unfold_rows;
    k.gather_rows = gather_rows;
    k.routing = routing;
    k.expert_linear = one_order ? expert_linear<true> : expert_linear<false>;
    k.combine_rows = combine_rows;
    k.causal_conv = causal_conv;
    k.time_step = time_step;
    k.linear_recurrence = linear_recurrence;
    k.selective_scan = selective_scan;
    k.wkv = wkv;
    return k;
  }

 private:
  // to[i * step] = from[i].
  template <class Element>
  static void spread(const std::byte* from, std::byte* to, int64_t count, int64_t step) {
    const auto* source = reinterpret_cast<const Element*>(from);
    auto* target = reinterpret_cast<Element*>(to);
    for (int64_t i = 0; i < count; ++i) target[i * step] = source[i];
  }
  static std::byte* element(const View& v, int64_t row) {
    return static_cast<std::byte*>(v.data) + row * v.stride * info(v.dtype).bytes;
  }
  static const std::byte* element(const ConstView& v, int64_t row) {
    return static_cast<const std::byte*>(v.data) + row * v.stride * info(v.dtype).bytes;
  }
};

bool runs(Level level, const Isa& isa) {
  const bool avx2 = isa.avx2 && isa.fma && isa.f16c && isa.bmi2;
  const bool avx512 = avx2 && isa.avx512f && isa.avx512bw && isa.avx512vl && isa.avx512dq && isa.avx512_vnni;
  switch (level) {
    case Level::kAvx2: return avx2;
    case Level::kAvx512: return avx512;
    case Level::kAvx512Bf16: return avx512 && isa.avx512_bf16;
    case Level::kAmx: return avx512 && isa.avx512_bf16 && isa.amx_tile && isa.amx_bf16;
  }
  return false;
}

template <Level kLevel, bool kOneOrder>
const Kernels& table();

struct Entry {
  const char* name;
  Level level;
  const Kernels& (*table)();
};
constexpr Entry kEntries[] = {
    {"amx", Level::kAmx, table<Level::kAmx, false>},
    {"amx+deterministic", Level::kAmx, table<Level::kAmx, true>},
    {"avx512bf16", Level::kAvx512Bf16, table<Level::kAvx512Bf16, false>},
    {"avx512bf16+deterministic", Level::kAvx512Bf16, table<Level::kAvx512Bf16, true>},
    {"avx512", Level::kAvx512, table<Level::kAvx512, false>},
    {"avx512+deterministic", Level::kAvx512, table<Level::kAvx512, true>},
    {"avx2", Level::kAvx2, table<Level::kAvx2, false>},
    {"avx2+deterministic", Level::kAvx2, table<Level::kAvx2, true>},
};

template <Level kLevel, bool kOneOrder>
const Kernels& table() {
  const auto* entry = std::find_if(std::begin(kEntries), std::end(kEntries),
                                   [](const Entry& e) { return e.table == table<kLevel, kOneOrder>; });
  static const Kernels kernels = Rows<kLevel>::make(entry->name, kOneOrder);
  return kernels;
}

}  // namespace

const Kernels* find_table(std::string_view name, const Isa& isa) {
  for (const Entry& e : kEntries)
    if (e.name == name && runs(e.level, isa)) return &e.table();
  return nullptr;
}

std::vector<std::string_view> table_names(const Isa& isa) {
  std::vector<std::string_view> names;
  for (const Entry& e : kEntries)
    if (runs(e.level, isa)) names.push_back(e.name);
  return names;
}

}  // namespace transom::cpu
