// open_checkpoint: finds the files of a checkpoint and hands them to the reader of their format (see source.h).
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/gguf.h"
#include "checkpoint/pytorch_bin.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shards.h"
#include "checkpoint/source.h"

namespace transom {
namespace {

constexpr size_t kMaxIndexBytes = size_t{64} << 20;  // the largest public ones have about 10 MB

void append_file(CheckpointContents& out, const std::string& path) {
  SafetensorsHeader part;
  if (out.format == CheckpointFormat::kPytorch) part.entries = read_pytorch(path);
  else part = read_safetensors(path);
  out.entries.insert(out.entries.end(), std::make_move_iterator(part.entries.begin()), std::make_move_iterator(part.entries.end()));
  out.metadata.merge(part.metadata);
}

CheckpointContents read_files(CheckpointFormat format, const std::vector<std::string>& paths) {
  if (format == CheckpointFormat::kGguf) return read_gguf(paths.front());
  CheckpointContents out{.format = format};
  for (const std::string& path : paths) append_file(out, path);
  return out;
}

// The file that an index means: beside the index, perhaps with another zero padding.
std::string resolve_shard(const std::string& index, const std::string& shard) {
  if (!is_safe_relative_path(shard))
    fail(Code::kCorrupt, index, "expected a file name below the index's directory, got {}", quote(shard));
  const std::string path = (std::filesystem::path(index).parent_path() / shard).string();
  if (file_exists(path)) return path;
  const std::optional<ShardName> name = parse_shard_name(path);
  std::string other = name ? find_shard(*name, name->number) : std::string();
  if (other.empty()) fail(Code::kNotFound, index, "expected the shard {}, got no such file", quote(shard));
  return other;
}

// Reads {"weight_map": {tensor: file}}. Each tensor must be in the file that the map gives; where two files hold a
// tensor of one name the map decides, and tensors that it does not list are kept.
CheckpointContents read_index(const std::string& index) {
  const Json json = read_json_file(index, kMaxIndexBytes);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object() || map->empty())
    fail(Code::kCorrupt, index, "expected an object \"weight_map\" that names a file for each tensor, got none");
  std::map<std::string, std::string> files;         // shard as written -> path
  std::map<std::string, std::string> wanted;        // tensor -> path
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) fail(Code::kCorrupt, index, "expected a file name for each tensor, got {} (tensor {})", shard.type_name(), quote(tensor));
    const auto& written = shard.get_ref<const std::string&>();
    auto it = files.find(written);
    if (it == files.end()) it = files.emplace(written, resolve_shard(index, written)).first;
    wanted[tensor] = it->second;
  }
  const bool pytorch = std::filesystem::path(index).filename().string().find(".bin") != std::string::npos;
  CheckpointContents out{.format = pytorch ? CheckpointFormat::kPytorch : CheckpointFormat::kSafetensors};
  std::set<std::string> done, found;
  for (const auto& [written, path] : files) {
    if (!done.insert(path).second) continue;
    CheckpointContents part = read_files(out.format, {path});
    for (TensorEntry& e : part.entries) {
      const auto it = wanted.find(e.name);
      if (it != wanted.end() && it->second != path) continue;
      found.insert(e.name);
      out.entries.push_back(std::move(e));
    }
    out.metadata.merge(part.metadata);
  }
  for (const auto& [tensor, path] : wanted)
    if (!found.contains(tensor))
      fail(Code::kCorrupt, index, "expected the tensor {} in {}, got none there", quote(tensor), quote(path, 300));
  return out;
}

// The paths whose file name starts with `prefix` (or does not).
std::vector<std::string> starting(const std::vector<std::string>& paths, std::string_view prefix, bool starts = true) {
  std::vector<std::string> out;
  for (const std::string& p : paths)
    if (std::filesystem::path(p).filename().string().starts_with(prefix) == starts) out.push_back(p);
  return out;
}

// Shards without an index: the one complete set of parts if there is one (files beside it repeat the weights in another
// layout), else all files together.
std::vector<std::string> choose_shards(const std::string& directory, const std::vector<std::string>& paths) {
  const std::vector<std::vector<std::string>> groups = group_shards(paths);
  std::vector<std::string> chosen, all;
  int sets = 0;
  for (const auto& group : groups) {
    all.insert(all.end(), group.begin(), group.end());
    if (!parse_shard_name(group.front())) continue;
    chosen = group;
    ++sets;
  }
  if (sets > 1) fail(Code::kInvalidArgument, directory, "expected one set of shards or an index, got {} sets", sets);
  return sets == 1 ? chosen : all;
}

CheckpointContents read_directory(const std::string& directory) {
  const auto in = [&](std::string_view file) { return (std::filesystem::path(directory) / file).string(); };
  if (file_exists(in("model.safetensors"))) return read_files(CheckpointFormat::kSafetensors, {in("model.safetensors")});
  if (file_exists(in("model.safetensors.index.json"))) return read_index(in("model.safetensors.index.json"));
  // An adapter is no model of its own.
  const auto safetensors = starting(files_ending(directory, ".safetensors"), "adapter_", false);
  if (!safetensors.empty()) return read_files(CheckpointFormat::kSafetensors, choose_shards(directory, safetensors));
  if (file_exists(in("pytorch_model.bin"))) return read_files(CheckpointFormat::kPytorch, {in("pytorch_model.bin")});
  if (file_exists(in("pytorch_model.bin.index.json"))) return read_index(in("pytorch_model.bin.index.json"));
  const auto bins = starting(files_ending(directory, ".bin"), "pytorch_model-");
  if (!bins.empty()) return read_files(CheckpointFormat::kPytorch, choose_shards(directory, bins));
  const auto ggufs = group_shards(starting(files_ending(directory, ".gguf"), "mmproj", false));  // vision parts apart
  if (ggufs.size() > 1)
    fail(Code::kInvalidArgument, directory, "expected one .gguf file, got {}: name one of them, as {}", ggufs.size(), quote(ggufs[0][0], 300));
  if (ggufs.size() == 1) return read_gguf(ggufs[0][0]);
  fail(Code::kNotFound, directory, "expected model.safetensors, an index, *.safetensors, pytorch_model*.bin or a .gguf file, got none");
}

CheckpointContents read_single(const std::string& path) {
  if (path.ends_with(".index.json")) return read_index(path);
  const auto file = map_weights(path);
  const std::string_view start(reinterpret_cast<const char*>(file->bytes().data()), std::min<size_t>(file->bytes().size(), 4));
  if (start == "GGUF" || path.ends_with(".gguf")) return read_gguf(path);
  const bool pytorch = start.starts_with("PK") || start.starts_with("\x80") || path.ends_with(".bin") || path.ends_with(".pt") || path.ends_with(".pth");
  // A safetensors file may start with any byte, its name tells more than a chance match.
  return read_files(pytorch && !path.ends_with(".safetensors") ? CheckpointFormat::kPytorch : CheckpointFormat::kSafetensors, {path});
}

}  // namespace

std::unique_ptr<TensorSource> open_checkpoint(const std::string& path) {
  return std::make_unique<TensorSource>(path, dir_exists(path) ? read_directory(path) : read_single(path));
}

}  // namespace transom
