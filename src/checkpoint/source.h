// A checkpoint as it lies on disk: a list of named tensors, each a range of bytes in a memory-mapped file. Nothing is
// converted and nothing is read until data() is touched. Every entry was checked when the source was opened: its range
// lies inside its file and its size is that of its shape and type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/gguf_metadata.h"
#include "tensor/dtype.h"

namespace transom {

struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;              // row-major, outermost first (GGUF's dims reversed); empty for a scalar
  std::shared_ptr<const MappedFile> file;  // null when `owned` holds the bytes
  uint64_t offset = 0;                     // in the file, at any alignment
  uint64_t bytes = 0;
  // A row-major copy, made only where the file holds a strided view (pytorch_model.bin).
  std::shared_ptr<const std::vector<std::byte>> owned;
};

enum class CheckpointFormat { kSafetensors, kGguf, kPytorch };

// What a reader of one or more files hands to TensorSource.
struct CheckpointContents {
  CheckpointFormat format = CheckpointFormat::kSafetensors;
  std::vector<TensorEntry> entries;
  std::map<std::string, std::string> metadata;  // safetensors' __metadata__
  std::shared_ptr<const GgufMetadata> gguf;     // of the first file; null for other formats
};

// Immutable and thread-safe. Entries with equal file and offset are tied tensors.
class TensorSource {
 public:
  // `path` is the file or directory that was asked for. Two entries of one name are Code::kCorrupt.
  TensorSource(std::string path, CheckpointContents contents);
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  const std::string& path() const { return path_; }
  CheckpointFormat format() const { return contents_.format; }
  const std::vector<TensorEntry>& entries() const { return contents_.entries; }
  const TensorEntry* find(std::string_view name) const;  // null when absent
  const TensorEntry& at(std::string_view name) const;    // Code::kNotFound when absent
  // The tensor's bytes, valid while the entry (or a copy of it) lives.
  static std::span<const std::byte> data(const TensorEntry& entry);

  const std::map<std::string, std::string>& metadata() const { return contents_.metadata; }
  const GgufMetadata* gguf() const { return contents_.gguf.get(); }

 private:
  std::string path_;
  CheckpointContents contents_;
  std::unordered_map<std::string_view, size_t> index_;  // views of the entries' names
};

// Opens a directory or a file. A directory: model.safetensors, model.safetensors.index.json, *.safetensors shards
// without an index, pytorch_model.bin, pytorch_model.bin.index.json, pytorch_model-*.bin shards, or one .gguf (perhaps
// split), the first that is there. A file: safetensors, GGUF (any part of a split one), a PyTorch zip file or an index,
// told apart by content. Errors: Code::kNotFound names the file or shard that is missing, Code::kCorrupt what is wrong.
std::unique_ptr<TensorSource> open_checkpoint(const std::string& path);

// Maps a file of weights. A Git LFS pointer in its place (a clone without `git lfs pull`) is an error that says so.
std::shared_ptr<const MappedFile> map_weights(const std::string& path);

// Bytes of a dense tensor; nothing when a dimension is negative, the size overflows int64, or the elements are no whole
// number of blocks.
std::optional<uint64_t> dense_bytes(DType dtype, std::span<const int64_t> shape);

// "[2, 3]", for messages.
std::string shape_text(std::span<const int64_t> shape);

}  // namespace transom
