// TensorSource: see source.h.
#include "checkpoint/source.h"

#include <limits>

#include "base/error.h"

namespace transom {

TensorSource::TensorSource(std::string path, CheckpointContents contents)
    : path_(std::move(path)), contents_(std::move(contents)) {
  index_.reserve(contents_.entries.size());
  for (size_t i = 0; i < contents_.entries.size(); ++i) {
    const TensorEntry& e = contents_.entries[i];
    const auto [it, fresh] = index_.emplace(e.name, i);
    if (fresh) continue;
    const TensorEntry& first = contents_.entries[it->second];
    fail(Code::kCorrupt, path_, "expected each tensor once, got {} in {} and in {}", quote(e.name),
         first.file ? first.file->path() : path_, e.file ? e.file->path() : path_);
  }
}

const TensorEntry* TensorSource::find(std::string_view name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &contents_.entries[it->second];
}

const TensorEntry& TensorSource::at(std::string_view name) const {
  const TensorEntry* e = find(name);
  if (!e) fail(Code::kNotFound, path_, "expected the tensor {}, got none of that name", quote(name));
  return *e;
}

std::span<const std::byte> TensorSource::data(const TensorEntry& entry) {
  if (entry.owned) return *entry.owned;
  CHECK(entry.file != nullptr);
  return entry.file->bytes().subspan(entry.offset, entry.bytes);
}

std::shared_ptr<const MappedFile> map_weights(const std::string& path) {
  constexpr std::string_view kPointer = "version https://git-lfs.github.com/";
  std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  const std::string_view text(reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size());
  if (text.starts_with(kPointer)) fail(Code::kNotFound, path, "expected weights, got a Git LFS pointer: run git lfs pull, or download the file");
  return file;
}

std::optional<uint64_t> dense_bytes(DType dtype, std::span<const int64_t> shape) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  int64_t elements = 1;
  for (const int64_t d : shape) {
    if (d < 0) return std::nullopt;
    if (d != 0 && elements > kMax / d) return std::nullopt;
    elements *= d;
  }
  const DTypeInfo& i = info(dtype);
  if (elements % i.block != 0 || elements / i.block > kMax / i.bytes) return std::nullopt;
  return static_cast<uint64_t>(elements / i.block * i.bytes);
}

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

}  // namespace transom
