// The matrix notices every change: with any one parameter zeroed, or any one value of the config changed, a family's fixture no
// longer gives its golden (or is refused), but for the changes listed here with the reason why they cannot matter.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "engine/loaded_model.h"
#include "spec/config.h"
#include "support/fixture_names.h"
#include "support/run_case.h"
#include "support/temp_dir.h"
#include "transom/model.h"

namespace transom {
namespace {

namespace fs = std::filesystem;

ModelOptions plain() { return {.kernels = "ref", .threads = 1}; }

// The largest difference from the golden of one text.
double distance(const Model& m, const test::GoldenCase& c) {
  const std::vector<float> y = test::run_case(m, c);
  const std::vector<float>& want = c.logits.data.empty() ? c.hidden.data : c.logits.data;
  if (y.size() != want.size()) return INFINITY;
  double d = 0;
  for (size_t i = 0; i < y.size(); ++i) d = std::max(d, std::fabs(double{y[i]} - want[i]));
  return std::isnan(d) ? INFINITY : d;
}

// Of the fixture's two longest texts: beyond windows and original contexts, and within them.
double distance(const Model& m, const test::Golden& golden) {
  double d = 0;
  for (size_t i = golden.cases.size() - std::min<size_t>(2, golden.cases.size()); i < golden.cases.size(); ++i)
    d = std::max(d, distance(m, golden.cases[i]));
  return d;
}

constexpr double kNoticed = 1e-4;  // the matrix's own tolerance

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const char* kind : {"logits", "embeddings", "heads", "seq2seq"})
    for (std::string& name : test::own_weights(kind)) names.push_back(std::move(name));
  return names;
}

class Mutation : public testing::TestWithParam<std::string> {};

// A bias on keys adds the same to all scores of a query, and softmax forgets it, where keys are not rotated.
bool is_key_bias(const std::string& param) {
  for (const char* end : {"k_proj.bias", "key.bias", "k_lin.bias", "attn.k.bias", "key_proj.bias"})
    if (param.ends_with(end)) return true;
  return false;
}

TEST_P(Mutation, EveryParameterMatters) {
  const test::Golden golden = test::load_golden(GetParam());
  const Model m = Model::load(test::fixture_path(GetParam()), plain());
  const double own = distance(m, golden);
  ASSERT_LT(own, kNoticed);
  for (Param& p : m.impl().params.rows()) {
    if (p.tied || !p.weight) continue;
    if (golden.cases.back().logits.data.empty() && p.name.starts_with("cls.")) continue;  // hidden states come before the head
    const Weight original = p.weight;
    std::vector<std::byte> zeros(static_cast<size_t>(original.bytes()));
    p.weight.view.data = zeros.data();
    if (const double d = distance(m, golden); !(is_key_bias(p.name) && std::fabs(d - own) < 1e-5)) EXPECT_GT(d, kNoticed) << p.name << " zeroed";
    p.weight = original;
  }
}

// Another value of the same kind, so different that it has to show.
Json changed(const Json& v) {
  if (v.is_boolean()) return !v.get<bool>();
  if (v.is_number_integer()) return v == 1 ? 0 : v == 0 ? 2 : v.get<int64_t>() * 2;
  if (v.is_number()) return std::fabs(v.get<double>()) < 1e-2 ? v.get<double>() + 0.1 : v.get<double>() * 1.5;
  if (v == "sliding_attention") return "full_attention";
  if (v == "full_attention") return "sliding_attention";
  if (v == "chunked_attention") return "full_attention";
  if (v.is_string()) return v == "relu" ? "gelu" : "relu";
  return nullptr;
}

