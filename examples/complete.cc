// The C++ API in one page: load a model, complete a text, print the pieces as they come.
//   complete MODEL TEXT
#include <cstdio>
#include <exception>
#include <string>

#include "transom/engine.h"
#include "transom/model.h"
#include "transom/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: complete MODEL TEXT\n");
    return 2;
  }
  try {
    const transom::Model model = transom::Model::load(argv[1]);
    const transom::Tokenizer tokenizer = transom::Tokenizer::load(argv[1]);
    transom::Engine engine(model, {}, tokenizer);

    transom::SamplingParams sampling = model.default_sampling();
    sampling.temperature = 0;
    sampling.max_tokens = 24;
    engine.submit({.prompt = tokenizer.encode(argv[2]), .sampling = sampling});
    while (engine.step([](const transom::Output& output) { std::fputs(output.text.c_str(), stdout); })) std::fflush(stdout);
    std::fputs("\n", stdout);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "complete: %s\n", error.what());
    return 1;
  }
}
