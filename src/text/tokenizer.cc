// The public Tokenizer and Detokenizer: files are found and dispatched here, the work is done by the pipeline.
#include "transom/tokenizer.h"

#include "base/error.h"
#include "base/file.h"
#include "text/pipeline.h"
#include "text/tokenizer_json.h"
#include "text/unicode.h"
#include "text/vocab.h"

namespace transom {
namespace {

bool ends_with(const std::string& s, std::string_view end) { return std::string_view(s).ends_with(end); }

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

[[noreturn]] void bad_id(int32_t id, int32_t size) {
  fail(Code::kInvalidArgument, "token id", "expected 0 to {}, got {}", size - 1, id);
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Tokenizer Tokenizer::load(const std::string& path) {
  std::string file = path, directory = path;
  if (dir_exists(path)) file = path + "/tokenizer.json";
  else directory = directory_of(path);
  const bool other = file.ends_with("/tekken.json") || file.ends_with("/vocab.json") || file == "tekken.json" || file == "vocab.json";
  if (!other && ends_with(file, ".json") && file_exists(file)) {
    text::TokenizerSpec spec = text::read_tokenizer_json(file);
    text::read_special_ids(directory, spec);
    return text::compile_tokenizer(std::move(spec), file);
  }
  return text::compile_tokenizer(text::load_other_vocabulary(path), path);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool add_special_tokens, std::optional<int64_t> max_tokens) const {
  return impl_->encode(text, add_special_tokens, max_tokens);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special_tokens) const {
  std::string out;
  const auto run = impl_->decoder->start();
  for (const int32_t id : ids) {
    const std::string* token = impl_->decoded_token(id);
    if (!token) bad_id(id, impl_->size());
    if (skip_special_tokens && impl_->special_tokens.contains(*token)) continue;
    run->push(*token, out);
  }
  run->finish(out);
  return out;
}

std::string_view Tokenizer::id_to_token(int32_t id) const {
  const auto it = impl_->added.find(id);
  if (it != impl_->added.end()) return it->second.token.content;
  if (id < 0 || id >= impl_->size()) bad_id(id, impl_->size());
  const auto& tokens = impl_->vocabulary.tokens();
  return static_cast<size_t>(id) < tokens.size() ? std::string_view(tokens[id]) : std::string_view();
}

std::string Tokenizer::token_bytes(int32_t id) const {
  const std::string_view token = id_to_token(id);
  return impl_->bytes_of(id, token);
}

std::optional<int32_t> Tokenizer::token_to_id(std::string_view token) const {
  const auto it = impl_->added_ids.find(std::string(token));
  if (it != impl_->added_ids.end()) return it->second;
  const int32_t id = impl_->vocabulary.find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

bool Tokenizer::is_special(int32_t id) const {
  const auto it = impl_->added.find(id);
  return it != impl_->added.end() && it->second.token.special;
}

int32_t Tokenizer::vocab_size() const { return impl_->size(); }
std::optional<int32_t> Tokenizer::bos_id() const { return impl_->bos_id; }
std::optional<int32_t> Tokenizer::eos_id() const { return impl_->eos_id; }
std::optional<int32_t> Tokenizer::pad_id() const { return impl_->pad_id; }
std::optional<int32_t> Tokenizer::unk_id() const { return impl_->unk_id; }

struct Detokenizer::State {
  Tokenizer tokenizer;
  bool skip_special;
  std::unique_ptr<text::Decoder::Run> run;
};

Detokenizer::Detokenizer(Tokenizer tokenizer, bool skip_special_tokens) {
  auto run = tokenizer.impl().decoder->start();
  state_ = std::make_unique<State>(State{std::move(tokenizer), skip_special_tokens, std::move(run)});
}
Detokenizer::~Detokenizer() = default;
Detokenizer::Detokenizer(Detokenizer&&) noexcept = default;
Detokenizer& Detokenizer::operator=(Detokenizer&&) noexcept = default;

std::string Detokenizer::push(int32_t id) {
  const auto& impl = state_->tokenizer.impl();
  const std::string* token = impl.decoded_token(id);
  if (!token) bad_id(id, impl.size());
  std::string out;
  if (!(state_->skip_special && impl.special_tokens.contains(*token))) state_->run->push(*token, out);
  return out;
}

std::string Detokenizer::finish() {
  std::string out;
  state_->run->finish(out);
  state_->run = state_->tokenizer.impl().decoder->start();
  return out;
}

}  // namespace transom
