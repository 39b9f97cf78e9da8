// transom embed: sentence embeddings.
#include <fmt/format.h>

#include <map>

#include "cli/command.h"
#include "cli/model_command.h"
#include "transom/embedder.h"

namespace transom::cli {
namespace {

struct EmbedFlags {
  std::vector<std::string> texts, ids;
  std::string pooling = "auto", prompt_name;
  std::optional<std::string> prompt;
  bool normalize = false, no_normalize = false;
};

int run(const CommonOptions& common, const EmbedFlags& f) {
  const std::map<std::string, Pooling> poolings = {{"auto", Pooling::kAuto}, {"mean", Pooling::kMean}, {"cls", Pooling::kCls},
                                                   {"last", Pooling::kLast}, {"none", Pooling::kNone}};
  if (f.texts.empty() == f.ids.empty()) throw UsageError("expected either -t TEXT… or --ids, got both or neither");
  if (f.normalize && f.no_normalize) throw UsageError("--normalize and --no-normalize exclude each other");
  EmbedOptions o{.pooling = poolings.at(f.pooling), .normalize = {}};
  if (f.normalize || f.no_normalize) o.normalize = f.normalize;
  if (f.prompt && !f.prompt_name.empty()) throw UsageError("--prompt and --prompt-name exclude each other");
  o.prompt = f.prompt;
  o.prompt_name = f.prompt_name;
  Embedder embedder(load_model(common));
  Matrix m;
  if (!f.texts.empty()) {
    m = embedder.embed(f.texts, o);
  } else {
    std::vector<std::vector<int32_t>> ids;
    for (const std::string& s : f.ids) ids.push_back(parse_ids(s));
    m = embedder.embed_ids(ids, o);
  }
  print_json({{"shape", {m.rows, m.cols}}, {"embeddings", matrix_json(m)}});
  return kDone;
}

}  // namespace

void add_embed_command(CLI::App& app, CommonOptions& common) {
  auto f = std::make_shared<EmbedFlags>();
  CLI::App& c = add_command(app, common, "embed", "Sentence embeddings, pooled and normalized as the model's files say",
                            [&common, f] { return run(common, *f); });
  add_model_argument(c, common);
  add_model_flags(c, common);
  add_json_flag(c, common);
  c.add_option("-t,--text", f->texts, "Texts to embed")->type_name("TEXT");
  c.add_option("--ids", f->ids, "Token ids instead of text: 1,2,3 (one argument a text)")->type_name("IDS");
  add_choice(c, "--pooling", f->pooling, {"auto", "mean", "cls", "last", "none"}, "How token states become one vector");
  c.add_option("--prompt", f->prompt, "What stands before each text (sentence-transformers' prompt)")->type_name("TEXT");
  c.add_option("--prompt-name", f->prompt_name, "Which of the model's prompts stands before each text (default: the model's own choice)")
      ->type_name("NAME");
  c.add_flag("--normalize", f->normalize, "Scale to length 1");
  c.add_flag("--no-normalize", f->no_normalize, "Leave the length");
}

}  // namespace transom::cli
