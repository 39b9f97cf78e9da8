// Loading and conversions: see model_command.h.
#include "cli/model_command.h"

#include <charconv>
#include <cmath>

#include "cli/progress.h"

namespace transom::cli {

ModelOptions model_options(const CommonOptions& c) {
  for (const auto& [flag, value] : {std::pair{"--attention-backend", c.attention_backend},
                                    {"--prefill-attention-backend", c.prefill_attention_backend},
                                    {"--decode-attention-backend", c.decode_attention_backend},
                                    {"--attn-implementation", c.attn_implementation}})
    if (!value.empty() && value != "auto")
      throw Error(Code::kUnsupported, "expected auto, got " + value + ": choosing attention is not there yet", flag);
  ModelOptions o;
  o.device = c.device;
  o.dtype = c.dtype;
  o.kv_cache_dtype = c.kv_cache_dtype;
  o.kernels = c.kernels;
  o.model_impl = c.model_impl == "sglang" || c.model_impl == "vllm" ? "native" : c.model_impl;
  o.threads = c.threads;
  o.deterministic = c.deterministic;
  o.stream_weights = c.stream_weights;
  o.allow_unread_config = c.allow_unread_config;
  o.allow_unused_tensors = c.allow_unused;
  return o;
}

Model load_model(const CommonOptions& common) {
  ModelOptions options = model_options(common);
  const std::string path = resolve_model(common, common.model);
  const std::string adapter = common.adapter.empty() ? "" : resolve_model(common, common.adapter);
  Progress progress("Loading " + common.model);
  options.progress = [&](int64_t done, int64_t total) { progress.at(done, total); };
  Model m = Model::load(path, options);
  if (!adapter.empty()) m.load_adapter(common.adapter, adapter);
  return m;
}

std::vector<int32_t> parse_ids(const std::string& text) {
  std::vector<int32_t> ids;
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p != end) {
    if (*p == ',' || *p == ' ') {
      ++p;
      continue;
    }
    int32_t id = 0;
    const auto [next, error] = std::from_chars(p, end, id);
    if (error != std::errc() || id < 0 || (next != end && *next != ',' && *next != ' '))
      throw UsageError("--ids: expected token ids like 1,2,3, got " + text);
    ids.push_back(id);
    p = next;
  }
  if (ids.empty()) throw UsageError("--ids: expected at least one token id, got none");
  return ids;
}

Json matrix_json(const Matrix& m) {
  Json rows = Json::array();
  for (int64_t r = 0; r < m.rows; ++r) {
    Json row = Json::array();
    for (int64_t c = 0; c < m.cols; ++c) {
      // The double nearest to a float's shortest decimal prints as that decimal.
      char text[32];
      const float v = m.values[r * m.cols + c];
      const auto end = std::to_chars(text, text + sizeof text, v).ptr;
      double d = v;
      if (std::isfinite(v)) std::from_chars(text, end, d);
      row.push_back(d);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace transom::cli
