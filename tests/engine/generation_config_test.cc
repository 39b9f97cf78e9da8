// generation_config.json, config.json's older generation keys and GGUF metadata as defaults of a request.
#include "engine/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/gguf_bytes.h"
#include "checkpoint/source.h"
#include "support/fixture.h"
#include "transom/error.h"

namespace transom {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

GenerationConfig of(const char* generation, const char* config = "{}") {
  return generation_config_of(generation ? Json::parse(generation) : Json(), Json::parse(config), "m");
}

std::string error_of(const char* generation) {
  try {
    of(generation);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCorrupt);
    return e.what();
  }
  return "no error";
}

TEST(GenerationConfig, ReadsAllThatSamplingKnows) {
  const GenerationConfig c = of(R"({"do_sample": true, "temperature": 0.6, "top_k": 64, "top_p": 0.95, "min_p": 0.1,
    "typical_p": 0.9, "repetition_penalty": 1.05, "max_new_tokens": 77, "min_new_tokens": 3, "stop_strings": ["x", "y"],
    "suppress_tokens": [4, 5], "bad_words_ids": [[6], [7, 8]], "sequence_bias": [[[9], 1.5], [[1, 2], 3.0]],
    "eos_token_id": [1, 106], "bos_token_id": 2, "pad_token_id": 0, "num_beams": 1, "no_repeat_ngram_size": 0})");
  EXPECT_FLOAT_EQ(c.sampling.temperature, 0.6f);
  EXPECT_EQ(c.sampling.top_k, 64);
  EXPECT_FLOAT_EQ(c.sampling.top_p, 0.95f);
  EXPECT_FLOAT_EQ(c.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(c.sampling.typical_p, 0.9f);
  EXPECT_FLOAT_EQ(c.sampling.repetition_penalty, 1.05f);
  EXPECT_EQ(c.sampling.max_tokens, 77);
  EXPECT_EQ(c.sampling.min_tokens, 3);
  EXPECT_THAT(c.sampling.stop, ElementsAre("x", "y"));
  EXPECT_THAT(c.sampling.suppress_tokens, ElementsAre(4, 5));
  EXPECT_THAT(c.sampling.bad_words_ids, ElementsAre(ElementsAre(6), ElementsAre(7, 8)));
  EXPECT_THAT(c.sampling.logit_bias, ElementsAre(std::pair<int32_t, float>(9, 1.5f)));
  EXPECT_THAT(c.eos_ids, ElementsAre(1, 106));
  EXPECT_EQ(c.bos_id, 2);
  EXPECT_EQ(c.pad_id, 0);
  EXPECT_THAT(c.ignored, ElementsAre("sequence_bias=[[1,2],3.0]"));
  EXPECT_EQ(c.origin, "m/generation_config.json");
}

TEST(GenerationConfig, GreedyUnlessItAsksToSample) {
  for (const char* text : {R"({"temperature": 0.7, "top_p": 0.9})", R"({"do_sample": false, "temperature": 0.7})"}) {
    const GenerationConfig c = of(text);
    EXPECT_TRUE(c.sampling.greedy());
    EXPECT_FLOAT_EQ(c.sampling_temperature, 0.7f);
  }
  EXPECT_TRUE(of(nullptr).sampling.greedy());
  EXPECT_FALSE(of(R"({"do_sample": true})").sampling.greedy());
  EXPECT_EQ(of(R"({"do_sample": true})").sampling.top_k, 0);  // no hidden 50
}

TEST(GenerationConfig, ConfigJsonStandsIn) {
  // 4.x: generation keys in config.json, of a composite model in its text_config; not read when the new file is there.
  const char* config = R"({"do_sample": true, "temperature": 0.5, "eos_token_id": 9, "text_config": {"bos_token_id": 3, "top_k": 5}})";
  const GenerationConfig old = of(nullptr, config);
  EXPECT_FLOAT_EQ(old.sampling.temperature, 0.5f);
  EXPECT_EQ(old.sampling.top_k, 5);
  EXPECT_THAT(old.eos_ids, ElementsAre(9));
  EXPECT_EQ(old.bos_id, 3);
  EXPECT_EQ(old.origin, "m/config.json");
  const GenerationConfig both = of(R"({"top_p": 0.5})", config);
  EXPECT_TRUE(both.sampling.greedy());
  EXPECT_EQ(both.sampling.top_k, 0);
  EXPECT_THAT(both.eos_ids, ElementsAre(9));  // ids that only config.json has are still known
  EXPECT_EQ(both.bos_id, 3);
}

