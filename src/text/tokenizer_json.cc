// tokenizer.json by simdjson: the large tables (vocabulary, merges) go straight into their vectors; the small stages are
// handed to the JSON reader that the rest of the program uses.
#include "text/tokenizer_json.h"

#include <simdjson.h>

#include <algorithm>
#include <cstdio>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "text/vocabulary.h"

namespace transom::text {
namespace {

namespace dom = simdjson::dom;

// Ids may leave gaps, but a file cannot make us allocate a table out of proportion to what it holds.
constexpr uint64_t kSpareIds = uint64_t{1} << 17;
constexpr size_t kMaxDepth = 200;

class Reader {
 public:
  explicit Reader(std::string_view context) : context_(context) {}

  TokenizerSpec read(const simdjson::padded_string& text) {
    dom::parser parser;
    check(parser.allocate(text.size(), kMaxDepth), "JSON");
    dom::element root;
    check(parser.parse(text).get(root), "JSON");
    dom::object fields;
    check(root.get(fields), "an object");
    for (const auto [key, value] : fields) top_level(key, value);
    finish();
    return std::move(spec_);
  }

 private:
  void check(simdjson::error_code e, std::string_view expected) const {
    if (e == simdjson::SUCCESS) return;
    std::string found = simdjson::error_message(e);
    std::replace(found.begin(), found.end(), '\n', ' ');
    fail(Code::kCorrupt, context_, "expected {}, got: {}", expected, found);
  }
  template <class T>
  T get(const dom::element& v, std::string_view expected) const {
    T out{};
    check(v.get(out), expected);
    return out;
  }
  // A stage as Json. Members are appended unseen: the ordered map's own insertion would search all before it.
  Json small(const dom::element& v) const {
    switch (v.type()) {
      case dom::element_type::OBJECT: {
        Json::object_t object;
        for (const auto [key, value] : dom::object(v)) object.emplace_back(std::string(key), small(value));
        return object;
      }
      case dom::element_type::ARRAY: {
        Json::array_t array;
        for (const dom::element item : dom::array(v)) array.push_back(small(item));
        return array;
      }
      case dom::element_type::STRING: return std::string(std::string_view(v));
      case dom::element_type::INT64: return int64_t(v) < 0 ? Json(int64_t(v)) : Json(static_cast<uint64_t>(int64_t(v)));
      case dom::element_type::UINT64: return uint64_t(v);
      case dom::element_type::DOUBLE: return double(v);
      case dom::element_type::BOOL: return bool(v);
      case dom::element_type::NULL_VALUE: break;
    }
    return nullptr;
  }

  void top_level(std::string_view key, const dom::element& v) {
    if (key == "version") {
      const auto s = get<std::string_view>(v, "a string as version");
      if (s != "1.0") fail(Code::kUnsupported, context_, "expected tokenizer version '1.0', got {}", quote(s, 40));
    } else if (key == "truncation") spec_.truncation = small(v);
    else if (key == "padding") spec_.padding = small(v);
    else if (key == "normalizer") spec_.normalizer = small(v);
    else if (key == "pre_tokenizer") spec_.pre_tokenizer = small(v);
    else if (key == "post_processor") spec_.post_processor = small(v);
    else if (key == "decoder") spec_.decoder = small(v);
    else if (key == "added_tokens") added_tokens(v);
    else if (key == "model") model(get<dom::object>(v, "an object as the model"));
  }

  void added_tokens(const dom::element& v) {
    for (const dom::element item : get<dom::array>(v, "a list of added tokens")) {
      const auto o = get<dom::object>(item, "an object as an added token");
      AddedToken t;
      for (const auto [key, value] : o) {
        if (key == "content") t.content = get<std::string_view>(value, "a string as content of an added token");
        else if (key == "single_word") t.single_word = get<bool>(value, "true or false as single_word");
        else if (key == "lstrip") t.lstrip = get<bool>(value, "true or false as lstrip");
        else if (key == "rstrip") t.rstrip = get<bool>(value, "true or false as rstrip");
        else if (key == "normalized") t.normalized = get<bool>(value, "true or false as normalized");
        else if (key == "special") t.special = get<bool>(value, "true or false as special");
      }
      spec_.added_tokens.push_back(std::move(t));
    }
  }

