// The `transom` program: parses the command line, runs one command, turns errors into exit codes.
// Results go to stdout, everything else to stderr; exit codes are in command.h.
#include <cstdio>
#include <new>

#include "cli/command.h"
#include "cli/manual.h"
#include "transom/error.h"
#include "transom/machine.h"

namespace transom::cli {
namespace {

void add_commands(CLI::App& app, CommonOptions& common) {
  add_chat_command(app, common);
  add_generate_command(app, common);
  add_logits_command(app, common);
  add_embed_command(app, common);
  add_inspect_command(app, common);
  add_translate_command(app, common);
  add_transcribe_command(app, common);
  add_verify_command(app, common);
  add_bench_command(app, common);
  add_doctor_command(app, common);
  add_tokenize_command(app, common);
  add_template_command(app, common);
  add_cache_command(app, common);
  add_later_commands(app, common);
}

int report(const std::string& message, int exit_code) {
  std::fprintf(stderr, "transom: %s\n", message.c_str());
  return exit_code;
}

int parse_and_run(CLI::App& app, CommonOptions& common, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return common.exit_code;
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(e);  // --help, --version
    std::string message = e.what();
    if (message.rfind("--model-path is", 0) == 0) message.replace(0, 12, "MODEL");  // people leave out the argument
    report(message, kUsage);
    const auto chosen = app.get_subcommands();
    return report("see: transom " + (chosen.empty() ? "" : chosen.front()->get_name() + " ") + "--help", kUsage);
  } catch (const UsageError& e) {
    return report(e.what(), kUsage);
  } catch (const Error& e) {
    return report(e.what(), e.code() == Code::kCancelled ? kInterrupted : kFailed);
  } catch (const std::bad_alloc&) {
    return report("out of memory", kFailed);
  } catch (const std::exception& e) {
    return report(e.what(), kFailed);
  }
}

}  // namespace
}  // namespace transom::cli

int main(int argc, char** argv) {
  using namespace transom::cli;
  CommonOptions common;
  CLI::App app("Runs Hugging Face checkpoints as they lie on disk: config.json with safetensors, or GGUF.", "transom");
  app.set_version_flag("--version", "transom " + transom::build_info().version);
  app.require_subcommand(1);
  app.get_formatter()->column_width(34);
  app.footer("transom COMMAND --help tells a command's flags. Start with: transom chat\n");
  add_commands(app, common);
  add_manual_flags(app);
  return parse_and_run(app, common, argc, argv);
}
