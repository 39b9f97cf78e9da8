// tokenizer.json by simdjson's on-demand parser: the large tables (vocabulary, merges) go straight into their vectors; the
// small stages are handed to the JSON reader that the rest of the program uses.
#include "text/tokenizer_json.h"

#include <simdjson.h>

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/file.h"
#include "text/vocabulary.h"

namespace transom::text {
namespace {

namespace od = simdjson::ondemand;

// Ids may leave gaps, but a file cannot make us allocate a table out of proportion to what it holds.
constexpr uint64_t kSpareIds = uint64_t{1} << 20;

class Reader {
 public:
  explicit Reader(std::string_view context) : context_(context) {}

  TokenizerSpec read(const simdjson::padded_string& text) {
    od::parser parser;
    od::document doc;
    check(parser.iterate(text).get(doc), "JSON");
    od::object root;
    check(doc.get_object().get(root), "an object");
    for (auto item : root) {
      od::field field;
      check(item.get(field), "a field");
      std::string_view key;
      check(field.unescaped_key().get(key), "a key");
      top_level(key, field.value());
    }
    if (!doc.at_end()) fail(Code::kCorrupt, context_, "expected the end of the file after the tokenizer, got more");
    finish();
    return std::move(spec_);
  }

 private:
  struct VocabEntry {
    std::string token;
    uint64_t id;
  };

  void check(simdjson::error_code e, const char* expected) const {
    if (e != simdjson::SUCCESS) fail(Code::kCorrupt, context_, "expected {}, got: {}", expected, one_line(simdjson::error_message(e)));
  }
  static std::string one_line(std::string s) {
    std::replace(s.begin(), s.end(), '\n', ' ');
    return s;
  }

  Json small(od::value v) const {
    std::string_view raw;
    check(simdjson::to_json_string(v).get(raw), "JSON");
    if (raw.size() > (size_t{16} << 20)) fail(Code::kCorrupt, context_, "expected a stage of at most 16 MiB, got {} bytes", raw.size());
    return parse_json(raw, context_);
  }

  void top_level(std::string_view key, od::value v) {
    if (key == "version") {
      std::string_view s;
      check(v.get_string().get(s), "a string as version");
      if (s != "1.0") fail(Code::kUnsupported, context_, "expected tokenizer version '1.0', got '{}'", s.substr(0, 40));
    } else if (key == "truncation") spec_.truncation = small(v);
    else if (key == "padding") spec_.padding = small(v);
    else if (key == "normalizer") spec_.normalizer = small(v);
    else if (key == "pre_tokenizer") spec_.pre_tokenizer = small(v);
    else if (key == "post_processor") spec_.post_processor = small(v);
    else if (key == "decoder") spec_.decoder = small(v);
    else if (key == "added_tokens") added_tokens(v);
    else if (key == "model") model(v);
  }

  void added_tokens(od::value v) {
    od::array list;
    check(v.get_array().get(list), "a list of added tokens");
    for (auto item : list) {
      od::object o;
      check(item.get_object().get(o), "an object as an added token");
      AddedToken t;
      for (auto f : o) {
        od::field field;
        check(f.get(field), "a field of an added token");
        std::string_view key;
        check(field.unescaped_key().get(key), "a key");
        if (key == "content") {
          std::string_view s;
          check(field.value().get_string().get(s), "a string as content of an added token");
          t.content = s;
        } else if (bool* flag = added_flag(t, key)) {
          check(field.value().get_bool().get(*flag), "true or false as a property of an added token");
        }
      }
      spec_.added_tokens.push_back(std::move(t));
    }
  }
  static bool* added_flag(AddedToken& t, std::string_view key) {
    return key == "single_word" ? &t.single_word : key == "lstrip" ? &t.lstrip : key == "rstrip" ? &t.rstrip
         : key == "normalized" ? &t.normalized : key == "special" ? &t.special : nullptr;
  }

