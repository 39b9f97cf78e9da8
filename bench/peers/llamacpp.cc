// The peer: llama.cpp through its C API, with its own defaults for this processor. Built by bench/build_llamacpp, not by
// our CMake. Prints one JSON object with the fields of `transom bench --json`.
//   llamacpp bench MODEL.gguf PP TG BATCH PROMPT ROUNDS THREADS     random tokens, as llama-bench does; round 0 warms up
//   llamacpp first-token MODEL.gguf PROMPT THREADS           load, tokenize, one greedy token: for whole-process timing
//   llamacpp logits MODEL.gguf OUT.f32 VOCAB ID...           logits after each id, in floats throughout: for bench/check_logits_llamacpp
//   llamacpp logits-as MODEL.gguf OUT.f32 KV STEP THREADS ID...   the same with its defaults, keys and values in KV (f16, q8_0 ...),
//                                                            STEP ids a call: for bench/quality
//   llamacpp quantize IN.gguf OUT.gguf TYPE THREADS          TYPE: Q4_K_M ..., from any type, as llama-quantize does it: for bench/quality
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "gguf.h"
#include "llama.h"

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "llamacpp: %s\n", what);
  std::exit(1);
}

constexpr int kBatch = 2048;  // tokens of one call

struct Session {
  llama_model* model = nullptr;
  llama_context* context = nullptr;
  double load_s = 0;
};

// What our fixtures' files leave out: a vocabulary, of which llama.cpp wants the size, and an eps that Qwen 1's config need not name.
std::vector<llama_model_kv_override> missing_keys(const char* path, int vocab) {
  const gguf_context* file = gguf_init_from_file(path, {.no_alloc = true, .ctx = nullptr});
  const int64_t arch = file ? gguf_find_key(file, "general.architecture") : -1;
  if (arch < 0) die("expected a GGUF file with an architecture");
  const std::string prefix = gguf_get_val_str(file, arch);
  std::vector<llama_model_kv_override> keys;
  const auto add = [&](const std::string& key, llama_model_kv_override o) {
    if (gguf_find_key(file, key.c_str()) >= 0) return;
    std::snprintf(o.key, sizeof o.key, "%s", key.c_str());
    keys.push_back(o);
  };
  llama_model_kv_override none{.tag = LLAMA_KV_OVERRIDE_TYPE_STR, .key = {}, .val_i64 = 0};
  std::snprintf(none.val_str, sizeof none.val_str, "none");
  add("tokenizer.ggml.model", none);
  add(prefix + ".vocab_size", {.tag = LLAMA_KV_OVERRIDE_TYPE_INT, .key = {}, .val_i64 = vocab});
  if (prefix == "qwen") add(prefix + ".attention.layer_norm_rms_epsilon", {.tag = LLAMA_KV_OVERRIDE_TYPE_FLOAT, .key = {}, .val_f64 = 1e-6});
  keys.push_back({});
  return keys;
}

// vocab > 0: floats throughout, and a file without a vocabulary of that size.
Session open_session(const char* path, int n_ctx, int sequences, int threads, int vocab = 0, ggml_type kv = GGML_TYPE_F16) {
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  ggml_backend_load_all();
  llama_backend_init();
  Session s;
  const double start = now();
  llama_model_params how = llama_model_default_params();
  const std::vector<llama_model_kv_override> keys = vocab ? missing_keys(path, vocab) : std::vector<llama_model_kv_override>();
  if (vocab) how.kv_overrides = keys.data();
  s.model = llama_model_load_from_file(path, how);
  if (!s.model) die("cannot load the model");
  s.load_s = now() - start;
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<uint32_t>(n_ctx);
  params.n_batch = kBatch;
  params.n_ubatch = 512;
  params.n_seq_max = static_cast<uint32_t>(sequences);
  params.n_threads = params.n_threads_batch = threads;
  params.type_k = params.type_v = kv;
  if (vocab) {
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.swa_full = true;
  }
  s.context = llama_init_from_model(s.model, params);
  if (!s.context) die("cannot make a context");
  return s;
}

