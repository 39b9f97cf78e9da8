// Vocabularies inside GGUF files: llama.cpp's own files with their expected ids, real models, files written here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/gguf_bytes.h"
#include "support/temp_dir.h"
#include "text/pipeline.h"
#include "text/sentencepiece_file.h"
#include "text/vocab.h"
#include "text/vocab_data.h"
#include "text/vocab_gguf_pre.h"

namespace transom {
namespace {

using test::expect_ids;
using test::GgufBytes;
using test::id_lines;
using test::text_lines;
using test::vocab_fixture;
using ::testing::HasSubstr;

Tokenizer load(const std::string& bytes) {
  return text::compile_tokenizer(text::convert_gguf_vocabulary(test::parse_gguf(bytes)), "t.gguf");
}

std::string error_of(const GgufBytes& gguf) {
  try {
    load(gguf.bytes());
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    return e.what();
  }
  return "no error";
}

std::vector<std::string> split(const std::string& s, const std::string& separator) {
  std::vector<std::string> out;
  size_t at = 0;
  for (size_t end; (end = s.find(separator, at)) != std::string::npos; at = end + separator.size()) out.push_back(s.substr(at, end - at));
  out.push_back(s.substr(at));
  return out;
}

// llama.cpp's inputs stand between lines of __ggml_vocab_test__; the ids of each are one line.
TEST(LlamaCppVocabularies, AllIdsEqual) {
  if (!dir_exists(test::llama_vocabs())) GTEST_SKIP() << test::llama_vocabs() << " is not there: run scripts/fetch_llamacpp_vocabs";
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::llama_vocabs())) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".gguf")) continue;
    SCOPED_TRACE(path);
    const Tokenizer t = Tokenizer::load(path);
    EXPECT_GT(t.vocab_size(), 30000);
    if (!file_exists(path + ".inp")) continue;
    const std::vector<std::string> texts = split(read_file(path + ".inp"), "\n__ggml_vocab_test__\n");
    std::vector<std::string> lines = split(read_file(path + ".out"), "\n");
    if (lines.size() > texts.size()) lines.pop_back();
    std::vector<std::vector<int32_t>> ids;
    for (const std::string& line : lines) {
      ids.emplace_back();
      for (const std::string& number : split(line, " "))
        if (!number.empty()) ids.back().push_back(std::stoi(number));
    }
    expect_ids(t, texts, ids, false);
    ++files;
  }
  EXPECT_EQ(files, 15u);
}

TEST(RealModels, Gemma3EqualsItsTokenizerJson) {
  const std::string path = test::cache_root() + "/models/gemma3-270m/gemma-3-270m-q4_k_m.gguf";
  if (!file_exists(path)) GTEST_SKIP() << path << " is not there: run scripts/fetch_models --tests";
  const Tokenizer t = Tokenizer::load(path);
  const auto ids = id_lines(vocab_fixture("gemma3_ids.jsonl"));
  expect_ids(t, text_lines(vocab_fixture("texts.jsonl")), ids, true);
  const auto decoded = text_lines(vocab_fixture("gemma3_decoded.jsonl"));
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(t.decode(ids[i]), decoded[i]) << i;
}

TEST(RealModels, SmolLm2EqualsItsPipeline) {
  const std::string path = test::cache_root() + "/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!file_exists(path)) GTEST_SKIP() << path << " is not there: run scripts/fetch_models";
  expect_ids(Tokenizer::load(path), text_lines(vocab_fixture("texts.jsonl")), id_lines(vocab_fixture("smollm2_ids.jsonl")), true);
}

// A sentencepiece fixture as a GGUF file, as llama.cpp's converter writes it.
GgufBytes from_sentencepiece(const std::string& name, const std::string& model, std::string& keep) {
  keep = read_file(vocab_fixture(name + "/tokenizer.model"));
  const text::SentencePieceFile file = text::parse_sentencepiece(keep, name);
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (const auto& p : file.pieces) {
    tokens.emplace_back(p.text);
    scores.push_back(p.score);
    types.push_back(static_cast<int32_t>(p.type));
  }
  GgufBytes gguf;
  gguf.str("tokenizer.ggml.model", model).strings("tokenizer.ggml.tokens", tokens);
  gguf.array<float>("tokenizer.ggml.scores", GgufType::kF32, scores).array<int32_t>("tokenizer.ggml.token_type", GgufType::kI32, types);
  gguf.scalar<uint8_t>("tokenizer.ggml.add_space_prefix", GgufType::kBool, file.add_dummy_prefix);
  gguf.scalar<uint8_t>("tokenizer.ggml.remove_extra_whitespaces", GgufType::kBool, file.remove_extra_whitespaces);
  gguf.scalar<uint32_t>("tokenizer.ggml.eos_token_id", GgufType::kU32, static_cast<uint32_t>(file.eos_id));
  if (!file.charsmap.empty())
    gguf.array<uint8_t>("tokenizer.ggml.precompiled_charsmap", GgufType::kU8, std::vector<uint8_t>(file.charsmap.begin(), file.charsmap.end()));
  return gguf;
}