  void model(od::value v) {
    od::object o;
    check(v.get_object().get(o), "an object as the model");
    has_model_ = true;
    for (auto item : o) {
      od::field field;
      check(item.get(field), "a field of the model");
      std::string_view key;
      check(field.unescaped_key().get(key), "a key");
      od::value value = field.value();
      if (key == "vocab") vocab(value);
      else if (key == "merges") merges(value);
      else model_setting(key, value);
    }
  }

  void model_setting(std::string_view key, od::value& v) {
    TokenizerModel& m = spec_.model;
    const auto is_null = [&] {
      bool null = false;
      return v.is_null().get(null) == simdjson::SUCCESS && null;
    };
    const auto text = [&](const char* what) {
      std::string_view s;
      check(v.get_string().get(s), what);
      return std::string(s);
    };
    const auto flag = [&](const char* what) {
      bool b = false;
      check(v.get_bool().get(b), what);
      return b;
    };
    if (key == "type") type_ = text("a string as the model's type");
    else if (key == "unk_token") { if (!is_null()) m.unk_token = text("a string as unk_token"); }
    else if (key == "continuing_subword_prefix") { if (!is_null()) m.continuing_subword_prefix = text("a string as continuing_subword_prefix"); }
    else if (key == "end_of_word_suffix") { if (!is_null()) m.end_of_word_suffix = text("a string as end_of_word_suffix"); }
    else if (key == "fuse_unk") { if (!is_null()) m.fuse_unk = flag("true or false as fuse_unk"); }
    else if (key == "byte_fallback") { if (!is_null()) m.byte_fallback = flag("true or false as byte_fallback"); }
    else if (key == "ignore_merges") { if (!is_null()) m.ignore_merges = flag("true or false as ignore_merges"); }
    else if (key == "dropout") {
      double d = 0;
      if (!is_null()) check(v.get_double().get(d), "a number as dropout");
      if (d != 0) fail(Code::kUnsupported, context_, "expected a BPE without dropout, got dropout {}: its ids would be random", d);
    } else if (key == "unk_id") {
      uint64_t id = 0;
      if (is_null()) return;
      check(v.get_uint64().get(id), "a number as unk_id");
      if (id > 0x7fffffff) fail(Code::kCorrupt, context_, "expected unk_id within the vocabulary, got {}", id);
      m.unk_id = static_cast<int32_t>(id);
    } else if (key == "max_input_chars_per_word") {
      uint64_t n = 0;
      check(v.get_uint64().get(n), "a number as max_input_chars_per_word");
      m.max_input_chars_per_word = static_cast<int>(std::min<uint64_t>(n, 0x7fffffff));
    }
  }

  // {"token": id, …}, or Unigram's [["token", score], …].
  void vocab(od::value v) {
    od::json_type type{};
    check(v.type().get(type), "a vocabulary");
    if (type == od::json_type::array) return scored_vocab(v);
    od::object o;
    check(v.get_object().get(o), "an object or a list as vocab");
    std::vector<VocabEntry> entries;
    uint64_t largest = 0;
    for (auto item : o) {
      od::field field;
      check(item.get(field), "a token and its id");
      std::string_view token;
      check(field.unescaped_key().get(token), "a token");
      uint64_t id = 0;
      if (field.value().get_uint64().get(id) != simdjson::SUCCESS)
        fail(Code::kCorrupt, context_, "expected an id for token '{}', got something else", token.substr(0, 60));
      largest = std::max(largest, id);
      entries.push_back({std::string(token), id});
    }
    const uint64_t bound = uint64_t{8} * entries.size() + kSpareIds;
    auto& tokens = spec_.model.tokens;
    if (largest >= bound) {
      const auto it = std::find_if(entries.begin(), entries.end(), [&](const VocabEntry& e) { return e.id == largest; });
      fail(Code::kCorrupt, context_, "expected ids below {} for {} tokens, got {} for '{}'", bound, entries.size(), largest, it->token.substr(0, 60));
    }
    tokens.assign(entries.empty() ? 0 : largest + 1, {});
    for (VocabEntry& e : entries) tokens[e.id] = std::move(e.token);
    has_vocab_ = true;
  }

