// tiktoken's rank files ("base64 rank" lines) and Mistral's tekken.json to TokenizerSpec. The model merges by the rank of
// the concatenation, as tiktoken's encoder does, so ids equal the library's. A rank file names neither pattern nor special
// tokens: they come from the class in tokenizer_config.json, else from the file's name.
// Facts from: Qwen's tokenization_qwen.py, Kimi K2's tokenization_kimi.py, openai's tiktoken_ext/openai_public.py, Llama
// 3.1's tokenizer.py, mistral-common's tekken.py.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "text/charsmap.h"
#include "text/vocab.h"

namespace transom::text {
namespace {

constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100k =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
constexpr std::string_view kQwen =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kKimi =
    R"([\p{Han}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

enum class Family { kQwen, kKimi, kLlama3, kCl100k, kO200k, kGpt2, kOther };

Family family_of(const std::string& path, const VocabularyConfig& config) {
  const std::string file = std::filesystem::path(path).filename().string(), &name = config.tokenizer_class;
  if (name == "QWenTokenizer") return Family::kQwen;
  if (name == "TikTokenTokenizer" || name == "TikTokenV3") return Family::kKimi;
  if (name == "GPT2Tokenizer") return Family::kGpt2;
  if (file == "qwen.tiktoken") return Family::kQwen;
  if (file == "tiktoken.model") return Family::kKimi;
  if (file == "tokenizer.model") return Family::kLlama3;
  if (file == "cl100k_base.tiktoken") return Family::kCl100k;
  if (file == "o200k_base.tiktoken") return Family::kO200k;
  if (file == "gpt2.tiktoken" || file == "r50k_base.tiktoken" || file == "p50k_base.tiktoken") return Family::kGpt2;
  return Family::kOther;
}

std::string_view pattern_of_family(Family family) {
  switch (family) {
    case Family::kQwen: return kQwen;
    case Family::kKimi: return kKimi;
    case Family::kCl100k: return kCl100k;
    case Family::kO200k: return kO200k;
    case Family::kGpt2: return kGpt2;
    case Family::kLlama3: case Family::kOther: return kLlama3;
  }
  return kLlama3;
}

// The special tokens a family has behind its ranks, by id - first; "" leaves an id out.
std::vector<std::string> specials_of(Family family, int32_t first, const VocabularyConfig& config) {
  std::vector<std::string> out;
  if (family == Family::kQwen) {
    out = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
    for (int i = 0; i < 205; ++i) out.push_back(fmt::format("<|extra_{}|>", i));
  } else if (family == Family::kKimi) {
    for (int32_t i = first; i < first + 256; ++i) out.push_back(fmt::format("<|reserved_token_{}|>", i));
  } else if (family == Family::kLlama3 && config.added.empty()) {
    out = {"<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
           "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", "<|start_header_id|>", "<|end_header_id|>",
           "<|eom_id|>", "<|eot_id|>", "<|python_tag|>"};
    for (int i = 3; out.size() < 256; ++i) out.push_back(fmt::format("<|reserved_special_token_{}|>", i));
  } else if (family == Family::kCl100k) {
    out = {"", "<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"};
    out.resize(20);
    out.push_back("<|endofprompt|>");
  } else if (family == Family::kO200k) {
    out = {"", "<|endoftext|>"};
    out.resize(20);
    out.push_back("<|endofprompt|>");
  } else if (family == Family::kGpt2) {
    out = {"<|endoftext|>"};
  }
  return out;
}

// One "base64 rank" line at a time.
void read_ranks(std::string_view text, const std::string& path, TokenizerModel& model) {
  const size_t lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const size_t space = line.find(' ');
    const std::string_view digits = space == line.npos ? "" : line.substr(space + 1);
    uint64_t rank = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size())
      fail(Code::kCorrupt, path, "expected 'base64 rank' in line {}, got {}", number, quote(line, 40));
    if (rank >= lines * 2 + 4096) fail(Code::kCorrupt, path, "expected ranks below {} in a file of {} lines, got {}", lines * 2 + 4096, lines, rank);
    const std::string bytes = decode_base64(line.substr(0, space), path);
    if (bytes.empty()) fail(Code::kCorrupt, path, "expected a token in line {}, got none", number);
    if (rank >= model.tokens.size()) model.tokens.resize(rank + 1);
    if (!model.tokens[rank].empty()) fail(Code::kCorrupt, path, "expected one token a rank, got a second one for {} in line {}", rank, number);
    model.tokens[rank] = byte_level_text(bytes);
  }
}