TEST(GgufVocabulary, SentencePieceModelsKeepTheirIds) {
  std::string keep;
  const std::vector<std::string> except = {"<s>", "</s>", "<unk>", "<pad>"}, texts = text_lines(vocab_fixture("texts.jsonl"));
  const Tokenizer bpe = load(from_sentencepiece("spm_bpe_noprefix", "llama", keep).bytes());
  expect_ids(bpe, texts, id_lines(vocab_fixture("spm_bpe_noprefix/ids.jsonl")), false, except);
  const Tokenizer unigram = load(from_sentencepiece("spm_unigram_nmt", "t5", keep).bytes());
  expect_ids(unigram, texts, id_lines(vocab_fixture("spm_unigram_nmt/ids.jsonl")), false, except);
  EXPECT_EQ(unigram.encode("sea").back(), 2);  // t5 adds the end of the text by default
}

// Tiny byte-level vocabulary: the 256 bytes in GPT-2's alphabet, "he", and two special tokens.
GgufBytes tiny_bpe(const std::string& pre, bool merges = true) {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.push_back(text::byte_level_text(std::string(1, static_cast<char>(b))));
  tokens.insert(tokens.end(), {"he", "<|x|>", "  "});
  std::vector<int32_t> types(tokens.size(), 1);
  types[257] = 3;
  types[258] = 4;
  GgufBytes gguf;
  gguf.str("tokenizer.ggml.model", "gpt2").strings("tokenizer.ggml.tokens", tokens).array<int32_t>("tokenizer.ggml.token_type", GgufType::kI32, types);
  if (!pre.empty()) gguf.str("tokenizer.ggml.pre", pre);
  if (merges) gguf.strings("tokenizer.ggml.merges", {"h e"});
  gguf.scalar<uint32_t>("tokenizer.ggml.bos_token_id", GgufType::kU32, 257);
  return gguf;
}

// The names in llama.cpp's llama-vocab.cpp as of 2026 (package llama-cpp-python 0.3.36), but for "whitespace".
constexpr const char* kLlamaCppNames[] = {
    "default", "minicpm5", "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
    "deepseek-llm", "deepseek-coder", "deepseek-v3", "spark2_5", "youtu", "falcon", "mpt", "starcoder", "gpt-2", "phi-2", "jina-es",
    "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jais-2", "gemma4", "granite-embed-multi-311m",
    "sarvam-moe", "jina-v1-en", "jina-v2-code", "roberta-bpe", "refact", "command-r", "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2",
    "qwen35", "stablelm2", "olmo", "dbrx", "smaug-bpe", "poro-chat", "chatglm-bpe", "glm4", "glm5", "viking", "jais", "tekken", "smollm",
    "codeshell", "bloom", "gpt3-finnish", "exaone", "exaone4", "exaone-moe", "chameleon", "minerva-7b", "megrez", "gpt-4o", "llama4",
    "kanana2", "talkie", "granite-embed-multi-97m", "tiny_aya", "cohere2moe", "superbpe", "trillion", "granite-docling", "bailingmoe",
    "bailingmoe2", "llada-moe", "seed-coder", "hunyuan", "hunyuan-dense", "hy_v4", "joyai-llm", "kimi-k2", "ufakzeka", "grok-2", "afmoe",
    "laguna", "minimax-m2", "solar-open", "mellum2"};

TEST(GgufVocabulary, EveryPreTokenizerOfLlamaCppWorks) {
  const auto names = text::gguf_pre_tokenizer_names();
  EXPECT_EQ(std::set<std::string_view>(names.begin(), names.end()).size(), names.size());
  const std::string text = "Hello he's 12345 <|x|>\n\n  你好 ünïcode\t\tx  !? ไทย 가나";
  for (const char* name : kLlamaCppNames) {
    SCOPED_TRACE(name);
    const auto pre = text::gguf_pre_tokenizer(name);
    ASSERT_TRUE(pre.has_value());
    if (pre->raw) continue;
    const Tokenizer t = load(tiny_bpe(name).bytes());
    const std::vector<int32_t> ids = t.encode(text, false);
    EXPECT_EQ(std::count(ids.begin(), ids.end(), 257), 1);
    EXPECT_GE(std::count(ids.begin(), ids.end(), 256), 1);
    EXPECT_EQ(t.decode(ids), text);
  }
  EXPECT_EQ(std::size(kLlamaCppNames) + 1, names.size());
}

