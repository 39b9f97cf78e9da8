// Common flags and output: see command.h.
#include "cli/command.h"

#include <cstdio>
#include <utility>

#include "transom/error.h"
#include "transom/log.h"

namespace transom::cli {
namespace {

constexpr const char* kLevels[] = {"trace", "debug", "info", "warning", "error", "off"};

void attach_log(const std::string& level) {
  LogLevel chosen = LogLevel::kWarning;
  for (int i = 0; i < 6; ++i)
    if (level == kLevels[i]) chosen = static_cast<LogLevel>(i);
  set_log_sink(
      [](LogLevel at, std::string_view message) {
        std::fprintf(stderr, "%s: %.*s\n", kLevels[static_cast<int>(at)], static_cast<int>(message.size()),
                     message.data());
      },
      chosen);
}

// Empty when `text` is auto, cpu, cuda or cuda:N, else what is wrong with it.
std::string device_problem(const std::string& text) {
  const bool numbered = text.rfind("cuda:", 0) == 0 && text.size() > 5 && text.size() < 9 &&
                        text.find_first_not_of("0123456789", 5) == std::string::npos;
  if (text == "auto" || text == "cpu" || text == "cuda" || numbered) return "";
  return "expected auto, cpu, cuda or cuda:N, got " + text;
}

}  // namespace

// A flag whose value is one of a few words; help shows them as a|b|c.
CLI::Option* add_choice(CLI::App& command, const std::string& flag, std::string& target,
                        const std::vector<std::string>& words, const std::string& description) {
  std::string shown;
  for (const std::string& word : words) shown += (shown.empty() ? "" : "|") + word;
  return command.add_option(flag, target, description)
      ->check(CLI::IsMember(words).description(""))
      ->type_name(shown)
      ->capture_default_str();
}

CLI::App& add_command(CLI::App& app, CommonOptions& common, const std::string& name, const std::string& description,
                      std::function<int()> action) {
  constexpr const char* kGroup = "Common flags";
  CLI::App& command = *app.add_subcommand(name, description)->footer("");
  command.add_option("--threads", common.threads, "Threads to compute with (default: the cores it may use)")
      ->check(CLI::Range(1, 4096).description(""))
      ->type_name("N")
      ->group(kGroup);
  command.add_option("--device", common.device, "Where to compute")
      ->check(CLI::Validator(device_problem, ""))
      ->type_name("auto|cpu|cuda[:N]")
      ->capture_default_str()
      ->group(kGroup);
  add_choice(command, "--dtype", common.dtype, {"auto", "float32", "bfloat16", "float16"}, "Type of activations")
      ->group(kGroup);
  add_choice(command, "--kv-cache-dtype", common.kv_cache_dtype, {"auto", "float32", "bfloat16", "float16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"},
             "Type of kept keys and values (auto: bfloat16, unless the weights are mostly float32)")
      ->group(kGroup);
  command.add_option("--kernels", common.kernels, "Kernels to compute with: auto, ref, avx2, avx512, amx …")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(kGroup);
  add_choice(command, "--log-level", common.log_level, {std::begin(kLevels), std::end(kLevels)},
             "What to report on stderr")
      ->group(kGroup);
  command.callback([&common, action = std::move(action)] {
    attach_log(common.log_level);
    common.exit_code = action();
  });
  return command;
}

void add_json_flag(CLI::App& command, CommonOptions& common) {
  command.add_flag("--json", common.json, "Print JSON, and nothing else, on stdout");
}

void add_model_argument(CLI::App& command, CommonOptions& common, const std::string& preset) {
  if (!preset.empty()) common.model = preset;
  command
      .add_option("MODEL,--model-path", common.model,
                  "A directory with config.json, a .gguf file, a hub id (org/name[@revision] or org/name:Q4_K_M; downloaded "
                  "into the Hugging Face cache if it is not there; a path never uses the network), or the word smollm2" +
                      (preset.empty() ? "" : " (default: " + preset + ")"))
      ->type_name("")
      ->required(preset.empty());
  add_token_flags(command, common);
}

void add_token_flags(CLI::App& command, CommonOptions& common) {
  constexpr const char* kGroup = "Model flags";
  command.add_option("--token", common.token, "Token for the hub (default: HF_TOKEN, then the file of a login)")->type_name("TOKEN")->group(kGroup);
  command.add_option("--hf-token", common.hf_token, "The same, if --token is not given")->type_name("TOKEN")->group(kGroup);
}

void add_model_flags(CLI::App& command, CommonOptions& common) {
  constexpr const char* kGroup = "Model flags";
  const auto backend = [&](const char* flag, std::string& target, const char* description) {
    command.add_option(flag, target, description)->type_name("NAME")->group(kGroup);
  };
  add_choice(command, "--model-impl", common.model_impl, {"auto", "native", "transformers", "sglang", "vllm"},
             "Which implementation runs the model (sglang and vllm mean native)")
      ->group(kGroup);
  command.add_flag("--trust-remote-code", common.trust_remote_code, "Allow the checkpoint's own Python code to run")
      ->group(kGroup);
  backend("--attention-backend", common.attention_backend, "Attention of both phases");
  backend("--prefill-attention-backend", common.prefill_attention_backend, "Attention of prompts");
  backend("--decode-attention-backend", common.decode_attention_backend, "Attention of generated tokens");
  add_choice(command, "--attn-implementation", common.attn_implementation,
             {"auto", "flash_attention_2", "sdpa", "eager"}, "Attention in the words of transformers")
      ->group(kGroup);
  command.add_flag("--deterministic", common.deterministic, "The same bits whatever else is in the batch")
      ->group(kGroup);
  command.add_option("--adapter", common.adapter, "A LoRA adapter: a PEFT directory, or a hub id")->type_name("DIR")->group(kGroup);
  command.add_flag("--stream-weights", common.stream_weights, "Read each layer from disk when it is needed: models larger than memory")
      ->group(kGroup);
  command.add_flag("--allow-unread-config", common.allow_unread_config, "Run although config keys with a meaning are not used")
      ->group(kGroup);
  command.add_flag("--allow-unused", common.allow_unused, "Run although the checkpoint has tensors that the model does not read")
      ->group(kGroup);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Error(Code::kIo, "could not write the result", "stdout");
}

void print_json(const Json& value) {
  print(value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
}

}  // namespace transom::cli
