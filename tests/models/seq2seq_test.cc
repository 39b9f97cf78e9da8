// The family matrix of encoder-decoders: encoder output and logits against transformers' goldens, and every way of running a model
// against the plain one, bit for bit on the reference kernels: without state, cached, chunked, batched (where texts differ in
// length: nothing is padded), streamed. R55 R63 R64
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/runner.h"
#include "support/fixture_names.h"
#include "support/run_case.h"
#include "transom/engine.h"

namespace transom {
namespace {

using Want = StepItem::Want;

using Case = test::GoldenCase;

std::vector<Case> cases(const std::string& name) { return test::load_golden(name).cases; }

Model load(const std::string& name, bool stream = false, const char* kernels = "ref") {
  return Model::load(test::fixture_path(name), {.kernels = kernels, .threads = 2, .stream_weights = stream});
}

std::vector<float> copy(std::span<const float> s) { return {s.begin(), s.end()}; }

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double d = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) d = std::max(d, std::fabs(double{a[i]} - b[i]));
  return d;
}

// All rows of one pass, without state or with one.
std::vector<float> whole(const Model& m, const Case& c, bool stateful) {
  Runner r(m.impl(), 16, 0);
  SequenceState s;
  const StepItem item{.state = stateful ? &s : nullptr, .ids = c.ids, .want = Want::kAll, .source = test::source_of(c)};
  return copy(r.logits({&item, 1}));
}

std::vector<float> in_chunks(const Model& m, const Case& c, size_t chunk) {
  Runner r(m.impl(), 16, 0);
  SequenceState s;
  std::vector<float> out;
  for (size_t i = 0; i < c.ids.size(); i += chunk) {
    const StepItem item{.state = &s, .ids = std::span(c.ids).subspan(i, std::min(chunk, c.ids.size() - i)), .want = Want::kAll,
                        .source = i == 0 ? test::source_of(c) : SourceInput{}};
    const auto rows = r.logits({&item, 1});
    out.insert(out.end(), rows.begin(), rows.end());
  }
  EXPECT_EQ(r.sources_encoded(), 1);
  EXPECT_EQ(r.tokens_forwarded(), static_cast<int64_t>(c.ids.size()));
  EXPECT_EQ(s.length, static_cast<int64_t>(c.ids.size()));  // its own keys grow by one a token, its source's do not
  return out;
}

class Seq2Seq : public testing::TestWithParam<std::string> {};

TEST_P(Seq2Seq, EncoderAndLogitsEqualTransformers) {
  for (const char* kernels : {"ref", "auto"}) {
    const Model m = load(GetParam(), false, kernels);
    EXPECT_THAT(m.warnings(), testing::IsEmpty());
    for (const Case& c : cases(GetParam())) {
      Runner r(m.impl(), 16, 0);
      std::vector<float> encoder;
      r.observer = [&](std::string_view name, const Tensor& t) {
        if (name == "encoder") encoder = copy(r.to_host(t));
      };
      const StepItem item{.ids = c.ids, .want = Want::kAll, .source = test::source_of(c)};
      EXPECT_LT(largest_difference(copy(r.logits({&item, 1})), c.logits.data), 1e-4) << c.ids.size() << " tokens, " << kernels;
      EXPECT_LT(largest_difference(encoder, c.encoder.data), 1e-4) << kernels;
    }
  }
}

TEST_P(Seq2Seq, CachedAndChunkedEqualWhole) {
  const Model m = load(GetParam());
  const Case c = cases(GetParam()).back();
  const std::vector<float> expected = whole(m, c, false);
  EXPECT_EQ(whole(m, c, true), expected);
  EXPECT_EQ(in_chunks(m, c, 1), expected);
  EXPECT_EQ(in_chunks(m, c, 7), expected);
}

TEST_P(Seq2Seq, BatchedEqualsAlone) {
  const Model m = load(GetParam());
  const std::vector<Case> all = cases(GetParam());
  for (const bool stateful : {false, true}) {
    Runner r(m.impl(), 16, 0);
    std::vector<SequenceState> states(all.size());
    std::vector<StepItem> items;
    std::vector<float> expected;
    for (size_t i = 0; i < all.size(); ++i) {
      items.push_back({.state = stateful ? &states[i] : nullptr, .ids = all[i].ids, .want = Want::kAll, .source = test::source_of(all[i])});
      const std::vector<float> alone = whole(m, all[i], false);
      expected.insert(expected.end(), alone.begin(), alone.end());
    }
    EXPECT_EQ(copy(r.logits(items)), expected);
  }
}

