// GGUF-embedded vocabularies to TokenizerSpec. Keys: ggml's docs/gguf.md and llama.cpp's llama-vocab.cpp; the meaning is
// that of the model's own Hugging Face tokenizer where the two differ (special tokens match in any text, words are split
// by the tokenizer.json's pattern), so that the same text has the same ids from either file.
#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "text/vocab.h"
#include "text/vocab_gguf_pre.h"

namespace transom::text {
namespace {

constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";
constexpr const char* kTokens = "tokenizer.ggml.tokens";

void read_tokens(const GgufMetadata& gguf, TokenizerSpec& spec) {
  TokenizerModel& m = spec.model;
  const std::vector<std::string_view> tokens = gguf.strings(kTokens);
  if (tokens.empty()) fail(Code::kNotFound, gguf.path(), "expected the key '{}' with tokens, got {}", kTokens, gguf.has(kTokens) ? "an empty list" : "none");
  m.tokens.assign(tokens.begin(), tokens.end());
  const std::vector<int64_t> types = gguf.integers("tokenizer.ggml.token_type");
  if (!types.empty() && types.size() < tokens.size())
    fail(Code::kCorrupt, gguf.path(), "expected {} token types, got {}", tokens.size(), types.size());
  m.types.assign(tokens.size(), PieceType::kNormal);
  for (size_t i = 0; i < tokens.size() && !types.empty(); ++i)
    m.types[i] = types[i] >= 1 && types[i] <= 6 ? static_cast<PieceType>(types[i]) : PieceType::kUndefined;
}

void read_scores(const GgufMetadata& gguf, TokenizerModel& m) {
  const GgufValue* value = gguf.find("tokenizer.ggml.scores");
  if (!value) fail(Code::kNotFound, gguf.path(), "expected the key 'tokenizer.ggml.scores', got none");
  if (value->type == GgufType::kArray && value->element == GgufType::kI32) {
    const std::vector<int64_t> scores = gguf.integers("tokenizer.ggml.scores");
    m.scores.assign(scores.begin(), scores.end());
  } else {
    const std::vector<float> scores = gguf.floats("tokenizer.ggml.scores");
    m.scores.assign(scores.begin(), scores.end());
  }
  if (m.scores.size() < m.tokens.size()) fail(Code::kCorrupt, gguf.path(), "expected {} scores, got {}", m.tokens.size(), m.scores.size());
  m.scores.resize(m.tokens.size());
}

// "left right": the separator is the first space that is not the first byte (a token may be one space).
void read_merges(const GgufMetadata& gguf, TokenizerModel& m) {
  const std::vector<std::string_view> merges = gguf.strings("tokenizer.ggml.merges");
  m.merges.reserve(merges.size());
  for (size_t i = 0; i < merges.size(); ++i) {
    const size_t space = merges[i].find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merges[i].size())
      fail(Code::kCorrupt, gguf.path(), "expected 'left right' as merge {}, got {}", i, quote(merges[i], 40));
    m.merges.emplace_back(merges[i].substr(0, space), merges[i].substr(space + 1));
  }
}

// A special id: the key's, else `preset`; ids beyond the vocabulary count as absent.
std::optional<int32_t> special_id(const GgufMetadata& gguf, const TokenizerSpec& spec, const char* role, std::optional<int32_t> preset = {}) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", role);
  std::optional<int64_t> id = gguf.find_i64(key);
  if (id && (*id < 0 || *id >= static_cast<int64_t>(spec.model.tokens.size()))) {
    log().warn("{}: {} is {}, beyond {} tokens: ignored", gguf.path(), key, *id, spec.model.tokens.size());
    id.reset();
  }
  if (id) return static_cast<int32_t>(*id);
  if (preset && static_cast<size_t>(*preset) >= spec.model.tokens.size()) preset.reset();
  return preset;
}

bool contains(std::string_view text, std::initializer_list<std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view p) { return text.find(p) != text.npos; });
}

