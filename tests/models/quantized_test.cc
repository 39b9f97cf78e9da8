// Checkpoints with a quantization_config: every weight's value bit for bit, nothing expanded in memory, the CPU kernels beside the
// reference, and what is refused. Their logits are in the family matrix.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>

#include "checkpoint/safetensors.h"
#include "engine/runner.h"
#include "support/fixture.h"
#include "support/fixture_names.h"
#include "support/sha256.h"
#include "support/temp_dir.h"
#include "tensor/quant.h"

namespace transom {
namespace {

using testing::HasSubstr;
using Want = StepItem::Want;

std::vector<std::string> quantized_fixtures() {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(test::fixture_path("")))
    if (const std::string file = e.path().string() + "/golden.json"; file_exists(file) && read_json_file(file).contains("dequantized"))
      names.push_back(e.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& info) { return test::as_test_name(info.param); }

std::vector<float> logits(const Model& m, const std::vector<int32_t>& ids) {
  Runner r(m.impl(), 16, 0);
  const StepItem item{.ids = ids, .want = Want::kAll};
  const auto y = r.logits({&item, 1});
  return {y.begin(), y.end()};
}

class Quantized : public testing::TestWithParam<std::string> {};

TEST_P(Quantized, WeightsEqualTheDequantizedOnesBitForBit) {
  const Model m = Model::load(test::fixture_path(GetParam()), {.kernels = "ref", .threads = 1});
  EXPECT_THAT(m.warnings(), testing::Each(testing::Not(HasSubstr("quantization_config"))));
  Json digests = test::load_golden(GetParam()).json.at("dequantized");
  for (const Binding& b : m.impl().bindings.rows) {
    if (!b.quantized) continue;
    const Param& p = *b.param;
    std::vector<float> value(p.rows * p.cols);
    const int64_t cut = std::min<int64_t>(p.cols, p.weight.view.dtype == DType::kCoded ? 24 : 32);  // a row in two pieces
    for (int64_t r = 0; r < p.rows; ++r) {
      decode_row(p.weight.view, r, 0, value.data() + r * p.cols, cut);
      decode_row(p.weight.view, r, cut, value.data() + r * p.cols + cut, p.cols - cut);
    }
    for (float& v : value) v += 0.f;  // some formats have a negative zero
    const std::string bytes(reinterpret_cast<const char*>(value.data()), value.size() * sizeof(float));
    EXPECT_EQ(test::sha256(bytes), digests.value(p.name, "none")) << p.name;
    digests.erase(p.name);
  }
  EXPECT_TRUE(digests.empty()) << digests.dump();
}

TEST_P(Quantized, StayAsStored) {
  const std::string path = test::fixture_path(GetParam());
  const Json d = Model::load(path, {.kernels = "ref", .threads = 1}).describe();
  EXPECT_LE(d["weight_bytes"].get<int64_t>(), static_cast<int64_t>(std::filesystem::file_size(path + "/model.safetensors")));
  EXPECT_GE(d["bytes_by_dtype"].size(), 2u) << d["bytes_by_dtype"].dump();  // the format and BF16
}

TEST_P(Quantized, EveryTableOfKernelsComputesThem) {
  const test::GoldenCase c = test::load_golden(GetParam()).cases.back();
  for (const std::string_view table : available_kernels()) {
    const std::vector<float> y = logits(Model::load(test::fixture_path(GetParam()), {.kernels = std::string(table), .threads = 2}), c.ids);
    ASSERT_EQ(y.size(), c.logits.data.size());
    double error = 0, all = 0;
    for (size_t i = 0; i < y.size(); ++i) error += std::pow(double{y[i]} - c.logits.data[i], 2), all += std::pow(double{c.logits.data[i]}, 2);
    // The kernels' own bounds (tests/kernels: 3e-3 a product in bfloat16, 3.5e-3 with activations in bytes, 1e-4 with 16-bit ones) over two layers.
    const bool bf16 = table.find("bf16") != std::string_view::npos || table.find("amx") != std::string_view::npos;
    const bool bytes = table == "avx512" && GetParam().find("mxfp4") != std::string::npos;
    EXPECT_LT(std::sqrt(error / all), bf16 || bytes ? 2e-2 : 5e-4) << table;
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Quantized, testing::ValuesIn(quantized_fixtures()), test_name);

// A fixture with its config and tensors changed: what Model::load says of it.
struct Changed {
  std::string fixture;
  std::function<void(Json& config)> config = [](Json&) {};
  std::function<void(std::map<std::string, TensorEntry>&)> tensors = [](auto&) {};

  std::string complaint() const {
    const test::TempDir dir;
    Json c = read_json_file(test::fixture_path(fixture) + "/config.json");
    config(c["quantization_config"]);
    dir.write("config.json", c.dump());
    const auto source = open_checkpoint(test::fixture_path(fixture));
    std::map<std::string, TensorEntry> entries;
    for (const TensorEntry& e : source->entries()) entries[e.name] = e;
    tensors(entries);
    std::vector<TensorToWrite> out;
    for (const auto& [name, e] : entries) out.push_back({name, e.dtype, e.shape, TensorSource::data(e)});
    write_safetensors(dir / "model.safetensors", std::move(out));
    try {
      Model::load(dir.path(), {.kernels = "ref", .threads = 1});
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }
};

std::string with_config(const std::string& fixture, const char* key, const Json& value) {
  return Changed{.fixture = fixture, .config = [&](Json& q) { q[key] = value; }}.complaint();
}

// The bytes of a tensor replaced.
void replace(TensorEntry& e, const std::vector<int32_t>& values) {
  auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * sizeof(int32_t));
  std::memcpy(bytes->data(), values.data(), bytes->size());
  e.owned = bytes;
}

const std::string kFirst = "model.layers.0.self_attn.q_proj";

TEST(QuantizedInput, UnknownMethodsAreRefusedByName) {
  EXPECT_THAT(with_config("gptq", "quant_method", "hqq"),
              HasSubstr("expected awq, bitsandbytes, compressed-tensors, fbgemm_fp8, fp8, gptq, mxfp4 for quantization_config.quant_method, got 'hqq'"));
  EXPECT_THAT(with_config("ct-int4", "format", "marlin-24"), testing::IsEmpty());  // its group says otherwise
  EXPECT_THAT(with_config("gptq", "checkpoint_format", "marlin"), HasSubstr("expected gptq or gptq_v2 for quantization_config.checkpoint_format"));
  EXPECT_THAT(with_config("gptq", "bits", 5), HasSubstr("expected 2, 3, 4 or 8 for quantization_config.bits, got 5"));
  EXPECT_THAT(with_config("awq", "version", "gemv"), HasSubstr("expected gemm for quantization_config.version, got \"gemv\""));
  EXPECT_THAT(with_config("ct-int4", "sparsity_config", {{"format", "sparse-24-bitmask"}}), HasSubstr("sparse-24-bitmask"));
  EXPECT_THAT((Changed{.fixture = "ct-int4", .config = [](Json& q) { q["config_groups"]["group_0"]["format"] = "marlin-24"; }}.complaint()),
              HasSubstr("got 'marlin-24'"));
}

TEST(QuantizedInput, ShapesAndSizesThatDoNotFitAreErrors) {
  EXPECT_THAT(with_config("gptq", "bits", 8), HasSubstr(".qweight)"));
  EXPECT_THAT(with_config("gptq", "group_size", 12), HasSubstr("expected a group size that divides the 32 columns"));
  EXPECT_THAT(with_config("gptq", "group_size", 32), HasSubstr(".qzeros)"));
  EXPECT_THAT(with_config("fp8-block", "weight_block_size", {64, 64}), HasSubstr("expected shape"));
  EXPECT_THAT(with_config("fp8-block", "weight_block_size", {0, 64}), HasSubstr("expected two sizes"));
  EXPECT_THAT((Changed{.fixture = "awq", .tensors = [](auto& t) { t.erase(kFirst + ".scales"); }}.complaint()),
              HasSubstr("expected the tensor " + kFirst + ".scales beside the others of a quantized weight, got none"));
  EXPECT_THAT((Changed{.fixture = "bnb-nf4", .tensors = [](auto& t) { t.erase(kFirst + ".weight.absmax"); }}.complaint()),
              HasSubstr(kFirst + ".weight.absmax"));
  EXPECT_THAT((Changed{.fixture = "gpt-oss-mxfp4", .tensors = [](auto& t) { t.erase("model.layers.0.mlp.experts.down_proj_scales"); }}.complaint()),
              HasSubstr("model.layers.0.mlp.experts.down_proj_scales"));
  EXPECT_THAT((Changed{.fixture = "ct-int4", .tensors = [](auto& t) { t[kFirst + ".weight_shape"] = t["model.layers.0.mlp.up_proj.weight_shape"]; }}
                   .complaint()),
              HasSubstr("expected [32, 32], got [160, 32]"));
  EXPECT_THAT((Changed{.fixture = "ct-int4", .config = [](Json& q) { q["ignore"] = {"re:.*q_proj"}; }}.complaint()),
              HasSubstr("expected a group of quantization_config that has the module '" + kFirst + "', got none"));
  EXPECT_THAT((Changed{.fixture = "ct-int4", .config = [](Json& q) { q["ignore"] = {"re:(["}; }}.complaint()), HasSubstr("regular expression"));
}

TEST(QuantizedInput, GroupsOfColumnsAreChecked) {
  for (const int32_t bad : {-1, 2, 1000000})
    EXPECT_THAT((Changed{.fixture = "gptq-desc-act", .tensors = [&](auto& t) { replace(t[kFirst + ".g_idx"], std::vector<int32_t>(32, bad)); }}.complaint()),
                HasSubstr("expected groups from 0 to 1, got " + std::to_string(bad)));
  // compressed-tensors' groups by activation, and those that were never set.
  const auto with_groups = [](const std::vector<int32_t>& groups) {
    return Changed{.fixture = "ct-int4", .tensors = [=](auto& t) {
                     TensorEntry& e = t[kFirst + ".weight_g_idx"];
                     e.dtype = DType::kI32;
                     e.shape = {32};
                     replace(e, groups);
                   }}.complaint();
  };
  EXPECT_EQ(with_groups(std::vector<int32_t>(32, 1)), "");
  EXPECT_EQ(with_groups(std::vector<int32_t>(32, -1)), "");
  EXPECT_THAT(with_groups(std::vector<int32_t>(32, 2)), HasSubstr("expected groups from 0 to 1, got 2"));
}

TEST(QuantizedInput, ModulesMayDiffer) {
  const auto with_dynamic = [](const Json& dynamic) { return with_config("gptq", "dynamic", dynamic); };
  EXPECT_EQ(with_dynamic({{"-:.*lm_head", Json::object()}, {"+:model\\.layers\\.[0-9]+\\.self_attn", {{"bits", 4}, {"group_size", 16}}}}), "");
  EXPECT_THAT(with_dynamic({{".*k_proj", {{"bits", 8}}}}), HasSubstr("expected shape [8, 32], got [4, 32] (model.layers.0.self_attn.k_proj.qweight)"));
  EXPECT_THAT(with_dynamic({{".*k_proj", {{"bits", 7}}}}), HasSubstr("expected 2, 3, 4 or 8 for bits, got 7"));
}

TEST(QuantizedInput, ABiasOfZerosIsNone) {
  const auto with_bias = [](int32_t word) {
    return Changed{.fixture = "gptq", .tensors = [=](auto& t) {
                     TensorEntry& e = t[kFirst + ".bias"];
                     e.dtype = DType::kF16;
                     e.shape = {32};
                     replace(e, std::vector<int32_t>(16, word));
                   }}.complaint();
  };
  EXPECT_EQ(with_bias(0), "");
  EXPECT_THAT(with_bias(1), HasSubstr("expected only tensors that the model reads"));
}

TEST(QuantizedInput, AWeightStoredAsFloatsIsReadAsSuch) {
  // A module that the method left alone, whatever the lists of the config say.
  EXPECT_EQ((Changed{.fixture = "gptq", .tensors = [](auto& t) {
               for (const char* part : {".qweight", ".qzeros", ".scales", ".g_idx"}) t.erase(kFirst + part);
               TensorEntry e = t["model.embed_tokens.weight"];
               e.name = kFirst + ".weight";
               e.shape = {32, 32};
               e.bytes = 32 * 32 * 2;
               t[e.name] = e;
             }}.complaint()),
            "");
}

}  // namespace
}  // namespace transom