struct Row {
  llama_token token;
  int position, sequence;
};

// Logits of all rows, or of each call's last one.
void decode(const Session& s, std::span<const Row> rows, bool all_logits) {
  while (!rows.empty()) {
    const std::span<const Row> now = rows.first(std::min<size_t>(rows.size(), kBatch));
    rows = rows.subspan(now.size());
    llama_batch batch = llama_batch_init(static_cast<int>(now.size()), 0, 1);
    batch.n_tokens = static_cast<int>(now.size());
    for (size_t i = 0; i < now.size(); ++i) {
      batch.token[i] = now[i].token;
      batch.pos[i] = now[i].position;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = now[i].sequence;
      batch.logits[i] = all_logits || i + 1 == now.size();
    }
    if (llama_decode(s.context, batch) != 0) die("decode failed");
    llama_batch_free(batch);
  }
  llama_synchronize(s.context);
}

std::string spread(std::vector<double> values) {
  if (values.empty()) return "null";
  std::sort(values.begin(), values.end());
  char text[160];
  std::snprintf(text, sizeof text, "{\"min\":%.3f,\"median\":%.3f,\"max\":%.3f}", values.front(),
                values[values.size() / 2], values.back());
  return text;
}

// `prompt`: the context of each sequence before the decoding that is timed.
int run_bench(const char* path, int pp, int tg, int sequences, int prompt, int rounds, int threads) {
  const Session s = open_session(path, std::max({2048, pp + 64, sequences * (prompt + tg + 8)}), sequences, threads);
  const int vocab = llama_vocab_n_tokens(llama_model_get_vocab(s.model));
  const auto any = [vocab] { return static_cast<llama_token>(std::rand() % vocab); };
  std::vector<double> prefill, decoding;
  for (int round = 0; round <= rounds; ++round) {
    llama_memory_clear(llama_get_memory(s.context), true);
    std::vector<Row> rows;
    for (int i = 0; i < pp; ++i) rows.push_back({any(), i, 0});
    double start = now();
    if (pp) decode(s, rows, false);
    if (pp && round) prefill.push_back(pp / (now() - start));
    if (!tg) continue;
    llama_memory_clear(llama_get_memory(s.context), true);
    rows.clear();
    for (int q = 0; q < sequences; ++q)
      for (int i = 0; i < prompt; ++i) rows.push_back({any(), i, q});
    decode(s, rows, false);
    start = now();
    for (int i = 0; i < tg; ++i) {
      rows.clear();
      for (int q = 0; q < sequences; ++q) rows.push_back({any(), prompt + i, q});
      decode(s, rows, true);
    }
    if (round) decoding.push_back(sequences * tg / (now() - start));
  }
  std::printf("{\"peer\":\"llama.cpp\",\"prefill_tok_s\":%s,\"decode_tok_s\":%s,\"load_s\":%.4f,\"weights_gb\":%.4f,\"threads\":%d}\n",
              spread(prefill).c_str(), spread(decoding).c_str(), s.load_s,
              static_cast<double>(llama_model_size(s.model)) / 1e9, threads);
  return 0;
}

int run_first_token(const char* path, const char* prompt, int threads) {
  const Session s = open_session(path, 512, 1, threads);
  const llama_vocab* vocab = llama_model_get_vocab(s.model);
  std::vector<llama_token> ids(512);
  const int n = llama_tokenize(vocab, prompt, static_cast<int>(std::strlen(prompt)), ids.data(),
                               static_cast<int>(ids.size()), true, true);
  if (n <= 0) die("cannot tokenize the prompt");
  std::vector<Row> rows;
  for (int i = 0; i < n; ++i) rows.push_back({ids[static_cast<size_t>(i)], i, 0});
  decode(s, rows, false);
  const float* logits = llama_get_logits_ith(s.context, -1);
  const auto best = static_cast<llama_token>(std::max_element(logits, logits + llama_vocab_n_tokens(vocab)) - logits);
  char piece[256];
  const int length = llama_token_to_piece(vocab, best, piece, sizeof piece, 0, true);
  std::printf("%.*s\n", std::max(0, length), piece);
  std::fflush(stdout);
  std::_Exit(0);  // as a program does that is in a hurry: the system takes the memory back
}