  void scored_vocab(od::value v) {
    od::array list;
    check(v.get_array().get(list), "a list as vocab");
    for (auto item : list) {
      od::array pair;
      check(item.get_array().get(pair), "[token, score] in vocab");
      int n = 0;
      for (auto part : pair) {
        if (n == 0) {
          std::string_view token;
          check(part.get_string().get(token), "a token in vocab");
          spec_.model.tokens.emplace_back(token);
        } else if (n == 1) {
          double score = 0;
          check(part.get_double().get(score), "a score in vocab");
          spec_.model.scores.push_back(score);
        }
        ++n;
      }
      if (n != 2) fail(Code::kCorrupt, context_, "expected [token, score] in vocab, got {} values", n);
    }
    has_vocab_ = true;
  }

  void merges(od::value v) {
    od::array list;
    check(v.get_array().get(list), "a list of merges");
    has_merges_ = true;
    index_vocabulary();
    std::string left;
    for (auto item : list) {
      od::value value;
      check(item.get(value), "a merge");
      od::json_type type{};
      check(value.type().get(type), "a merge");
      if (type == od::json_type::array) merge_pair(value, left);
      else merge_line(value);
      ++merge_count_;
    }
  }

  void merge_pair(od::value& v, std::string& left) {
    od::array pair;
    check(v.get_array().get(pair), "a merge");
    int n = 0;
    for (auto part : pair) {
      std::string_view s;
      check(part.get_string().get(s), "a string in a merge");
      if (n == 0) left = s;
      else if (n == 1) add_merge(left, s);
      ++n;
    }
    if (n != 2) fail(Code::kCorrupt, context_, "expected two tokens in merge {}, got {}", merge_count_, n);
  }

  void merge_line(od::value& v) {
    std::string_view s;
    check(v.get_string().get(s), "'left right' or [left, right] as a merge");
    if (s.starts_with("#version")) return;
    const size_t space = s.find(' ');
    if (space == std::string_view::npos || s.find(' ', space + 1) != std::string_view::npos)
      fail(Code::kCorrupt, context_, "expected 'left right' as merge {}, got '{}'", merge_count_, s.substr(0, 60));
    add_merge(s.substr(0, space), s.substr(space + 1));
  }

  void add_merge(std::string_view left, std::string_view right) {
    if (!has_vocab_) {
      spec_.model.merges.emplace_back(left, right);
      return;
    }
    const int32_t l = index_.find(left), r = index_.find(right);
    if (l < 0 || r < 0)
      fail(Code::kCorrupt, context_, "expected both parts of merge {} in the vocabulary, got no '{}'", merge_count_, (l < 0 ? left : right).substr(0, 60));
    spec_.model.merge_ids.emplace_back(l, r);
  }

  void index_vocabulary() {
    if (has_vocab_) index_ = Vocabulary(spec_.model.tokens);
  }

  void finish();
  void resolve_added_ids();

