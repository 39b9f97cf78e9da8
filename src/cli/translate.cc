// transom translate: a text from one language to another, with the tokens by which a translation model is told of them.
#include <algorithm>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/model_command.h"
#include "cli/sampling_flags.h"

namespace transom::cli {
namespace {

struct TranslateFlags {
  std::string prompt, source, target;
  SamplingFlags sampling;
};

// A language's token: as it stands (NLLB: "fra_Latn", mBART: "fr_XX"), or the form that M2M100 or Marian gives it.
struct Language {
  int32_t id = 0;
  bool in_text = false;  // Marian's, which begins the text
};
Language find_language(const Tokenizer& t, const std::string& name, const char* flag) {
  for (const std::string& token : {name, "__" + name + "__"})
    if (const auto id = t.token_to_id(token); id && t.is_special(*id)) return {*id, false};
  if (const auto id = t.token_to_id(">>" + name + "<<")) return {*id, true};
  throw Error(Code::kInvalidArgument, "expected a language that the tokenizer has a token for, got " + name, flag);
}

// A decoder that begins with the end token is told the target as its first token, and the source stands before the text (NLLB, M2M100,
// mBART-50); another begins with the target, and the source stands behind the text's end (mBART).
Request request_of(const Model& model, const Tokenizer& t, const TranslateFlags& f) {
  Request r{.prompt = {}, .sampling = f.sampling.over(model.default_sampling()), .features = {}};
  const Language target = f.target.empty() ? Language{-1, true} : find_language(t, f.target, "--target-lang");
  if (target.in_text) {
    if (!f.source.empty()) throw Error(Code::kInvalidArgument, "expected none: the model's source language is fixed", "--source-lang");
    r.prompt = t.encode(f.prompt);
    if (target.id >= 0) r.prompt.insert(r.prompt.begin(), target.id);
    return r;
  }
  if (f.source.empty()) throw UsageError("expected --source-lang beside --target-lang");
  const Language source = find_language(t, f.source, "--source-lang");
  if (model.end_ids().empty()) throw Error(Code::kUnsupported, "expected an end token in the generation settings, got none", model.path());
  const int32_t end = model.end_ids().front();
  r.prompt = t.encode(f.prompt, false);
  r.prompt.push_back(end);
  if (model.decoder_start_id() == end) {
    r.prompt.insert(r.prompt.begin(), source.id);
    r.sampling.forced_bos_token_id = target.id;
  } else {
    r.prompt.push_back(source.id);
    r.decoder_prompt = {target.id};
  }
  return r;
}

int run(const CommonOptions& common, const TranslateFlags& f) {
  Model model = load_model(common);
  if (!model.encoder_decoder() || model.source_features() > 0)
    throw Error(Code::kUnsupported, "expected a model that translates texts, got " + model.architecture(), "translate");
  const Tokenizer tokenizer = Tokenizer::load(model.path());
  Request request = request_of(model, tokenizer, f);
  Engine engine(model, {}, tokenizer);
  std::vector<std::string> texts(request.sampling.n);
  std::vector<std::vector<int32_t>> ids(request.sampling.n);
  std::vector<Json> scores(request.sampling.n);
  std::string error;
  const uint64_t id = engine.submit(std::move(request));
  const Interrupt interrupt;
  const auto report = [&](const Output& o) {
    texts[o.index] += o.text;
    if (o.token) ids[o.index].push_back(*o.token);
    if (o.score) scores[o.index] = *o.score;
    if (!o.error.empty()) error = o.error;
  };
  while (engine.step(report))
    if (interrupt.requested()) engine.cancel(id);
  if (!error.empty()) throw Error(Code::kInternal, error, "translate");
  for (size_t i = 0; i < texts.size(); ++i)
    common.json ? print_json({{"text", texts[i]}, {"ids", ids[i]}, {"score", scores[i]}}) : print(texts[i] + "\n");
  return interrupt.requested() ? kInterrupted : kDone;
}

}  // namespace

void add_translate_command(CLI::App& app, CommonOptions& common) {
  auto f = std::make_shared<TranslateFlags>();
  CLI::App& c = add_command(app, common, "translate", "Translate a text (NLLB, M2M100, mBART, Marian)", [&common, f] { return run(common, *f); });
  add_model_argument(c, common);
  c.add_option("-p,--prompt", f->prompt, "The text to translate")->type_name("TEXT")->required();
  c.add_option("--source-lang", f->source, "Its language, as the model's tokenizer names it: eng_Latn, en_XX, en")->type_name("LANG");
  c.add_option("--target-lang", f->target, "The language to translate to; Marian: only where one model has several")->type_name("LANG");
  add_sampling_flags(c, f->sampling);
  add_json_flag(c, common);
  add_model_flags(c, common);
}

}  // namespace transom::cli
