// Speed of a tokenizer on one thread, in processor time: loading, encoding a file document by document (split at "\x1e"), decoding the ids.
// Prints one JSON object; bench/tokenizer_bench.py makes the text, runs this and Hugging Face `tokenizers` in turn, and
// prints the ratios.
//   tokenizer_bench TOKENIZER TEXT_FILE [ROUNDS]
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "transom/error.h"
#include "transom/tokenizer.h"

namespace {

// Processor time, so that a busy machine does not change the figures.
double now() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

int run(int argc, char** argv) {
  using transom::Tokenizer;
  const int rounds = argc > 3 ? std::max(1, std::atoi(argv[3])) : 5;
  const std::string text = transom::read_file(argv[2]);
  std::vector<std::string_view> documents;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\x1e', at), text.size());
    documents.push_back(std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  std::vector<double> load, encode, decode;
  size_t tokens = 0, bytes = 0;
  for (int r = 0; r < rounds; ++r) {
    double t = now();
    const Tokenizer tokenizer = Tokenizer::load(argv[1]);
    load.push_back(now() - t);
    std::vector<std::vector<int32_t>> ids;
    ids.reserve(documents.size());
    t = now();
    for (const auto d : documents) ids.push_back(tokenizer.encode(d, false));
    encode.push_back(now() - t);
    tokens = bytes = 0;
    t = now();
    for (const auto& i : ids) bytes += tokenizer.decode(i).size();
    decode.push_back(now() - t);
    for (const auto& i : ids) tokens += i.size();
  }
  const transom::Json out{{"bytes", text.size()}, {"documents", documents.size()}, {"tokens", tokens}, {"decoded_bytes", bytes},
                          {"load_s", median(load)}, {"encode_s", median(encode)}, {"decode_s", median(decode)}};
  std::printf("%s\n", out.dump().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER TEXT_FILE [ROUNDS]\n"), 2;
  try {
    return run(argc, argv);
  } catch (const transom::Error& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
  }
}
