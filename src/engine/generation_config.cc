// See generation_config.h.
#include "engine/generation_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "checkpoint/source.h"

namespace transom {
namespace {

// Keys of GenerationConfig that change the text and that this program does not honour, with the values that mean "off".
// (null, absent and empty lists are always off.)
struct Unsupported {
  const char* key;
  double off;
};
constexpr std::array kUnsupported = {
    Unsupported{"num_beam_groups", 1}, Unsupported{"penalty_alpha", 0}, Unsupported{"encoder_no_repeat_ngram_size", 0},
    Unsupported{"encoder_repetition_penalty", 1}, Unsupported{"epsilon_cutoff", 0}, Unsupported{"eta_cutoff", 0},
    Unsupported{"top_h", 0}, Unsupported{"diversity_penalty", 0}, Unsupported{"guidance_scale", 1},
    Unsupported{"exponential_decay_length_penalty", 0}, Unsupported{"force_words_ids", 0},
    Unsupported{"watermarking_config", 0}, Unsupported{"remove_invalid_values", 0}, Unsupported{"token_healing", 0},
    Unsupported{"max_time", 0}, Unsupported{"dola_layers", 0},
};

std::string brief(const Json& j) {
  std::string s = j.dump(-1, ' ', false, Json::error_handler_t::replace);
  return s.size() > 60 ? s.substr(0, 57) + "..." : s;
}

// Reads of one JSON object, or of the second where the first lacks the key (a model's "text_config").
class Keys {
 public:
  Keys(const Json& first, const Json& second, std::string origin)
      : first_(first), second_(second), origin_(std::move(origin)) {}

  const Json* find(const char* key) const {
    for (const Json* node : {&first_, &second_}) {
      if (!node->is_object()) continue;
      const auto it = node->find(key);
      if (it != node->end() && !it->is_null()) return &*it;
    }
    return nullptr;
  }
  void number(const char* key, float& out) const {
    const Json* v = find(key);
    if (!v) return;
    if (!v->is_number() || !std::isfinite(v->get<double>())) wrong(key, "a finite number", *v);
    out = static_cast<float>(v->get<double>());
  }
  std::optional<int32_t> integer(const char* key) const {
    const Json* v = find(key);
    if (!v) return std::nullopt;
    return integer(key, *v);
  }
  std::optional<bool> boolean(const char* key) const {
    const Json* v = find(key);
    if (!v) return std::nullopt;
    if (!v->is_boolean()) wrong(key, "true or false", *v);
    return v->get<bool>();
  }
  // One integer or a list of them.
  std::vector<int32_t> integers(const char* key) const {
    const Json* v = find(key);
    std::vector<int32_t> out;
    if (!v) return out;
    if (!v->is_array()) return {integer(key, *v)};
    for (const Json& x : *v) out.push_back(integer(key, x));
    return out;
  }
  std::vector<std::string> strings(const char* key) const {
    const Json* v = find(key);
    std::vector<std::string> out;
    if (!v) return out;
    for (const Json& x : v->is_array() ? *v : Json::array({*v})) {
      if (!x.is_string()) wrong(key, "a string or a list of strings", *v);
      out.push_back(x.get<std::string>());
    }
    return out;
  }
  [[noreturn]] void wrong(const char* key, std::string_view expected, const Json& found) const {
    fail(Code::kCorrupt, origin_, "expected {} for {}, got {}", expected, key, brief(found));
  }
  const std::string& origin() const { return origin_; }

 private:
  int32_t integer(const char* key, const Json& v) const {
    const double x = v.is_number() ? v.get<double>() : std::nan("");
    if (!(std::abs(x) <= std::numeric_limits<int32_t>::max()) || x != std::floor(x)) wrong(key, "a whole number", v);
    return static_cast<int32_t>(x);
  }

  const Json& first_;
  const Json& second_;
  std::string origin_;
};

// Token ids of the vocabulary: negative ones (-1 is written for "none") are dropped.
std::vector<int32_t> token_ids(std::vector<int32_t> ids) {
  std::erase_if(ids, [](int32_t id) { return id < 0; });
  return ids;
}

std::optional<int32_t> token_id(std::optional<int32_t> id) { return id && *id >= 0 ? id : std::nullopt; }

bool is_off(const Json& v, double off) {
  if (v.is_boolean()) return static_cast<double>(v.get<bool>()) == off;
  if (v.is_number()) return v.get<double>() == off;
  return (v.is_array() || v.is_object() || v.is_string()) && v.empty();
}

void read_bad_words(const Keys& keys, GenerationConfig& out) {
  const Json* words = keys.find("bad_words_ids");
  if (!words) return;
  if (!words->is_array()) keys.wrong("bad_words_ids", "a list of lists of token ids", *words);
  for (const Json& word : *words) {
    std::vector<int32_t> ids;
    for (const Json& id : word) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() >= INT32_MAX) keys.wrong("bad_words_ids", "a list of lists of token ids", *words);
      ids.push_back(id.get<int32_t>());
    }
    if (!ids.empty()) out.sampling.bad_words_ids.push_back(std::move(ids));
  }
}

