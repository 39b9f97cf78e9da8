// Model::load: finds the family, builds the network, binds and loads its parameters: see include/transom/model.h.
#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/log.h"
#include "checkpoint/gguf_config.h"
#include "checkpoint/streamer.h"
#include "engine/loaded_model.h"
#include "models/registry.h"

namespace transom {
namespace {

Json read_config(const std::string& path, const TensorSource& source) {
  if (source.gguf()) return gguf_config(source);
  const std::string file = path + "/config.json";
  if (!file_exists(file)) fail(Code::kNotFound, path, "expected config.json beside the weights, got none");
  return read_json_file(file, size_t{16} << 20);
}

std::string join(const std::vector<std::string>& names) {
  std::string s;
  for (const std::string& n : names) s += (s.empty() ? "" : ", ") + n;
  return s;
}

// The first of `architectures` that has a family.
std::pair<std::string, Family> choose_family(const Json& config, const std::string& origin, const ModelOptions& options) {
  if (options.model_impl == "transformers")
    fail(Code::kUnsupported, "--model-impl", "expected auto or native, got transformers: the Python worker is not there yet");
  std::vector<std::string> names;
  if (const auto it = config.find("architectures"); it != config.end() && it->is_array())
    for (const Json& a : *it)
      if (a.is_string()) names.push_back(a.get<std::string>());
  for (const std::string& n : names)
    if (auto family = find_family(n)) {
      log().info("impl=native arch={}", n);
      return {n, std::move(*family)};
    }
  if (names.empty()) fail(Code::kCorrupt, origin, "expected a list of names in architectures, got none");
  std::string native;
  for (const std::string_view n : native_architectures()) native += (native.empty() ? "" : ", ") + std::string(n);
  fail(Code::kUnsupported, origin, "expected an architecture of {}, got {} (the Python transformers worker is not there yet)", native,
       join(names));
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
  if (o.device.starts_with("cuda")) return kernels_by_name("cuda");
  if (o.device != "auto" && o.device != "cpu") fail(Code::kInvalidArgument, "--device", "expected auto, cpu or cuda[:N], got {}", o.device);
  return kernels_by_name(o.deterministic && o.kernels == "auto" ? "deterministic" : o.kernels);
}

DType choose_dtype(const ModelOptions& o) {
  if (o.dtype == "auto") return DType::kF32;
  const auto t = parse_dtype(o.dtype);
  if (!t || (*t != DType::kF32 && *t != DType::kBF16 && *t != DType::kF16))
    fail(Code::kInvalidArgument, "--dtype", "expected auto, float32, bfloat16 or float16, got {}", o.dtype);
  return *t;
}

// A copy of a weight in the device's memory, when that is not the host's.
Weight on_device(Weight w, const Kernels& kernels, Stream& stream) {
  if (kernels.host_memory) return w;
  const std::shared_ptr<std::byte> memory = kernels.allocate(w.bytes());
  kernels.copy_to_device(memory.get(), w.view.data, w.bytes(), stream);
  w.view.data = memory.get();
  w.owner = memory;
  return w;
}

void load_weights(Model::Impl& m) {
  Stream stream;
  stream.team = m.team.get();
  for (const Binding& b : m.bindings.rows)
    if (!m.options.stream_weights || b.param->block < 0) b.param->weight = on_device(load_weight(b), *m.kernels, stream);
  share_tied(m.params);
  if (m.options.stream_weights) m.residency = make_streamer(m.bindings.rows, m.params.blocks());
}

}  // namespace

Model Model::load(const std::string& path, const ModelOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  auto m = std::make_shared<Impl>();
  m->path = path;
  m->options = options;
  m->kernels = &choose_kernels(options);
  m->dtype = choose_dtype(options);
  m->source = open_checkpoint(path);
  m->config_json = read_config(path, *m->source);
  const std::string origin = m->source->gguf() ? path : path + "/config.json";
  std::tie(m->architecture, m->family) = choose_family(m->config_json, origin, options);
  if (std::string w = reconcile_head_dim(m->config_json, *m->source); !w.empty()) m->warnings.push_back(std::move(w));
  const Config config(m->config_json, origin);
  m->context_length = config.i("max_position_embeddings", 0);
  m->vocab_size = config.i("vocab_size");
  m->hidden_size = config.i("hidden_size");
  m->network = m->family.build(config, Scope(m->params, m->states));
  check_unread(config, *m);
  m->bindings = bind_params(m->params, *m->source, m->source->gguf() ? m->family.gguf_rules : m->family.rules,
                            m->family.base_prefix, {.allow_unused = options.allow_unused_tensors});
  std::move(m->bindings.warnings.begin(), m->bindings.warnings.end(), std::back_inserter(m->warnings));
  m->team = std::make_unique<ThreadTeam>(options.threads);
  load_weights(*m);
  for (const std::string& w : m->warnings) log().warn("{}", w);
  m->load_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return Model(m);
}

Model::Model(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
const std::string& Model::path() const { return impl_->path; }
const std::string& Model::architecture() const { return impl_->architecture; }
int64_t Model::context_length() const { return impl_->context_length; }
int64_t Model::vocab_size() const { return impl_->vocab_size; }
int64_t Model::hidden_size() const { return impl_->hidden_size; }
bool Model::generates() const { return impl_->network->has_head(); }
const std::vector<std::string>& Model::warnings() const { return impl_->warnings; }
double Model::load_seconds() const { return impl_->load_seconds; }

nlohmann::ordered_json Model::describe() const {
  const Impl& m = *impl_;
  Json d;
  d["path"] = m.path;
  d["architecture"] = m.architecture;
  d["impl"] = "native";
  int64_t count = 0, bytes = 0;
  std::map<std::string, int64_t> by_type;
  Json tensors = Json::array();
  for (const Binding& b : m.bindings.rows) {
    count += b.param->rows * b.param->cols;
    bytes += static_cast<int64_t>(b.entry->bytes);
    by_type[std::string(name(b.entry->dtype))] += static_cast<int64_t>(b.entry->bytes);
    tensors.push_back({{"name", b.param->name}, {"stored_as", b.entry->name}, {"dtype", name(b.entry->dtype)},
                       {"shape", b.entry->shape}, {"bytes", b.entry->bytes}});
  }
  d["parameters"] = count;
  d["weight_bytes"] = bytes;
  d["bytes_by_dtype"] = by_type;
  d["context_length"] = m.context_length;
  d["vocab_size"] = m.vocab_size;
  d["hidden_size"] = m.hidden_size;
  d["blocks"] = m.params.blocks();
  int64_t state = 0;
  Json layers = Json::array();
  for (const StateSpec& s : m.states) {
    state += (s.k_dim + s.v_dim) * info(m.dtype).bytes;
    layers.push_back({{"k_dim", s.k_dim}, {"v_dim", s.v_dim}, {"window", s.window}});
  }
  d["state_bytes_per_token"] = state;
  d["state"] = layers;
  d["placement"] = {{"kernels", m.kernels->name}, {"activations", name(m.dtype)}, {"threads", m.team->size()},
                    {"weights", m.options.stream_weights ? "streamed from disk, block by block" : "mapped as stored"}};
  d["warnings"] = m.warnings;
  d["tensors"] = tensors;
  return d;
}

}  // namespace transom