  void model(const dom::object& o) {
    if (has_model_) fail(Code::kCorrupt, context_, "expected one field 'model', got two");
    has_model_ = true;
    dom::element merges_value;
    for (const auto [key, value] : o) {
      if (key == "vocab") vocab(value);
      else if (key == "merges") merges_value = value, has_merges_ = true;
      else if (!value.is_null()) model_setting(key, value);
    }
    if (!has_vocab_) fail(Code::kCorrupt, context_, "expected a field 'vocab' in the model, got none");
    spec_.model.table = std::make_shared<const Vocabulary>(std::move(spec_.model.tokens));
    spec_.model.tokens.clear();
    if (has_merges_) merges(merges_value);
  }

  void model_setting(std::string_view key, const dom::element& v) {
    TokenizerModel& m = spec_.model;
    if (key == "type") type_ = get<std::string_view>(v, "a string as the model's type");
    else if (key == "unk_token") m.unk_token = get<std::string_view>(v, "a string as unk_token");
    else if (key == "continuing_subword_prefix") m.continuing_subword_prefix = get<std::string_view>(v, "a string as continuing_subword_prefix");
    else if (key == "end_of_word_suffix") m.end_of_word_suffix = get<std::string_view>(v, "a string as end_of_word_suffix");
    else if (key == "fuse_unk") m.fuse_unk = get<bool>(v, "true or false as fuse_unk");
    else if (key == "byte_fallback") m.byte_fallback = get<bool>(v, "true or false as byte_fallback");
    else if (key == "ignore_merges") m.ignore_merges = get<bool>(v, "true or false as ignore_merges");
    else if (key == "dropout") {
      const auto d = get<double>(v, "a number as dropout");
      if (d != 0) fail(Code::kUnsupported, context_, "expected a BPE without dropout, got dropout {}: its ids would be random", d);
    } else if (key == "unk_id") {
      const auto id = get<uint64_t>(v, "a number as unk_id");
      if (id > 0x7fffffff) fail(Code::kCorrupt, context_, "expected unk_id within the vocabulary, got {}", id);
      m.unk_id = static_cast<int32_t>(id);
    } else if (key == "max_input_chars_per_word") {
      m.max_input_chars_per_word = static_cast<int>(std::min<uint64_t>(get<uint64_t>(v, "a number as max_input_chars_per_word"), 0x7fffffff));
    }
  }

  // {"token": id, …}, or Unigram's [["token", score], …].
  void vocab(const dom::element& v) {
    has_vocab_ = true;
    auto& tokens = spec_.model.tokens;
    tokens.clear();
    spec_.model.scores.clear();
    if (v.is_array()) return scored_vocab(get<dom::array>(v, "a list as vocab"));
    const auto o = get<dom::object>(v, "an object or a list as vocab");
    const uint64_t bound = uint64_t{8} * o.size() + kSpareIds;
    tokens.reserve(o.size());
    for (const auto [token, value] : o) {
      uint64_t id = 0;
      if (value.get(id) != simdjson::SUCCESS) fail(Code::kCorrupt, context_, "expected an id for token {}, got something else", quote(token, 60));
      if (id >= bound) fail(Code::kCorrupt, context_, "expected ids below {}, got {} for token {}", bound, id, quote(token, 60));
      if (id >= tokens.size()) tokens.resize(id + 1);
      if (!tokens[id].empty() && tokens[id] != token)
        fail(Code::kCorrupt, context_, "expected one token for id {}, got {} and {}", id, quote(tokens[id], 60), quote(token, 60));
      tokens[id] = token;
    }
  }

