// Latent attention as ops composes it, expanded and absorbed, against the reference's own row: over pages and packed rows, for whole
// texts, chunks and single tokens, on every table; and what adapters of an absorbed weight get.
#include <gtest/gtest.h>

#include <random>

#include "base/threads.h"
#include "ops/ops.h"
#include "ops/random_tensor.h"

namespace transom {
namespace {

constexpr int64_t kHeads = 3, kNope = 6, kRope = 4, kValue = 5, kLatent = 8, kQuery = kNope + kRope;
constexpr int32_t kPage = 16;

class LatentAttentionOp : public testing::Test {
 protected:
  LatentAttentionOp() { stream_.team = &team_; }

  Tensor random(int64_t rows, int64_t cols) { return test::random_tensor(engine_, rows, cols); }

  // Two texts of `length` tokens in steps of `chunk`, their pages in turn. Rows in order of text, then of token.
  std::vector<float> run(const Kernels& kernels, int32_t length, int32_t chunk, const Adapter* adapter = nullptr) {
    const int32_t max_pages = (length + kPage - 1) / kPage;
    Tensor cache = random(int64_t{2} * max_pages * kPage, kLatent + kRope);
    std::vector<int32_t> pages;
    for (int32_t s = 0; s < 2; ++s)
      for (int32_t i = 0; i < max_pages; ++i) pages.push_back(2 * i + s);
    std::vector<float> out(size_t{2} * length * kHeads * kValue);
    for (int32_t at = 0; at < length; at += chunk) {
      const int32_t n = std::min(chunk, length - at), q_start[] = {0, n, 2 * n}, kept[] = {at + n, at + n}, own[] = {n, n};
      std::vector<int32_t> slots;
      Ctx cx{.kernels = kernels, .stream = stream_, .arena = arena_};
      arena_.reset();
      Tensor q = cx.arena.tensor(DType::kF32, 2 * n, kHeads * kQuery), latent = cx.arena.tensor(DType::kF32, 2 * n, kLatent);
      Tensor rope = cx.arena.tensor(DType::kF32, 2 * n, kRope);
      for (int32_t s = 0; s < 2; ++s)
        for (int32_t i = 0; i < n; ++i) {
          const int32_t token = at + i;
          slots.push_back(pages[s * max_pages + token / kPage] * kPage + token % kPage);
          const auto copy = [&](const Tensor& from, Tensor& to) {
            std::copy_n(from.view.row<float>(s * length + token), to.cols(), to.view.row<float>(s * n + i));
          };
          copy(q_, q), copy(latent_, latent), copy(rope_, rope);
        }
      cx.batch.rows = 2 * n;
      cx.batch.whole = at == 0;
      cx.batch.packed = {.count = 2, .q_start = q_start, .kv_len = own, .max_q_len = n, .max_kv_len = n};
      cx.batch.paged = {{.count = 2, .q_start = q_start, .kv_len = kept, .pages = pages.data(), .max_pages = max_pages, .page_size = kPage,
                         .max_q_len = n, .max_kv_len = at + n}};
      cx.batch.slots = {slots.data()};
      cx.states = {{.k = cache.view, .v = {nullptr, DType::kF32, cache.rows(), 0, 0}, .group = 0}};
      if (adapter) cx.adapters = {{.begin = 0, .count = 2 * n, .adapter = adapter}};
      const Tensor y = ops::latent_attention(cx, q, latent, rope, {.heads = kHeads, .value = kValue, .scale = 0.4f, .expand = &expand_, .state = 0});
      for (int32_t s = 0; s < 2; ++s)
        for (int32_t i = 0; i < n; ++i)
          std::copy_n(y.view.row<float>(s * n + i), kHeads * kValue, out.data() + (s * length + at + i) * kHeads * kValue);
    }
    return out;
  }

  void fill(int32_t length) {
    q_ = random(2 * length, kHeads * kQuery), latent_ = random(2 * length, kLatent), rope_ = random(2 * length, kRope);
    memory_ = random(kHeads * (kNope + kValue), kLatent);
    expand_ = {.name = "kv_b_proj.weight", .rows = kHeads * (kNope + kValue), .cols = kLatent, .weight = {}};
    expand_.weight.view = {static_cast<const std::byte*>(memory_.view.data), DType::kF32, expand_.rows, expand_.cols, 4 * expand_.cols};
  }

  std::mt19937 engine_{11};
  ThreadTeam team_{2};
  Stream stream_;
  Arena arena_;
  Tensor q_, latent_, rope_, memory_;
  Param expand_;
};

TEST_F(LatentAttentionOp, ComposedEqualsTheRow) {
  constexpr int32_t kLength = 37;
  fill(kLength);
  const std::vector<float> want = run(ref_kernels(), kLength, kLength);
  Kernels composed = ref_kernels();
  composed.latent_attention = nullptr;
  const auto expect_near = [&](const std::vector<float>& got, const std::string& what) {
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5) << what << " element " << i;
  };
  for (const int32_t chunk : {kLength, 7, 1}) {
    EXPECT_EQ(run(ref_kernels(), kLength, chunk), want) << "chunks of " << chunk;
    expect_near(run(composed, kLength, chunk), "composed, chunks of " + std::to_string(chunk));
    for (const std::string_view name : available_kernels())
      expect_near(run(kernels_by_name(name), kLength, chunk), std::string(name) + ", chunks of " + std::to_string(chunk));
  }
}

TEST_F(LatentAttentionOp, AnAbsorbedWeightTakesNoAdapter) {
  fill(4);
  Kernels composed = ref_kernels();
  composed.latent_attention = nullptr;
  Adapter adapter{.path = "a", .factors = {}};
  EXPECT_EQ(run(composed, 4, 1, &adapter), run(composed, 4, 1));
  const Tensor a = random(2, kLatent), b = random(expand_.rows, 2);
  const auto weight = [](const Tensor& t) {
    return Weight{.view = {static_cast<const std::byte*>(t.view.data), DType::kF32, t.rows(), t.cols(), 4 * t.cols()}, .owner = t.owner, .packed_owner = {}};
  };
  adapter.factors.emplace(&expand_, LoraFactors{.a = weight(a), .b = weight(b)});
  EXPECT_THROW(run(composed, 4, 1, &adapter), Error);
}

}  // namespace
}  // namespace transom