// Logits after each id, `step` ids a call.
int write_logits(const Session& s, const char* out, int vocab, int step, char** ids, int count) {
  std::FILE* f = std::fopen(out, "wb");
  if (!f) die("cannot write the logits");
  for (int at = 0; at < count; at += step) {
    std::vector<Row> rows;
    for (int i = at; i < std::min(count, at + step); ++i) rows.push_back({std::atoi(ids[i]), i, 0});
    decode(s, rows, true);
    for (int i = 0; i < static_cast<int>(rows.size()); ++i)
      std::fwrite(llama_get_logits_ith(s.context, i), sizeof(float), static_cast<size_t>(vocab), f);
  }
  return std::fclose(f) == 0 ? 0 : 1;
}

int run_logits(const char* path, const char* out, int vocab, char** ids, int count) {
  if (count > kBatch) die("too many ids");
  return write_logits(open_session(path, std::max(256, count), 1, 1, vocab), out, vocab, count, ids, count);
}

int run_logits_as(const char* path, const char* out, const std::string& kv, int step, int threads, char** ids, int count) {
  if (step < 1 || step > kBatch) die("expected 1 to 2048 ids a call");
  int type = 0;
  while (type < GGML_TYPE_COUNT && !(ggml_type_name(static_cast<ggml_type>(type)) == kv)) ++type;
  if (type == GGML_TYPE_COUNT) die("expected ggml's name of a type for keys and values");
  const Session s = open_session(path, std::max(256, count), 1, threads, 0, static_cast<ggml_type>(type));
  return write_logits(s, out, llama_vocab_n_tokens(llama_model_get_vocab(s.model)), step, ids, count);
}

int run_quantize(const char* in, const char* out, const std::string& type, int threads) {
  struct Named {
    const char* name;
    llama_ftype type;
  };
  constexpr Named kTypes[] = {
      {"F32", LLAMA_FTYPE_ALL_F32},          {"F16", LLAMA_FTYPE_MOSTLY_F16},       {"BF16", LLAMA_FTYPE_MOSTLY_BF16},
      {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},     {"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},     {"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},
      {"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},     {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},     {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},
      {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M}, {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M}, {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M},
      {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},     {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL}, {"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS},
  };
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Named& t) { return type == t.name; });
  if (found == std::end(kTypes)) die("expected a type of quantized files that the table in llamacpp.cc has");
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  ggml_backend_load_all();
  llama_backend_init();
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = found->type;
  params.nthread = threads;
  params.allow_requantize = true;
  if (llama_model_quantize(in, out, &params) != 0) die("cannot quantize the model");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "bench" && argc == 9)
    return run_bench(argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5]), std::atoi(argv[6]), std::atoi(argv[7]), std::atoi(argv[8]));
  if (mode == "first-token" && argc == 5) return run_first_token(argv[2], argv[3], std::atoi(argv[4]));
  if (mode == "logits" && argc > 5) return run_logits(argv[2], argv[3], std::atoi(argv[4]), argv + 5, argc - 5);
  if (mode == "logits-as" && argc > 7) return run_logits_as(argv[2], argv[3], argv[4], std::atoi(argv[5]), std::atoi(argv[6]), argv + 7, argc - 7);
  if (mode == "quantize" && argc == 6) return run_quantize(argv[2], argv[3], argv[4], std::atoi(argv[5]));
  die("see the top of bench/peers/llamacpp.cc for its arguments");
}
