// Tokenizers of translation models whose sentencepiece model cuts the text while vocab.json gives the ids (transformers
// tokenization_marian, tokenization_m2m_100).
#include "base/error.h"
#include "base/file.h"
#include "text/vocab.h"

namespace transom::text {
namespace {

TokenizerSpec pieces_by_text(const std::string& vocab, const std::string& model, const VocabularyConfig& config) {
  TokenizerSpec spec;
  Pieces pieces = read_pieces(read_file(model), model);
  spec.model.kind = pieces.model.kind;
  spec.model.tokens = read_vocab_json(vocab);
  spec.model.unk_token = role(config, "unk_token", "<unk>");
  spec.model.pieces = std::make_shared<const TokenizerModel>(std::move(pieces.model));
  spec.normalizer = std::move(pieces.normalizer);
  spec.unk_id = add_special(spec, *spec.model.unk_token);
  spec.eos_id = add_special(spec, role(config, "eos_token", "</s>"));
  spec.pad_id = add_special(spec, role(config, "pad_token", "<pad>"));
  if (!spec.unk_id || !spec.eos_id) fail(Code::kCorrupt, vocab, "expected the tokens {} and </s>, got not both of them", *spec.model.unk_token);
  return spec;
}

// Special tokens stand as they are, with `after` behind each.
Json decoder_of(const TokenizerSpec& spec, const char* after) {
  Json special = Json::array();
  for (const AddedToken& t : spec.added_tokens)
    if (t.special) special.push_back(t.content);
  return Json{{"type", "SentencePiece"}, {"special", std::move(special)}, {"after_special", after}};
}

}  // namespace

std::string source_language(const VocabularyConfig& config, std::string preset) {
  if (!config.has("src_lang")) return preset;
  const Json& value = config.values["src_lang"];
  if (!value.is_string()) fail(Code::kCorrupt, config.path, "expected a language as src_lang, got {}", value.type_name());
  return value.get<std::string>();
}

TokenizerSpec load_marian(const std::string& directory, const VocabularyConfig& config) {
  if (config.flag("separate_vocabs", false)) fail(Code::kUnsupported, config.path, "expected one vocabulary for both languages, got separate_vocabs");
  TokenizerSpec spec = pieces_by_text(directory + "/vocab.json", directory + "/source.spm", config);
  spec.leading = {">>", "<<"};
  apply_config(config, spec);
  spec.decoder = decoder_of(spec, " ");
  spec.post_processor = template_of(spec, {}, {*spec.eos_id});
  return spec;
}

TokenizerSpec load_m2m100(const std::string& directory, const VocabularyConfig& config) {
  TokenizerSpec spec = pieces_by_text(directory + "/vocab.json", directory + "/sentencepiece.bpe.model", config);
  spec.bos_id = add_special(spec, role(config, "bos_token", "<s>"));
  const bool wmt21 = config.has("language_codes") && config.values["language_codes"] == "wmt21";
  for (const std::string& code : language_codes(wmt21 ? "wmt21" : "M2M100Tokenizer")) {
    spec.added_tokens.push_back({.id = static_cast<int32_t>(spec.model.tokens.size()), .content = "__" + code + "__", .special = true});
    spec.model.tokens.emplace_back();
  }
  int64_t unused = 8;  // rows of the model's vocabulary that no token has
  if (config.has("num_madeup_words") && config.values["num_madeup_words"].is_number_integer()) unused = config.values["num_madeup_words"].get<int64_t>();
  if (unused < 0 || unused > 10000) fail(Code::kCorrupt, config.path, "expected num_madeup_words of 0 to 10000, got {}", unused);
  spec.model.tokens.resize(spec.model.tokens.size() + unused);
  apply_config(config, spec);
  spec.decoder = decoder_of(spec, "");
  const std::string source = "__" + source_language(config, "en") + "__";
  const auto language = find_token(spec, source);
  if (!language) fail(Code::kCorrupt, config.path, "expected a language of the model as src_lang, got {}", source);
  spec.post_processor = template_of(spec, {*language}, {*spec.eos_id});
  return spec;
}

}  // namespace transom::text