  void scored_vocab(const dom::array& list) {
    for (const dom::element item : list) {
      const auto pair = get<dom::array>(item, "[token, score] in vocab");
      if (pair.size() != 2) fail(Code::kCorrupt, context_, "expected [token, score] in vocab, got {} values", pair.size());
      spec_.model.tokens.emplace_back(get<std::string_view>(*pair.begin(), "a token in vocab"));
      spec_.model.scores.push_back(get<double>(*++pair.begin(), "a score in vocab"));
    }
  }

  // Merges are looked up a block at a time, so that the waits for memory overlap.
  static constexpr size_t kBlock = 32;
  struct Part {
    std::string_view token;
    uint64_t hash;
  };

  void merges(const dom::element& v) {
    const auto list = get<dom::array>(v, "a list of merges");
    std::vector<Part> block;
    block.reserve(2 * kBlock);
    for (const dom::element item : list) {
      if (!add_merge(item, block)) continue;
      for (size_t i = block.size() - 2; i < block.size(); ++i) {
        block[i].hash = hash_bytes(block[i].token);
        spec_.model.table->prefetch_slot(block[i].hash);
      }
      if (block.size() == 2 * kBlock) resolve(block);
    }
    resolve(block);
  }

  bool add_merge(const dom::element& item, std::vector<Part>& block) const {
    const size_t number = spec_.model.merge_ids.size() + block.size() / 2;
    std::string_view left, right;
    if (item.is_array()) {
      const auto pair = get<dom::array>(item, "a merge");
      auto part = pair.begin();
      const auto end = pair.end();
      if (part != end) left = get<std::string_view>(*part, "a string in a merge"), ++part;
      if (part != end) right = get<std::string_view>(*part, "a string in a merge"), ++part;
      if (part != end || !right.data()) fail(Code::kCorrupt, context_, "expected two tokens in merge {}, got another number", number);
    } else {
      const auto line = get<std::string_view>(item, "'left right' or [left, right] as a merge");
      if (line.starts_with("#version")) return false;
      const size_t space = line.find(' ');
      if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
        fail(Code::kCorrupt, context_, "expected 'left right' as merge {}, got {}", number, quote(line, 60));
      left = line.substr(0, space), right = line.substr(space + 1);
    }
    block.push_back({left, 0});
    block.push_back({right, 0});
    return true;
  }

  void resolve(std::vector<Part>& block) {
    const Vocabulary& table = *spec_.model.table;
    for (const Part& p : block) table.prefetch_token(p.hash);
    for (size_t i = 0; i < block.size(); i += 2) {
      const int32_t l = table.find(block[i].token, block[i].hash), r = table.find(block[i + 1].token, block[i + 1].hash);
      if (l < 0 || r < 0)
        fail(Code::kCorrupt, context_, "expected both parts of merge {} in the vocabulary, got no {}", spec_.model.merge_ids.size(),
             quote(block[l < 0 ? i : i + 1].token, 60));
      spec_.model.merge_ids.emplace_back(l, r);
    }
    block.clear();
  }

  void finish();
  void resolve_added_ids();

