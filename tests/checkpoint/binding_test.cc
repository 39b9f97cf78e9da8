// Rules that rearrange: parameters that share a tensor, lie in one with a leading dimension, or are stored transposed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "base/error.h"
#include "checkpoint/loader.h"

namespace transom {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A tensor of 0, 1, 2 …
TensorEntry counting(const std::string& name, std::vector<int64_t> shape) {
  std::vector<float> values(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
  std::iota(values.begin(), values.end(), 0.f);
  auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * sizeof(float));
  std::memcpy(bytes->data(), values.data(), bytes->size());
  return {.name = name, .dtype = DType::kF32, .shape = std::move(shape), .file = nullptr, .offset = 0, .bytes = bytes->size(), .owned = bytes};
}

struct Case {
  ParamTable params;
  std::vector<StateSpec> states;
  std::vector<TensorEntry> entries;
  Scope root{params, states};

  Bindings bind(const Rules& rules) {
    source = std::make_unique<TensorSource>(
        "model", CheckpointContents{.format = CheckpointFormat::kSafetensors, .entries = entries, .metadata = {}, .gguf = {}});
    return bind_params(params, *source, rules, "", {});
  }
  std::unique_ptr<TensorSource> source;
};

std::vector<float> value(const Bindings& b, const Param* p) {
  for (const Binding& row : b.rows)
    if (row.param == p) {
      const Weight w = load_weight(row);
      const auto* f = reinterpret_cast<const float*>(w.view.data);
      return {f, f + p->rows * p->cols};
    }
  return {};
}

TEST(Bindings, StackedPartsAreReadInPlace) {
  Case c;
  c.entries = {counting("a.qkv.weight", {4, 2}), counting("a.qkv.bias", {4})};
  const Param* q = (c.root / "a.q").matrix("weight", 2, 2);
  const Param* k = (c.root / "a.k").matrix("weight", 1, 2);
  const Param* v = (c.root / "a.v").matrix("weight", 1, 2);
  (c.root / "a.q").vector("bias", 2);
  (c.root / "a.k").vector("bias", 1);
  const Param* vb = (c.root / "a.v").vector("bias", 1);
  const Bindings b = c.bind({Fused{"*.qkv.*", {"*.q.*", "*.k.*", "*.v.*"}}});
  EXPECT_THAT(value(b, q), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(value(b, k), ElementsAre(4, 5));
  EXPECT_THAT(value(b, v), ElementsAre(6, 7));
  EXPECT_THAT(value(b, vb), ElementsAre(3));
  EXPECT_TRUE(in_place(b.rows[0]));
}

TEST(Bindings, PartsAlternatePerHead) {
  Case c;
  c.entries = {counting("a.qkv.weight", {8, 1})};  // two kv heads: each has two rows of q, one of k, one of v
  const Param* q = (c.root / "a.q").matrix("weight", 4, 1, {Split::Axis::kOut, 1});
  const Param* k = (c.root / "a.k").matrix("weight", 2, 1, {Split::Axis::kOut, 1});
  const Param* v = (c.root / "a.v").matrix("weight", 2, 1, {Split::Axis::kOut, 1});
  const Bindings b = c.bind({Fused{"*.qkv.*", {"*.q.*", "*.k.*", "*.v.*"}, Fused::Order::kPerHead}});
  EXPECT_THAT(value(b, q), ElementsAre(0, 1, 4, 5));
  EXPECT_THAT(value(b, k), ElementsAre(2, 6));
  EXPECT_THAT(value(b, v), ElementsAre(3, 7));
}

TEST(Bindings, RowsAlternate) {
  Case c;
  c.entries = {counting("a.gate_up.weight", {4, 1})};
  const Param* gate = (c.root / "a.gate").matrix("weight", 2, 1);
  const Param* up = (c.root / "a.up").matrix("weight", 2, 1);
  const Bindings b = c.bind({Fused{"*.gate_up.*", {"*.gate.*", "*.up.*"}, Fused::Order::kInterleaved}});
  EXPECT_THAT(value(b, gate), ElementsAre(0, 2));
  EXPECT_THAT(value(b, up), ElementsAre(1, 3));
}

TEST(Bindings, SlabsOfALeadingDimension) {
  Case c;
  c.entries = {counting("l.0.gate_up", {2, 3, 4})};  // expert, in, gate and up in turn
  std::vector<const Param*> gates, ups;
  for (const char* e : {"l.0.experts.0", "l.0.experts.1"}) {
    gates.push_back((c.root / e / "gate").matrix("weight", 2, 3));
    ups.push_back((c.root / e / "up").matrix("weight", 2, 3));
  }
  const Bindings b = c.bind({Fused{"l.*.experts.*.gate_up", {"l.*.experts.*.gate.weight", "l.*.experts.*.up.weight"}, Fused::Order::kInterleaved},
                             Stacked{"l.*.experts.*.gate_up", "l.*.gate_up", 1}, Transposed{"l.*.gate_up"}});
  EXPECT_THAT(value(b, gates[0]), ElementsAre(0, 4, 8, 2, 6, 10));
  EXPECT_THAT(value(b, ups[1]), ElementsAre(13, 17, 21, 15, 19, 23));
}

TEST(Bindings, AFusedTensorOfTheWrongSizeIsAnError) {
  Case c;
  c.entries = {counting("a.qk.weight", {5, 2})};
  (c.root / "a.q").matrix("weight", 2, 2);
  (c.root / "a.k").matrix("weight", 2, 2);
  try {
    c.bind({Fused{"*.qk.*", {"*.q.*", "*.k.*"}}});
    FAIL() << "bound";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("expected shape [4, 2], got [5, 2] (a.qk.weight)"));
  }
}

// DeepSeek's GGUF files: of each head the keys' rows, transposed, and the values' rows.
TEST(Bindings, AMatrixIsJoinedOfSeveralTensors) {
  const Rules rules = {Joined{"*.kv.weight", {{"*.k.weight", true}, {"*.v.weight"}}}};
  Case c;
  c.entries = {counting("a.k.weight", {2, 3, 2}), counting("a.v.weight", {2, 1, 3})};
  const Param* kv = (c.root / "a.kv").matrix("weight", 6, 3, {Split::Axis::kOut, 3});
  const Bindings b = c.bind(rules);
  EXPECT_THAT(value(b, kv), ElementsAre(0, 2, 4, 1, 3, 5, 0, 1, 2, 6, 8, 10, 7, 9, 11, 3, 4, 5));
  EXPECT_FALSE(in_place(b.rows[0]));
  Case own;
  own.entries = {counting("a.kv.weight", {6, 3})};
  kv = (own.root / "a.kv").matrix("weight", 6, 3, {Split::Axis::kOut, 3});
  EXPECT_THAT(value(own.bind(rules), kv), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17));
}

