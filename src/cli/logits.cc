// transom logits: raw logits of a model's head for given ids (a language model's: of the next token): no sampling, no template, no added special tokens.
#include <fstream>

#include "cli/command.h"
#include "cli/model_command.h"
#include "transom/engine.h"

namespace transom::cli {
namespace {

struct LogitsOptions {
  std::string ids, token_types, decoder_ids, out;
  bool last = false, cached = false;
  int64_t chunk = 0;
};

// NumPy's format 1.0, float32, C order.
void write_npy(const std::string& path, const Matrix& m) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + std::to_string(m.rows) + ", " + std::to_string(m.cols) + "), }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::ofstream f(path, std::ios::binary);
  const auto size = static_cast<uint16_t>(header.size());
  f.write("\x93NUMPY\x01\x00", 8);
  f.put(static_cast<char>(size & 255)).put(static_cast<char>(size >> 8));
  f << header;
  f.write(reinterpret_cast<const char*>(m.values.data()), static_cast<std::streamsize>(m.values.size() * sizeof(float)));
  if (!f.flush()) throw Error(Code::kIo, "cannot write", path);
}

// The decoder's own ids: those given, or the one that it begins with.
std::vector<int32_t> decoder_ids_of(const Model& model, const LogitsOptions& o) {
  if (!o.decoder_ids.empty() && !model.encoder_decoder())
    throw Error(Code::kInvalidArgument, "expected an encoder-decoder model, got " + model.architecture(), "--decoder-ids");
  if (!o.decoder_ids.empty()) return parse_ids(o.decoder_ids);
  return model.encoder_decoder() ? std::vector<int32_t>{model.decoder_start_id()} : std::vector<int32_t>{};
}

int run(const CommonOptions& common, const LogitsOptions& o) {
  if (o.cached && o.chunk > 0) throw UsageError("--cached and --chunk exclude each other");
  const std::vector<int32_t> ids = parse_ids(o.ids);
  const std::vector<int32_t> types = o.token_types.empty() ? std::vector<int32_t>{} : parse_ids(o.token_types);
  Engine engine(load_model(common));
  const std::vector<int32_t> decoder_ids = decoder_ids_of(engine.model(), o);
  Engine::Feed text{.ids = ids, .rows = o.last ? Engine::Rows::kLast : Engine::Rows::kAll, .token_types = types};
  if (engine.model().encoder_decoder()) {
    text.ids = decoder_ids;
    text.source = ids;
  }
  const Matrix m = engine.logits(text, o.cached ? 1 : o.chunk, common.adapter);
  if (!o.out.empty()) write_npy(o.out, m);
  if (common.json || o.out.empty()) {
    Json rows = matrix_json(m);
    Json d = {{"arch", engine.model().architecture()}, {"shape", {m.rows, m.cols}}};
    if (const auto& labels = engine.model().head().labels; !labels.empty()) d["labels"] = labels;
    d["logits"] = std::move(rows);
    print_json(d);
  }
  return kDone;
}

}  // namespace

void add_logits_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<LogitsOptions>();
  CLI::App& c = add_command(app, common, "logits", "Raw logits for given ids: of the next token, or of the head that the model has",
                            [&common, o] { return run(common, *o); });
  add_model_argument(c, common);
  add_model_flags(c, common);
  add_json_flag(c, common);
  c.add_option("--ids", o->ids, "Token ids: 1,2,3")->type_name("IDS")->required();
  c.add_option("--token-types", o->token_types, "The segment of each id, 0 or 1: pairs of texts (BERT)")->type_name("IDS");
  c.add_option("--decoder-ids", o->decoder_ids, "The decoder's ids (encoder-decoder models)")->type_name("IDS");
  c.add_flag("--last", o->last, "Only the last position");
  c.add_flag("--cached", o->cached, "One token a step through the KV cache, instead of one pass");
  c.add_option("--chunk", o->chunk, "N tokens a step through the KV cache")->type_name("N")->check(CLI::PositiveNumber);
  c.add_option("--out", o->out, "Write float32 [T, V] to this .npy file")->type_name("F.npy");
}

}  // namespace transom::cli