TEST(GgufVocabulary, GroupsOfDigits) {
  // Merges that only work inside a group of three show where the groups lie.
  const auto groups = [](const char* pre, const std::string& digits) {
    std::vector<std::string> tokens, merges = {"1 1", "11 1"};
    for (int b = 0; b < 256; ++b) tokens.push_back(text::byte_level_text(std::string(1, static_cast<char>(b))));
    tokens.insert(tokens.end(), {"11", "111"});
    GgufBytes gguf;
    gguf.str("tokenizer.ggml.model", "gpt2").str("tokenizer.ggml.pre", pre).strings("tokenizer.ggml.tokens", tokens).strings("tokenizer.ggml.merges", merges);
    const Tokenizer t = load(gguf.bytes());
    std::string out;
    for (int32_t id : t.encode(digits, false)) out += (out.empty() ? "" : "|") + t.decode(std::vector<int32_t>{id});
    return out;
  };
  EXPECT_EQ(groups("qwen2", "1111"), "1|1|1|1");
  EXPECT_EQ(groups("llama3", "1111"), "111|1");
  EXPECT_EQ(groups("gpt-2", "1111"), "11|11");
  EXPECT_EQ(groups("afmoe", "1111"), "1|111");
  EXPECT_EQ(groups("afmoe", "11111x"), "11|111|x");
  EXPECT_EQ(groups("tiny_aya", "1111"), "1|111");
  EXPECT_EQ(groups("superbpe", "1111"), "1|111");
  EXPECT_EQ(groups("smollm", "11"), "1|1");
}

TEST(GgufVocabulary, FlagsAndSpecialIds) {
  EXPECT_EQ(load(tiny_bpe("llama3").bytes()).encode("he"), (std::vector<int32_t>{257, 256}));  // this kind adds it by default
  EXPECT_EQ(load(tiny_bpe("llama3").scalar<uint8_t>("tokenizer.ggml.add_bos_token", GgufType::kBool, 0).bytes()).encode("he"), std::vector<int32_t>{256});
  EXPECT_EQ(load(tiny_bpe("gpt-2").bytes()).encode("he"), std::vector<int32_t>{256});
  const Tokenizer t = load(tiny_bpe("gpt-2").scalar<uint32_t>("tokenizer.ggml.eos_token_id", GgufType::kU32, 4000000000u).bytes());
  EXPECT_EQ(t.bos_id(), 257);
  EXPECT_FALSE(t.eos_id().has_value());  // beyond the vocabulary: ignored, as llama.cpp does
  EXPECT_TRUE(t.is_special(257));
  EXPECT_FALSE(t.is_special(258));
  EXPECT_EQ(t.encode("a  b", false)[1], 258);  // user-defined tokens match anywhere
}

TEST(GgufVocabulary, KimiNeedsNoMerges) {
  const Tokenizer t = load(tiny_bpe("kimi-k2", false).bytes());
  EXPECT_EQ(t.encode("he", false), std::vector<int32_t>{256});
  EXPECT_THAT(error_of(tiny_bpe("qwen2", false)), HasSubstr("tokenizer.ggml.merges"));
}

TEST(GgufVocabulary, BrokenFilesAreErrors) {
  EXPECT_THAT(error_of(GgufBytes()), HasSubstr("expected a vocabulary"));
  EXPECT_THAT(error_of(GgufBytes().str("tokenizer.ggml.model", "no_vocab")), HasSubstr("got tokenizer.ggml.model 'no_vocab'"));
  EXPECT_THAT(error_of(GgufBytes().str("tokenizer.ggml.model", "plamo2")), HasSubstr("got 'plamo2'"));
  EXPECT_THAT(error_of(GgufBytes().str("tokenizer.ggml.model", "llama")), HasSubstr("tokenizer.ggml.tokens"));
  const auto llama = [] { return GgufBytes().str("tokenizer.ggml.model", "llama").strings("tokenizer.ggml.tokens", {"<unk>", "a", "b"}); };
  EXPECT_THAT(error_of(llama()), HasSubstr("tokenizer.ggml.scores"));
  EXPECT_THAT(error_of(llama().array<float>("tokenizer.ggml.scores", GgufType::kF32, {1})), HasSubstr("expected 3 scores, got 1"));
  EXPECT_THAT(error_of(llama().str("tokenizer.ggml.scores", "x")), HasSubstr("array of floats"));
  const auto scored = [&] { return llama().array<float>("tokenizer.ggml.scores", GgufType::kF32, {1, 2, 3}); };
  EXPECT_THAT(error_of(scored().array<int32_t>("tokenizer.ggml.token_type", GgufType::kI32, {1})), HasSubstr("expected 3 token types, got 1"));
  EXPECT_THAT(error_of(scored()), HasSubstr("no error"));
  EXPECT_THAT(error_of(tiny_bpe("no-such-kind")), HasSubstr("got 'no-such-kind'"));
  EXPECT_THAT(error_of(tiny_bpe("gpt-2", false).strings("tokenizer.ggml.merges", {"h"})), HasSubstr("merge 0"));
  EXPECT_THAT(error_of(tiny_bpe("gpt-2", false).strings("tokenizer.ggml.merges", {"h zz"})), HasSubstr("zz"));
  EXPECT_THAT(error_of(GgufBytes().str("tokenizer.ggml.model", "bert").strings("tokenizer.ggml.tokens", {"a"})), HasSubstr("unknown token"));
  EXPECT_THAT(error_of(GgufBytes().str("tokenizer.ggml.model", "t5").strings("tokenizer.ggml.tokens", {"a", "b", "c"})
                           .array<float>("tokenizer.ggml.scores", GgufType::kF32, {1, 2, 3}).str("tokenizer.ggml.precompiled_charsmap", "x")),
              HasSubstr("precompiled_charsmap"));
}

}  // namespace
}  // namespace transom