// A byte-level model that merges by rank (= id - `offset`), taking a word that is a token at once.
void set_rank_model(TokenizerSpec& spec, size_t offset, std::string_view pattern, bool nfc) {
  TokenizerModel& m = spec.model;
  m.kind = TokenizerModel::Kind::kMergeByScore;
  m.ignore_merges = true;
  m.scores.resize(m.tokens.size());
  m.types.assign(m.tokens.size(), PieceType::kNormal);
  for (size_t i = 0; i < m.tokens.size(); ++i) m.scores[i] = i < offset ? 0.0 : -static_cast<double>(i - offset);
  for (size_t i = 0; i < offset; ++i) m.types[i] = PieceType::kControl;
  if (nfc) spec.normalizer = Json{{"type", "NFC"}};
  spec.pre_tokenizer = json_sequence("pretokenizers", {split_regex(pattern), byte_level(false)});
  spec.decoder = Json{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
}

void add_specials(TokenizerSpec& spec, int32_t first, const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i)
    if (!names[i].empty()) spec.added_tokens.push_back({.id = first + static_cast<int32_t>(i), .content = names[i], .special = true});
}

void set_ids_by_name(TokenizerSpec& spec, std::string_view bos, std::string_view eos, std::string_view pad) {
  if (!bos.empty()) spec.bos_id = find_token(spec, bos);
  if (!eos.empty()) spec.eos_id = find_token(spec, eos);
  if (!pad.empty()) spec.pad_id = find_token(spec, pad);
}

}  // namespace

bool looks_like_tiktoken(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, std::min<size_t>(bytes.find('\n'), 400));
  const size_t space = line.find(' ');
  if (space == 0 || space == line.npos || space + 1 == line.size()) return false;
  const auto base64 = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/' || c == '='; };
  const std::string_view rank = line.substr(space + 1, line.find('\r') == line.npos ? line.npos : line.size() - space - 2);
  return std::all_of(line.begin(), line.begin() + static_cast<std::ptrdiff_t>(space), base64) && rank.find_first_not_of("0123456789") == rank.npos;
}

TokenizerSpec convert_tiktoken(std::string_view bytes, const std::string& path, const VocabularyConfig& config) {
  const Family family = family_of(path, config);
  if (family == Family::kOther)
    log().warn("{}: no known tokenizer class ('{}'): splitting words as Llama 3 does", path, config.tokenizer_class);
  TokenizerSpec spec;
  read_ranks(bytes, path, spec.model);
  if (spec.model.tokens.empty()) fail(Code::kCorrupt, path, "expected tokens, got none");
  const auto first = static_cast<int32_t>(spec.model.tokens.size());
  set_rank_model(spec, 0, pattern_of_family(family), family == Family::kQwen);
  add_specials(spec, first, specials_of(family, first, config));
  if (family == Family::kQwen) set_ids_by_name(spec, "", "<|endoftext|>", "<|endoftext|>");
  if (family == Family::kLlama3) set_ids_by_name(spec, "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>");
  if (family == Family::kCl100k || family == Family::kO200k || family == Family::kGpt2) set_ids_by_name(spec, "", "<|endoftext|>", "");
  apply_config(config, spec);
  std::vector<int32_t> before;
  if (spec.bos_id && config.flag("add_bos_token", family == Family::kLlama3)) before.push_back(*spec.bos_id);
  if (config.tokenizer_class == "ChatGLM4Tokenizer")
    for (const char* name : {"[gMASK]", "<sop>"})
      if (const auto id = find_token(spec, name)) before.push_back(*id);
  spec.post_processor = template_of(spec, before, {});
  return spec;
}

