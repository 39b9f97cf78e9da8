// libFuzzer target: sentencepiece models, from the file's bytes to the ids of some texts and back.
#include <string>
#include <string_view>

#include "base/error.h"
#include "text/pipeline.h"
#include "text/vocab.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    transom::text::VocabularyConfig config;
    config.values = transom::Json::object();
    const transom::Tokenizer t = transom::text::compile_tokenizer(transom::text::convert_sentencepiece(bytes, "fuzz", config), "fuzz");
    // The file's own end is the text that its pieces are likeliest to match.
    for (const std::string_view text : {std::string_view(" ab  aab\n<s>\xE4\xBD\xA0"), bytes.substr(size - size / 4)})
      t.decode(t.encode(text));
  } catch (const transom::Error&) {
  }
  return 0;
}
