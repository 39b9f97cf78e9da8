// Passes of a model, timed one at a time on request: what the scripts bench/compare_* run beside their peers.
//   passes_bench MODEL [--threads N] [--dtype TYPE] [--kernels NAME]
// Each line of input is an object, each answered by one line of output:
//   {"do": "generate", "source": [ids] or "features": "frames.f32", "prompt": [ids], "tokens": N, "beams": N, "suppress": [ids]}
//   {"do": "hidden", "texts": [[ids], …], "out": "hidden.f32"}
//   {"do": "logits", "source" or "features", "prompt": [ids], "out": "logits.f32"}
//   {"do": "prefill", "prompt": [ids], "out": "logits.f32"}: the last row of logits
//   {"do": "decode", "prompt": [ids], "next": [ids]}: the steps after the prompt, one of these ids each
//   {"do": "embed", "texts": ["…", …], "out": "embeddings.f32"}: tokenizing is part of it
//   {"do": "limits"}: the probes of this machine
// Answers say "seconds" of the pass itself, "tokens" that were chosen, and for "out", a file of floats, "columns".
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "transom/embedder.h"
#include "transom/engine.h"
#include "transom/machine.h"

namespace transom {
namespace {

using Clock = std::chrono::steady_clock;
using Ids = std::vector<int32_t>;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Matrix read_floats(const std::string& path, int64_t cols) {
  std::ifstream in(path, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(in), {});
  Matrix m{.rows = static_cast<int64_t>(bytes.size()) / 4 / cols, .cols = cols, .values = std::vector<float>(bytes.size() / 4)};
  std::memcpy(m.values.data(), bytes.data(), m.values.size() * 4);
  return m;
}

void write_floats(const Json& asked, std::span<const float> values, int64_t columns, Json& answer) {
  if (!asked.contains("out")) return;
  std::ofstream out(asked["out"].get<std::string>(), std::ios::binary);
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  answer["columns"] = columns;
}

Json generate(Engine& engine, const Json& asked) {
  Request r{.prompt = asked.value("source", Ids{}), .sampling = {}, .adapter = {}, .decoder_prompt = asked.value("prompt", Ids{}), .features = {}};
  if (asked.contains("features")) r.features = read_floats(asked["features"], engine.model().source_features());
  r.sampling.temperature = 0;
  r.sampling.max_tokens = r.sampling.min_tokens = asked.at("tokens");
  r.sampling.suppress_tokens = asked.value("suppress", Ids{});
  r.sampling.beams.num_beams = asked.value("beams", 1);
  Ids tokens;
  const Clock::time_point start = Clock::now();
  engine.submit(std::move(r));
  while (engine.step([&](const Output& o) {
    if (!o.error.empty()) fail(Code::kInternal, "passes_bench", "expected an answer, got {}", o.error);
    if (o.token) tokens.push_back(*o.token);
  })) {
  }
  return {{"seconds", since(start)}, {"tokens", tokens}};
}

Json hidden(Engine& engine, const Json& asked) {
  const auto texts = asked.at("texts").get<std::vector<Ids>>();
  const Clock::time_point start = Clock::now();
  const Matrix m = engine.hidden(texts);
  Json answer = {{"seconds", since(start)}};
  write_floats(asked, m.values, m.cols, answer);
  return answer;
}

Json logits(Engine& engine, const Json& asked) {
  const auto source = asked.value("source", Ids{}), prompt = asked.at("prompt").get<Ids>();
  Matrix features;
  if (asked.contains("features")) features = read_floats(asked["features"], engine.model().source_features());
  const Clock::time_point start = Clock::now();
  const Matrix m = engine.logits(Engine::Feed{.ids = prompt, .rows = Engine::Rows::kAll, .source = source, .features = features.rows ? &features : nullptr}, 0);
  Json answer = {{"seconds", since(start)}};
  write_floats(asked, m.values, m.cols, answer);
  return answer;
}

Json prefill(Engine& engine, const Json& asked) {
  const auto prompt = asked.at("prompt").get<Ids>();
  const Engine::SequenceId s = engine.open();
  const Engine::Feed feed{.sequence = s, .ids = prompt};
  const Clock::time_point start = Clock::now();
  const Engine::Logits m = engine.forward({&feed, 1});
  Json answer = {{"seconds", since(start)}};
  engine.close(s);
  write_floats(asked, m.values, m.cols, answer);
  return answer;
}

Json decode(Engine& engine, const Json& asked) {
  const auto prompt = asked.at("prompt").get<Ids>(), next = asked.at("next").get<Ids>();
  Engine::Feed feed{.sequence = engine.open(), .ids = prompt};
  engine.forward({&feed, 1});
  const Clock::time_point start = Clock::now();
  for (const int32_t& id : next) {
    feed.ids = {&id, 1};
    engine.forward({&feed, 1});
  }
  Json answer = {{"seconds", since(start)}};
  engine.close(feed.sequence);
  return answer;
}

Json embed(Embedder& embedder, const Json& asked) {
  const auto texts = asked.at("texts").get<std::vector<std::string>>();
  const Clock::time_point start = Clock::now();
  const Matrix m = embedder.embed(texts);
  Json answer = {{"seconds", since(start)}};
  write_floats(asked, m.values, m.cols, answer);
  return answer;
}

Json limits(int threads) {
  const MachineLimits l = probe_machine_limits(threads);
  return {{"dram_gb_s", l.dram_gb_s}, {"tflops", l.tflops}, {"unit", l.unit}};
}

int serve(const std::string& path, const ModelOptions& options) {
  Engine engine(Model::load(path, options), {.max_step_tokens = 4096});
  std::optional<Embedder> embedder;
  for (std::string line; std::getline(std::cin, line);) {
    const Json asked = Json::parse(line);
    const std::string what = asked.at("do");
    Json answer;
    if (what == "generate") answer = generate(engine, asked);
    else if (what == "hidden") answer = hidden(engine, asked);
    else if (what == "logits") answer = logits(engine, asked);
    else if (what == "prefill") answer = prefill(engine, asked);
    else if (what == "decode") answer = decode(engine, asked);
    else if (what == "embed") answer = embed(embedder ? *embedder : embedder.emplace(engine.model()), asked);
    else if (what == "limits") answer = limits(options.threads);
    else fail(Code::kInvalidArgument, "passes_bench", "expected generate, hidden, logits, prefill, decode, embed or limits, got {}", what);
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace transom

int main(int argc, char** argv) {
  transom::ModelOptions options;
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--threads") options.threads = std::atoi(value.c_str());
    if (key == "--dtype") options.dtype = value;
    if (key == "--kernels") options.kernels = value;
  }
  try {
    return argc > 1 ? transom::serve(argv[1], options) : 2;
  } catch (const std::exception& e) {
    std::cerr << "passes_bench: " << e.what() << "\n";
    return 1;
  }
}
