// Embedder: see include/transom/embedder.h.
#include "transom/embedder.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace transom {
namespace {

struct Settings {
  Pooling pooling = Pooling::kMean;
  bool normalize = true;
  int64_t max_tokens = 0;
};

Pooling pooling_of(const Json& config, const std::string& file) {
  // Newer files say it by name, older ones by flags.
  const std::string mode = config.value("pooling_mode", "");
  if (mode == "mean" || config.value("pooling_mode_mean_tokens", false)) return Pooling::kMean;
  if (mode == "cls" || config.value("pooling_mode_cls_token", false)) return Pooling::kCls;
  if (mode == "lasttoken" || config.value("pooling_mode_lasttoken", false)) return Pooling::kLast;
  fail(Code::kUnsupported, file, "expected pooling by mean, cls or last token, got another");
}

// Reads sentence-transformers' files; without them: mean and normalized.
Settings read_settings(const std::string& dir) {
  Settings s;
  if (const std::string file = dir + "/sentence_bert_config.json"; file_exists(file)) {
    const Json c = read_json_file(file);
    if (const auto it = c.find("max_seq_length"); it != c.end() && it->is_number_integer()) s.max_tokens = it->get<int64_t>();
  }
  const std::string modules = dir + "/modules.json";
  if (!file_exists(modules)) return s;
  s.normalize = false;
  for (const Json& m : read_json_file(modules)) {
    const std::string type = m.is_object() ? m.value("type", "") : "", path = m.is_object() ? m.value("path", "") : "";
    if (type.ends_with(".Normalize")) s.normalize = true;
    else if (type.ends_with(".Pooling")) s.pooling = pooling_of(read_json_file(dir + "/" + path + "/config.json"), dir + "/" + path + "/config.json");
    else if (!type.ends_with(".Transformer")) fail(Code::kUnsupported, modules, "expected modules Transformer, Pooling and Normalize, got {}", type);
  }
  return s;
}

void pool(Pooling pooling, const float* rows, int64_t count, int64_t dim, float* out) {
  if (pooling != Pooling::kMean) {
    const float* row = rows + (pooling == Pooling::kLast ? count - 1 : 0) * dim;
    std::copy(row, row + dim, out);
    return;
  }
  std::vector<double> sum(dim, 0.0);
  for (int64_t t = 0; t < count; ++t)
    for (int64_t i = 0; i < dim; ++i) sum[i] += rows[t * dim + i];
  for (int64_t i = 0; i < dim; ++i) out[i] = static_cast<float>(sum[i] / static_cast<double>(count));
}

void normalize(float* v, int64_t dim) {
  double sq = 0;
  for (int64_t i = 0; i < dim; ++i) sq += double{v[i]} * v[i];
  const double scale = 1 / std::max(std::sqrt(sq), 1e-12);
  for (int64_t i = 0; i < dim; ++i) v[i] = static_cast<float>(v[i] * scale);
}

}  // namespace

Embedder::Embedder(Model model) : engine_(std::move(model)) {
  const Settings s = read_settings(engine_.model().path());
  pooling_ = s.pooling;
  normalize_ = s.normalize;
  max_tokens_ = s.max_tokens > 0 ? s.max_tokens : engine_.model().context_length();
}

Matrix Embedder::embed(std::span<const std::string> texts, const EmbedOptions& options) {
  if (!tokenizer_) tokenizer_ = Tokenizer::load(engine_.model().path());
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& t : texts) ids.push_back(tokenizer_->encode(t, true, max_tokens_));
  return embed_ids(ids, options);
}

Matrix Embedder::embed_ids(std::span<const std::vector<int32_t>> texts, const EmbedOptions& options) {
  constexpr int64_t kMaxRows = 2048;  // of one pass
  const Pooling pooling = options.pooling == Pooling::kAuto ? pooling_ : options.pooling;
  Matrix out{.rows = 0, .cols = engine_.model().hidden_size(), .values = {}};
  for (size_t begin = 0, end = 0; begin < texts.size(); begin = end) {
    int64_t rows = 0;
    while (end < texts.size() && (end == begin || rows + static_cast<int64_t>(texts[end].size()) <= kMaxRows)) {
      if (texts[end].empty()) fail(Code::kInvalidArgument, "embed", "expected at least one token in text {}, got none", end);
      rows += static_cast<int64_t>(texts[end++].size());
    }
    const Matrix h = engine_.hidden(texts.subspan(begin, end - begin));
    if (pooling == Pooling::kNone) {
      out.values.insert(out.values.end(), h.values.begin(), h.values.end());
      out.rows += h.rows;
      continue;
    }
    const float* row = h.values.data();
    for (size_t i = begin; i < end; ++i) {
      const auto count = static_cast<int64_t>(texts[i].size());
      out.values.resize(out.values.size() + h.cols);
      float* to = out.values.data() + out.values.size() - h.cols;
      pool(pooling, row, count, h.cols, to);
      if (options.normalize.value_or(normalize_)) normalize(to, h.cols);
      row += count * h.cols;
      ++out.rows;
    }
  }
  return out;
}

}  // namespace transom