TEST(GenerationConfig, NullsAndNonesAreNothing) {
  const GenerationConfig c = of(R"({"temperature": null, "eos_token_id": null, "pad_token_id": -1, "num_beams": null,
    "bad_words_ids": null, "forced_eos_token_id": null, "suppress_tokens": [], "guidance_scale": 1.0})");
  EXPECT_THAT(c.eos_ids, IsEmpty());
  EXPECT_EQ(c.pad_id, std::nullopt);
  EXPECT_THAT(c.ignored, IsEmpty());
  EXPECT_EQ(c.sampling_temperature, 1.0f);
}

TEST(GenerationConfig, WhatIsNotHonouredIsNamed) {
  EXPECT_THAT(of(R"({"num_beams": 4, "do_sample": true, "min_length": 3, "num_beam_groups": 2})").ignored,
              ElementsAre("num_beams=4", "min_length=3", "num_beam_groups=2"));
}

TEST(GenerationConfig, BeamsAndForcedTokens) {
  const GenerationConfig c = of(R"({"num_beams": 4, "length_penalty": 0.8, "early_stopping": "never", "no_repeat_ngram_size": 3,
    "forced_bos_token_id": 5, "forced_eos_token_id": 2, "begin_suppress_tokens": [7], "max_length": 142, "min_length": 56})",
                                R"({"is_encoder_decoder": true, "decoder_start_token_id": 9})");
  EXPECT_EQ(c.sampling.beams.num_beams, 4);
  EXPECT_FLOAT_EQ(c.sampling.beams.length_penalty, 0.8f);
  EXPECT_EQ(c.sampling.beams.early_stopping, BeamParams::EarlyStopping::kNever);
  EXPECT_EQ(c.sampling.no_repeat_ngram_size, 3);
  EXPECT_EQ(c.sampling.forced_bos_token_id, 5);
  EXPECT_EQ(c.sampling.forced_eos_token_id, 2);
  EXPECT_THAT(c.sampling.begin_suppress_tokens, ElementsAre(7));
  EXPECT_EQ(c.sampling.max_tokens, 141);  // a decoder's prompt has one token
  EXPECT_EQ(c.sampling.min_tokens, 55);
  EXPECT_EQ(c.decoder_start_id, 9);
  EXPECT_THAT(c.ignored, IsEmpty());
  EXPECT_THAT(error_of(R"({"early_stopping": "soon"})"), HasSubstr("expected true, false or \"never\" for early_stopping"));
}

TEST(GenerationConfig, WrongValuesNameFileAndKey) {
  EXPECT_EQ(error_of(R"({"temperature": "hot"})"), "m/generation_config.json: expected a finite number for temperature, got \"hot\"");
  EXPECT_THAT(error_of(R"({"eos_token_id": [1, "2"]})"), HasSubstr("expected a whole number for eos_token_id, got \"2\""));
  EXPECT_THAT(error_of(R"({"eos_token_id": 1e300})"), HasSubstr("eos_token_id"));
  EXPECT_THAT(error_of(R"({"top_k": 2.5})"), HasSubstr("expected a whole number for top_k, got 2.5"));
  EXPECT_THAT(error_of(R"({"do_sample": 1})"), HasSubstr("expected true or false for do_sample, got 1"));
  EXPECT_THAT(error_of(R"({"top_p": 3})"), HasSubstr("top_p: expected a number in [0, 1], got 3"));
  EXPECT_THAT(error_of(R"({"stop_strings": [1]})"), HasSubstr("stop_strings"));
  EXPECT_THAT(error_of(R"({"bad_words_ids": 3})"), HasSubstr("bad_words_ids"));
  EXPECT_THAT(error_of("[]"), HasSubstr("expected a JSON object, got array"));
}

