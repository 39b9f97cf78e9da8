// sentencepiece models to TokenizerSpec. Ids of plain text equal the sentencepiece library's; control symbols match where
// they stand in a text, as in every Hugging Face tokenizer. The class in tokenizer_config.json decides which tokens frame
// a text and where ids are shifted.
#include <algorithm>

#include "base/error.h"
#include "text/sentencepiece_file.h"
#include "text/vocab.h"

namespace transom::text {
namespace {

struct Frame {
  bool bos, eos;
};

// Which end of a text the token of its language stands at.
enum class Language { kNone, kFirst, kLast };
Language language_of(const VocabularyConfig& config) {
  const std::string& name = config.tokenizer_class;
  if (name == "MBartTokenizer") return Language::kLast;
  if (name == "NllbTokenizer") return config.flag("legacy_behaviour", false) ? Language::kLast : Language::kFirst;
  return name == "MBart50Tokenizer" ? Language::kFirst : Language::kNone;
}

// What a class adds around a text when its config does not say (transformers' models/*/tokenization_*.py).
Frame frame_of(const std::string& tokenizer_class, bool bpe) {
  for (const char* c : {"T5Tokenizer", "MT5Tokenizer", "PegasusTokenizer", "ByT5Tokenizer", "MBartTokenizer", "MBart50Tokenizer", "NllbTokenizer"})
    if (tokenizer_class == c) return {false, true};
  for (const char* c : {"XLMRobertaTokenizer", "CamembertTokenizer", "BarthezTokenizer"})
    if (tokenizer_class == c) return {true, true};
  if (!tokenizer_class.empty() && !bpe) return {false, false};
  return {bpe, false};  // Llama, Gemma, Mistral and what has no config
}

// Ids of fairseq's vocabularies: <s> <pad> </s> <unk>, then sentencepiece's pieces from id 3 on, then the languages, then <mask>.
void shift_for_fairseq(TokenizerSpec& spec, std::vector<std::string> more) {
  TokenizerModel& m = spec.model;
  if (m.tokens.size() < 3) return;
  const auto shift = [](auto& v, auto a, auto b, auto c, auto d) {
    v.erase(v.begin(), v.begin() + 3);
    v.insert(v.begin(), {a, b, c, d});
  };
  shift(m.tokens, std::string("<s>"), std::string("<pad>"), std::string("</s>"), std::string("<unk>"));
  shift(m.scores, 0.0, 0.0, 0.0, 0.0);
  shift(m.types, PieceType::kControl, PieceType::kControl, PieceType::kControl, PieceType::kUnknown);
  m.unk_token = "<unk>";
  more.emplace_back("<mask>");
  for (std::string& token : more) {
    m.tokens.push_back(std::move(token));
    m.scores.push_back(0);
    m.types.push_back(PieceType::kControl);
  }
  spec.bos_id = 0;
  spec.pad_id = 1;
  spec.eos_id = 2;
  spec.unk_id = 3;
}

// Pegasus: ids of sentencepiece's pieces count from `offset`, with <pad> </s> <mask_1> <mask_2> <unk_2> … up to its <unk> in place of its
// own <pad> and </s>.
void shift_for_pegasus(const VocabularyConfig& config, TokenizerSpec& spec) {
  TokenizerModel& m = spec.model;
  int64_t offset = 103;
  if (config.has("offset") && config.values["offset"].is_number_integer()) offset = config.values["offset"].get<int64_t>();
  if (offset < 4 || offset > 10000) fail(Code::kCorrupt, config.path, "expected an offset of 4 to 10000, got {}", offset);
  std::vector<std::string> first = {"<pad>", "</s>", "<mask_1>", "<mask_2>"};
  for (int64_t i = 4; i < offset + 2; ++i) first.push_back(fmt::format("<unk_{}>", i - 2));
  if (m.tokens.size() < 3 || m.tokens[0] != first[0] || m.tokens[1] != first[1])
    fail(Code::kCorrupt, config.path, "expected a model that begins with <pad> and </s>, got {} pieces of others", m.tokens.size());
  const auto replace = [](auto& v, const auto& by) {
    v.erase(v.begin(), v.begin() + 2);
    v.insert(v.begin(), by.begin(), by.end());
  };
  replace(m.tokens, first);
  replace(m.scores, std::vector<double>(first.size()));
  replace(m.types, std::vector<PieceType>(first.size(), PieceType::kControl));
  spec.pad_id = 0;
  spec.eos_id = 1;
  if (spec.unk_id) *spec.unk_id += static_cast<int32_t>(offset);
  spec.bos_id.reset();
}

// T5's sentinels stand behind the pieces in falling order: <extra_id_99> … <extra_id_0>.
void add_t5_sentinels(const VocabularyConfig& config, TokenizerSpec& spec) {
  if (!config.added.empty()) return;
  int64_t count = 100;
  if (config.has("extra_ids") && config.values["extra_ids"].is_number_integer()) count = config.values["extra_ids"].get<int64_t>();
  if (count < 0 || count > 10000) fail(Code::kCorrupt, config.path, "expected extra_ids of 0 to 10000, got {}", count);
  const auto first = static_cast<int32_t>(spec.model.tokens.size());
  for (int64_t i = 0; i < count; ++i)
    spec.added_tokens.push_back({.id = first + static_cast<int32_t>(i), .content = fmt::format("<extra_id_{}>", count - 1 - i), .special = true});
}

TokenizerModel model_of(const SentencePieceFile& file) {
  TokenizerModel m;
  m.kind = file.model == SentencePieceFile::Model::kBpe ? TokenizerModel::Kind::kMergeByScore : TokenizerModel::Kind::kSentencePieceUnigram;
  m.byte_fallback = file.byte_fallback;
  m.fuse_unk = true;
  for (const auto& p : file.pieces) {
    m.tokens.emplace_back(p.text);
    m.scores.push_back(p.score);
    m.types.push_back(p.type);
    if (p.type == PieceType::kUnknown) m.unk_token = std::string(p.text);
  }
  return m;
}

Json normalizer_of(const SentencePieceFile& file, const TokenizerModel& model, bool every_piece) {
  Json user = Json::array();
  for (size_t i = 0; i < model.tokens.size(); ++i)
    if (model.type(i) == PieceType::kUserDefined) user.push_back(model.tokens[i]);
  return Json{{"type", "SentencePiece"},
              {"precompiled_charsmap", base64_encode(file.charsmap)},
              {"add_dummy_prefix", file.add_dummy_prefix},
              {"prefix_scheme", every_piece ? "always" : "first"},
              {"remove_extra_whitespaces", file.remove_extra_whitespaces},
              {"escape_whitespaces", file.escape_whitespaces},
              {"treat_whitespace_as_suffix", file.treat_whitespace_as_suffix},
              {"user_defined", std::move(user)}};
}

SentencePieceFile parse_known(std::string_view bytes, const std::string& path) {
  SentencePieceFile file = parse_sentencepiece(bytes, path);
  if (file.model != SentencePieceFile::Model::kBpe && file.model != SentencePieceFile::Model::kUnigram)
    fail(Code::kUnsupported, path, "expected a sentencepiece BPE or unigram model, got {}",
         file.model == SentencePieceFile::Model::kWord ? "a word model" : "a character model");
  return file;
}

void set_special_ids(const SentencePieceFile& file, TokenizerSpec& spec) {
  const auto set = [&](int32_t id, PieceType type, std::optional<int32_t>& out) {
    if (id >= 0 && static_cast<size_t>(id) < file.pieces.size() && file.pieces[id].type == type) out = id;
  };
  set(file.bos_id, PieceType::kControl, spec.bos_id);
  set(file.eos_id, PieceType::kControl, spec.eos_id);
  set(file.pad_id, PieceType::kControl, spec.pad_id);
  for (size_t i = 0; i < file.pieces.size(); ++i)
    if (file.pieces[i].type == PieceType::kUnknown) spec.unk_id = static_cast<int32_t>(i);
}

}  // namespace

Pieces read_pieces(std::string_view bytes, const std::string& path) {
  const SentencePieceFile file = parse_known(bytes, path);
  Pieces p{.model = model_of(file), .normalizer = nullptr};
  p.normalizer = normalizer_of(file, p.model, true);
  return p;
}

TokenizerSpec convert_sentencepiece(std::string_view bytes, const std::string& path, const VocabularyConfig& config) {
  const SentencePieceFile file = parse_known(bytes, path);
  const std::string& name = config.tokenizer_class;
  TokenizerSpec spec;
  spec.model = model_of(file);
  set_special_ids(file, spec);
  const Language language = language_of(config);
  if (name == "XLMRobertaTokenizer" || language != Language::kNone) shift_for_fairseq(spec, language_codes(name));
  if (name == "PegasusTokenizer") shift_for_pegasus(config, spec);
  const bool bpe = spec.model.kind == TokenizerModel::Kind::kMergeByScore;
  spec.normalizer = normalizer_of(file, spec.model, config.flag("legacy", true));
  spec.decoder = metaspace_decoder(file.byte_fallback, file.add_dummy_prefix && !file.treat_whitespace_as_suffix);
  for (size_t i = 0; i < spec.model.tokens.size(); ++i) {
    const PieceType type = spec.model.type(i);
    if (type == PieceType::kControl || type == PieceType::kUnknown)
      spec.added_tokens.push_back({.id = static_cast<int32_t>(i), .content = spec.model.tokens[i], .special = true});
  }
  if (name == "T5Tokenizer") add_t5_sentinels(config, spec);
  apply_config(config, spec);

  const Frame frame = frame_of(name, bpe);
  std::vector<int32_t> before, after;
  if (config.flag("add_bos_token", frame.bos) && spec.bos_id) before.push_back(*spec.bos_id);
  if (config.flag("add_eos_token", frame.eos) && spec.eos_id) after.push_back(*spec.eos_id);
  if (language != Language::kNone) {
    const std::string source = source_language(config, name == "NllbTokenizer" ? "eng_Latn" : "en_XX");
    const auto id = find_token(spec, source);
    if (!id) fail(Code::kCorrupt, config.path, "expected a language of the model as src_lang, got {}", source);
    language == Language::kFirst ? before.insert(before.begin(), *id) : after.insert(after.end(), *id);
  }
  spec.post_processor = template_of(spec, before, after);
  return spec;
}

}  // namespace transom::text
