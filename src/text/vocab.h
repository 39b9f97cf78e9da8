// Vocabularies in every form but tokenizer.json, converted to TokenizerSpec: sentencepiece models, tiktoken rank files,
// Mistral's tekken.json, vocabularies inside GGUF files, vocab.json + merges.txt and vocab.txt.
// All throw Error naming the file; nothing is sized by an unchecked number from a file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/gguf_metadata.h"
#include "text/tokenizer_spec.h"

namespace transom::text {

// A model directory without tokenizer.json, or one file. kNotFound names what was looked for; a class, file kind or
// GGUF pre-tokenizer that is not done is kUnsupported by its name.
TokenizerSpec load_other_vocabulary(const std::string& path);

// What lies beside a vocabulary: tokenizer_config.json, added_tokens.json, special_tokens_map.json (all optional).
struct VocabularyConfig {
  std::string tokenizer_class;  // without "Fast"; "" when unknown
  Json values;                  // tokenizer_config.json, an object
  std::vector<AddedToken> added;  // unique ids, ascending
  std::map<std::string, std::string> roles;  // "bos_token" -> "<s>" …
  std::string path;                          // of tokenizer_config.json, for errors

  // A boolean of tokenizer_config.json; `otherwise` when absent or null.
  bool flag(const char* key, bool otherwise) const;
  bool has(const char* key) const;
};
VocabularyConfig read_vocabulary_config(const std::string& directory);

// vocab.json: tokens by id.
std::vector<std::string> read_vocab_json(const std::string& path);
// The tokens of a sentencepiece model as they are, and its normalizer.
struct Pieces {
  TokenizerModel model;
  Json normalizer;
};
Pieces read_pieces(std::string_view bytes, const std::string& path);
// Adds a special token where the vocabulary has it; returns its id.
std::optional<int32_t> add_special(TokenizerSpec& spec, const std::string& content, bool lstrip = false);
// The role's token in the config, or `preset`.
std::string role(const VocabularyConfig& config, const char* name, std::string preset);
// The languages of a class of translation models, in the order of their ids: "eng_Latn", "en_XX", "en"; none for other classes.
std::vector<std::string> language_codes(std::string_view tokenizer_class);
// The token of the config's source language, else of `preset`.
std::string source_language(const VocabularyConfig& config, std::string preset);

// Adds the configured tokens and the special ids (bos, eos, pad, unk) to a spec whose vocabulary stands.
void apply_config(const VocabularyConfig& config, TokenizerSpec& spec);

// The id of a token in the vocabulary or among the added tokens.
std::optional<int32_t> find_token(const TokenizerSpec& spec, std::string_view content);

// One converter a format, from a file's bytes; `path` names the file in errors (and tiktoken's families by its last part).
TokenizerSpec convert_sentencepiece(std::string_view bytes, const std::string& path, const VocabularyConfig& config);
TokenizerSpec convert_tiktoken(std::string_view bytes, const std::string& path, const VocabularyConfig& config);
TokenizerSpec convert_tekken(std::string_view bytes, const std::string& path);
TokenizerSpec load_vocab_and_merges(const std::string& vocab_path, const std::string& merges_path, const VocabularyConfig& config);
// source.spm, target.spm and vocab.json of a directory; sentencepiece.bpe.model and vocab.json.
TokenizerSpec load_marian(const std::string& directory, const VocabularyConfig& config);
TokenizerSpec load_m2m100(const std::string& directory, const VocabularyConfig& config);
TokenizerSpec load_wordpiece_list(const std::string& path, const VocabularyConfig& config);
TokenizerSpec convert_gguf_vocabulary(const GgufMetadata& gguf);

// Whether a file's bytes look like tiktoken's "base64 rank" lines (Llama 3's tokenizer.model is one).
bool looks_like_tiktoken(std::string_view bytes);

// Pieces of tokenizer.json, for converters.
Json json_sequence(const char* list_key, std::vector<Json> parts);  // null, the one part, or a Sequence
Json split_regex(std::string_view pattern);                         // Split, Isolated
Json byte_level(bool use_regex, bool add_prefix_space = false);
Json replace_string(std::string_view from, std::string_view to);
// TemplateProcessing: the tokens before and after the text; null when there are none.
Json template_of(const TokenizerSpec& spec, const std::vector<int32_t>& before, const std::vector<int32_t>& after);
// The decoder of byte-fallback vocabularies with U+2581 for spaces; `strip` drops one leading space.
Json metaspace_decoder(bool byte_fallback, bool strip);
std::string base64_encode(std::string_view bytes);
// A token's bytes in GPT-2's printable alphabet.
std::string byte_level_text(std::string_view bytes);

}  // namespace transom::text