  std::string context_;
  TokenizerSpec spec_;
  Vocabulary index_;
  std::string type_;
  size_t merge_count_ = 0;
  bool has_model_ = false, has_vocab_ = false, has_merges_ = false;
};

// Kind of model (older files do not state it) and what each kind must have.
void Reader::finish() {
  TokenizerModel& m = spec_.model;
  if (!has_model_) fail(Code::kCorrupt, context_, "expected a field 'model', got none");
  if (!has_vocab_) fail(Code::kCorrupt, context_, "expected a field 'vocab' in the model, got none");
  using Kind = TokenizerModel::Kind;
  if (type_.empty()) type_ = has_merges_ ? "BPE" : !m.scores.empty() ? "Unigram" : "WordPiece";
  if (type_ == "BPE") m.kind = Kind::kBpe;
  else if (type_ == "WordPiece") m.kind = Kind::kWordPiece;
  else if (type_ == "WordLevel") m.kind = Kind::kWordLevel;
  else if (type_ == "Unigram") m.kind = Kind::kUnigram;
  else fail(Code::kUnsupported, context_, "expected model type BPE, WordPiece, Unigram or WordLevel, got '{}'", type_.substr(0, 40));
  if (m.kind == Kind::kBpe && !has_merges_) fail(Code::kCorrupt, context_, "expected a field 'merges' in a BPE model, got none");
  if ((m.kind == Kind::kUnigram) == m.scores.empty() && !m.tokens.empty())
    fail(Code::kCorrupt, context_, "expected {} as vocab of a {} model, got the other form", m.kind == Kind::kUnigram ? "[token, score] pairs" : "token: id", type_);
  resolve_added_ids();
}

// An added token has the id that the model's vocabulary gives its text; others follow on behind the vocabulary, in the
// order of the file, whatever id the file states.
void Reader::resolve_added_ids() {
  std::unordered_map<std::string_view, int32_t> known;
  size_t count = 0;
  for (const std::string& t : spec_.model.tokens) count += !t.empty();
  std::vector<AddedToken> resolved;
  resolved.reserve(spec_.added_tokens.size());
  if (!has_merges_ || index_.tokens().empty()) index_vocabulary();
  auto next = static_cast<int32_t>(count);
  for (AddedToken& t : spec_.added_tokens) {
    if (t.content.empty()) continue;
    const int32_t in_model = index_.find(t.content);
    const auto seen = known.find(t.content);
    t.id = seen != known.end() ? seen->second : in_model >= 0 ? in_model : next++;
    resolved.push_back(std::move(t));
    known.emplace(resolved.back().content, resolved.back().id);
  }
  spec_.added_tokens = std::move(resolved);
}

std::optional<int32_t> id_of_token(const Json& value, const std::unordered_map<std::string_view, int32_t>& ids) {
  const Json* v = &value;
  if (v->is_object() && v->contains("content")) v = &(*v)["content"];
  if (!v->is_string()) return std::nullopt;
  const auto it = ids.find(v->get_ref<const std::string&>());
  return it == ids.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace

TokenizerSpec read_tokenizer_json(const std::string& path) {
  const uint64_t size = file_size(path);
  constexpr uint64_t kMax = uint64_t{1} << 30;
  if (size > kMax) fail(Code::kInvalidArgument, path, "expected at most {} bytes, got {}", kMax, size);
  return parse_tokenizer_json(read_file(path), path);
}

TokenizerSpec parse_tokenizer_json(std::string_view bytes, std::string_view context) {
  const simdjson::padded_string text(bytes);
  return Reader(context).read(text);
}

void read_special_ids(const std::string& directory, TokenizerSpec& spec) {
  std::unordered_map<std::string_view, int32_t> ids;
  bool indexed = false;
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json"}) {
    const std::string path = directory + "/" + name;
    if (!file_exists(path)) continue;
    const Json config = read_json_file(path);
    if (!config.is_object()) fail(Code::kCorrupt, path, "expected an object, got {}", config.type_name());
    if (!indexed) {
      for (size_t id = 0; id < spec.model.tokens.size(); ++id) ids[spec.model.tokens[id]] = static_cast<int32_t>(id);
      for (const AddedToken& t : spec.added_tokens) ids[t.content] = t.id;
      indexed = true;
    }
    const auto fill = [&](std::optional<int32_t>& id, const char* key) {
      if (!id && config.contains(key)) id = id_of_token(config[key], ids);
    };
    fill(spec.bos_id, "bos_token");
    fill(spec.eos_id, "eos_token");
    fill(spec.pad_id, "pad_token");
    fill(spec.unk_id, "unk_token");
  }
}

}  // namespace transom::text