// sequence_bias as transformers writes it: a list of [ids, bias]. One-token sequences are a logit bias.
void read_sequence_bias(const Keys& keys, GenerationConfig& out) {
  const Json* list = keys.find("sequence_bias");
  if (!list) return;
  for (const Json& entry : *list) {
    const bool one = entry.is_array() && entry.size() == 2 && entry[0].is_array() && entry[0].size() == 1 &&
                     entry[0][0].is_number_unsigned() && entry[0][0].get<uint64_t>() < INT32_MAX && entry[1].is_number();
    if (one) out.sampling.logit_bias.emplace_back(entry[0][0].get<int32_t>(), entry[1].get<float>());
    else out.ignored.push_back("sequence_bias=" + brief(entry));
  }
}

// Lengths with a decoder's prompt of one token count for encoder-decoders alone: for others a file's max_length is the context.
void read_lengths(const Keys& keys, GenerationConfig& out) {
  SamplingParams& s = out.sampling;
  if (const auto n = keys.integer("max_length"); n && *n > 1 && !keys.find("max_new_tokens")) s.max_tokens = *n - 1;
  if (const auto n = keys.integer("min_length"); n && *n > 1 && !keys.find("min_new_tokens")) s.min_tokens = *n - 1;
}

void read_beams(const Keys& keys, GenerationConfig& out) {
  BeamParams& b = out.sampling.beams;
  b.num_beams = keys.integer("num_beams").value_or(1);
  keys.number("length_penalty", b.length_penalty);
  using Stop = BeamParams::EarlyStopping;
  if (const Json* v = keys.find("early_stopping")) {
    if (v->is_boolean()) b.early_stopping = v->get<bool>() ? Stop::kTrue : Stop::kFalse;
    else if (*v == "never") b.early_stopping = Stop::kNever;
    else keys.wrong("early_stopping", "true, false or \"never\"", *v);
  }
  if (b.num_beams <= 1 || !keys.boolean("do_sample").value_or(false)) return;
  out.ignored.push_back(fmt::format("num_beams={}", b.num_beams));  // sampled beams
  b.num_beams = 1;
}

void finish(GenerationConfig& out, bool sample) {
  out.sampling_temperature = out.sampling.temperature;
  if (!sample) out.sampling.temperature = 0;
  out.sampling.min_tokens = std::min(out.sampling.min_tokens, out.sampling.max_tokens);
  try {
    out.sampling.validate();
  } catch (const Error& e) {
    fail(Code::kCorrupt, out.origin, "{}", e.message());
  }
}

// Ends of a turn that converters often leave without a key (tokenizer.ggml.eot_token_id), by their text, as llama.cpp
// finds them; only tokens of type control count.
constexpr std::array<std::string_view, 15> kTurnEnds = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<end_of_turn>", "<turn|>", "<|endoftext|>",
    "<|end_of_text|>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<end_of_utterance>",
};

// Walks the arrays as they lie in the file (262,144 tokens in Gemma's), so that a start does not pay for copies of them.
std::vector<int32_t> turn_ends(const GgufMetadata& gguf) {
  constexpr uint32_t kControl = 3;
  const GgufValue* tokens = gguf.find("tokenizer.ggml.tokens");
  const GgufValue* types = gguf.find("tokenizer.ggml.token_type");
  const auto is_array = [](const GgufValue* v, GgufType element) {
    return v && v->type == GgufType::kArray && v->element == element;
  };
  std::vector<int32_t> out;
  if (!is_array(tokens, GgufType::kString) || !(is_array(types, GgufType::kI32) || is_array(types, GgufType::kU32))) return out;
  std::optional<int32_t> end;
  bool returns = false, calls = false;
  const std::byte* at = tokens->bytes.data();  // each string's length was checked when the header was read
  for (uint64_t i = 0; i < std::min(tokens->count, types->count); ++i) {
    uint64_t length = 0;
    uint32_t type = 0;
    std::memcpy(&length, at, sizeof length);
    std::memcpy(&type, types->bytes.data() + i * sizeof type, sizeof type);
    const std::string_view token(reinterpret_cast<const char*>(at + sizeof length), length);
    at += sizeof length + length;
    if (type != kControl || std::find(kTurnEnds.begin(), kTurnEnds.end(), token) == kTurnEnds.end()) continue;
    out.push_back(static_cast<int32_t>(i));
    if (token == "<|end|>") end = out.back();
    returns |= token == "<|return|>";
    calls |= token == "<|call|>";
  }
  if (end && returns && calls) std::erase(out, *end);  // in Harmony's format it ends a message, not the turn
  return out;
}

}  // namespace

