// save_checkpoint: see include/transom/save.h. The tensors are the checkpoint layer's (checkpoint/saver.h); here are the files beside them.
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "checkpoint/saver.h"
#include "engine/loaded_model.h"
#include "transom/save.h"

namespace transom {
namespace {

namespace fs = std::filesystem;

// Configs, tokenizers, templates, and code: all that goes with a checkpoint, but weights and their indices.
bool goes_along(const fs::path& file) {
  const std::string name = file.filename().string();
  if (name.starts_with(".") || name.ends_with(".safetensors.index.json") || name.ends_with(".bin.index.json")) return false;
  const std::string end = file.extension().string();
  for (const char* known : {".json", ".txt", ".model", ".spm", ".tiktoken", ".jinja", ".vocab", ".py", ".md"})
    if (end == known) return true;
  return false;
}

// Those of a directory and of the directories in it ("1_Pooling", "additional_chat_templates"). Links are followed: what is saved
// stands by itself.
void copy_settings(const fs::path& from, const fs::path& to, bool below) {
  for (const fs::directory_entry& e : fs::directory_iterator(from)) {
    const fs::path name = e.path().filename();
    if (e.is_directory() && below && !name.string().starts_with(".")) {
      copy_settings(e.path(), to / name, false);
    } else if (e.is_regular_file() && goes_along(name)) {
      fs::create_directories(to);
      fs::copy_file(e.path(), to / name);
    }
  }
}

}  // namespace

void save_checkpoint(const Model& model, const std::string& directory, uint64_t max_shard_bytes) {
  const Model::Impl& m = model.impl();
  if (m.source->gguf()) fail(Code::kUnsupported, m.path, "expected a checkpoint of safetensors to save, got GGUF");
  fs::path target = fs::absolute(directory).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  std::error_code ec;
  if (fs::exists(target, ec) && !(fs::is_directory(target, ec) && fs::is_empty(target, ec)))
    fail(Code::kInvalidArgument, directory, "expected a new or an empty directory to save into, got one that holds files");
  const fs::path temporary = fmt::format("{}.{}.tmp", target.string(), ::getpid());
  // Weights on a device, and those that are read when they are needed, are as the checkpoint has them.
  const auto weight_of = [&m](const Binding& b) {
    return m.kernels->host_memory && !(m.residency && b.param->block >= 0) ? b.param->weight : load_weight(b);
  };
  try {
    fs::create_directories(target.parent_path());
    if (!fs::create_directory(temporary)) fail(Code::kIo, temporary.string(), "expected no such directory, got one of an earlier try");
    copy_settings(m.path, temporary, true);
    save_tensors(*m.source, m.bindings, weight_of, temporary.string(), max_shard_bytes);
    fs::rename(temporary, target);
  } catch (const fs::filesystem_error& e) {
    fs::remove_all(temporary, ec);
    fail(Code::kIo, directory, "cannot save: {}", e.code().message());
  } catch (...) {
    fs::remove_all(temporary, ec);
    throw;
  }
}

}  // namespace transom
