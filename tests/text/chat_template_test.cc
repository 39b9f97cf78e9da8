// Chat templates: where models keep them, what messages go through, and the real templates of llama.cpp's collection
// against Python's renderings (scripts/make_jinja_goldens.py templates).
#include "transom/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "support/sha256.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

using Options = ChatTemplate::Options;

std::string data(const std::string& name) { return std::string(TRANSOM_SOURCE_DIR) + "/tests/text/data/" + name; }

Json exact(const std::string& path) { return ChatTemplate::parse_json(read_file(path), path); }

std::chrono::system_clock::time_point frozen_clock() {
  std::tm tm{};
  tm.tm_year = 124, tm.tm_mon = 6, tm.tm_mday = 26, tm.tm_hour = 12, tm.tm_min = 34, tm.tm_sec = 56, tm.tm_isdst = -1;
  return std::chrono::system_clock::from_time_t(std::mktime(&tm)) + std::chrono::microseconds(123456);
}

const Json kHello = {{{"role", "user"}, {"content", "Hello"}}};

TEST(ChatTemplate, MessagesArePrepared) {
  const auto seen = [](const Json& message) { return ChatTemplate::parse("{{ messages[0]|tojson }}").render(Json::array({message}), {}); };
  EXPECT_EQ(seen({{"role", "user"}, {"content", nullptr}, {"x", {{"y", nullptr}}}}), R"({"role": "user", "x": {"y": null}})");
  EXPECT_EQ(seen({{"role", "a"}, {"thinking", "T"}}), R"({"thinking": "T", "role": "a", "reasoning_content": "T"})");
  EXPECT_EQ(seen({{"reasoning", "R"}}), R"({"thinking": "R", "reasoning": "R", "reasoning_content": "R"})");
  EXPECT_EQ(seen({{"thinking", "T"}, {"reasoning_content", "C"}}), R"({"thinking": "T", "reasoning_content": "C"})");
}

TEST(ChatTemplate, VariablesOfACall) {
  const ChatTemplate t =
      ChatTemplate::parse("{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ x }}{{ bos_token is defined }}");
  EXPECT_EQ(t.render(kHello, {.variables = {{"x", 5}}}), "TrueTrueTrue5False");
  EXPECT_EQ(t.render(kHello, {.tools = Json::array(), .add_generation_prompt = false}), "FalseTrueFalseFalse");
  const ChatTemplate clock = ChatTemplate::parse("{{ strftime_now('%Y-%m-%d %H:%M:%S.%f') }}");
  EXPECT_EQ(clock.render(kHello, {.now = frozen_clock()}), "2024-07-26 12:34:56.123456");
}

TEST(ChatTemplate, WrongInputIsRefused) {
  const ChatTemplate t = ChatTemplate::parse("x", "T");
  for (const Json& messages : {Json::array(), Json("text"), Json::array({"text"}), Json(nullptr)}) EXPECT_THROW(t.render(messages, {}), Error);
  EXPECT_THROW(t.render(kHello, {.tools = "x"}), Error);
  EXPECT_THROW(t.render(kHello, {.tools = Json::array({1})}), Error);
  EXPECT_THROW(t.render(kHello, {.documents = Json::array({1})}), Error);
  EXPECT_THROW(t.render(kHello, {.variables = {{"messages", 1}}}), Error);
  try {
    ChatTemplate::parse("a\n{{ raise_exception('Only users!') }}", "T").render(kHello, {});
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "Only users!");
    EXPECT_EQ(e.context(), "T, line 2");
    EXPECT_EQ(e.code(), Code::kInvalidArgument);
  }
}

class ChatTemplateFiles : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) { dir_.write(name, text); }
  std::string render(const Json& tools = nullptr) { return ChatTemplate::load(dir_.path()).render(kHello, {.tools = tools}); }
  test::TempDir dir_;
};

TEST_F(ChatTemplateFiles, OrderOfPlaces) {
  write("chat_template.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(render(), "processor");
  write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(render(), "config");
  write("chat_template.jinja", "file\n");
  EXPECT_EQ(render(), "file");
  write("additional_chat_templates/tool_use.jinja", "file with tools");
  EXPECT_EQ(render(), "file");
  EXPECT_EQ(render(Json::array()), "file with tools");
}

TEST_F(ChatTemplateFiles, NamedTemplates) {
  write("tokenizer_config.json", R"({"chat_template": [{"name": "default", "template": "D"}, {"name": "tool_use", "template": "T"},
                                                       {"name": "rag", "template": "{{"}]})");
  EXPECT_EQ(render(), "D");
  EXPECT_EQ(render(Json::array()), "T");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "R"}]})");
  EXPECT_THROW(render(), Error);
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag"}]})");
  EXPECT_THROW(render(), Error);
  write("tokenizer_config.json", R"({"chat_template": 5})");
  EXPECT_THROW(render(), Error);
}

