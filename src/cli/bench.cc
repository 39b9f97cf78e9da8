// transom bench: prefill and decode speed beside the machine's measured limits.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "cli/command.h"
#include "cli/model_command.h"
#include "transom/machine.h"

namespace transom::cli {
namespace {

struct BenchFlags {
  int64_t pp = 512, tg = 32, batch = 1, prompt = 16, rounds = 3;
  bool attention = false, no_limits = false;
};

struct Spread {
  std::vector<double> values;
  Json json() {
    if (values.empty()) return nullptr;
    std::sort(values.begin(), values.end());
    return {{"min", values.front()}, {"median", values[values.size() / 2]}, {"max", values.back()}};
  }
};

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Bench {
 public:
  Bench(Engine& engine, const BenchFlags& flags) : engine_(engine), flags_(flags) {}

  double prefill() {
    const auto ids = random_ids(flags_.pp);
    const Engine::SequenceId s = engine_.open();
    const Engine::Feed feed{.sequence = s, .ids = ids};
    const Clock::time_point start = Clock::now();
    engine_.forward({&feed, 1});
    const double t = since(start);
    engine_.close(s);
    return static_cast<double>(flags_.pp) / t;
  }

  double decode() {
    std::vector<Engine::SequenceId> open;
    std::vector<std::vector<int32_t>> ids;
    std::vector<Engine::Feed> feeds;
    for (int64_t i = 0; i < flags_.batch; ++i) {
      open.push_back(engine_.open());
      ids.push_back(random_ids(flags_.prompt));
      const Engine::Feed prompt{.sequence = open.back(), .ids = ids.back()};
      engine_.forward({&prompt, 1});
    }
    const Clock::time_point start = Clock::now();
    for (int64_t step = 0; step < flags_.tg; ++step) {
      feeds.clear();
      for (int64_t i = 0; i < flags_.batch; ++i) {
        ids[i] = random_ids(1);
        feeds.push_back({.sequence = open[i], .ids = ids[i]});
      }
      engine_.forward(feeds);
    }
    const double t = since(start);
    for (const Engine::SequenceId s : open) engine_.close(s);
    return static_cast<double>(flags_.tg * flags_.batch) / t;
  }

 private:
  std::vector<int32_t> random_ids(int64_t n) {
    std::uniform_int_distribution<int32_t> any(0, static_cast<int32_t>(engine_.model().vocab_size()) - 1);
    std::vector<int32_t> ids(n);
    for (int32_t& id : ids) id = any(random_);
    return ids;
  }
  Engine& engine_;
  const BenchFlags& flags_;
  std::mt19937 random_{1};
};

void print_table(const Json& r) {
  const auto row = [](const char* name, const Json& s, const char* unit) {
    if (!s.is_null()) print(fmt::format("{:<10} {:10.1f} {} (min {:.1f}, max {:.1f})\n", name, s["median"].get<double>(), unit,
                                        s["min"].get<double>(), s["max"].get<double>()));
  };
  print(fmt::format("{}: {:.3f} GB of weights, loaded in {:.3f} s, kernels {}\n", r["arch"].get<std::string>(), r["weights_gb"].get<double>(),
                    r["load_s"].get<double>(), r["kernels"].get<std::string>()));
  row("prefill", r["prefill_tok_s"], "tok/s");
  row("decode", r["decode_tok_s"], "tok/s");
  if (!r["limits"].is_null())
    print(fmt::format("limits     {:10.1f} GB/s DRAM, {:.3f} TFLOP/s {}; prefill uses {:.0f} %, decode {:.0f} %\n",
                      r["limits"]["dram_gb_s"].get<double>(), r["limits"]["tflops"].get<double>(), r["limits"]["unit"].get<std::string>(),
                      100 * r["share"].value("prefill", 0.0), 100 * r["share"].value("decode", 0.0)));
}

int run(const CommonOptions& common, const BenchFlags& f) {
  if (f.attention) throw Error(Code::kUnsupported, "comparing attention implementations is not there yet", "--attention");
  Model model = load_model(common);
  const Json about = model.describe();
  Engine engine(model);
  Bench bench(engine, f);
  Spread prefill, decode;
  for (int64_t round = 0; round <= f.rounds; ++round) {  // the first is a warm-up
    const double p = f.pp > 0 ? bench.prefill() : 0, d = f.tg > 0 ? bench.decode() : 0;
    if (round == 0) continue;
    if (f.pp > 0) prefill.values.push_back(p);
    if (f.tg > 0) decode.values.push_back(d);
  }
  Json r{{"arch", model.architecture()}, {"kernels", about["placement"]["kernels"]}, {"threads", about["placement"]["threads"]},
         {"batch", f.batch}, {"pp", f.pp}, {"tg", f.tg}, {"prefill_tok_s", prefill.json()}, {"decode_tok_s", decode.json()},
         {"load_s", model.load_seconds()}, {"weights_gb", about["weight_bytes"].get<double>() / 1e9}, {"limits", nullptr}, {"share", Json::object()}};
  if (!f.no_limits && common.device.rfind("cuda", 0) != 0) {
    const MachineLimits limits = probe_machine_limits(about["placement"]["threads"]);
    r["limits"] = {{"dram_gb_s", limits.dram_gb_s}, {"tflops", limits.tflops}, {"unit", limits.unit}};
    // A prompt's token costs two operations a weight of the blocks (the head runs for the last row only); a decode step reads
    // all weights but the embedding's unread rows.
    const auto median = [&](const char* key) { return r[key]["median"].get<double>(); };
    if (f.pp > 0 && limits.tflops > 0)
      r["share"]["prefill"] = median("prefill_tok_s") * 2 * about["block_parameters"].get<double>() / (limits.tflops * 1e12);
    if (f.tg > 0 && limits.dram_gb_s > 0)
      r["share"]["decode"] =
          median("decode_tok_s") / static_cast<double>(f.batch) * about["bytes_per_step"].get<double>() / (limits.dram_gb_s * 1e9);
  }
  if (common.json) print_json(r);
  else print_table(r);
  return kDone;
}

}  // namespace

void add_bench_command(CLI::App& app, CommonOptions& common) {
  auto f = std::make_shared<BenchFlags>();
  CLI::App& c = add_command(app, common, "bench", "Prefill and decode speed, load time, share of the machine's measured limits",
                            [&common, f] { return run(common, *f); });
  add_model_argument(c, common);
  add_model_flags(c, common);
  add_json_flag(c, common);
  c.add_option("--pp", f->pp, "Prompt tokens of the prefill (0: none)")->check(CLI::NonNegativeNumber)->capture_default_str();
  c.add_option("--tg", f->tg, "Tokens of the decode (0: none)")->check(CLI::NonNegativeNumber)->capture_default_str();
  c.add_option("--batch", f->batch, "Sequences decoded together")->check(CLI::PositiveNumber)->capture_default_str();
  c.add_option("--prompt", f->prompt, "Tokens in the state before the decode")->check(CLI::PositiveNumber)->capture_default_str();
  c.add_option("--rounds", f->rounds, "Counted rounds, after one warm-up")->check(CLI::PositiveNumber)->capture_default_str();
  c.add_flag("--attention", f->attention, "Compare the attention implementations");
  c.add_flag("--no-limits", f->no_limits, "Do not probe the machine");
}

}  // namespace transom::cli
