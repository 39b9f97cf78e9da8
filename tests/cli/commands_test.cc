// The commands end to end, as a process: frozen JSON fields, exit codes, what goes to which stream, goldens of transformers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/json.h"
#include "cli/program.h"
#include "support/fixture.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Json json_of(const std::vector<std::string>& args) {
  const Result r = run_transom(args);
  EXPECT_EQ(r.code, 0) << testing::PrintToString(args) << r.err;
  return parse_json(r.out.empty() ? "null" : r.out, "stdout");
}

void expect_keys(const Json& object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) EXPECT_TRUE(object.contains(key)) << key << " in " << object.dump().substr(0, 300);
}

std::string text_of(const std::vector<int32_t>& ids) {
  std::string s;
  for (const int32_t id : ids) s += (s.empty() ? "" : ",") + std::to_string(id);
  return s;
}

const std::string kLlama = test::fixture_path("llama-chat");

TEST(Commands, JsonHasTheFrozenFields) {
  const Json logits = json_of({"logits", kLlama, "--ids", "1,2,3", "--json"});
  expect_keys(logits, {"arch", "shape", "logits"});
  EXPECT_EQ(logits["shape"], Json({3, 320}));
  EXPECT_EQ(logits["logits"].size(), 3u);
  const Json generate = json_of({"generate", kLlama, "--ids", "1,2,3", "--max-tokens", "3", "--ignore-eos", "--logprobs", "2", "--json"});
  expect_keys(generate, {"ids", "text", "finish_reason", "prompt_tokens", "logprobs", "timings"});
  EXPECT_EQ(generate["ids"].size(), 3u);
  EXPECT_EQ(generate["finish_reason"], "length");
  EXPECT_EQ(generate["prompt_tokens"], 3);
  const Json embed = json_of({"embed", test::fixture_path("bert-sentence"), "-t", "one", "two words", "--json"});
  expect_keys(embed, {"shape", "embeddings"});
  EXPECT_EQ(embed["shape"][0], 2);
  expect_keys(json_of({"inspect", kLlama, "--json"}), {"architecture", "parameters", "weight_bytes", "state_bytes_per_token", "placement", "tensors"});
  expect_keys(json_of({"bench", kLlama, "--pp", "16", "--tg", "4", "--rounds", "1", "--json"}),
              {"prefill_tok_s", "decode_tok_s", "load_s", "weights_gb", "limits", "share"});
  expect_keys(json_of({"tokenize", kLlama, "--json", "a text"}), {"ids"});
  expect_keys(json_of({"tokenize", kLlama, "--json", "--decode", "54,55"}), {"text"});
}

TEST(Commands, TranslationsEqualTransformers) {
  for (const char* name : {"marian-text", "m2m100-text"}) {
    const std::string path = test::fixture_path(name);
    const Json file = read_json_file(path + "/golden.json");
    for (const Json& c : file.at("translations")) {
      std::vector<std::string> args = {"translate", path, "-p", c["text"], "--target-lang", c["target"], "--num-beams", c["num_beams"].dump(),
                                       "--max-tokens", "14", "--min-new-tokens", "8", "--no-repeat-ngram-size", "2", "--json"};
      if (c.contains("source")) args.insert(args.end(), {"--source-lang", c["source"]});
      EXPECT_EQ(json_of(args)["text"], c["translation"]) << c.dump();
    }
  }
}

TEST(Commands, CachedAndChunkedLogitsEqualOnePass) {
  for (const char* fixture : {"llama-chat", "gemma3-chat"}) {
    const std::vector<std::string> base = {"logits", test::fixture_path(fixture), "--ids", "5,6,7,8,9,10,11,12,13,14,15", "--kernels", "ref"};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), base.begin(), base.end());
      return json_of(more);
    };
    const Json whole = with({});
    EXPECT_EQ(with({"--cached"}), whole);
    EXPECT_EQ(with({"--chunk", "4"}), whole);
    EXPECT_EQ(with({"--last"})["logits"][0], whole["logits"].back());
    EXPECT_EQ(with({"--stream-weights"}), whole);
  }
}

TEST(Commands, GreedyTextEqualsTransformers) {
  for (const char* fixture : {"llama-chat", "gemma3-chat"}) {
    const Json golden = read_json_file(test::fixture_path(fixture) + "/golden.json");
    const auto generate = [&](const std::string& flag, const std::string& prompt, const Json& expected) {
      const Json got = json_of({"generate", test::fixture_path(fixture), flag, prompt, "--temperature", "0", "--repetition-penalty", "1",
                                "--max-tokens", std::to_string(expected.at("tokens").size()), "--ignore-eos", "--kernels", "ref", "--json"});
      EXPECT_EQ(got["ids"], expected.at("tokens")) << fixture << ": " << prompt;
      EXPECT_EQ(got["text"], expected.at("text")) << fixture << ": " << prompt;
      EXPECT_EQ(got["prompt_tokens"], expected.at("ids").size());
    };
    for (const Json& c : golden.at("text")) generate("-p", c.at("prompt"), c);
    const Json& chat = golden.at("chat");
    generate("--ids", text_of(chat.at("ids").get<std::vector<int32_t>>()), chat);
    const test::TempDir dir;
    const std::string messages = dir.write("messages.json", chat.at("messages").dump());
    EXPECT_EQ(json_of({"template", test::fixture_path(fixture), "--messages", messages, "--json"})["text"], chat.at("rendered"));
  }
}

