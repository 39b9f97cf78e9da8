// Commands of the frozen surface whose machinery is not built yet. Each parses anything, does nothing and exits with 1
// and a line that says so, so that a script learns it from the exit code and a person from the words.
#include "cli/command.h"
#include "transom/error.h"

namespace transom::cli {

void add_later_commands(CLI::App& app, CommonOptions& common) {
  struct Later {
    const char *name, *description;
  };
  constexpr Later kLater[] = {
      {"score", "Logits of a sequence-classification head"},
      {"serve", "Serve models over HTTP"},
      {"quantize", "Make a smaller checkpoint"},
      {"convert", "Change a checkpoint's format"},
      {"train", "Fine-tune a model"},
      {"eval", "Evaluate a model"},
  };
  for (const Later& later : kLater) {
    const std::string name = later.name;
    add_command(app, common, name, std::string(later.description) + " (not there yet)", [name]() -> int {
      throw Error(Code::kUnsupported, "this command is not there yet", name);
    }).allow_extras();
  }
}

}  // namespace transom::cli