TEST(GenerationConfig, OfFixtures) {
  const GenerationConfig chat = read_generation_config(test::fixture_path("llama-chat"));
  EXPECT_FLOAT_EQ(chat.sampling.temperature, 0.7f);
  EXPECT_EQ(chat.sampling.top_k, 40);
  EXPECT_THAT(chat.eos_ids, ElementsAre(2, 0));
  const GenerationConfig gguf = read_generation_config(*open_checkpoint(test::fixture_path("llama-gguf")));
  EXPECT_THAT(gguf.origin, HasSubstr("model.gguf"));
  const GenerationConfig st = read_generation_config(*open_checkpoint(test::fixture_path("llama-chat") + "/model.safetensors"));
  EXPECT_EQ(st.origin, chat.origin);
  EXPECT_TRUE(read_generation_config(std::string("/nowhere")).origin.empty());
}

TEST(GenerationConfig, Describes) {
  const Json d = of(R"({"do_sample": true, "temperature": 0.7, "eos_token_id": 2, "num_beam_groups": 2})").describe();
  EXPECT_EQ(d["temperature"].dump(), "0.7");
  EXPECT_EQ(d["do_sample"], true);
  EXPECT_EQ(d["eos_token_id"].dump(), "[2]");
  EXPECT_EQ(d["bos_token_id"], nullptr);
  EXPECT_EQ(d["ignored"].dump(), R"(["num_beam_groups=2"])");
  EXPECT_EQ(d["origin"], "m/generation_config.json");
}

TEST(GenerationConfig, OfGguf) {
  test::GgufBytes b;
  b.scalar<float>("general.sampling.temp", GgufType::kF32, 0.8f)
      .scalar<int32_t>("general.sampling.top_k", GgufType::kI32, 20)
      .scalar<float>("general.sampling.top_p", GgufType::kF32, 0.9f)
      .scalar<float>("general.sampling.min_p", GgufType::kF32, 0.05f)
      .scalar<float>("general.sampling.penalty_repeat", GgufType::kF32, 1.1f)
      .scalar<int32_t>("general.sampling.mirostat", GgufType::kI32, 2)
      .scalar<uint32_t>("tokenizer.ggml.eos_token_id", GgufType::kU32, 5)
      .scalar<uint32_t>("tokenizer.ggml.eot_token_id", GgufType::kU32, 6)
      .scalar<uint32_t>("tokenizer.ggml.bos_token_id", GgufType::kU32, 4)
      .scalar<uint32_t>("tokenizer.ggml.padding_token_id", GgufType::kU32, 0xFFFFFFFFu);
  const std::string bytes = b.bytes();
  const GenerationConfig c = generation_config_of(test::parse_gguf(bytes));
  EXPECT_FLOAT_EQ(c.sampling.temperature, 0.8f);
  EXPECT_EQ(c.sampling.top_k, 20);
  EXPECT_FLOAT_EQ(c.sampling.top_p, 0.9f);
  EXPECT_FLOAT_EQ(c.sampling.min_p, 0.05f);
  EXPECT_FLOAT_EQ(c.sampling.repetition_penalty, 1.1f);
  EXPECT_THAT(c.ignored, ElementsAre("general.sampling.mirostat=2"));
  EXPECT_THAT(c.eos_ids, ElementsAre(5, 6));
  EXPECT_EQ(c.bos_id, 4);
  EXPECT_EQ(c.pad_id, std::nullopt);
}

// Without an eot key the ends of a turn are found by their text; only control tokens count.
TEST(GenerationConfig, TurnEndsOfGguf) {
  const auto ends = [](std::vector<std::string> tokens, std::vector<int32_t> types) {
    test::GgufBytes b;
    b.scalar<uint32_t>("tokenizer.ggml.eos_token_id", GgufType::kU32, 1)
        .strings("tokenizer.ggml.tokens", tokens)
        .array<int32_t>("tokenizer.ggml.token_type", GgufType::kI32, types);
    const std::string bytes = b.bytes();
    const GenerationConfig c = generation_config_of(test::parse_gguf(bytes));
    EXPECT_TRUE(c.sampling.greedy());
    return c.eos_ids;
  };
  EXPECT_THAT(ends({"<end_of_turn>", "<eos>", "<|im_end|>", "a"}, {3, 3, 1, 1}), ElementsAre(1, 0));
  EXPECT_THAT(ends({"a", "<|im_end|>", "<|endoftext|>"}, {1, 3, 3}), ElementsAre(1, 2));
  EXPECT_THAT(ends({"<|return|>", "x", "<|end|>", "<|call|>"}, {3, 3, 3, 3}), ElementsAre(1, 0, 3));
}

}  // namespace
}  // namespace transom