// GGUF keeps no lstrip and rstrip: these families' tokenizers have them.
void restore_strips(const GgufMetadata& gguf, TokenizerSpec& spec) {
  std::string name(gguf.find_str("general.name").value_or(""));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const std::string_view pre = gguf.find_str("tokenizer.ggml.pre").value_or(""), arch = gguf.find_str("general.architecture").value_or("");
  const bool mask = contains(pre, {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) || contains(arch, {"nomic-bert-moe", "jina-bert-v3"});
  for (AddedToken& t : spec.added_tokens) {
    if (mask) t.lstrip = t.lstrip || t.content == "<mask>";
    else if (contains(name, {"phi-3", "phi3"})) t.rstrip = t.content != "<unk>" && t.content != "<s>" && t.content != "<|endoftext|>";
    else if (contains(name, {"modern-bert"})) t.lstrip = t.lstrip || t.content == "[MASK]";
  }
}

// Control, unknown and user-defined tokens match where they stand in a text.
void add_tokens_by_type(TokenizerSpec& spec) {
  for (size_t i = 0; i < spec.model.tokens.size(); ++i) {
    const PieceType type = spec.model.types[i];
    const std::string& text = spec.model.tokens[i];
    if (text.empty() || (type != PieceType::kControl && type != PieceType::kUserDefined && type != PieceType::kUnknown)) continue;
    spec.added_tokens.push_back({.id = static_cast<int32_t>(i), .content = text, .special = type != PieceType::kUserDefined});
  }
}

// Frames a text by the file's flags.
void set_frame(const GgufMetadata& gguf, TokenizerSpec& spec, bool add_bos, bool add_eos) {
  std::vector<int32_t> before, after;
  if (gguf.find_bool("tokenizer.ggml.add_bos_token").value_or(add_bos) && spec.bos_id) before.push_back(*spec.bos_id);
  if (gguf.find_bool("tokenizer.ggml.add_eos_token").value_or(add_eos) && spec.eos_id) after.push_back(*spec.eos_id);
  spec.post_processor = template_of(spec, before, after);
}

void set_ids(const GgufMetadata& gguf, TokenizerSpec& spec, std::optional<int32_t> bos, std::optional<int32_t> eos, std::optional<int32_t> unk) {
  const auto typed = std::find(spec.model.types.begin(), spec.model.types.end(), PieceType::kUnknown);
  if (typed != spec.model.types.end()) unk = static_cast<int32_t>(typed - spec.model.types.begin());
  spec.bos_id = special_id(gguf, spec, "bos", bos);
  spec.eos_id = special_id(gguf, spec, "eos", eos);
  spec.unk_id = special_id(gguf, spec, "unknown", unk);
  spec.pad_id = special_id(gguf, spec, "padding");
  if (spec.unk_id) spec.model.unk_token = spec.model.tokens[*spec.unk_id];
}

bool has_all_bytes(const TokenizerModel& m) {
  std::vector<bool> seen(256);
  for (const std::string& t : m.tokens)
    if (const int b = byte_of_piece(t); b >= 0) seen[b] = true;
  return std::all_of(seen.begin(), seen.end(), [](bool b) { return b; });
}

// model "llama": sentencepiece BPE. Runs of spaces that are one token were stored with plain spaces; they stay pieces of
// the model, matched whole; all other user-defined tokens are added tokens.
void convert_llama(const GgufMetadata& gguf, TokenizerSpec& spec) {
  TokenizerModel& m = spec.model;
  m.kind = TokenizerModel::Kind::kMergeByScore;
  m.fuse_unk = true;
  read_scores(gguf, m);
  set_ids(gguf, spec, 1, 2, 0);
  add_tokens_by_type(spec);
  std::erase_if(spec.added_tokens, [&](const AddedToken& t) {
    if (m.types[t.id] != PieceType::kUserDefined || t.content.find_first_not_of(' ') != std::string::npos) return false;
    std::string piece;
    for (size_t i = 0; i < t.content.size(); ++i) piece += kSpaceSymbol;
    if (t.content.size() > 1) m.tokens[t.id] = piece;
    return t.content.size() > 1;
  });
  for (const AddedToken& t : spec.added_tokens)
    if (m.types[t.id] == PieceType::kUserDefined) m.types[t.id] = PieceType::kNormal;
  m.byte_fallback = has_all_bytes(m);
  const bool prefix = gguf.find_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  std::vector<Json> normalizers;
  if (prefix) normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpaceSymbol}});
  normalizers.push_back(replace_string(" ", kSpaceSymbol));
  spec.normalizer = json_sequence("normalizers", std::move(normalizers));
  spec.decoder = metaspace_decoder(true, prefix);
  set_frame(gguf, spec, true, false);
}

