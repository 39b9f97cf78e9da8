// Model: a checkpoint as it lies on disk, ready to run. Loading maps the files; nothing is converted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "transom/error.h"
#include "transom/sampling.h"

namespace transom {

struct ModelOptions {
  std::string device = "auto";      // auto, cpu, cuda[:N]
  std::string dtype = "auto";       // of activations: auto, float32, bfloat16, float16
  // Of kept keys and values: float32, bfloat16, float16; auto: bfloat16 where the weights are not mostly float32, else the activations' type;
  // that too with a given `dtype`, the reference's kernels, or a device.
  std::string kv_cache_dtype = "auto";
  std::string kernels = "auto";     // a kernel table by name
  std::string model_impl = "auto";  // auto, native, transformers
  int threads = 0;                  // 0: the cores that this process may use
  bool deterministic = false;       // results do not depend on what runs in the same step
  bool stream_weights = false;      // read each block's weights when they are needed, instead of keeping them
  bool allow_unread_config = false; // config keys that change results and that nobody reads are a warning
  bool allow_unused_tensors = false;
  std::function<void(int64_t done, int64_t total)> progress;  // of loading, in bytes; called on the loading thread
};

// What the logits of a model are.
struct HeadInfo {
  // "causal-lm", "masked-lm", "sequence-classification", "token-classification", "question-answering", "replaced-token-detection",
  // or "none": hidden states only.
  std::string task = "none";
  int64_t outputs = 0;              // columns: the vocabulary, or labels
  bool per_text = false;            // one row a text instead of one a token
  std::vector<std::string> labels;  // names of a classifier's columns; empty: the config has none
};

// A value that shares what it points to; safe to copy. One Model may serve several engines, one step at a time each.
// An architecture (an entry of config.json's `architectures`) that runs natively.
struct ArchitectureInfo {
  std::string name;
  std::string task;  // what its head gives, as HeadInfo::task
  std::string gguf;  // general.architecture of GGUF files that are read as it; "" when there are none
};
std::vector<ArchitectureInfo> native_architectures();  // by name
// The release of Python transformers that their logits were compared with.
std::string checked_transformers();

class Model {
 public:
  // `path`: a directory with config.json, or a .gguf file. Throws Error: one line that says file, expected and found.
  static Model load(const std::string& path, const ModelOptions& options = {});

  // Makes a LoRA adapter (a PEFT directory) available under a name to requests of every engine of this model. Not while an engine
  // runs a step.
  void load_adapter(const std::string& name, const std::string& directory);

  const std::string& path() const;
  const std::string& architecture() const;  // config.json's name, "LlamaForCausalLM"
  int64_t context_length() const;           // the longest sequence, 0 when the config does not say
  int64_t vocab_size() const;
  int64_t hidden_size() const;
  const HeadInfo& head() const;
  bool generates() const;  // the head is a causal language model's
  bool encoder_decoder() const;       // its sequences have a source
  int64_t source_features() const;    // columns of a source's frames; 0: sources are tokens
  int64_t source_positions() const;   // the longest source, in tokens or frames; 0: any
  int32_t decoder_start_id() const;   // with which the decoder begins; Error{kUnsupported} when no file says
  // A request's defaults as the checkpoint's generation settings say, and the tokens that end an answer.
  const SamplingParams& default_sampling() const;
  const std::vector<int32_t>& end_ids() const;
  const std::vector<std::string>& warnings() const;
  double load_seconds() const;
  // What `transom inspect` shows: architecture, parameters, tensors, bytes, state per token, decisions with reasons.
  nlohmann::ordered_json describe() const;

  struct Impl;
  explicit Model(std::shared_ptr<Impl> impl);
  Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<Impl> impl_;
};

}  // namespace transom