  std::string context_;
  TokenizerSpec spec_;
  std::string type_;
  bool has_model_ = false, has_vocab_ = false, has_merges_ = false;
};

// Kind of model (older files do not state it) and what each kind must have.
void Reader::finish() {
  TokenizerModel& m = spec_.model;
  if (!has_model_) fail(Code::kCorrupt, context_, "expected a field 'model', got none");
  using Kind = TokenizerModel::Kind;
  if (type_.empty()) type_ = has_merges_ ? "BPE" : !m.scores.empty() ? "Unigram" : "WordPiece";
  if (type_ == "BPE") m.kind = Kind::kBpe;
  else if (type_ == "WordPiece") m.kind = Kind::kWordPiece;
  else if (type_ == "WordLevel") m.kind = Kind::kWordLevel;
  else if (type_ == "Unigram") m.kind = Kind::kUnigram;
  else fail(Code::kUnsupported, context_, "expected model type BPE, WordPiece, Unigram or WordLevel, got {}", quote(type_, 40));
  if (m.kind == Kind::kBpe && !has_merges_) fail(Code::kCorrupt, context_, "expected a field 'merges' in a BPE model, got none");
  const size_t size = m.table->tokens().size();
  if ((m.kind == Kind::kUnigram) == m.scores.empty() && size > 0)
    fail(Code::kCorrupt, context_, "expected {} as vocab of a {} model, got the other form",
         m.kind == Kind::kUnigram ? "[token, score] pairs" : "token: id", type_);
  if (m.unk_id && static_cast<size_t>(*m.unk_id) >= size) fail(Code::kCorrupt, context_, "expected unk_id below {}, got {}", size, *m.unk_id);
  resolve_added_ids();
}

// An added token has the id that the model's vocabulary gives its text; others follow on behind the vocabulary, in the
// order of the file, whatever id the file states.
void Reader::resolve_added_ids() {
  std::unordered_map<std::string, int32_t> known;
  std::vector<AddedToken> resolved;
  resolved.reserve(spec_.added_tokens.size());
  auto next = static_cast<int32_t>(spec_.model.table->count());
  for (AddedToken& t : spec_.added_tokens) {
    if (t.content.empty()) continue;
    const int32_t in_model = spec_.model.table->find(t.content);
    const auto [it, is_new] = known.try_emplace(t.content, in_model >= 0 ? in_model : next);
    if (is_new && in_model < 0) ++next;
    t.id = it->second;
    resolved.push_back(std::move(t));
  }
  spec_.added_tokens = std::move(resolved);
}

// The token that a key of a configuration names: a string, or an object with "content". On demand, because these files
// hold numbers past 64 bits (model_max_length) that nobody needs here.
std::optional<std::string> token_of(simdjson::ondemand::object& config, std::string_view key) {
  simdjson::ondemand::value value;
  std::string_view s;
  if (config.find_field_unordered(key).get(value) != simdjson::SUCCESS) return std::nullopt;
  simdjson::ondemand::json_type type{};
  if (value.type().get(type) != simdjson::SUCCESS) return std::nullopt;
  if (type == simdjson::ondemand::json_type::object && value["content"].get_string().get(s) == simdjson::SUCCESS) return std::string(s);
  if (type == simdjson::ondemand::json_type::string && value.get_string().get(s) == simdjson::SUCCESS) return std::string(s);
  return std::nullopt;
}

}  // namespace

TokenizerSpec read_tokenizer_json(const std::string& path) {
  return Reader(path).read(simdjson::padded_string(read_file(path)));
}

TokenizerSpec parse_tokenizer_json(std::string_view bytes, std::string_view context) {
  return Reader(context).read(simdjson::padded_string(bytes));
}

void read_special_ids(const std::string& directory, TokenizerSpec& spec) {
  const auto id_of = [&](const std::string& token) -> std::optional<int32_t> {
    for (const AddedToken& t : spec.added_tokens)
      if (t.content == token) return t.id;
    const int32_t id = spec.model.table ? spec.model.table->find(token) : -1;
    return id >= 0 ? std::optional(id) : std::nullopt;
  };
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const std::string path = directory + "/" + name;
    if (!file_exists(path)) continue;
    const simdjson::padded_string bytes(read_file(path, size_t{64} << 20));
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document document;
    simdjson::ondemand::object config;
    auto e = parser.iterate(bytes).get(document);
    if (e == simdjson::SUCCESS) e = document.get_object().get(config);
    if (e != simdjson::SUCCESS)
      fail(Code::kCorrupt, path, "expected a JSON object, got: {}", simdjson::error_message(e));
    const auto fill = [&](std::optional<int32_t>& id, const char* key) {
      if (id) return;
      if (const auto token = token_of(config, key)) id = id_of(*token);
    };
    fill(spec.bos_id, "bos_token");
    fill(spec.eos_id, "eos_token");
    fill(spec.pad_id, "pad_token");
    fill(spec.unk_id, "unk_token");
  }
}

}  // namespace transom::text