TEST(Commands, TheSameSeedGivesTheSameText) {
  const auto sample = [](const std::string& seed) {
    return json_of({"generate", kLlama, "--ids", "7,8,9", "--temperature", "1", "--max-tokens", "24", "--ignore-eos", "--seed", seed, "--json"})["ids"];
  };
  EXPECT_EQ(sample("42"), sample("42"));
  EXPECT_NE(sample("42"), sample("43"));
}

TEST(Commands, WrongFlagsExitWithTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {"logits", kLlama}, {"logits", kLlama, "--ids", "1,x"}, {"logits", kLlama, "--ids", "1", "--cached", "--chunk", "2"},
      {"generate", kLlama}, {"generate", kLlama, "-p", "a", "--ids", "1"}, {"generate", kLlama, "-p", "a", "--temperature", "warm"},
      {"embed", kLlama}, {"inspect"}, {"bench", kLlama, "--pp", "-1"}, {"generate", kLlama, "-p", "a", "--no-such"}};
  for (const auto& args : wrong) {
    const Result r = run_transom(args);
    EXPECT_EQ(r.code, 2) << testing::PrintToString(args) << r.err;
    EXPECT_EQ(r.out, "");
  }
}

TEST(Commands, MalformedModelsGiveOneOrTwoLinesAndExitWithOne) {
  const test::TempDir dir;
  fs::create_directory(dir / "empty");
  dir.write("garbage/config.json", "{\"architectures\": [");
  dir.write("unknown/config.json", R"({"architectures": ["NoSuchForCausalLM"], "model_type": "nosuch"})");
  fs::copy(test::fixture_path("llama-mha"), dir / "short", fs::copy_options::recursive);
  fs::resize_file(dir / "short/model.safetensors", fs::file_size(dir / "short/model.safetensors") / 2);
  fs::copy(test::fixture_path("llama-mha"), dir / "weightless", fs::copy_options::recursive);
  fs::remove(dir / "weightless/model.safetensors");
  dir.write("bad.gguf", "GGUF but nothing else");
  for (const char* name : {"empty", "garbage", "unknown", "short", "weightless", "bad.gguf", "absent"}) {
    const Result r = run_transom({"logits", dir / name, "--ids", "1"});
    EXPECT_EQ(r.code, 1) << name;
    EXPECT_EQ(r.out, "") << name;
    EXPECT_THAT(r.err, HasSubstr("transom: ")) << name;
    EXPECT_LE(std::count(r.err.begin(), r.err.end(), '\n'), 2) << name << ": " << r.err;
  }
}

// Starts a long answer, waits for its first text, presses Ctrl-C.
TEST(Commands, AnInterruptedAnswerExitsWith130) {
  const test::TempDir dir;
  fs::copy(kLlama, dir / "model", fs::copy_options::recursive);
  Json config = read_json_file(dir / "model/config.json");
  config["max_position_embeddings"] = 1000000;
  dir.write("model/config.json", config.dump());
  int out[2];
  ASSERT_EQ(pipe(out), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    dup2(out[1], 1);
    close(out[0]);
    close(out[1]);
    execl(TRANSOM_BINARY, TRANSOM_BINARY, "generate", (dir / "model").c_str(), "--ids", "7,8,9", "--max-tokens", "900000", "--ignore-eos",
          "--temperature", "1", "--threads", "1", nullptr);
    _exit(127);
  }
  close(out[1]);
  char block[256];
  ASSERT_GT(read(out[0], block, sizeof block), 0) << "no text came";
  kill(child, SIGINT);
  while (read(out[0], block, sizeof block) > 0) {
  }
  close(out[0]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
}

TEST(Verify, WithoutPythonPackagesItSaysWhatToInstall) {
  const Result r = run_transom({"verify", kLlama, "--python", "/bin/false"});
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.out, "");
  for (const char* word : {"torch", "transformers", "GB", "--python", "--make-env", "/bin/false"}) EXPECT_THAT(r.err, HasSubstr(word));
  EXPECT_LE(std::count(r.err.begin(), r.err.end(), '\n'), 2) << r.err;
}

// A stand-in for Python: has every package, and gives the answer of a file.
TEST(Verify, ReportsWhatTheOtherProcessSays) {
  const test::TempDir dir;
  const auto python = [&](const std::string& answer) {
    const std::string path = dir.write("python", "#!/bin/sh\n[ \"$1\" = -c ] && exit 0\ncat > /dev/null\ncat <<'EOF'\n" + answer + "\nEOF\n");
    fs::permissions(path, fs::perms::owner_all);
    return path;
  };
  Result r = run_transom({"verify", kLlama, "--python", python(R"({"error": {"kind": "load", "message": "no such class"}})")});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("load: no such class"));
  r = run_transom({"verify", kLlama, "--python", python("Traceback")});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("expected an answer"));
  r = run_transom({"verify", kLlama, "--python", python("{}")});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("protocol"));
}

}  // namespace
}  // namespace transom