// The same of keys that models with recurrent layers have.
std::string why_inert_in_recurrent(const std::string& key, const Json& config) {
  for (const char* name : {"time_step_scale", "time_step_min", "time_step_max", "time_step_floor", "time_step_init_scheme", "residual_in_fp32",
                           "rescale_prenorm_residual", "use_mambapy", "use_associative_scan", "use_mamba_kernels", "chunk_size", "mamba_chunk_size",
                           "context_length", "z_loss_coefficient"})
    if (key == name) return "of training, of initial values, of precision or of speed";
  if (key == "expand" || key == "mamba_expand") return config.contains("intermediate_size") && !config.contains("mamba_d_state") ? "intermediate_size says it"
                                                      : config.contains("mamba_d_ssm") ? "mamba_d_ssm says it" : "";
  if (key == "time_step_rank") return config.contains("time_step_limit") ? "Mamba 2 has none" : "";
  if (key == "mamba_norm_before_gate") return config.value("mamba_rms_norm", true) ? "" : "there is no norm";
  if (key == "num_experts_per_tok") return config.value("num_local_experts", 1) == 0 ? "there are no experts" : "";
  if (key == "full_attn_idxs") return config.contains("layer_types") ? "layer_types say it" : "";
  if (key == "rope_parameters") return config.contains("position_embedding_type") && config["position_embedding_type"].is_null() ? "no layer rotates" : "";
  if (key.starts_with("block_")) return config.value("block_auto_adjust_ff_dim", true) ? "" : "the feed-forward's size is given";
  return "";
}

// The same of keys that encoder-decoders have.
std::string why_inert_in_seq2seq(const std::string& key, const Json& config) {
  if (!config.value("is_encoder_decoder", false)) return "";
  for (const char* name : {"classifier_proj_size", "use_weighted_layer_sum", "median_filter_width", "apply_spec_augment", "init_std", "initializer_factor"})
    if (key == name) return "of training, of another head, or of aligning words";
  for (const char* start : {"mask_time_", "mask_feature_"})
    if (key.starts_with(start)) return "of training";
  if (key.ends_with("layerdrop")) return "of training";
  if (key == "dense_act_fn" || key == "is_gated_act") return "feed_forward_proj says it";
  return "";
}

// Why a change of the value of `key` cannot matter; "" when it can.
std::string why_inert(const std::string& key, const Json& config) {
  const bool layers_say = config.contains("layer_types");
  const bool no_window = config.value("use_sliding_window", true) == false;
  if (key == "tie_word_embeddings" || key == "head_dim") return "the tensors decide";
  for (const char* bound : {"max_position_embeddings", "n_positions", "max_seq_len", "model_max_length"})
    if (key == bound) return "a bound";
  if (key == "seq_length")
    return config.value("use_dynamic_ntk", false) || config.value("use_logn_attn", false) ? "" : "nothing depends on the length of training";
  if (key == "parallel_attn" || key == "multi_query") return config.value("new_decoder_architecture", false) ? "of the other layouts" : "";
  if (key == "interleave_moe_layer_step") return config.contains("moe_layers") ? "moe_layers says it" : "";
  if (key == "use_double_wide_mlp") return config["num_kv_shared_layers"] == 0 ? "no layer shares keys" : "";
  if (key == "vocab_size_per_layer_input") return config["hidden_size_per_layer_input"] == 0 ? "there are no inputs of single layers" : "";
  if (key == "rope_parameters" && config.value("alibi", false)) return "nothing rotates";
  if (key == "_remove_final_layer_norm") return config["do_layer_norm_before"] == false ? "there is none" : "";
  if (key == "original_max_position_embeddings" && !config["rope_parameters"].is_null()) return "rope_parameters has its own";
  if (key == "max_window_layers" || key == "use_sliding_window" || key.ends_with("sliding_window_pattern") || key == "no_rope_layer_interval")
    return layers_say || no_window ? "layer_types, no_rope_layers and windows say it" : "";
  if (key == "layer_types" || key == "sliding_window") return no_window ? "windows are off" : "";
  if (key == "intermediate_size")
    return config.contains("moe_intermediate_size") || config.value("num_local_experts", 1) == 0 ? "no layer is dense, or none a mixture" : "";
  if (key == "first_k_dense_replace") return config.contains("mlp_layer_types") ? "mlp_layer_types says it" : "";
  if (key == "num_nextn_predict_layers") return config[key] == 0 ? "there are no such layers" : "";
  if (key.starts_with("index_")) return "of DeepSeek's indexer, or a bound";
  if (key.ends_with("attention_sink_bias")) return config[key] == true ? "the tensors decide" : "";
  if (key == "max_relative_positions") return config[key] == -1 ? "below 1: max_position_embeddings" : "";
  if (key == "type_vocab_size") return config["model_type"] == "mpnet" ? "there are no token types" : "";
  if (const std::string why = why_inert_in_recurrent(key, config); !why.empty()) return why;
  if (const std::string why = why_inert_in_seq2seq(key, config); !why.empty()) return why;
  if (key.find("dropout") != std::string::npos) return "of training";
  for (const char* start : {"pooler_", "summary_", "sparse_pred"})
    if (key.starts_with(start)) return "of another head, or of training";
  for (const char* other : {"router_jitter_noise", "input_jitter_noise", "reorder_and_upcast_attn", "deterministic_flash_attn",
                            "initializer_cutoff_factor", "decoder_bias", "legacy", "sinusoidal_pos_embds", "slow_but_exact", "layerdrop",
                            "learned_pos_emb", "embedding_fraction", "norm_type", "init_device", "emb_pdrop", "altup_coef_clip",
                            "apply_query_key_layer_scaling", "attention_softmax_in_fp32", "fp32_residual_connection",
                            "bias_dropout_fusion", "original_rope", "softmax_in_fp32", "use_flash_attn", "bf16", "fp16", "fp32"})
    if (key == other) return "of training, of speed, of another head, or of how positions were first made";
  return "";
}