TEST(Bindings, PartsOfAnotherSizeAreAnError) {
  Case c;
  c.entries = {counting("a.k.weight", {2, 3, 2}), counting("a.v.weight", {2, 2, 3})};
  (c.root / "a.kv").matrix("weight", 6, 3, {Split::Axis::kOut, 3});
  try {
    c.bind({Joined{"*.kv.weight", {{"*.k.weight", true}, {"*.v.weight"}}}});
    FAIL() << "bound";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("expected 3 rows of each head, got 4 (a.k.weight)"));
  }
}

TEST(Bindings, ALogarithmIsFoundInItsNegativeExponential) {
  Case c;
  c.entries = {counting("a", {3})};
  for (float& x : std::span(reinterpret_cast<float*>(const_cast<std::byte*>(c.entries[0].owned->data())), 3)) x = -std::exp(x);
  const Param* a = c.root.vector("a", 3);
  EXPECT_THAT(value(c.bind({NegativeExp{"a"}}), a), testing::Pointwise(testing::FloatEq(), {0.f, 1.f, 2.f}));
}

TEST(Bindings, AnAbsentSlabIsAnError) {
  Case c;
  c.entries = {counting("gate", {1, 2, 2})};
  (c.root / "experts.0.gate").matrix("weight", 2, 2);
  (c.root / "experts.1.gate").matrix("weight", 2, 2);
  EXPECT_THROW(c.bind({Stacked{"experts.*.gate.weight", "gate", 0}}), Error);
}

TEST(Bindings, ASlabThatNobodyReadsIsAnError) {
  Case c;
  c.entries = {counting("gate", {2, 2, 2})};
  (c.root / "experts.0.gate").matrix("weight", 2, 2);
  try {
    c.bind({Stacked{"experts.*.gate.weight", "gate", 0}});
    FAIL() << "bound";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("expected a leading dimension of 1, got [2, 2, 2] (gate)"));
  }
}

}  // namespace
}  // namespace transom