GenerationConfig generation_config_of(const Json& generation, const Json& config, const std::string& directory) {
  static const Json kNone;
  GenerationConfig out;
  if (!generation.is_null() && !generation.is_object())
    fail(Code::kCorrupt, directory + "/generation_config.json", "expected a JSON object, got {}", generation.type_name());
  const bool own = generation.is_object();
  const Json* text = &kNone;
  for (const char* key : {"text_config", "decoder", "generator"})
    if (config.is_object() && config.contains(key) && config[key].is_object()) text = &config[key];
  const Keys model(config, *text, directory + "/config.json");
  const Keys keys(own ? generation : config, own ? kNone : *text, directory + (own ? "/generation_config.json" : "/config.json"));
  if (own || config.is_object()) out.origin = keys.origin();

  SamplingParams& s = out.sampling;
  keys.number("temperature", s.temperature);
  keys.number("top_p", s.top_p);
  keys.number("min_p", s.min_p);
  keys.number("typical_p", s.typical_p);
  keys.number("repetition_penalty", s.repetition_penalty);
  s.top_k = keys.integer("top_k").value_or(s.top_k);
  s.max_tokens = keys.integer("max_new_tokens").value_or(s.max_tokens);
  s.min_tokens = keys.integer("min_new_tokens").value_or(s.min_tokens);
  s.stop = keys.strings("stop_strings");
  s.suppress_tokens = token_ids(keys.integers("suppress_tokens"));
  s.begin_suppress_tokens = token_ids(keys.integers("begin_suppress_tokens"));
  s.no_repeat_ngram_size = keys.integer("no_repeat_ngram_size").value_or(0);
  s.forced_bos_token_id = token_id(keys.integer("forced_bos_token_id"));
  s.forced_eos_token_id = token_id(keys.integer("forced_eos_token_id"));
  read_bad_words(keys, out);
  read_beams(keys, out);
  if (model.boolean("is_encoder_decoder").value_or(false)) read_lengths(keys, out);
  else if (const auto n = keys.integer("min_length"); n && *n > 0) out.ignored.push_back(fmt::format("min_length={}", *n));
  read_sequence_bias(keys, out);
  out.eos_ids = token_ids(keys.find("eos_token_id") ? keys.integers("eos_token_id") : model.integers("eos_token_id"));
  out.bos_id = token_id(keys.integer("bos_token_id"));
  if (!out.bos_id) out.bos_id = token_id(model.integer("bos_token_id"));
  out.pad_id = token_id(keys.integer("pad_token_id"));
  if (!out.pad_id) out.pad_id = token_id(model.integer("pad_token_id"));
  out.decoder_start_id = token_id(keys.integer("decoder_start_token_id"));
  if (!out.decoder_start_id) out.decoder_start_id = token_id(model.integer("decoder_start_token_id"));
  if (!out.decoder_start_id) out.decoder_start_id = out.bos_id;
  for (const Unsupported& u : kUnsupported)
    if (const Json* v = keys.find(u.key); v && !is_off(*v, u.off)) out.ignored.push_back(fmt::format("{}={}", u.key, brief(*v)));
  finish(out, keys.boolean("do_sample").value_or(false));
  return out;
}

