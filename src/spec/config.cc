// Config: see config.h.
#include "spec/config.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"

namespace transom {
namespace {

// Keys of transformers' base config and of training that change no logits of a plain forward pass.
constexpr std::array kBenign = {
    "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "use_cache", "initializer_range",
    "bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "unk_token_id", "decoder_start_token_id",
    "_name_or_path", "_commit_hash", "attention_dropout", "hidden_dropout", "hidden_dropout_prob", "resid_pdrop",
    "attention_probs_dropout_prob", "classifier_dropout", "embd_pdrop", "attn_pdrop", "dropout", "pretraining_tp",
    "gradient_checkpointing", "return_dict", "output_hidden_states", "output_attentions", "use_return_dict", "torchscript",
    "id2label", "label2id", "problem_type", "finetuning_task", "task_specific_params", "chunk_size_feed_forward",
    "_attn_implementation", "_attn_implementation_autoset", "attn_implementation", "tokenizer_class", "prefix", "auto_map",
    "cache_implementation", "unsloth_fixed", "unsloth_version", "language", "is_llama_config",
    "transformers.js_config", "output_router_logits", "router_aux_loss_coef", "use_bfloat16", "tf_legacy_loss", "pruned_heads",
    // generation settings that transformers 4.x kept in config.json
    "max_length", "min_length", "do_sample", "early_stopping", "num_beams", "temperature", "top_k", "top_p", "typical_p",
    "repetition_penalty", "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
    "num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id", "forced_eos_token_id",
    "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens",
    "num_beam_groups", "diversity_penalty", "cross_attention_hidden_size", "is_encoder_decoder", "add_cross_attention",
    "tie_encoder_decoder", "is_decoder",
};

std::string brief(const Json& j) {
  std::string s = j.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (s.size() > 60) s = s.substr(0, 57) + "...";
  return s;
}

}  // namespace

Config::Config(Json document, std::string origin) : shared_(std::make_shared<Shared>()) {
  if (!document.is_object()) fail(Code::kCorrupt, origin, "expected a JSON object, got {}", document.type_name());
  shared_->root = std::move(document);
  shared_->origin = std::move(origin);
  node_ = &shared_->root;
}

Config::Config(std::shared_ptr<Shared> shared, const Json* node, std::string prefix)
    : shared_(std::move(shared)), node_(node), prefix_(std::move(prefix)) {}

const std::string& Config::origin() const { return shared_->origin; }
const Json& Config::document() const { return *node_; }

const Json* Config::find(const char* key) const {
  shared_->read.insert(prefix_ + key);
  const auto it = node_->find(key);
  return it == node_->end() || it->is_null() ? nullptr : &*it;
}

const Json& Config::need(const char* key) const {
  const Json* v = find(key);
  if (!v) fail(Code::kCorrupt, origin(), "expected the key {}{}, got none", prefix_, key);
  return *v;
}

void Config::wrong(const char* key, std::string_view expected, const Json& found) const {
  fail(Code::kCorrupt, origin(), "expected {} for {}{}, got {}", expected, prefix_, key, brief(found));
}

int64_t Config::i(const char* key) const {
  const Json& v = need(key);
  constexpr double kMost = 1e12;  // no size or count of a model is larger; int64 products of a few stay far from overflow
  if (v.is_number() && v.get<double>() >= 0 && v.get<double>() <= kMost && std::floor(v.get<double>()) == v.get<double>())
    return v.get<int64_t>();
  wrong(key, "a whole number >= 0", v);
}

int64_t Config::size(const char* key) const {
  const int64_t v = i(key);
  if (v < 1 || v > INT32_MAX) wrong(key, "a whole number from 1 to 2147483647", need(key));
  return v;
}

double Config::f(const char* key) const {
  const Json& v = need(key);
  if (!v.is_number() || !std::isfinite(v.get<double>())) wrong(key, "a finite number", v);
  return v.get<double>();
}

bool Config::b(const char* key) const {
  const Json& v = need(key);
  if (!v.is_boolean()) wrong(key, "true or false", v);
  return v.get<bool>();
}

std::string Config::s(const char* key) const {
  const Json& v = need(key);
  if (!v.is_string()) wrong(key, "a string", v);
  return v.get<std::string>();
}

int64_t Config::i(const char* key, int64_t otherwise) const { return find(key) ? i(key) : otherwise; }
int64_t Config::size(const char* key, int64_t otherwise) const { return find(key) ? size(key) : otherwise; }
double Config::f(const char* key, double otherwise) const { return find(key) ? f(key) : otherwise; }
bool Config::b(const char* key, bool otherwise) const { return find(key) ? b(key) : otherwise; }
std::string Config::s(const char* key, std::string otherwise) const { return find(key) ? s(key) : otherwise; }

std::vector<double> Config::floats(const char* key) const {
  std::vector<double> out;
  const Json* v = find(key);
  if (!v) return out;
  if (!v->is_array()) wrong(key, "a list of numbers", *v);
  for (const Json& x : *v) {
    if (!x.is_number() || !std::isfinite(x.get<double>())) wrong(key, "a list of finite numbers", x);
    out.push_back(x.get<double>());
  }
  return out;
}

std::vector<std::string> Config::strings(const char* key) const {
  std::vector<std::string> out;
  const Json* v = find(key);
  if (!v) return out;
  if (!v->is_array()) wrong(key, "a list of strings", *v);
  for (const Json& x : *v) {
    if (!x.is_string()) wrong(key, "a list of strings", x);
    out.push_back(x.get<std::string>());
  }
  return out;
}

bool Config::has(const char* key) const {
  const auto it = node_->find(key);
  return it != node_->end() && !it->is_null();
}

bool Config::is_null(const char* key) const {
  const auto it = node_->find(key);
  return it != node_->end() && it->is_null();
}

std::optional<Config> Config::sub(const char* key) const {
  const Json* v = find(key);
  if (!v) return std::nullopt;
  if (!v->is_object()) wrong(key, "an object", *v);
  return Config(shared_, v, prefix_ + key + ".");
}

Json Config::raw(const char* key) const {
  const Json* v = find(key);
  shared_->read.insert(prefix_ + key + ".*");
  return v ? *v : Json();
}

void Config::require(bool ok, const char* key, std::string_view expected) const {
  if (ok) return;
  const Json* v = find(key);
  fail(Code::kUnsupported, origin(), "expected {} for {}{}, got {}", expected, prefix_, key, v ? brief(*v) : "none");
}

void Config::ignore(const char* key) const {
  shared_->read.insert(prefix_ + key);
  shared_->read.insert(prefix_ + key + ".*");
}

std::vector<std::string> Config::unread() const {
  std::vector<std::string> out;
  // An object counts as read when it was opened; then its own keys count one by one.
  const auto walk = [&](const auto& self, const Json& node, const std::string& prefix) -> void {
    for (const auto& [key, value] : node.items()) {
      const std::string path = prefix + key;
      if (!shared_->read.contains(path)) out.push_back(path);
      else if (value.is_object() && !shared_->read.contains(path + ".*")) self(self, value, path + ".");
    }
  };
  walk(walk, *node_, prefix_);
  return out;
}

int64_t padding_id(const Config& config) {
  const Json id = config.raw("pad_token_id");
  return id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() <= INT32_MAX ? id.get<int64_t>() : -1;
}

UnreadKeys judge_unread(const Config& config, const std::vector<std::string_view>& known) {
  UnreadKeys out;
  for (const std::string& path : config.unread()) {
    const std::string top = path.substr(0, path.find('.'));
    // An object within may be a config of its own (MPT's attention), with the same keys.
    const std::string last = path.substr(path.rfind('.') + 1);
    if (std::find(kBenign.begin(), kBenign.end(), top) != kBenign.end() || std::find(kBenign.begin(), kBenign.end(), last) != kBenign.end()) continue;
    const bool defined = std::find(known.begin(), known.end(), top) != known.end();
    (defined ? out.errors : out.warnings).push_back(path);
  }
  return out;
}

}  // namespace transom