// models "gpt2" and "gemma4": BPE with merges.
void convert_bpe(const GgufMetadata& gguf, TokenizerSpec& spec, std::string_view pre_name) {
  TokenizerModel& m = spec.model;
  std::optional<GgufPreTokenizer> pre = gguf_pre_tokenizer(pre_name);
  if (!pre) fail(Code::kUnsupported, gguf.path(), "expected a known pre-tokenizer as 'tokenizer.ggml.pre', got {}", quote(pre_name, 60));
  if (pre_name.empty())
    log().warn("{}: no key 'tokenizer.ggml.pre': words are split by default patterns, ids may not be the model's own", gguf.path());
  m.kind = TokenizerModel::Kind::kBpe;
  m.ignore_merges = pre->ignore_merges;
  if (gguf.has("tokenizer.ggml.merges")) {
    read_merges(gguf, m);
  } else {
    if (pre_name != "kimi-k2") fail(Code::kNotFound, gguf.path(), "expected the key 'tokenizer.ggml.merges', got none");
    m.kind = TokenizerModel::Kind::kMergeByScore;  // a tiktoken vocabulary: ids are ranks
    m.scores.resize(m.tokens.size());
    for (size_t i = 0; i < m.scores.size(); ++i) m.scores[i] = -static_cast<double>(i);
  }
  set_ids(gguf, spec, {}, {}, {});
  add_tokens_by_type(spec);
  spec.normalizer = std::move(pre->normalizer);
  spec.pre_tokenizer = std::move(pre->pre_tokenizer);
  if (pre->raw) {
    m.byte_fallback = has_all_bytes(m);
    m.fuse_unk = true;
    spec.decoder = metaspace_decoder(true, false);
  } else {
    m.unk_token.reset();
    spec.decoder = Json{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  }
  set_frame(gguf, spec, pre->add_bos, false);
}

// model "bert": WordPiece. The file marks the starts of words (U+2581) instead of their continuations (##).
void convert_bert(const GgufMetadata& gguf, TokenizerSpec& spec) {
  TokenizerModel& m = spec.model;
  m.kind = TokenizerModel::Kind::kWordPiece;
  m.continuing_subword_prefix = "##";
  set_ids(gguf, spec, {}, {}, 100);
  if (!spec.unk_id) fail(Code::kCorrupt, gguf.path(), "expected an unknown token, got none");
  const auto cls = special_id(gguf, spec, "cls", special_id(gguf, spec, "bos", 101)), sep = special_id(gguf, spec, "seperator", 102);
  const auto mask = special_id(gguf, spec, "mask", 103);
  for (std::string& t : m.tokens) {
    if (std::string_view(t).starts_with(kSpaceSymbol)) t.erase(0, kSpaceSymbol.size());
    else if (!t.empty() && !(t.front() == '[' && t.back() == ']')) t.insert(0, "##");
  }
  add_tokens_by_type(spec);
  for (const auto& id : {spec.pad_id, spec.unk_id, cls, sep, mask})
    if (id && std::none_of(spec.added_tokens.begin(), spec.added_tokens.end(), [&](const auto& t) { return t.id == *id; }))
      spec.added_tokens.push_back({.id = *id, .content = m.tokens[*id], .special = true});
  m.unk_token = m.tokens[*spec.unk_id];
  const bool lower = gguf.find_bool("tokenizer.ggml.normalizer.lowercase").value_or(true);
  const bool strip = gguf.find_bool("tokenizer.ggml.normalizer.strip_accents").value_or(lower);
  spec.normalizer = Json{{"type", "BertNormalizer"}, {"clean_text", true}, {"handle_chinese_chars", true}, {"strip_accents", strip}, {"lowercase", lower}};
  spec.pre_tokenizer = Json{{"type", "BertPreTokenizer"}};
  spec.decoder = Json{{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  std::vector<int32_t> before, after;
  if (cls) before.push_back(*cls);
  if (sep) after.push_back(*sep);
  spec.post_processor = template_of(spec, before, after);
}

// model "t5": sentencepiece unigram with its character map.
void convert_t5(const GgufMetadata& gguf, TokenizerSpec& spec) {
  TokenizerModel& m = spec.model;
  m.kind = TokenizerModel::Kind::kSentencePieceUnigram;
  m.fuse_unk = true;
  read_scores(gguf, m);
  set_ids(gguf, spec, {}, 1, 2);
  std::string_view map;
  if (const GgufValue* v = gguf.find("tokenizer.ggml.precompiled_charsmap")) {
    if (v->type != GgufType::kArray || (v->element != GgufType::kU8 && v->element != GgufType::kI8))
      fail(Code::kCorrupt, gguf.path(), "expected bytes as 'tokenizer.ggml.precompiled_charsmap', got {}", gguf_type_name(v->type));
    map = {reinterpret_cast<const char*>(v->bytes.data()), v->bytes.size()};
  }
  Json user = Json::array();
  for (size_t i = 0; i < m.tokens.size(); ++i)
    if (m.types[i] == PieceType::kUserDefined) user.push_back(m.tokens[i]);
  add_tokens_by_type(spec);
  std::erase_if(spec.added_tokens, [](const AddedToken& t) { return !t.special; });
  const bool prefix = gguf.find_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  spec.normalizer = Json{{"type", "SentencePiece"}, {"precompiled_charsmap", base64_encode(map)}, {"add_dummy_prefix", prefix},
                         {"prefix_scheme", "always"},
                         {"remove_extra_whitespaces", gguf.find_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(false)},
                         {"escape_whitespaces", true}, {"treat_whitespace_as_suffix", false}, {"user_defined", std::move(user)}};
  spec.decoder = metaspace_decoder(false, prefix);
  set_frame(gguf, spec, false, true);
}

}  // namespace

TokenizerSpec convert_gguf_vocabulary(const GgufMetadata& gguf) {
  const auto model = gguf.find_str("tokenizer.ggml.model");
  if (!model) fail(Code::kNotFound, gguf.path(), "expected a vocabulary (key 'tokenizer.ggml.model'), got none");
  if (*model == "no_vocab" || *model == "none") fail(Code::kNotFound, gguf.path(), "expected a vocabulary, got tokenizer.ggml.model '{}'", *model);
  const bool known = *model == "llama" || *model == "gpt2" || *model == "gemma4" || *model == "bert" || *model == "t5";
  if (!known)
    fail(Code::kUnsupported, gguf.path(), "expected a vocabulary of model llama, gpt2, gemma4, bert or t5, got {}", quote(*model, 60));
  TokenizerSpec spec;
  read_tokens(gguf, spec);
  if (*model == "llama") convert_llama(gguf, spec);
  else if (*model == "bert") convert_bert(gguf, spec);
  else if (*model == "t5") convert_t5(gguf, spec);
  else convert_bpe(gguf, spec, *model == "gemma4" ? "gemma4" : gguf.find_str("tokenizer.ggml.pre").value_or(""));
  restore_strips(gguf, spec);
  return spec;
}

}  // namespace transom::text
