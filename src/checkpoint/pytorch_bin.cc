// parse_pytorch: see pytorch_bin.h.
#include "checkpoint/pytorch_bin.h"
#include "base/error.h"
namespace transom {
std::vector<TensorEntry> parse_pytorch(std::span<const std::byte>, std::string_view context) {
  fail(Code::kUnsupported, context, "expected safetensors or GGUF, got a PyTorch file: not read yet");
}
std::vector<TensorEntry> read_pytorch(const std::string& path) {
  const auto file = MappedFile::open(path);
  std::vector<TensorEntry> out = parse_pytorch(file->bytes(), path);
  for (TensorEntry& e : out)
    if (!e.owned) e.file = file;
  return out;
}
}  // namespace transom
