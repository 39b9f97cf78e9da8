// What a checkpoint says about generating: generation_config.json, else the generation keys that transformers 4.x kept in
// config.json, else a GGUF file's metadata. Meaning of the keys: transformers' GenerationConfig; of the GGUF keys: gguf-py's
// constants (general.sampling.*, tokenizer.ggml.*_token_id). As in transformers a model is greedy unless do_sample is true;
// but a step that no file mentions is off (transformers' class has top_k 50 and max_length 20 as hidden defaults).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/gguf_metadata.h"
#include "base/json.h"
#include "transom/sampling.h"

namespace transom {

class TensorSource;

struct GenerationConfig {
  SamplingParams sampling;  // the defaults of a request to this model; temperature 0 unless it asks to sample
  // The file's temperature, also where do_sample is not true: for a caller that samples although the model does not.
  float sampling_temperature = 1;
  std::vector<int32_t> eos_ids;  // all that end an answer; empty when no file says (ask the tokenizer then)
  std::optional<int32_t> bos_id, pad_id;
  std::optional<int32_t> decoder_start_id;  // with which an encoder-decoder's decoder begins; bos when no file says
  std::string origin;                // the file it was read from; empty: nothing was found
  std::vector<std::string> ignored;  // settings that would change the text and are not honoured, as "key=value"

  // What `transom inspect` shows: the values, their origin, and what is ignored.
  Json describe() const;
};

// Of an opened checkpoint: its GGUF metadata, or the JSON files beside its weights. Throws Error{kCorrupt} naming the file,
// the key and what was found for a value of another type or out of its bounds.
GenerationConfig read_generation_config(const TensorSource& source);

// The same of a directory with config.json and perhaps generation_config.json; of two parsed files (null: absent); and of
// metadata.
GenerationConfig read_generation_config(const std::string& directory);
GenerationConfig generation_config_of(const Json& generation, const Json& config, const std::string& directory);
GenerationConfig generation_config_of(const GgufMetadata& gguf);

}  // namespace transom
