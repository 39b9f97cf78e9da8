// libFuzzer target: the vocabularies of GGUF files, tiktoken rank files and tekken.json (told apart by their first bytes),
// up to the ids of a text. tekken.json is not run: its pattern is a regular expression, which has a target of its own.
#include <span>
#include <string_view>

#include "base/error.h"
#include "text/pipeline.h"
#include "text/vocab.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transom;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    text::VocabularyConfig config;
    config.values = Json::object();
    if (bytes.starts_with("{")) {
      text::convert_tekken(bytes, "tekken.json");
      return 0;
    }
    text::TokenizerSpec spec;
    if (bytes.starts_with("GGUF")) spec = text::convert_gguf_vocabulary(GgufMetadata::parse(std::as_bytes(std::span(data, size)), "fuzz"));
    else spec = text::convert_tiktoken(bytes, "fuzz.tiktoken", config);
    const Tokenizer t = text::compile_tokenizer(std::move(spec), "fuzz");
    t.decode(t.encode("he \xE2\x96\x81 12345  the<s>\n\xE4\xBD\xA0\xFF"));
  } catch (const Error&) {
  }
  return 0;
}
