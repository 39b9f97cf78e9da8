// transom generate: completes a text or ids, without a template.
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <iterator>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_command.h"
#include "cli/sampling_flags.h"

namespace transom::cli {
namespace {

struct GenerateFlags {
  std::string prompt, prompt_file, ids, decoder_ids;
  SamplingFlags sampling;
};

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

struct Answer {
  std::vector<int32_t> ids;
  std::string text, finish_reason;
  Json logprobs = Json::array(), score;  // null without beams
};

std::string read_prompt_file(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  if (!f) throw Error(Code::kNotFound, "cannot open the prompt file", path);
  return {std::istreambuf_iterator<char>(f), {}};
}

// A model without a tokenizer runs from ids alone.
std::optional<Tokenizer> find_tokenizer(const std::string& path, bool needed) {
  try {
    return Tokenizer::load(path);
  } catch (const Error& e) {
    if (needed || e.code() != Code::kNotFound) throw;
    return std::nullopt;
  }
}

Json logprobs_json(const TokenLogprobs& l, const std::optional<Tokenizer>& tokenizer) {
  const auto entry = [&](int32_t id, float logprob) {
    Json j{{"id", id}, {"logprob", logprob}};
    if (tokenizer) j["token"] = tokenizer->token_bytes(id);
    return j;
  };
  Json j = entry(l.token, l.logprob);
  j["top"] = Json::array();
  for (const auto& [id, logprob] : l.top) j["top"].push_back(entry(id, logprob));
  return j;
}

int run(const CommonOptions& common, const GenerateFlags& f) {
  if (int{!f.prompt.empty()} + int{!f.prompt_file.empty()} + int{!f.ids.empty()} != 1)
    throw UsageError("expected one of -p TEXT, --prompt-file F and --ids 1,2,3");
  const Clock::time_point start = Clock::now();
  Model model = load_model(common);
  const auto tokenizer = find_tokenizer(model.path(), f.ids.empty());
  Request request{.prompt = {}, .sampling = f.sampling.over(model.default_sampling()), .adapter = common.adapter, .features = {}};
  if (!f.decoder_ids.empty()) request.decoder_prompt = parse_ids(f.decoder_ids);
  if (!f.ids.empty()) request.prompt = parse_ids(f.ids);
  else request.prompt = tokenizer->encode(f.prompt_file.empty() ? f.prompt : read_prompt_file(f.prompt_file));
  Engine engine(model, {}, tokenizer);
  const double load_s = since(start);
  const size_t prompt_tokens = request.prompt.size();
  std::vector<Answer> answers(request.sampling.n);
  const bool stream = !common.json && answers.size() == 1;
  const uint64_t id = engine.submit(std::move(request));
  const Interrupt interrupt;
  const Clock::time_point run_start = Clock::now();
  double first_s = 0;
  std::string error;
  const auto report = [&](const Output& o) {
    Answer& a = answers[o.index];
    if (first_s == 0) first_s = since(run_start);
    if (o.token) a.ids.push_back(*o.token);
    if (o.logprobs) a.logprobs.push_back(logprobs_json(*o.logprobs, tokenizer));
    a.text += o.text;
    a.finish_reason = o.finish_reason;
    if (o.score) a.score = *o.score;
    if (!o.error.empty()) error = o.error;
    if (stream && !o.text.empty()) print(o.text);
  };
  while (engine.step(report))
    if (interrupt.requested()) engine.cancel(id);
  if (!error.empty()) throw Error(Code::kInternal, error, "generate");
  const double total_s = since(run_start);
  const Json timings{{"load_s", load_s}, {"prefill_s", first_s}, {"decode_s", total_s - first_s}};
  if (stream) print("\n");
  for (size_t i = 0; i < answers.size() && !stream; ++i) {
    Answer& a = answers[i];
    if (common.json)
      print_json({{"ids", a.ids}, {"text", a.text}, {"finish_reason", a.finish_reason}, {"prompt_tokens", prompt_tokens},
                  {"score", a.score}, {"logprobs", f.sampling.logprobs.value_or(-1) >= 0 ? a.logprobs : Json()}, {"timings", timings}});
    else
      print(fmt::format("--- {} ({})\n{}\n", i + 1, a.finish_reason, a.text));
  }
  return interrupt.requested() ? kInterrupted : kDone;
}

}  // namespace

void add_generate_command(CLI::App& app, CommonOptions& common) {
  auto f = std::make_shared<GenerateFlags>();
  CLI::App& c = add_command(app, common, "generate", "Complete a text", [&common, f] { return run(common, *f); });
  add_model_argument(c, common);
  c.add_option("-p,--prompt", f->prompt, "The text to go on from")->type_name("TEXT");
  c.add_option("--prompt-file", f->prompt_file, "A file that holds it")->type_name("FILE");
  c.add_option("--ids", f->ids, "Token ids instead of text: 1,2,3")->type_name("IDS");
  c.add_option("--decoder-ids", f->decoder_ids, "The decoder's ids (encoder-decoder models)")->type_name("IDS");
  add_sampling_flags(c, f->sampling);
  add_json_flag(c, common);
  add_model_flags(c, common);
}

}  // namespace transom::cli
