// load_other_vocabulary: see vocab.h. Which file of a directory counts, and what a single file is.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "text/vocab.h"

namespace transom::text {
namespace {

namespace fs = std::filesystem;

// A mapped file's bytes.
struct Mapped {
  explicit Mapped(const std::string& path) : file(MappedFile::open(path)) {}
  std::string_view bytes() const { return {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()}; }
  std::shared_ptr<const MappedFile> file;
};

TokenizerSpec load_tiktoken(const std::string& path, const VocabularyConfig& config) {
  return convert_tiktoken(Mapped(path).bytes(), path, config);
}

TokenizerSpec load_tekken(const std::string& path) { return convert_tekken(Mapped(path).bytes(), path); }

TokenizerSpec load_model_file(const std::string& path, const VocabularyConfig& config) {
  const Mapped file(path);
  return looks_like_tiktoken(file.bytes()) ? convert_tiktoken(file.bytes(), path, config) : convert_sentencepiece(file.bytes(), path, config);
}

bool is_gguf(const std::string& path) { return Mapped(path).bytes().starts_with("GGUF"); }

// Files of a directory with this ending, sorted.
std::vector<std::string> files_ending(const std::string& directory, std::string_view ending) {
  std::vector<std::string> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored))
    if (entry.path().filename().string().ends_with(ending) && file_exists(entry.path().string())) out.push_back(entry.path().string());
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<TokenizerSpec> load_directory(const std::string& directory) {
  const VocabularyConfig config = read_vocabulary_config(directory);
  const auto in = [&](const char* name) { return directory + "/" + name; };
  if (file_exists(in("vocab.json")) && file_exists(in("source.spm"))) return load_marian(directory, config);
  if (file_exists(in("vocab.json")) && file_exists(in("sentencepiece.bpe.model"))) return load_m2m100(directory, config);
  for (const char* name : {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"})
    if (file_exists(in(name))) return load_model_file(in(name), config);
  if (file_exists(in("tiktoken.model"))) return load_tiktoken(in("tiktoken.model"), config);
  if (const auto ranks = files_ending(directory, ".tiktoken"); !ranks.empty()) return load_tiktoken(ranks[0], config);
  if (file_exists(in("tekken.json"))) return load_tekken(in("tekken.json"));
  if (file_exists(in("vocab.json")) && file_exists(in("merges.txt"))) return load_vocab_and_merges(in("vocab.json"), in("merges.txt"), config);
  if (file_exists(in("vocab.txt"))) return load_wordpiece_list(in("vocab.txt"), config);
  if (const auto files = files_ending(directory, ".gguf"); !files.empty()) return convert_gguf_vocabulary(GgufMetadata::open(files[0]));
  return std::nullopt;
}

}  // namespace

TokenizerSpec load_other_vocabulary(const std::string& path) {
  if (dir_exists(path)) {
    if (auto spec = load_directory(path)) return std::move(*spec);
    fail(Code::kNotFound, path, "expected tokenizer.json, tokenizer.model, spiece.model, tiktoken.model, *.tiktoken, tekken.json, "
         "vocab.json with merges.txt, source.spm or sentencepiece.bpe.model, vocab.txt or *.gguf, got none of them");
  }
  if (is_gguf(path)) return convert_gguf_vocabulary(GgufMetadata::open(path));
  const fs::path file(path);
  const std::string directory = file.has_parent_path() ? file.parent_path().string() : ".", name = file.filename().string();
  if (name == "tekken.json") return load_tekken(path);
  const VocabularyConfig config = read_vocabulary_config(directory);
  if (name == "vocab.json" || name == "merges.txt") return load_vocab_and_merges(directory + "/vocab.json", directory + "/merges.txt", config);
  if (name.ends_with(".tiktoken")) return load_tiktoken(path, config);
  if (name.ends_with(".model")) return load_model_file(path, config);
  if (name.ends_with(".txt")) return load_wordpiece_list(path, config);
  fail(Code::kInvalidArgument, path, "expected a tokenizer: tokenizer.json, *.model, *.tiktoken, tekken.json, vocab.json, vocab.txt or *.gguf, "
       "got another name");
}

}  // namespace transom::text
