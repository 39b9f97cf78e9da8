// vocab.json + merges.txt (GPT-2's byte-level BPE and its kin) and vocab.txt (BERT's WordPiece) to TokenizerSpec; the class
// in tokenizer_config.json decides the pipeline (transformers' convert_slow_tokenizer.py and models/*/tokenization_*.py).
#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "text/vocab.h"

namespace transom::text {

std::vector<std::string> read_vocab_json(const std::string& path) {
  const Json values = read_json_file(path);
  if (!values.is_object() || values.empty()) fail(Code::kCorrupt, path, "expected an object of tokens and ids, got {}", values.type_name());
  constexpr int64_t kMaxId = 1 << 24;
  std::vector<std::string> tokens;
  for (const auto& [token, id] : values.items()) {
    const int64_t i = id.is_number_integer() ? id.get<int64_t>() : -1;
    if (i < 0 || i >= kMaxId || i >= static_cast<int64_t>(values.size()) * 4 + 4096)
      fail(Code::kCorrupt, path, "expected an id in range for {}, got {}", quote(token, 40), id.dump());
    if (tokens.size() <= static_cast<size_t>(i)) tokens.resize(i + 1);
    if (!tokens[i].empty()) fail(Code::kCorrupt, path, "expected one token an id, got a second one for {}", i);
    tokens[i] = token;
  }
  return tokens;
}

std::string role(const VocabularyConfig& config, const char* name, std::string preset) {
  const auto it = config.roles.find(name);
  return it == config.roles.end() ? preset : it->second;
}

std::optional<int32_t> add_special(TokenizerSpec& spec, const std::string& content, bool lstrip) {
  const auto id = find_token(spec, content);
  if (content.empty() || !id) return std::nullopt;
  for (const AddedToken& t : spec.added_tokens)
    if (t.id == *id) return id;
  spec.added_tokens.push_back({.id = *id, .content = content, .lstrip = lstrip, .special = true});
  return id;
}

namespace {

// merges.txt: "left right" a line, in order of rank; a first line "#version: …" says nothing.
std::vector<std::pair<std::string, std::string>> read_merges(const std::string& path) {
  const std::string text = read_file(path);
  std::vector<std::pair<std::string, std::string>> merges;
  std::string_view rest = text;
  for (size_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const size_t space = line.find(' ');
    if (space == 0 || space == line.npos || space + 1 == line.size() || line.find(' ', space + 1) != line.npos)
      fail(Code::kCorrupt, path, "expected 'left right' in line {}, got {}", number, quote(line, 40));
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

// [CLS] text [SEP], where both are there.
void frame(TokenizerSpec& spec, std::optional<int32_t> first, std::optional<int32_t> last) {
  std::vector<int32_t> before, after;
  if (first) before.push_back(*first);
  if (last) after.push_back(*last);
  spec.post_processor = template_of(spec, before, after);
}

struct ByteLevelClass {
  const char* name;
  const char *bos, *eos, *unk, *pad, *mask;
  bool frames;  // <s> text </s>
  bool nfc;
  const char* pattern;  // null: GPT-2's
};

constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr ByteLevelClass kByteLevelClasses[] = {
    {"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "", "", false, false, nullptr},
    {"CodeGenTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "", "", false, false, nullptr},
    {"GPTNeoXTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "<|padding|>", "", false, true, nullptr},
    {"WhisperTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", "", false, false, nullptr},
    {"RobertaTokenizer", "<s>", "</s>", "<unk>", "<pad>", "<mask>", true, false, nullptr},
    {"BartTokenizer", "<s>", "</s>", "<unk>", "<pad>", "<mask>", true, false, nullptr},
    {"LongformerTokenizer", "<s>", "</s>", "<unk>", "<pad>", "<mask>", true, false, nullptr},
    {"LEDTokenizer", "<s>", "</s>", "<unk>", "<pad>", "<mask>", true, false, nullptr},
    {"MvpTokenizer", "<s>", "</s>", "<unk>", "<pad>", "<mask>", true, false, nullptr},
    {"Qwen2Tokenizer", "", "<|endoftext|>", "", "<|endoftext|>", "", false, true, kQwen2Pattern},
};

const ByteLevelClass& class_of(const std::string& name, const std::string& path) {
  if (name.empty()) return kByteLevelClasses[0];
  std::string known;
  for (const ByteLevelClass& c : kByteLevelClasses) {
    if (name == c.name) return c;
    known += (known.empty() ? "" : ", ") + std::string(c.name);
  }
  fail(Code::kUnsupported, path, "expected a tokenizer class among {}, got {}", known, name);
}

TokenizerSpec clip_spec(TokenizerSpec spec, const VocabularyConfig& config) {
  spec.model.end_of_word_suffix = "</w>";
  spec.model.unk_token = role(config, "unk_token", "<|endoftext|>");
  spec.normalizer = json_sequence("normalizers", {Json{{"type", "NFC"}},
      Json{{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}}, Json{{"type", "Lowercase"}}});
  Json split = split_regex(R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)");
  split["behavior"] = "Removed";
  split["invert"] = true;
  spec.pre_tokenizer = json_sequence("pretokenizers", {std::move(split), byte_level(false)});
  spec.decoder = json_sequence("decoders", {Json{{"type", "ByteLevel"}}, replace_string("</w>", " ")});
  spec.bos_id = add_special(spec, role(config, "bos_token", "<|startoftext|>"));
  spec.eos_id = add_special(spec, role(config, "eos_token", "<|endoftext|>"));
  spec.unk_id = spec.eos_id;
  apply_config(config, spec);
  frame(spec, spec.bos_id, spec.eos_id);
  return spec;
}

// <|startoftranscript|><|notimestamps|> text <|endoftext|>, of what is there.
TokenizerSpec whisper_frame(TokenizerSpec spec) {
  std::vector<int32_t> before, after;
  for (const char* token : {"<|startoftranscript|>", "<|notimestamps|>"})
    if (const auto id = find_token(spec, token)) before.push_back(*id);
  if (spec.eos_id) after.push_back(*spec.eos_id);
  spec.post_processor = template_of(spec, before, after);
  return spec;
}

}  // namespace

TokenizerSpec load_vocab_and_merges(const std::string& vocab_path, const std::string& merges_path, const VocabularyConfig& config) {
  TokenizerSpec spec;
  spec.model.kind = TokenizerModel::Kind::kBpe;
  spec.model.tokens = read_vocab_json(vocab_path);
  spec.model.merges = read_merges(merges_path);
  if (config.tokenizer_class == "CLIPTokenizer") return clip_spec(std::move(spec), config);
  const ByteLevelClass& c = class_of(config.tokenizer_class, config.path);
  if (c.nfc) spec.normalizer = Json{{"type", "NFC"}};
  const bool prefix = config.flag("add_prefix_space", false);
  if (c.pattern) spec.pre_tokenizer = json_sequence("pretokenizers", {split_regex(c.pattern), byte_level(false, prefix)});
  else spec.pre_tokenizer = byte_level(true, prefix);
  spec.decoder = Json{{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  spec.bos_id = add_special(spec, role(config, "bos_token", c.bos));
  spec.eos_id = add_special(spec, role(config, "eos_token", c.eos));
  spec.unk_id = add_special(spec, role(config, "unk_token", c.unk));
  spec.pad_id = add_special(spec, role(config, "pad_token", c.pad));
  add_special(spec, role(config, "mask_token", c.mask), true);
  const auto cls = c.frames ? add_special(spec, role(config, "cls_token", c.bos)) : std::nullopt;
  const auto sep = c.frames ? add_special(spec, role(config, "sep_token", c.eos)) : std::nullopt;
  apply_config(config, spec);
  if (config.tokenizer_class == "WhisperTokenizer") return whisper_frame(std::move(spec));
  const bool bos = !c.frames && config.flag("add_bos_token", false);
  frame(spec, bos ? spec.bos_id : cls, sep);
  return spec;
}

TokenizerSpec load_wordpiece_list(const std::string& path, const VocabularyConfig& config) {
  TokenizerSpec spec;
  spec.model.kind = TokenizerModel::Kind::kWordPiece;
  spec.model.continuing_subword_prefix = "##";
  const std::string text = read_file(path);
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    while (line.ends_with('\r')) line.remove_suffix(1);
    spec.model.tokens.emplace_back(line);
  }
  const std::string unk = role(config, "unk_token", "[UNK]");
  spec.model.unk_token = unk;
  if (!find_token(spec, unk)) fail(Code::kCorrupt, path, "expected the token {} in the vocabulary, got {} tokens without it", unk, spec.model.tokens.size());
  Json strip = nullptr;
  if (config.has("strip_accents") && config.values["strip_accents"].is_boolean()) strip = config.values["strip_accents"];
  spec.normalizer = Json{{"type", "BertNormalizer"}, {"clean_text", true},
                         {"handle_chinese_chars", config.flag("tokenize_chinese_chars", true)},
                         {"strip_accents", strip}, {"lowercase", config.flag("do_lower_case", true)}};
  spec.pre_tokenizer = Json{{"type", "BertPreTokenizer"}};
  spec.decoder = Json{{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  spec.pad_id = add_special(spec, role(config, "pad_token", "[PAD]"));
  spec.unk_id = add_special(spec, unk);
  const auto cls = add_special(spec, role(config, "cls_token", "[CLS]"));
  const auto sep = add_special(spec, role(config, "sep_token", "[SEP]"));
  add_special(spec, role(config, "mask_token", "[MASK]"));
  apply_config(config, spec);
  frame(spec, cls, sep);
  return spec;
}

}  // namespace transom::text
