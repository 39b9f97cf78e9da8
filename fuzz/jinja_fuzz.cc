// libFuzzer target: a template, rendered over a fixed conversation with tools. Bounds are small, so that an input that
// only works long is no finding.
#include "base/error.h"
#include "base/json.h"
#include "text/jinja/engine.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const transom::Json variables = transom::parse_json(R"({
    "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [{"type": "text", "text": "Grüße <b>"}]},
      {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [{"id": "1", "type": "function",
        "function": {"name": "f", "arguments": {"a": 1, "b": [1.5, true, null]}}}]},
      {"role": "tool", "content": "{\"x\": 1}", "tool_call_id": "1"}],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d\n\"q\"", "parameters": {"type": "object", "properties": {}}}}],
    "documents": null, "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>", "n": 7, "s": "Hello World"})", "variables");
  const std::string source(reinterpret_cast<const char*>(data), size);
  try {
    const transom::jinja::Template t(source, "fuzz");
    t.render(variables, {.now = std::chrono::system_clock::time_point{}, .limits = {.steps = 200'000, .bytes = 16 << 20, .depth = 600}});
  } catch (const transom::Error&) {
  }
  return 0;
}