// A sequence that begins while another goes on, and forks of both.
TEST_P(Seq2Seq, BeginningsAndForksInOneStep) {
  const Model m = load(GetParam());
  const std::vector<Case> all = cases(GetParam());
  const Case &a = all[1], &b = all[2];
  Runner r(m.impl(), 16, 0);
  std::vector<SequenceState> s(3);
  const StepItem first{.state = &s[0], .ids = std::span(a.ids).first(3), .want = Want::kNothing, .source = test::source_of(a)};
  r.logits({&first, 1});
  s[2] = r.fork(s[0]);
  const std::vector<StepItem> items = {{.state = &s[0], .ids = std::span(a.ids).subspan(3), .want = Want::kLast},
                                       {.state = &s[1], .ids = b.ids, .want = Want::kLast, .source = test::source_of(b)},
                                       {.state = &s[2], .ids = std::span(a.ids).subspan(3), .want = Want::kLast}};
  const std::vector<float> rows = copy(r.logits(items));
  const auto last = [&](const Case& c) {
    const std::vector<float> y = whole(m, c, false);
    return std::vector<float>(y.end() - m.vocab_size(), y.end());
  };
  std::vector<float> expected = last(a);
  for (const Case* c : {&b, &a}) {
    const std::vector<float> row = last(*c);
    expected.insert(expected.end(), row.begin(), row.end());
  }
  EXPECT_EQ(rows, expected);
  EXPECT_EQ(r.sources_encoded(), 2);
  for (SequenceState& state : s) r.release(state);
  EXPECT_EQ(r.pool().used_pages(), 0);
}

TEST_P(Seq2Seq, StreamedEqualsResident) {
  const Case c = cases(GetParam()).back();
  EXPECT_EQ(whole(load(GetParam(), true), c, true), whole(load(GetParam()), c, true));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Seq2Seq, testing::ValuesIn(test::fixtures("seq2seq")),
                         [](const testing::TestParamInfo<std::string>& info) { return test::as_test_name(info.param); });

TEST(Seq2SeqInput, AGgufFileSaysWhatADecoderBeginsWith) { EXPECT_EQ(load("gguf-t5").decoder_start_id(), 0); }

TEST(Seq2SeqInput, WhatTheModelCannotReadIsRefused) {
  const Model m = load("bart");
  Runner r(m.impl(), 16, 0);
  const auto complaint_of = [&](const StepItem& item) -> std::string {
    try {
      r.logits({&item, 1});
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const std::vector<int32_t> ids = {2, 5}, longer(65, 7), unknown = {112};
  const float frame[3] = {};
  SequenceState s, t;
  EXPECT_EQ(complaint_of({.ids = ids}), "source: expected what the encoder of BartForConditionalGeneration reads, got none");
  EXPECT_EQ(complaint_of({.state = &s, .ids = ids, .source = {.ids = unknown}}), "source: expected ids below 112, got 112");
  EXPECT_EQ(complaint_of({.state = &s, .ids = ids, .source = {.ids = longer}}),
            "source: expected at most 64 of a source (the encoder's positions), got 65");
  EXPECT_EQ(complaint_of({.state = &s, .ids = ids, .source = {.features = {frame, DType::kF32, 1, 3, 3}}}), "source: expected token ids, got frames of 3");
  EXPECT_EQ(complaint_of({.state = &t, .ids = ids, .source = {.ids = ids}}), "");
  EXPECT_EQ(complaint_of({.state = &t, .ids = ids, .source = {.ids = ids}}), "source: expected one with a sequence's first tokens, got another later");
  const std::vector<int32_t> wrong = {112};
  EXPECT_NE(complaint_of({.state = &s, .ids = wrong, .source = {.ids = ids}}), "");
  EXPECT_EQ(s.source_length, 0);  // it has not begun
}

}  // namespace
}  // namespace transom
