// libFuzzer target: tokenizer.json from memory, compiled; a fixed text through it and back, and the first ids decoded, which
// gives the same text in one piece and streamed. Errors are one line.
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "text/pipeline.h"
#include "text/tokenizer_json.h"
#include "transom/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace transom;
  constexpr std::string_view kText = "Hello, wörld's 12 \xF0\x9F\x98\x80<s>▁ e\xCC\x81\xE3\x82\xAB\xFF\n\n  [MASK]x";
  try {
    const std::string_view json(reinterpret_cast<const char*>(data), size);
    const Tokenizer t = text::compile_tokenizer(text::parse_tokenizer_json(json, "fuzz"), "fuzz");
    std::vector<int32_t> few;
    for (int32_t id = 0; id < t.vocab_size() && id < 40; ++id) {
      few.push_back(id);
      t.token_bytes(id);
    }
    try {
      const auto ids = t.encode(kText);
      t.decode(ids);
    } catch (const Error&) {
    }
    Detokenizer stream(t, true);
    std::string joined;
    for (const int32_t id : few) joined += stream.push(id);
    if (joined + stream.finish() != t.decode(few, true)) std::abort();
  } catch (const Error& e) {
    if (std::string_view(e.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
