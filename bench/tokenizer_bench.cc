// Speed of a tokenizer on one thread, in processor time: loading, encoding a file document by document (split at "\x1e"), decoding the ids.
// Prints one JSON object; bench/tokenizer_bench.py makes the text, runs this and Hugging Face `tokenizers` in turn, and
// prints the ratios.
//   tokenizer_bench TOKENIZER TEXT_FILE [ROUNDS]
//   tokenizer_bench --worst TOKENIZER...    seconds to encode the texts that a quadratic step would take minutes for
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
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

// Each text that has a tokenizer look far: one letter, spaces or newlines without end, and words as long.
std::vector<std::pair<const char*, std::string>> worst_texts() {
  const auto repeated = [](std::string_view s, size_t bytes) {
    std::string out;
    while (out.size() < bytes) out += s;
    return out;
  };
  std::string word;
  for (unsigned i = 0; word.size() < 100'000; ++i) word += static_cast<char>('a' + (i * i + i / 7) % 26);
  return {{"1 MB of a", repeated("a", 1'000'000)},
          {"1 MB of spaces", repeated(" ", 1'000'000)},
          {"100 kB word", word},
          {"1 MB of newlines", repeated("\n", 1'000'000)},
          {"1 MB of accents", repeated("\xCC\x81", 1'000'000)},
          {"1 MB of emoji, joined", repeated("\xF0\x9F\x91\xA9\xE2\x80\x8D", 1'000'000)},
          {"1 MB of broken bytes", repeated("\xC3", 1'000'000)}};
}

int worst(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    const transom::Tokenizer tokenizer = transom::Tokenizer::load(argv[i]);
    transom::Json row{{"tokenizer", argv[i]}};
    for (const auto& [name, text] : worst_texts()) {
      const double t = now();
      tokenizer.encode(text, false);
      row[name] = std::round(1000 * (now() - t)) / 1000;
    }
    std::printf("%s\n", row.dump().c_str());
    std::fflush(stdout);
  }
  return 0;
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
  if (argc < 3) return std::fprintf(stderr, "usage: tokenizer_bench TOKENIZER TEXT_FILE [ROUNDS] | --worst TOKENIZER...\n"), 2;
  try {
    return std::string_view(argv[1]) == "--worst" ? worst(argc, argv) : run(argc, argv);
  } catch (const transom::Error& e) {
    return std::fprintf(stderr, "%s\n", e.what()), 1;
  }
}
