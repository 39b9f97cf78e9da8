// Embedder: see include/transom/embedder.h.
#include "transom/embedder.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/gguf_metadata.h"
#include "base/json.h"
#include "engine/loaded_model.h"

namespace transom {
namespace {

Pooling pooling_of(const Json& config, const std::string& file) {
  // Newer files say it by name, older ones by flags.
  const std::string mode = config.value("pooling_mode", "");
  if (mode == "mean" || config.value("pooling_mode_mean_tokens", false)) return Pooling::kMean;
  if (mode == "cls" || config.value("pooling_mode_cls_token", false)) return Pooling::kCls;
  if (mode == "lasttoken" || config.value("pooling_mode_lasttoken", false)) return Pooling::kLast;
  fail(Code::kUnsupported, file, "expected pooling by mean, cls or last token, got another");
}

void read_prompts(const std::string& file, SentenceSettings& s) {
  if (!file_exists(file)) return;
  const Json c = read_json_file(file);
  if (const auto it = c.find("prompts"); it != c.end() && it->is_object())
    for (const auto& [name, text] : it->items())
      if (text.is_string()) s.prompts[name] = text.get<std::string>();
  if (const auto it = c.find("default_prompt_name"); it != c.end() && it->is_string()) s.default_prompt = it->get<std::string>();
  if (!s.default_prompt.empty() && !s.prompts.contains(s.default_prompt))
    fail(Code::kCorrupt, file, "expected default_prompt_name to be one of prompts, got {}", quote(s.default_prompt));
}

// llama.cpp's enum llama_pooling_type.
void read_gguf(const GgufMetadata& gguf, SentenceSettings& s) {
  const std::string key = fmt::format("{}.pooling_type", gguf.str("general.architecture"));
  const int64_t type = gguf.find_i64(key).value_or(1);
  if (type < 1 || type > 3) fail(Code::kUnsupported, gguf.path(), "expected 1 (mean), 2 (cls) or 3 (last) for {}, got {}", key, type);
  s.pooling = type == 1 ? Pooling::kMean : type == 2 ? Pooling::kCls : Pooling::kLast;
}

SentenceSettings read_settings(const std::string& dir) {
  SentenceSettings s;
  read_prompts(dir + "/config_sentence_transformers.json", s);
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
    else if (type.ends_with(".Pooling")) {
      const std::string file = dir + "/" + path + "/config.json";
      const Json c = read_json_file(file);
      s.pooling = pooling_of(c, file);
      const auto prompt = c.find("include_prompt");
      if (prompt != c.end() && !prompt->is_boolean())
        fail(Code::kCorrupt, file, "expected true or false for include_prompt, got {}", prompt->dump());
      s.pool_prompt = prompt == c.end() || prompt->get<bool>();
    } else if (!type.ends_with(".Transformer")) fail(Code::kUnsupported, modules, "expected modules Transformer, Pooling and Normalize, got {}", type);
  }
  return s;
}

// Of rows [count, dim]; the mean leaves the first `skipped` out.
void pool(Pooling pooling, const float* rows, int64_t count, int64_t skipped, int64_t dim, float* out) {
  if (pooling != Pooling::kMean) {
    const float* row = rows + (pooling == Pooling::kLast ? count - 1 : 0) * dim;
    std::copy(row, row + dim, out);
    return;
  }
  std::vector<double> sum(dim, 0.0);
  for (int64_t t = skipped; t < count; ++t)
    for (int64_t i = 0; i < dim; ++i) sum[i] += rows[t * dim + i];
  for (int64_t i = 0; i < dim; ++i) out[i] = static_cast<float>(sum[i] / static_cast<double>(count - skipped));
}

void normalize(float* v, int64_t dim) {
  double sq = 0;
  for (int64_t i = 0; i < dim; ++i) sq += double{v[i]} * v[i];
  const double scale = 1 / std::max(std::sqrt(sq), 1e-12);
  for (int64_t i = 0; i < dim; ++i) v[i] = static_cast<float>(v[i] * scale);
}

}  // namespace

Embedder::Embedder(Model model) : engine_(std::move(model)) {
  const Model& m = engine_.model();
  if (const GgufMetadata* gguf = m.impl().source->gguf()) read_gguf(*gguf, settings_);
  else settings_ = read_settings(m.path());
  if (settings_.max_tokens <= 0) settings_.max_tokens = m.context_length();
}

Matrix Embedder::embed(std::span<const std::string> texts, const EmbedOptions& options) {
  if (!tokenizer_) tokenizer_ = Tokenizer::load(engine_.model().path());
  std::string prompt = options.prompt.value_or("");
  const std::string name = options.prompt_name.empty() ? settings_.default_prompt : options.prompt_name;
  if (!options.prompt && !name.empty()) {
    const auto it = settings_.prompts.find(name);
    std::string known;
    for (const auto& [n, text] : settings_.prompts) known += (known.empty() ? "" : ", ") + n;
    if (it == settings_.prompts.end())
      fail(Code::kNotFound, "prompt name", "expected one of the model's ({}), got {}", known.empty() ? "none" : known, quote(name));
    prompt = it->second;
  }
  std::vector<std::vector<int32_t>> ids;
  for (const std::string& t : texts) ids.push_back(tokenizer_->encode(prompt + t, true, settings_.max_tokens));
  // As sentence-transformers counts them: the prompt's own ids, less the special token that ends a text.
  int64_t prompt_tokens = 0;
  if (!settings_.pool_prompt && !prompt.empty()) {
    const std::vector<int32_t> alone = tokenizer_->encode(prompt, true, settings_.max_tokens), plain = tokenizer_->encode(prompt, false);
    prompt_tokens = static_cast<int64_t>(alone.size()) - (!alone.empty() && (plain.empty() || alone.back() != plain.back()) ? 1 : 0);
  }
  return pooled(ids, prompt_tokens, options);
}

Matrix Embedder::embed_ids(std::span<const std::vector<int32_t>> texts, const EmbedOptions& options) { return pooled(texts, 0, options); }

Matrix Embedder::pooled(std::span<const std::vector<int32_t>> texts, int64_t prompt_tokens, const EmbedOptions& options) {
  constexpr int64_t kMaxRows = 2048;  // of one pass
  const Pooling pooling = options.pooling == Pooling::kAuto ? settings_.pooling : options.pooling;
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
      pool(pooling, row, count, std::min(prompt_tokens, count - 1), h.cols, to);
      if (options.normalize.value_or(settings_.normalize)) normalize(to, h.cols);
      row += count * h.cols;
      ++out.rows;
    }
  }
  return out;
}

}  // namespace transom