TEST_F(ChatTemplateFiles, SpecialTokens) {
  write("chat_template.jinja", "{{ bos_token }}|{{ eos_token }}|{{ pad_token is defined }}|{{ image_token }}|{{ extra }}|{{ sep_token }}");
  write("tokenizer_config.json", R"({"bos_token": {"__type": "AddedToken", "content": "<s>"}, "eos_token": "</s>", "pad_token": null,
    "image_token": "<img>", "extra_special_tokens": {"extra": "<x>"}, "added_tokens_decoder": {}})");
  write("special_tokens_map.json", R"({"eos_token": "<eot>", "sep_token": {"content": "<sep>"}})");
  EXPECT_EQ(render(), "<s>|</s>|False|<img>|<x>|");
  write("tokenizer_config.json", R"({"bos_token": "<s>"})");
  EXPECT_EQ(render(), "<s>|<eot>|False|||<sep>");
  EXPECT_EQ(ChatTemplate::load(dir_.path()).render(kHello, {.variables = {{"bos_token", "B"}}}).substr(0, 2), "B|");
  EXPECT_EQ(ChatTemplate::load_tokens(dir_.path(), "{{ bos_token }}!").render(kHello, {}), "<s>!");
}

TEST_F(ChatTemplateFiles, AModelWithoutATemplate) {
  write("tokenizer_config.json", "{}");
  try {
    render();
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNotFound);
    EXPECT_NE(std::string(e.what()).find("--chat-template"), std::string::npos);
  }
  EXPECT_THROW(ChatTemplate::load(dir_ / "nothing"), Error);
}

// A minimal GGUF: strings, and ids of special tokens.
std::string gguf_bytes(const std::vector<std::pair<std::string, std::string>>& strings, const std::vector<std::string>& tokens, uint32_t bos) {
  std::string out = "GGUF";
  const auto u32 = [&](uint32_t v) { out.append(reinterpret_cast<const char*>(&v), 4); };
  const auto u64 = [&](uint64_t v) { out.append(reinterpret_cast<const char*>(&v), 8); };
  const auto str = [&](const std::string& s) { u64(s.size()), out += s; };
  u32(3), u64(0), u64(strings.size() + 2);
  for (const auto& [key, value] : strings) str(key), u32(8), str(value);
  str("tokenizer.ggml.tokens"), u32(9), u32(8), u64(tokens.size());
  for (const auto& t : tokens) str(t);
  str("tokenizer.ggml.bos_token_id"), u32(4), u32(bos);
  return out;
}

TEST_F(ChatTemplateFiles, Gguf) {
  const std::string key = "tokenizer.chat_template";
  write("a.gguf", gguf_bytes({{key, "{{ bos_token }}plain"}, {key + ".tool_use", "{{ bos_token }}tools"}}, {"x", "<bos>"}, 1));
  const ChatTemplate t = ChatTemplate::load(dir_ / "a.gguf");
  EXPECT_EQ(t.render(kHello, {}), "<bos>plain");
  EXPECT_EQ(t.render(kHello, {.tools = Json::array()}), "<bos>tools");
  EXPECT_EQ(t.source(), "{{ bos_token }}plain");
  write("b.gguf", gguf_bytes({}, {"x"}, 7));
  try {
    ChatTemplate::load(dir_ / "b.gguf");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("--chat-template"), std::string::npos);
  }
}

std::string template_dir() {
  if (const char* dir = std::getenv("TRANSOM_TEST_DATA")) return std::string(dir) + "/llama-templates";
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base = cache && *cache ? cache : std::string(home ? home : "") + "/.cache";
  return base + "/transom/test-data/llama-templates";
}

// One line that says how a rendering ended, as the goldens have it.
std::string outcome(const std::string& source, const Json& all, const Json& conversation, std::string& text) {
  Options options;
  options.now = frozen_clock();
  options.add_generation_prompt = conversation.value("add_generation_prompt", true);
  if (conversation.value("tools", false)) options.tools = all["tools"];
  if (conversation.value("documents", false)) options.documents = all["documents"];
  options.variables = all["common"];
  if (conversation.contains("variables"))
    for (const auto& [k, v] : conversation["variables"].items()) options.variables[k] = v;
  try {
    text = ChatTemplate::parse(source).render(conversation["messages"], options);
    return test::sha256(text).substr(0, 32);
  } catch (const Error& e) {
    text = e.what();
    return "!" + e.message();
  }
}

TEST(ChatTemplateCollection, EqualsPython) {
  const std::string dir = template_dir();
  if (!dir_exists(dir)) GTEST_SKIP() << "THE REAL TEMPLATES ARE NOT THERE (" << dir << "): run scripts/fetch_llamacpp_vocabs";
  const Json golden = read_json_file(data("template_goldens.json"));
  const Json all = exact(data("template_conversations.json"));
  const Json& conversations = all["conversations"];
  ASSERT_EQ(golden["digests"].size(), 70u);
  size_t rendered = 0;
  for (const auto& [file, digests] : golden["digests"].items()) {
    const std::string source = read_file(dir + "/" + file);
    ASSERT_EQ(digests.size(), conversations.size());
    for (size_t i = 0; i < conversations.size(); ++i) {
      const std::string name = conversations[i]["name"].get<std::string>(), expected = digests[i].get<std::string>();
      ASSERT_EQ(golden["conversations"][i].get<std::string>(), name);
      std::string text;
      const std::string got = outcome(source, all, conversations[i], text);
      if (expected == "!!") EXPECT_EQ(got[0], '!') << file << " x " << name << "\nexpected an error, got:\n" << text;
      else EXPECT_EQ(got, expected) << file << " x " << name << "\n" << text;
      if (const std::string key = file + " " + name; golden["texts"].contains(key)) EXPECT_EQ(text, golden["texts"][key].get<std::string>());
      rendered += got[0] != '!';
    }
  }
  EXPECT_GT(rendered, 1900u);
}

}  // namespace
}  // namespace transom