GenerationConfig generation_config_of(const GgufMetadata& gguf) {
  GenerationConfig out;
  out.origin = gguf.path();
  SamplingParams& s = out.sampling;
  const auto number = [&](const char* key, float& to) { to = gguf.find_f32(key).value_or(to); };
  number("general.sampling.temp", s.temperature);
  number("general.sampling.top_p", s.top_p);
  number("general.sampling.min_p", s.min_p);
  number("general.sampling.penalty_repeat", s.repetition_penalty);
  if (const auto k = gguf.find_i64("general.sampling.top_k"))
    s.top_k = static_cast<int>(std::clamp<int64_t>(*k, 0, std::numeric_limits<int>::max()));
  const auto ignore = [&](const char* key, std::optional<double> value) {
    if (value && *value != 0) out.ignored.push_back(fmt::format("{}={}", key, *value));
  };
  ignore("general.sampling.mirostat", gguf.find_i64("general.sampling.mirostat"));
  ignore("general.sampling.xtc_probability", gguf.find_f64("general.sampling.xtc_probability"));

  const auto id = [&](std::string_view key) -> std::optional<int32_t> {
    const auto v = gguf.find_u64(key);  // 2^32 - 1 is written for "none"
    return v && *v < static_cast<uint64_t>(std::numeric_limits<int32_t>::max()) ? std::optional(static_cast<int32_t>(*v)) : std::nullopt;
  };
  out.bos_id = id("tokenizer.ggml.bos_token_id");
  out.pad_id = id("tokenizer.ggml.padding_token_id");
  out.decoder_start_id = id(fmt::format("{}.decoder_start_token_id", gguf.find_str("general.architecture").value_or("")));
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
    if (const auto eos = id(key)) out.eos_ids.push_back(*eos);
  if (!gguf.has("tokenizer.ggml.eot_token_id"))
    for (int32_t end : turn_ends(gguf)) out.eos_ids.push_back(end);
  // The first stays first: it is the eos.
  for (size_t i = out.eos_ids.size(); i-- > 1;)
    if (std::find(out.eos_ids.begin(), out.eos_ids.begin() + static_cast<std::ptrdiff_t>(i), out.eos_ids[i]) !=
        out.eos_ids.begin() + static_cast<std::ptrdiff_t>(i))
      out.eos_ids.erase(out.eos_ids.begin() + static_cast<std::ptrdiff_t>(i));
  finish(out, gguf.has("general.sampling.temp"));
  return out;
}

GenerationConfig read_generation_config(const std::string& directory) {
  const auto read = [&](const char* name) {
    const std::string path = directory + "/" + name;
    return file_exists(path) ? read_python_json_file(path, size_t{16} << 20) : Json();
  };
  return generation_config_of(read("generation_config.json"), read("config.json"), directory);
}

GenerationConfig read_generation_config(const TensorSource& source) {
  if (source.gguf()) return generation_config_of(*source.gguf());
  if (dir_exists(source.path())) return read_generation_config(source.path());
  const std::string parent = std::filesystem::path(source.path()).parent_path().string();
  return read_generation_config(parent.empty() ? "." : parent);
}

Json GenerationConfig::describe() const {
  // As the file writes it: 0.7, where the nearest float is 0.699999988.
  const auto decimal = [](float f) { return Json::parse(fmt::format("{}", f)); };
  Json out = Json::object();
  out["origin"] = origin.empty() ? Json() : Json(origin);
  out["do_sample"] = !sampling.greedy();
  out["temperature"] = decimal(sampling_temperature);
  out["top_k"] = sampling.top_k;
  out["top_p"] = decimal(sampling.top_p);
  out["min_p"] = decimal(sampling.min_p);
  out["typical_p"] = decimal(sampling.typical_p);
  out["repetition_penalty"] = decimal(sampling.repetition_penalty);
  out["max_tokens"] = sampling.max_tokens;
  out["min_tokens"] = sampling.min_tokens;
  out["stop"] = sampling.stop;
  out["suppress_tokens"] = sampling.suppress_tokens;
  if (sampling.beams.num_beams > 1)
    out["beams"] = {{"num_beams", sampling.beams.num_beams}, {"length_penalty", decimal(sampling.beams.length_penalty)},
                    {"early_stopping", sampling.beams.early_stopping == BeamParams::EarlyStopping::kNever
                                           ? Json("never")
                                           : Json(sampling.beams.early_stopping == BeamParams::EarlyStopping::kTrue)}};
  const auto optional = [&out](const char* key, const auto& value) {
    if (value) out[key] = *value;
  };
  optional("forced_bos_token_id", sampling.forced_bos_token_id);
  optional("forced_eos_token_id", sampling.forced_eos_token_id);
  optional("decoder_start_token_id", decoder_start_id);
  if (!sampling.logit_bias.empty()) {
    Json bias = Json::object();
    for (const auto& [id, value] : sampling.logit_bias) bias[std::to_string(id)] = value;
    out["logit_bias"] = std::move(bias);
  }
  out["eos_token_id"] = eos_ids;
  out["bos_token_id"] = bos_id ? Json(*bos_id) : Json();
  out["pad_token_id"] = pad_id ? Json(*pad_id) : Json();
  out["ignored"] = ignored;
  return out;
}

}  // namespace transom