namespace {

// What tekken files before version 7 leave to the program.
const std::vector<std::string>& tekken_default_specials() {
  static const std::vector<std::string> names = {
      "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]",
      "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[SYSTEM_PROMPT]",
      "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"};
  return names;
}

int64_t integer_field(const Json& object, const char* key, const std::string& path, int64_t limit) {
  const auto it = object.find(key);
  if (it == object.end() || !it->is_number_integer())
    fail(Code::kCorrupt, path, "expected an integer '{}', got {}", key, it == object.end() ? "none" : it->type_name());
  const int64_t value = it->get<int64_t>();
  if (value < 0 || value > limit) fail(Code::kCorrupt, path, "expected '{}' of 0 to {}, got {}", key, limit, value);
  return value;
}

std::vector<std::string> tekken_specials(const Json& root, size_t count, const std::string& path) {
  std::vector<std::string> names;
  const auto list = root.find("special_tokens");
  if (list == root.end() || list->is_null()) {
    names = tekken_default_specials();
  } else {
    if (!list->is_array()) fail(Code::kCorrupt, path, "expected a list of special_tokens, got {}", list->type_name());
    for (const Json& t : *list) {
      const auto text = t.is_object() ? t.find("token_str") : t.end();
      if (!t.is_object() || text == t.end() || !text->is_string()) fail(Code::kCorrupt, path, "expected a token_str in every special token, got none");
      const auto rank = static_cast<size_t>(integer_field(t, "rank", path, static_cast<int64_t>(count) - 1));
      if (names.size() <= rank) names.resize(rank + 1);
      names[rank] = text->get<std::string>();
    }
  }
  names.resize(count);
  for (size_t i = 0; i < count; ++i)
    if (names[i].empty()) names[i] = fmt::format("<SPECIAL_{}>", i);
  return names;
}

}  // namespace

TokenizerSpec convert_tekken(std::string_view bytes, const std::string& path) {
  const Json root = parse_json(bytes, path);
  const auto config = root.find("config"), vocab = root.find("vocab");
  if (!root.is_object() || config == root.end() || vocab == root.end() || !config->is_object() || !vocab->is_array())
    fail(Code::kCorrupt, path, "expected an object with 'config' and 'vocab', got neither or one");
  constexpr int64_t kMaxTokens = 1 << 24;
  const auto n_special = static_cast<size_t>(integer_field(*config, "default_num_special_tokens", path, 1 << 20));
  const auto size = static_cast<size_t>(integer_field(*config, "default_vocab_size", path, kMaxTokens));
  const auto pattern = config->find("pattern");
  if (pattern == config->end() || !pattern->is_string()) fail(Code::kCorrupt, path, "expected a string 'pattern', got none");
  if (size < n_special || size - n_special > vocab->size())
    fail(Code::kCorrupt, path, "expected {} special tokens and at most {} others, got a vocabulary of {}", n_special, vocab->size(), size);
  TokenizerSpec spec;
  spec.model.tokens.resize(size);
  const std::vector<std::string> specials = tekken_specials(root, n_special, path);
  for (size_t i = 0; i < n_special; ++i) spec.model.tokens[i] = specials[i];
  for (const Json& t : *vocab) {
    const auto bytes = t.is_object() ? t.find("token_bytes") : t.end();
    if (!t.is_object() || bytes == t.end() || !bytes->is_string()) fail(Code::kCorrupt, path, "expected token_bytes in every token, got none");
    const auto rank = static_cast<size_t>(integer_field(t, "rank", path, kMaxTokens));
    if (rank >= size - n_special) continue;  // the file may hold more than the model has
    std::string& token = spec.model.tokens[rank + n_special];
    if (!token.empty()) fail(Code::kCorrupt, path, "expected one token a rank, got a second one for {}", rank);
    token = byte_level_text(decode_base64(bytes->get_ref<const std::string&>(), path));
  }
  set_rank_model(spec, n_special, pattern->get_ref<const std::string&>(), false);
  add_specials(spec, 0, specials);
  set_ids_by_name(spec, "<s>", "</s>", "<pad>");
  spec.unk_id = find_token(spec, "<unk>");
  spec.post_processor = template_of(spec, spec.bos_id ? std::vector<int32_t>{*spec.bos_id} : std::vector<int32_t>{}, {});
  return spec;
}

}  // namespace transom::text