// Values that transformers itself does not use.
std::string quirk(const Json& config, const std::string& pointer) {
  const std::string type = config.value("model_type", "");
  if (type == "gpt_oss" && pointer == "/hidden_act") return "the experts' activation is always the same";
  if (type == "phimoe" && (pointer.find("long_factor") != std::string::npos || pointer.ends_with("original_max_position_embeddings")))
    return "always the short factors";
  if (type.starts_with("gemma4") && pointer == "/layer_types/" + std::to_string(config["layer_types"].size() - 1))
    return "the last layer attends to all, whatever it says";
  if (type == "mpt" && (pointer.ends_with("attn_impl") || pointer.ends_with("attn_pdrop"))) return "of speed, or of training";
  if (type == "mpt" && (pointer.find("id2label") != std::string::npos || pointer.find("label2id") != std::string::npos)) return "of another head";
  if (pointer == "/rope_parameters/max_position_embeddings") return "a bound";
  return "";
}

// What the library itself says of keys that it does not read: that they never matter, or that it does not know them.
bool unread(const std::string& key, const Json& value, const Model& m) {
  const UnreadKeys judged = judge_unread(Config({{key, value}}, "config.json"), {});
  const auto& w = m.warnings();
  return judged.warnings.empty() || std::find(w.begin(), w.end(), "config key not known here: " + key) != w.end();
}

// A copy of the fixture with another config.
class Edited {
 public:
  explicit Edited(const std::string& fixture) : path_(test::fixture_path(fixture)) {
    for (const auto& e : fs::directory_iterator(path_))
      if (e.path().filename() != "config.json") fs::create_symlink(fs::canonical(e.path()), dir_ / e.path().filename().string());
  }
  // INFINITY when the config is refused.
  double distance(const Json& config, const test::Golden& golden) {
    dir_.write("config.json", config.dump());
    try {
      return transom::distance(Model::load(dir_.path(), plain()), golden);
    } catch (const Error&) {
      return INFINITY;
    }
  }

 private:
  std::string path_;
  test::TempDir dir_;
};

TEST_P(Mutation, EveryConfigValueMatters) {
  const test::Golden golden = test::load_golden(GetParam());
  const Json config = read_json_file(test::fixture_path(GetParam()) + "/config.json");
  Edited edited(GetParam());
  ASSERT_LT(edited.distance(config, golden), kNoticed);
  const Model m = Model::load(test::fixture_path(GetParam()), plain());
  // Of a multimodal model's config, the text model's part.
  const std::string part = config.contains("text_config") ? "/text_config" : "";
  const Json own = config[Json::json_pointer(part)], leaves = own.flatten();
  for (const auto& [pointer, value] : leaves.items()) {
    const std::string key = pointer.substr(1, pointer.find('/', 1) - 1);
    const Json other = changed(value);
    if (other.is_null() || unread(key, own[key], m) || unread(pointer.substr(pointer.rfind('/') + 1), value, m)) continue;
    Json mutant = config;
    mutant[Json::json_pointer(part + pointer)] = other;
    const double d = edited.distance(mutant, golden);
    if (quirk(own, pointer).empty() && why_inert(key, own).empty()) EXPECT_GT(d, kNoticed) << pointer << ": " << value << " changed to " << other;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Mutation, testing::ValuesIn(families()),
                         [](const testing::TestParamInfo<std::string>& info) { return test::as_test_name(info.param); });

}  // namespace
}  // namespace transom
