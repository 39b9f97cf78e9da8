// Layer streaming in little memory: a Llama several times larger than the memory it may use, under a cgroup limit that counts
// the page cache, gives the logits of a resident run. Allowed: the embeddings, three blocks, the state and kRest. R45
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/json.h"
#include "cli/program.h"
#include "support/npy.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHidden = 512, kInner = 2048, kBlocks = 40, kVocab = 512;
constexpr uint64_t kBlockBytes = 2 * (4 * kHidden * kHidden + 3 * kHidden * kInner + 2 * kHidden);
constexpr uint64_t kEmbeddingBytes = 2 * kVocab * kHidden;
constexpr uint64_t kStateBytes = 2 * sizeof(float) * kHidden * 32 * kBlocks;  // a page of 32 tokens in each block
constexpr uint64_t kRest = uint64_t{40} << 20;  // the program itself, activations, the copies that F32 vectors need
constexpr uint64_t kAllowed = kEmbeddingBytes + 3 * kBlockBytes + kStateBytes + kRest;

// A safetensors file of one tensor after another, random numbers of about +-0.06 as BF16 (norms too: any weights do).
void write_model(const test::TempDir& dir) {
  std::vector<std::pair<std::string, Json>> tensors = {{"model.embed_tokens.weight", {kVocab, kHidden}}, {"model.norm.weight", Json::array({kHidden})}};
  for (int64_t i = 0; i < kBlocks; ++i) {
    const std::string p = "model.layers." + std::to_string(i) + ".";
    for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) tensors.push_back({p + "self_attn." + name + ".weight", {kHidden, kHidden}});
    for (const char* name : {"gate_proj", "up_proj"}) tensors.push_back({p + "mlp." + name + ".weight", {kInner, kHidden}});
    tensors.push_back({p + "mlp.down_proj.weight", {kHidden, kInner}});
    for (const char* name : {"input_layernorm", "post_attention_layernorm"}) tensors.push_back({p + name + ".weight", Json::array({kHidden})});
  }
  Json header = Json::object();
  uint64_t at = 0;
  for (const auto& [name, shape] : tensors) {
    uint64_t bytes = 2;
    for (const Json& n : shape) bytes *= n.get<uint64_t>();
    header[name] = {{"dtype", "BF16"}, {"shape", shape}, {"data_offsets", {at, at + bytes}}};
    at += bytes;
  }
  const std::string text = header.dump();
  std::ofstream out(dir / "model.safetensors", std::ios::binary);
  const uint64_t size = text.size();
  out.write(reinterpret_cast<const char*>(&size), 8);
  out << text;
  std::vector<uint64_t> block(1 << 15);
  uint64_t state = 1;
  for (uint64_t done = 0; done < at; done += block.size() * 8) {
    for (uint64_t& word : block) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      // Sign and mantissa at random, exponent 122 or 123: 0.03 to 0.12.
      word = (state & 0x80ff80ff80ff80ffu) | 0x3d003d003d003d00u;
    }
    out.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(std::min(at - done, block.size() * 8)));
  }
  ASSERT_TRUE(out.flush());
  dir.write("config.json", Json({{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"hidden_size", kHidden},
                                 {"intermediate_size", kInner}, {"num_hidden_layers", kBlocks}, {"num_attention_heads", 8},
                                 {"num_key_value_heads", 8}, {"vocab_size", kVocab}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0},
                                 {"max_position_embeddings", 128}, {"tie_word_embeddings", true}, {"hidden_act", "silu"}}).dump());
}

// A memory group of our own (cgroup v1, or v2 where the controller is handed down); absent where none can be made.
class MemoryGroup {
 public:
  static std::optional<std::string> make(uint64_t bytes) {
    const std::string name = "/transom-test-" + std::to_string(getpid());
    for (const auto& [root, limit] : {std::pair{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}}) {
      const std::string path = root + name;
      std::error_code error;
      if (!fs::create_directory(path, error)) continue;
      if (fs::exists(path + "/" + limit) && put(path + "/" + limit, std::to_string(bytes)) && fs::exists(path + "/cgroup.procs")) return path;
      fs::remove(path, error);
    }
    return std::nullopt;
  }
  static bool put(const std::string& file, const std::string& value) {
    const int fd = open(file.c_str(), O_WRONLY);
    if (fd < 0) return false;
    const bool done = write(fd, value.data(), value.size()) == static_cast<ssize_t>(value.size());
    close(fd);
    return done;
  }
};

// Runs the program inside `group` and gives its exit code (128 + a signal) and its largest resident set.
std::pair<int, uint64_t> run_inside(const std::string& group, const std::vector<std::string>& args) {
  std::vector<char*> argv{const_cast<char*>(TRANSOM_BINARY)};
  for (const std::string& a : args) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (!MemoryGroup::put(group + "/cgroup.procs", "0")) _exit(126);
    execv(TRANSOM_BINARY, argv.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), static_cast<uint64_t>(usage.ru_maxrss) * 1024};
}

TEST(Streaming, RunsInLittleMemoryWithTheSameLogits) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's own memory is no part of the promise";
#endif
  const test::TempDir dir;
  write_model(dir);
  ASSERT_GT(kBlocks * kBlockBytes, 4 * kAllowed);
  const std::vector<std::string> base = {"logits", dir.path(), "--ids", "5,6,7,8,9,10,11,12", "--threads", "2"};
  auto resident = base, streamed = base;
  resident.insert(resident.end(), {"--out", dir / "resident.npy"});
  streamed.insert(streamed.end(), {"--stream-weights", "--out", dir / "streamed.npy"});
  const Result r = run_transom(resident);
  ASSERT_EQ(r.code, 0) << r.err;
  const auto group = MemoryGroup::make(kAllowed);
  if (!group) GTEST_SKIP() << "no memory cgroup can be made here (needs root, or a group that is handed down): NOT TESTED";
  const auto [code, peak] = run_inside(*group, streamed);
  rmdir(group->c_str());
  ASSERT_EQ(code, 0) << "137: killed for its memory";
  EXPECT_LE(peak, kAllowed);
  std::printf("[ FIGURES  ] weights %llu MB, allowed %llu MB, peak resident set %llu MB\n", static_cast<unsigned long long>(kBlocks * kBlockBytes >> 20),
              static_cast<unsigned long long>(kAllowed >> 20), static_cast<unsigned long long>(peak >> 20));
  const auto a = test::read_npy<float>(dir / "resident.npy"), b = test::read_npy<float>(dir / "streamed.npy");
  EXPECT_EQ(a.shape, b.shape);
  EXPECT_TRUE(a.data == b.data);
  EXPECT_TRUE(std::all_of(a.data.begin(), a.data.end(), [](float v) { return std::isfinite(v); }));
}

}  // namespace
}  // namespace transom
