// Model::load: finds the family, builds the network, binds and loads its parameters: see include/transom/model.h.
#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/lora.h"
#include "checkpoint/streamer.h"
#include "engine/loaded_model.h"
#include "engine/unknown.h"
#include "models/registry.h"

namespace transom {
namespace {

std::string join(const std::vector<std::string>& names) {
  std::string s;
  for (const std::string& n : names) s += (s.empty() ? "" : ", ") + n;
  return s;
}

// The architecture names that a checkpoint gives itself, best first.
std::vector<std::string> architectures(const Json& config, const std::string& origin) {
  std::vector<std::string> names;
  if (const auto it = config.find("architectures"); it != config.end() && it->is_array())
    for (const Json& a : *it)
      if (a.is_string()) names.push_back(a.get<std::string>());
  if (names.empty()) fail(Code::kCorrupt, origin, "expected a list of names in architectures, got none");
  return names;
}

// The part of config.json that is the model's own, with what the whole says of all parts.
void take_section(Model::Impl& m) {
  const auto it = m.config_json.find(m.family.section);
  if (m.family.section.empty() || it == m.config_json.end() || !it->is_object()) return;
  Json part = *it;
  for (const char* key : {"tie_word_embeddings", "quantization_config"})  // the head is the whole's
    if (m.config_json.contains(key)) part[key] = m.config_json[key];
  m.config_json = std::move(part);
}

// Sets architecture, family and config_json.
void identify(Model::Impl& m) {
  const TensorSource& source = *m.source;
  std::vector<std::string> names;
  if (source.gguf()) {
    const std::string_view said = source.gguf()->str("general.architecture");
    // A key that does not say no, or a tensor, be it of any layer.
    const auto has = [&](std::string_view key) {
      const std::string full = fmt::format("{}.{}", said, key);
      if (const GgufValue* v = source.gguf()->find(full)) return v->type != GgufType::kBool || *source.gguf()->find_bool(full);
      return std::any_of(source.entries().begin(), source.entries().end(),
                         [&](const TensorEntry& e) { return e.name == key || match_pattern(fmt::format("blk.*.{}", key), e.name).has_value(); });
    };
    const std::string_view name = architecture_of_gguf(said, has);
    names = {std::string(name.empty() ? said : name)};
  } else {
    if (!file_exists(m.path + "/config.json")) fail(Code::kNotFound, m.path, "expected config.json beside the weights, got none");
    m.config_json = read_python_json_file(m.path + "/config.json", size_t{16} << 20);
    names = architectures(m.config_json, m.path + "/config.json");
  }
  for (const std::string& n : names)
    if (auto family = find_family(n)) {
      m.architecture = n;
      m.family = std::move(*family);
      break;
    }
  if (m.architecture.empty()) {
    GuessedFamily guessed = guess_family(source, m.config_json, m.path + "/config.json", names);
    m.architecture = names.front();
    m.family = std::move(guessed.family);
    m.warnings.push_back(std::move(guessed.warning));
  }
  log().info("impl=native arch={}", m.architecture);
  if (!source.gguf()) take_section(m);
  apply_aliases(m.family, m.config_json);
  if (!source.gguf() && m.family.adjust) m.family.adjust(m.config_json);
  if (!source.gguf()) return;
  m.config_json = gguf_config(source, m.family.gguf);
}

// Some encoders name an architecture with a head that their file does not hold (sentence-transformers'): they have none.
void drop_absent_head(Model::Impl& m, const Config& config) {
  if (!m.family.head || m.family.task == nn::Task::kNone || m.source->gguf()) return;
  const nn::HeadSpec h = m.family.head(config, m.family.task);
  for (const std::string& name : {h.out + ".weight", h.bias.empty() ? h.out + ".bias" : h.bias, h.norm_name + ".weight"})
    if (holds(*m.source, m.family.rules, m.family.base_prefix, name)) return;
  m.family.task = nn::Task::kNone;
  m.warnings.push_back(fmt::format("the checkpoint does not hold the head of {}: hidden states only", m.architecture));
}

HeadInfo head_info(const nn::Network& network, const Config& config) {
  const nn::HeadShape head = network.head();
  HeadInfo info{.task = std::string(name(head.task)), .outputs = head.outputs, .per_text = head.rows != nn::HeadRows::kEach};
  if (head.task != nn::Task::kSequenceClassification && head.task != nn::Task::kTokenClassification) return info;
  const Json names = config.raw("id2label");
  for (int64_t i = 0; i < head.outputs && names.is_object(); ++i) {
    const auto it = names.find(std::to_string(i));
    if (it == names.end() || !it->is_string()) return info.labels.clear(), info;
    info.labels.push_back(it->get<std::string>());
  }
  return info;
}

void check_unread(const Config& config, Model::Impl& m) {
  const UnreadKeys unread = judge_unread(config, m.family.config_keys);
  for (const std::string& key : unread.warnings) m.warnings.push_back("config key not known here: " + key);
  if (unread.errors.empty()) return;
  const std::string what = fmt::format("expected every key with a meaning to be used, got {} unused", join(unread.errors));
  if (!m.options.allow_unread_config) fail(Code::kUnsupported, config.origin(), "{}; --allow-unread-config goes on", what);
  m.warnings.push_back(what);
}

const Kernels& choose_kernels(const ModelOptions& o) {
  if (o.device == "cuda" || o.device == "cuda:0") {
    if (o.kernels != "auto" && o.kernels != "cuda")
      fail(Code::kInvalidArgument, "--kernels", "expected auto or cuda on a CUDA device, got {}", o.kernels);
    if (o.stream_weights) fail(Code::kUnsupported, "--stream-weights", "expected --device cpu, got {}: streaming to a device is not there yet", o.device);
    return kernels_by_name("cuda");  // one order of summation whatever the step: always deterministic
  }
  if (o.device.starts_with("cuda:"))
    fail(Code::kUnsupported, "--device", "expected cuda or cuda:0, got {} (CUDA_VISIBLE_DEVICES chooses another device)", o.device);
  if (o.device != "auto" && o.device != "cpu") fail(Code::kInvalidArgument, "--device", "expected auto, cpu or cuda[:N], got {}", o.device);
  if (o.kernels == "cuda") fail(Code::kInvalidArgument, "--kernels", "expected a CPU table, got cuda; --device cuda runs on a GPU");
  std::string name = o.kernels == "auto" ? std::string(available_kernels().front()) : o.kernels;
  if (o.deterministic && name != "ref" && !name.ends_with("+deterministic")) name += "+deterministic";
  return kernels_by_name(name);
}

// Nothing for auto.
std::optional<DType> chosen_dtype(const char* flag, const std::string& value, bool blocks = false) {
  if (value == "auto") return {};
  const auto t = parse_dtype(value);
  if (t == DType::kF32 || t == DType::kBF16 || t == DType::kF16) return t;
  if (blocks && (t == DType::kQ8_0 || t == DType::kQ5_1 || t == DType::kQ5_0 || t == DType::kQ4_1 || t == DType::kQ4_0)) return t;
  fail(Code::kInvalidArgument, flag, "expected auto, float32, bfloat16{}, got {}", blocks ? ", float16, q8_0, q5_1, q5_0, q4_1 or q4_0" : " or float16", value);
}

void check_kept_in_blocks(const Model::Impl& m, DType t) {
  const auto refuse = [&](std::string_view why) { fail(Code::kUnsupported, "--kv-cache-dtype", "expected a float type, since {}, got {}", why, name(t)); };
  if (!m.kernels->host_memory) refuse(fmt::format("{} kernels read no blocks", m.kernels->name));
  for (const StateSpec& s : m.states) {
    if (s.k_dim == 0) continue;
    if (s.head_dim == 0) refuse("this model's heads share a latent");
    if (s.head_dim % info(t).block != 0) refuse(fmt::format("heads of {} do not divide into blocks of {}", s.head_dim, info(t).block));
  }
}

// Of kept keys and values. The bytes of a long context are read for every token, as weights are: they need no more precision than those.
DType choose_kv_dtype(const Model::Impl& m) {
  if (const auto asked = chosen_dtype("--kv-cache-dtype", m.options.kv_cache_dtype, true)) {
    if (is_quantized(*asked)) check_kept_in_blocks(m, *asked);
    return *asked;
  }
  if (m.options.dtype != "auto" || !m.kernels->host_memory || std::string_view(m.kernels->name) == "ref") return m.dtype;
  int64_t floats = 0, all = 0;
  for (const Binding& b : m.bindings.rows) {
    all += value_bytes(b);
    if (b.entry->dtype == DType::kF32) floats += value_bytes(b);
  }
  return 2 * floats > all ? m.dtype : DType::kBF16;
}

// A copy of a weight in the device's memory, when that is not the host's.
Weight on_device(Weight w, const Kernels& kernels, Stream& stream) {
  if (kernels.host_memory) return w;
  if (w.view.coded) fail(Code::kUnsupported, "--device", "expected cpu for weights stored as several tensors (quantization_config), got a device");
  const std::shared_ptr<std::byte> memory = kernels.allocate(w.bytes());
  kernels.copy_to_device(memory.get(), w.view.data, w.bytes(), stream);
  w.view.data = memory.get();
  w.owner = memory;
  return w;
}

void load_weights(Model::Impl& m) {
  Stream stream;
  stream.team = m.team.get();
  const auto resident = [&](const Binding& b) { return !m.options.stream_weights || b.param->block < 0; };
  for (Param& p : m.params.rows())
    if (p.computed) p.weight = on_device(p.weight, *m.kernels, stream);  // unless the checkpoint holds it
  int64_t done = 0, total = 0;
  for (const Binding& b : m.bindings.rows) total += resident(b) ? value_bytes(b) : 0;
  for (const Binding& b : m.bindings.rows) {
    if (!resident(b)) continue;
    b.param->weight = on_device(load_weight(b), *m.kernels, stream);
    done += value_bytes(b);
    if (m.options.progress) m.options.progress(done, total);
  }
  share_tied(m.params);
  if (m.options.stream_weights) m.residency = make_streamer(m.bindings.rows, m.params.blocks());
}

}  // namespace

std::vector<ArchitectureInfo> native_architectures() {
  std::vector<ArchitectureInfo> all;
  for (const RegistryLine& l : registry_lines())
    all.push_back({.name = std::string(l.name), .task = std::string(nn::name(l.task)), .gguf = std::string(l.gguf)});
  return all;
}

std::string checked_transformers() { return std::string(kCheckedTransformers); }

Model Model::load(const std::string& path, const ModelOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  auto m = std::make_shared<Impl>();
  m->path = path;
  m->options = options;
  m->kernels = &choose_kernels(options);
  m->dtype = chosen_dtype("--dtype", options.dtype).value_or(DType::kF32);
  if (options.model_impl == "transformers")
    fail(Code::kUnsupported, "--model-impl", "expected auto or native, got transformers: the Python worker is not there yet");
  m->source = open_checkpoint(path);
  identify(*m);
  if (std::string w = reconcile_head_dim(m->config_json, *m->source); !w.empty()) m->warnings.push_back(std::move(w));
  if (std::string w = note_attention_sinks(m->config_json, *m->source); !w.empty()) m->warnings.push_back(std::move(w));
  const Config config(m->config_json, m->source->gguf() ? path : path + "/config.json");
  m->context_length = config.i("max_position_embeddings", 0);
  m->vocab_size = config.i("vocab_size");
  m->hidden_size = config.i("hidden_size");
  drop_absent_head(*m, config);
  m->network = build_network(m->family, config, Scope(m->params, m->states));
  m->head = head_info(*m->network, config);
  if (const int64_t n = m->network->limits().positions; n > 0) m->context_length = std::min(m->context_length, n);
  const std::unique_ptr<const Quantization> quantization = m->source->gguf() ? nullptr : read_quantization(config);
  check_unread(config, *m);
  if (m->family.config_rules) (m->source->gguf() ? m->family.gguf.rules : m->family.rules) += m->family.config_rules(config);
  m->bindings = bind_params(m->params, *m->source, m->source->gguf() ? m->family.gguf.rules : m->family.rules,
                            m->family.base_prefix, {.allow_unused = options.allow_unused_tensors, .quantization = quantization.get()});
  std::move(m->bindings.warnings.begin(), m->bindings.warnings.end(), std::back_inserter(m->warnings));
  m->kv_dtype = choose_kv_dtype(*m);
  m->generation = read_generation_config(*m->source);
  m->team = std::make_unique<ThreadTeam>(options.threads);
  load_weights(*m);
  m->options.progress = nullptr;  // the caller's; it may be gone by now
  for (const std::string& w : m->warnings) log().warn("{}", w);
  m->load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return Model(m);
}

void Model::load_adapter(const std::string& name, const std::string& directory) {
  Stream stream;
  stream.team = impl_->team.get();
  if (name.empty()) fail(Code::kInvalidArgument, "adapter", "expected a name, got none");
  Adapter a = read_lora(directory, impl_->params);
  for (auto& [param, f] : a.factors) {
    f.a = on_device(std::move(f.a), *impl_->kernels, stream);
    f.b = on_device(std::move(f.b), *impl_->kernels, stream);
  }
  if (!impl_->adapters.emplace(name, std::move(a)).second)
    fail(Code::kInvalidArgument, "adapter", "expected a name that is not in use, got {}", name);
}

const Adapter* Model::Impl::find_adapter(const std::string& name) const {
  if (name.empty()) return nullptr;
  const auto it = adapters.find(name);
  if (it == adapters.end()) fail(Code::kNotFound, "adapter", "expected the name of a loaded adapter, got {}", quote(name));
  return &it->second;
}

Model::Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
const std::string& Model::path() const { return impl_->path; }
const std::string& Model::architecture() const { return impl_->architecture; }
int64_t Model::context_length() const { return impl_->context_length; }
int64_t Model::vocab_size() const { return impl_->vocab_size; }
int64_t Model::hidden_size() const { return impl_->hidden_size; }
const HeadInfo& Model::head() const { return impl_->head; }
bool Model::generates() const { return impl_->network->head().task == nn::Task::kCausalLm; }
bool Model::encoder_decoder() const { return impl_->network->source().has_value(); }
int64_t Model::source_features() const { return encoder_decoder() ? impl_->network->source()->features : 0; }
int64_t Model::source_positions() const { return encoder_decoder() ? impl_->network->source()->positions : 0; }
int32_t Model::decoder_start_id() const {
  const auto id = impl_->generation.decoder_start_id;
  if (!id) fail(Code::kUnsupported, impl_->path, "expected decoder_start_token_id in generation_config.json or config.json, got none");
  return *id;
}
const SamplingParams& Model::default_sampling() const { return impl_->generation.sampling; }
const std::vector<int32_t>& Model::end_ids() const { return impl_->generation.eos_ids; }
const std::vector<std::string>& Model::warnings() const { return impl_->warnings; }
double Model::load_seconds() const { return impl_->load_seconds; }

namespace {

// What was decided of the config and the tensors together.
Json decisions(const Model::Impl& m) {
  const Config c(m.config_json, m.path);
  const auto first_of = [&](std::initializer_list<const char*> keys) {
    for (const char* key : keys)
      if (const Json v = c.raw(key); !v.is_null()) return v;
    return Json();
  };
  Json d;
  const int64_t heads = c.i("num_attention_heads", 0);
  d["head_size"] = first_of({"head_dim"});
  if (d["head_size"].is_null() && heads > 0) d["head_size"] = m.hidden_size / heads;
  d["rope"] = first_of({"rope_parameters", "rope_scaling"});
  if (const Json theta = first_of({"rope_theta"}); d["rope"].is_null() && !theta.is_null()) d["rope"] = {{"rope_theta", theta}};
  std::map<std::string, int> masks;
  for (const StateSpec& s : m.states) {
    if (s.per_sequence > 0) ++masks["recurrent"];
    if (s.k_dim > 0) ++masks[s.tokens == StateSpec::Tokens::kSource ? "source" : s.window > 0 ? fmt::format("causal, window {}", s.window) : "causal"];
  }
  d["mask"] = masks.empty() ? Json("bidirectional") : Json(masks);
  const auto& rows = m.params.rows();
  d["tied_head"] = std::any_of(rows.begin(), rows.end(), [](const Param& p) { return p.tied && p.weight.view.data == p.tied->weight.view.data; });
  d["attention"] = m.kernels->name;
  return d;
}

}  // namespace

nlohmann::ordered_json Model::describe() const {
  const Impl& m = *impl_;
  Json d;
  d["path"] = m.path;
  d["architecture"] = m.architecture;
  d["impl"] = "native";
  d["head"] = {{"task", m.head.task}, {"outputs", m.head.outputs}, {"per_text", m.head.per_text}, {"labels", m.head.labels}};
  int64_t count = 0, bytes = 0, block_parameters = 0, step_bytes = 0;
  std::map<std::string, int64_t> by_type;
  Json tensors = Json::array();
  for (const Binding& b : m.bindings.rows) {
    count += b.param->rows * b.param->cols;
    bytes += value_bytes(b);
    if (b.param->block >= 0) block_parameters += b.param->rows * b.param->cols;
    // A step reads a row a token of a table, and all of every other weight.
    const bool shared = std::any_of(m.params.rows().begin(), m.params.rows().end(),
                                    [&](const Param& p) { return p.tied == b.param && p.weight.view.data == b.param->weight.view.data; });
    if (b.param->kind != ParamKind::kTable || shared) step_bytes += value_bytes(b);
    by_type[stored_as(b)] += value_bytes(b);
    tensors.push_back({{"name", b.param->name}, {"stored_as", b.entry->name}, {"dtype", stored_as(b)},
                       {"shape", b.entry->shape}, {"bytes", value_bytes(b)}});
  }
  d["parameters"] = count;
  d["weight_bytes"] = bytes;
  d["block_parameters"] = block_parameters;
  d["bytes_per_step"] = step_bytes;
  d["bytes_by_dtype"] = by_type;
  d["context_length"] = m.context_length;
  d["vocab_size"] = m.vocab_size;
  d["hidden_size"] = m.hidden_size;
  d["blocks"] = m.params.blocks();
  int64_t state = 0, slot = 0;
  Json layers = Json::array();
  for (const StateSpec& s : m.states) {
    state += row_bytes(m.kv_dtype, s.k_dim) + row_bytes(m.kv_dtype, s.v_dim);
    slot += s.per_sequence * static_cast<int64_t>(sizeof(float));
    layers.push_back({{"k_dim", s.k_dim}, {"v_dim", s.v_dim}, {"window", s.window}, {"per_sequence", s.per_sequence}});
  }
  d["state_bytes_per_token"] = state;
  d["state_bytes_per_sequence"] = slot;
  d["state"] = layers;
  d["placement"] = {{"kernels", m.kernels->name}, {"activations", name(m.dtype)}, {"kv_cache", name(m.kv_dtype)}, {"threads", m.team->size()},
                    {"weights", m.options.stream_weights       ? "streamed from disk, block by block"
                                : m.kernels->host_memory       ? "mapped as stored"
                                                               : "copied to the device as stored"}};
  d["decisions"] = decisions(m);
  d["generation"] = m.generation.describe();
  d["warnings"] = m.warnings;
  d["tensors"] = tensors;
  return d;
}

}  // namespace transom
