// Completes a text with the C++ API: example_complete MODEL TEXT [TOKENS]
#include <cstdio>
#include <cstdlib>

#include "transom/engine.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL TEXT [TOKENS]\n", argv[0]);
    return 2;
  }
  try {
    const transom::Model model = transom::Model::load(argv[1]);
    const transom::Tokenizer tokenizer = transom::Tokenizer::load(argv[1]);
    transom::Engine engine(model, {}, tokenizer);

    transom::Request request{.prompt = tokenizer.encode(argv[2]), .sampling = model.default_sampling(), .adapter = ""};
    request.sampling.max_tokens = argc > 3 ? std::atoi(argv[3]) : 32;
    engine.submit(std::move(request));

    const auto print = [](const transom::Output& out) {
      std::fputs(out.text.c_str(), stdout);
      std::fflush(stdout);
    };
    while (engine.step(print)) {
    }
    std::puts("");
  } catch (const transom::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
