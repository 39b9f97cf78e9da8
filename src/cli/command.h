// What every command of the `transom` program shares: common flags, exit codes, where results go.
// A command is one file with one add_…_command(): it adds a subcommand to the app, its flags, and what it does.
// Commands use include/transom only. The surface is frozen: add words freely, change one only with a reason.
#pragma once

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "transom/hub.h"

namespace transom::cli {

using Json = nlohmann::ordered_json;

enum Exit : int { kDone = 0, kFailed = 1, kUsage = 2, kInterrupted = 130 };

// Wrong usage that the parser cannot see (two flags that exclude each other by value): exit 2, message on stderr.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Flags of every command, and of every command that runs a model. One object serves all commands, as one command runs.
struct CommonOptions {
  std::string log_level = "warning";
  int threads = 0;  // 0: the cores that this process may use
  std::string device = "auto", dtype = "auto", kv_cache_dtype = "auto", kernels = "auto";
  bool json = false;

  std::string model;
  std::string token, hf_token;  // of the hub; the first one counts
  std::string model_impl = "auto";
  bool trust_remote_code = false;
  std::string attention_backend, prefill_attention_backend, decode_attention_backend;
  std::string attn_implementation = "auto";
  bool deterministic = false;
  std::string adapter;  // a PEFT directory
  bool stream_weights = false, allow_unread_config = false, allow_unused = false;

  int exit_code = kDone;
};

// A subcommand with the common flags. `action` returns the exit code; what it throws is reported by main().
CLI::App& add_command(CLI::App& app, CommonOptions& common, const std::string& name, const std::string& description,
                      std::function<int()> action);
// A flag whose value is one of `words`, which help shows.
CLI::Option* add_choice(CLI::App& command, const std::string& flag, std::string& target,
                        const std::vector<std::string>& words, const std::string& description);
void add_json_flag(CLI::App& command, CommonOptions& common);

// The MODEL argument (also --model-path); an absent one is `preset`, or wrong usage if that is empty.
void add_model_argument(CLI::App& command, CommonOptions& common, const std::string& preset = "");
// Flags of commands that run a model.
void add_model_flags(CLI::App& command, CommonOptions& common);

// --token and --hf-token.
void add_token_flags(CLI::App& command, CommonOptions& common);

// MODEL to a path that the library opens: a directory, a file, the word smollm2, or a hub id, which is downloaded if the cache lacks
// it (the one thing that uses the network). `files` says what of a repository is needed.
std::string resolve_model(const CommonOptions& common, const std::string& model, HubFiles files = HubFiles::kModel);
// As it names a model that the project fetches; throws Error{kNotFound} saying where it looked.
std::string default_model_path();
// A file of the hub with a bar on stderr, and Ctrl-C as a request.
std::string fetch_model(const CommonOptions& common, const std::string& id, HubFiles files, bool update);

// One JSON object on one line of stdout. Bytes that are no UTF-8 become U+FFFD.
void print_json(const Json& value);
// Text to stdout as it is, flushed. An unwritable stdout is Error{kIo}.
void print(std::string_view text);

void add_bench_command(CLI::App& app, CommonOptions& common);
void add_cache_command(CLI::App& app, CommonOptions& common);
void add_chat_command(CLI::App& app, CommonOptions& common);
void add_doctor_command(CLI::App& app, CommonOptions& common);
void add_embed_command(CLI::App& app, CommonOptions& common);
void add_generate_command(CLI::App& app, CommonOptions& common);
void add_inspect_command(CLI::App& app, CommonOptions& common);
void add_logits_command(CLI::App& app, CommonOptions& common);
void add_tokenize_command(CLI::App& app, CommonOptions& common);
void add_template_command(CLI::App& app, CommonOptions& common);
void add_transcribe_command(CLI::App& app, CommonOptions& common);
void add_translate_command(CLI::App& app, CommonOptions& common);
void add_verify_command(CLI::App& app, CommonOptions& common);
// Commands of the surface whose machinery is not built yet: each ends with exit 1 and says so.
void add_later_commands(CLI::App& app, CommonOptions& common);

}  // namespace transom::cli
