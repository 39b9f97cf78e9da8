// The pipeline: added tokens are cut out, the rest is normalized, split and modelled, then special tokens are put around.
#include "text/pipeline.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/stage_json.h"
#include "text/unicode.h"

namespace transom {

using text::AddedToken;
using text::AddedTokenMatcher;
using text::NormalizedText;
using text::Piece;
using text::TokenizerModel;

namespace {

// Whether a stage is of `type`, or a sequence (of `list`) that holds one.
bool has_stage(const Json& stage, const char* list, std::string_view type) {
  if (!stage.is_object()) return false;
  if (stage.contains("type") && stage["type"] == type) return true;
  if (!stage.contains(list) || !stage[list].is_array()) return false;
  return std::any_of(stage[list].begin(), stage[list].end(), [&](const Json& s) { return has_stage(s, list, type); });
}

// The spec's table, built now unless its reader has done so (and with it checked the strings).
std::shared_ptr<const text::Vocabulary> table_of(TokenizerModel& m, std::string_view where) {
  if (m.table) return m.table;
  if (m.tokens.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    fail(Code::kCorrupt, where, "expected fewer than 2^31 tokens, got {}", m.tokens.size());
  for (const std::string& t : m.tokens)
    if (text::valid_utf8_prefix(t) != t.size()) fail(Code::kCorrupt, where, "expected tokens in UTF-8, got {}", quote(t, 60));
  const bool keeps_tokens = m.kind == TokenizerModel::Kind::kMergeByScore || m.kind == TokenizerModel::Kind::kSentencePieceUnigram;
  return std::make_shared<const text::Vocabulary>(keeps_tokens ? m.tokens : std::move(m.tokens));
}

}  // namespace

// One encode(): where pieces end up.
struct Tokenizer::Impl::Call final : text::PieceSink {
  explicit Call(const text::Model& m) : model(m) {}
  void piece(std::string_view s) override { model.encode(s, scratch, ids); }
  const text::Model& model;
  text::ModelScratch scratch;
  std::vector<int32_t> ids;
  bool at_start = true;
};

Tokenizer::Impl::Impl(text::TokenizerSpec spec, std::string_view where) : context(where), table(table_of(spec.model, where)), vocabulary(*table) {
  TokenizerModel& m = spec.model;
  const bool bpe = m.kind == TokenizerModel::Kind::kBpe || m.kind == TokenizerModel::Kind::kMergeByScore;
  const bool plain = m.continuing_subword_prefix.empty() && m.end_of_word_suffix.empty();
  normalizer = text::make_normalizer(spec.normalizer, where);
  chain = std::make_unique<text::PreTokenizerChain>(spec.pre_tokenizer, where, bpe && plain ? &byte_level : nullptr);
  maps_bytes = has_stage(spec.pre_tokenizer, "pretokenizers", "ByteLevel") || has_stage(spec.normalizer, "normalizers", "ByteLevel");
  post_processor = text::make_post_processor(spec.post_processor, where);
  decoder = std::make_unique<text::Decoder>(spec.decoder, where);
  byte_fallback = m.byte_fallback;
  unk_id = spec.unk_id ? spec.unk_id : m.unk_id;
  if (!unk_id && m.unk_token)
    if (const int32_t id = vocabulary.find(*m.unk_token); id >= 0) unk_id = id;
  if (m.pieces) model = text::make_pieces_by_text(m, vocabulary, where);
  else switch (m.kind) {
    case TokenizerModel::Kind::kBpe: model = text::make_bpe(m, vocabulary, byte_level, where); break;
    case TokenizerModel::Kind::kWordPiece: model = text::make_word_piece(m, vocabulary); break;
    case TokenizerModel::Kind::kWordLevel: model = text::make_word_level(m, vocabulary); break;
    case TokenizerModel::Kind::kMergeByScore: model = text::make_merge_by_score(m, vocabulary, byte_level, where); break;
    case TokenizerModel::Kind::kSentencePieceUnigram: model = text::make_sentencepiece_unigram(m, vocabulary, where); break;
    case TokenizerModel::Kind::kUnigram: model = text::make_unigram(m, vocabulary, where); break;
  }
  decodes_bytes = has_stage(spec.decoder, "decoders", "ByteLevel");
  size_ = static_cast<int32_t>(vocabulary.tokens().size());
  add_tokens(spec.added_tokens);
  set_truncation(spec.truncation);
  leading = std::move(spec.leading);
  bos_id = spec.bos_id, eos_id = spec.eos_id, pad_id = spec.pad_id;
}

void Tokenizer::Impl::add_tokens(const std::vector<AddedToken>& tokens) {
  for (const AddedToken& t : tokens) {
    if (t.id < 0 || t.id == std::numeric_limits<int32_t>::max())
      fail(Code::kCorrupt, context, "expected an id for added token {}, got {}", quote(t.content, 60), t.id);
    if (t.content.empty()) continue;
    Added a{t, {}};
    if (t.normalized && normalizer) {
      NormalizedText n{.s = t.content, .start_bytes = text::utf8_len(t.content[0])};
      normalizer->apply(n);
      if (n.s != t.content) a.decoded = n.s;
    }
    added_ids[t.content] = t.id;
    if (t.special) special_tokens.insert(t.content);
    added[t.id] = std::move(a);
    size_ = std::max(size_, t.id + 1);
  }
  for (const AddedToken& t : tokens) {
    if (t.content.empty()) continue;
    const Added& a = added.at(t.id);
    const bool other = a.token.normalized && !a.decoded.empty();
    (a.token.normalized ? normalized_matcher : raw_matcher).add(other ? a.decoded : a.token.content, a.token);
  }
  raw_matcher.build();
  normalized_matcher.build();
}

void Tokenizer::Impl::set_truncation(const Json& json) {
  if (json.is_null()) return;
  const std::string where = context + " truncation";
  const auto text = [&](const char* key, const char* otherwise) {
    if (!json.is_object()) fail(Code::kCorrupt, where, "expected an object, got {}", json.type_name());
    if (!json.contains(key)) return std::string(otherwise);
    if (!json[key].is_string()) fail(Code::kCorrupt, where, "expected a string as '{}', got {}", key, json[key].type_name());
    return json[key].get<std::string>();
  };
  const std::string direction = text("direction", "Right"), strategy = text("strategy", "LongestFirst");
  if (!json.contains("max_length") || !json["max_length"].is_number_unsigned()) fail(Code::kCorrupt, where, "expected a number as 'max_length', got none");
  if (direction != "Left" && direction != "Right") fail(Code::kCorrupt, where, "expected direction Left or Right, got {}", quote(direction, 40));
  if (strategy != "LongestFirst" && strategy != "OnlyFirst" && strategy != "OnlySecond")
    fail(Code::kCorrupt, where, "expected a truncation strategy, got {}", quote(strategy, 40));
  truncation = Truncation{json["max_length"].get<size_t>(), direction == "Left", strategy == "OnlySecond"};
}

std::vector<int32_t> Tokenizer::Impl::encode(std::string_view text, bool add_special_tokens, std::optional<int64_t> max_tokens) const {
  Call call(*model);
  // Bytes that are not UTF-8 go to the model as they are, where it works on bytes; the text around them as usual.
  for (std::string_view rest = text; !rest.empty();) {
    const size_t good = text::valid_utf8_prefix(rest);
    encode_raw(rest.substr(0, good), call);
    rest.remove_prefix(good);
    if (rest.empty()) break;
    const size_t bad = text::broken_utf8_part(rest).len;
    encode_broken(rest.substr(0, bad), call);
    rest.remove_prefix(bad);
  }
  if (max_tokens) truncate(call.ids, add_special_tokens, {static_cast<size_t>(*max_tokens), false, false});
  else if (truncation) truncate(call.ids, add_special_tokens, *truncation);
  if (!post_processor) return std::move(call.ids);
  std::vector<std::vector<int32_t>> parts;
  parts.push_back(std::move(call.ids));
  post_processor->apply(parts, add_special_tokens);
  if (parts.size() == 1) return std::move(parts[0]);
  std::vector<int32_t> ids;
  for (const auto& p : parts) ids.insert(ids.end(), p.begin(), p.end());
  return ids;
}

void Tokenizer::Impl::encode_broken(std::string_view bytes, Call& call) const {
  call.at_start = false;
  if (byte_level) return model->encode(bytes, call.scratch, call.ids);
  if (maps_bytes) {
    std::string mapped;
    for (const char c : bytes) text::append_utf8(mapped, text::byte_to_char(static_cast<uint8_t>(c)));
    return model->encode(mapped, call.scratch, call.ids);
  }
  for (const char c : bytes) {
    const int32_t id = byte_fallback ? vocabulary.find(fmt::format("<0x{:02X}>", static_cast<uint8_t>(c))) : -1;
    if (id >= 0) call.ids.push_back(id);
    else if (unk_id) call.ids.push_back(*unk_id);
  }
}

size_t Tokenizer::Impl::encode_leading(std::string_view s, Call& call) const {
  if (!leading || !s.starts_with(leading->open)) return 0;
  const size_t close = s.find(leading->close);
  if (close == s.npos) return 0;
  const size_t size = close + leading->close.size();
  const int32_t id = vocabulary.find(s.substr(0, size));
  if (id >= 0 || unk_id) call.ids.push_back(id >= 0 ? id : *unk_id);
  return size;
}

void Tokenizer::Impl::encode_raw(std::string_view s, Call& call) const {
  const auto part = [&](size_t begin, size_t end) {
    if (begin < end) begin += encode_leading(s.substr(begin, end - begin), call);
    if (begin >= end) return;
    const std::string_view piece = s.substr(begin, end - begin);
    const size_t start = call.at_start && begin == 0 ? text::utf8_len(piece[0]) : 0;
    if (!normalizer || normalizer->leaves(piece)) return encode_normalized({piece, start}, call);
    NormalizedText n{.s = std::string(piece), .start_bytes = start};
    normalizer->apply(n);
    encode_normalized({n.s, n.start_bytes}, call);
  };
  size_t floor = 0, search = 0;
  AddedTokenMatcher::Found f;
  while (raw_matcher.next(s, search, floor, f)) {
    part(floor, f.begin);
    call.ids.push_back(f.id);
    floor = f.end;
    search = f.match_end;
  }
  part(floor, s.size());
  call.at_start = call.at_start && s.empty();
}

void Tokenizer::Impl::encode_normalized(Piece p, Call& call) const {
  const auto part = [&](size_t begin, size_t end) {
    if (begin < end) chain->split({p.s.substr(begin, end - begin), p.start_bytes > begin ? p.start_bytes - begin : 0}, call);
  };
  size_t floor = 0, search = 0;
  AddedTokenMatcher::Found f;
  while (normalized_matcher.next(p.s, search, floor, f)) {
    part(floor, f.begin);
    call.ids.push_back(f.id);
    floor = f.end;
    search = f.match_end;
  }
  part(floor, p.s.size());
}

void Tokenizer::Impl::truncate(std::vector<int32_t>& ids, bool add_special_tokens, const Truncation& cut) const {
  const size_t around = add_special_tokens && post_processor ? post_processor->added() : 0;
  if (cut.max_length < around) return;  // as the reference, which wraps around and cuts nothing
  const size_t room = cut.max_length - around;
  if (ids.size() <= room) return;
  if (cut.only_second && room > 0) fail(Code::kInvalidArgument, context, "expected a second text to truncate (strategy OnlySecond), got one text");
  if (cut.left) ids.erase(ids.begin(), ids.end() - static_cast<ptrdiff_t>(room));
  else ids.resize(room);
}

const std::string* Tokenizer::Impl::decoded_token(int32_t id) const {
  const auto it = added.find(id);
  if (it != added.end()) return it->second.decoded.empty() ? &it->second.token.content : &it->second.decoded;
  if (id < 0 || static_cast<size_t>(id) >= vocabulary.tokens().size()) return nullptr;
  return &vocabulary.tokens()[id];
}

std::string Tokenizer::Impl::bytes_of(int32_t id, std::string_view token) const {
  if (added.contains(id)) return std::string(token);
  std::string out;
  if (decodes_bytes) {
    for (size_t i = 0; i < token.size();) {
      const text::Decoded d = text::decode_utf8(token.data() + i);
      const int b = text::char_to_byte(d.c);
      if (b < 0) return std::string(token);
      out += static_cast<char>(b);
      i += d.len;
    }
    return out;
  }
  for (int b = 0; byte_fallback && token.size() == 6 && b < 256; ++b)
    if (token == fmt::format("<0x{:02X}>", b)) return std::string(1, static_cast<char>(b));
  // As the decoder writes it after another token.
  const auto run = decoder->start();
  run->push("a", out);
  run->push(token, out);
  run->finish(out);
  return out.starts_with("a") ? out.substr(1) : out;
}

namespace text {

Tokenizer compile_tokenizer(TokenizerSpec spec, std::string_view context) {
  return Tokenizer(std::make_shared<const Tokenizer::Impl>(std::move(spec), context));
}

}  // namespace text
}  // namespace transom
