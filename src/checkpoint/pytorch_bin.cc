// PyTorch zip files: see pytorch_bin.h. The zip directory (zip.h) gives the storages' ranges, the pickle (pickle.h) the
// tensors as strided views of them; here each view is checked against its storage.
#include "checkpoint/pytorch_bin.h"

#include <cstring>
#include <limits>
#include <map>
#include <optional>

#include "base/error.h"
#include "checkpoint/pickle.h"
#include "checkpoint/zip.h"

namespace transom {
namespace {

constexpr uint64_t kMaxPickle = uint64_t{256} << 20;
using Records = std::map<std::string_view, ZipRecord>;

// torch.save puts everything below one folder, whose name is arbitrary: "<folder>/data.pkl".
std::string folder_of(const Records& records, std::string_view context) {
  std::optional<std::string> found;
  for (const auto& [name, record] : records) {
    if (!name.ends_with("/data.pkl") || name.find('/') != name.size() - 9) continue;
    if (found) fail(Code::kCorrupt, context, "expected one record data.pkl, got {} and {}", quote(*found), quote(name));
    found = name.substr(0, name.size() - 8);
  }
  if (!found) fail(Code::kCorrupt, context, "expected a record data.pkl, as torch.save writes it, got none among {} records", records.size());
  return *found;
}

void check_byte_order(const Records& records, const std::string& folder, std::span<const std::byte> bytes, std::string_view context) {
  const auto it = records.find(folder + "byteorder");
  if (it == records.end()) return;  // files from before torch 2.1 are little-endian
  const std::string_view order(reinterpret_cast<const char*>(bytes.data()) + it->second.offset, it->second.bytes);
  if (order != "little") fail(Code::kUnsupported, context, "expected little-endian tensors, got the byte order {}", quote(order));
}

// Sum of (size - 1) * stride + 1: the elements between the first and last that the view reaches. Nothing on overflow.
std::optional<uint64_t> extent(const PickledTensor& t) {
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  uint64_t last = 0;
  for (size_t i = 0; i < t.shape.size(); ++i) {
    const uint64_t steps = static_cast<uint64_t>(t.shape[i]) - 1, stride = static_cast<uint64_t>(t.strides[i]);
    if (steps == 0 || stride == 0) continue;
    if (stride > (kMax - last - 1) / steps) return std::nullopt;
    last += steps * stride;
  }
  return last + 1;
}

bool is_contiguous(const PickledTensor& t) {
  int64_t expected = 1;
  for (size_t i = t.shape.size(); i-- > 0;) {
    if (t.shape[i] != 1 && t.strides[i] != expected) return false;
    expected *= t.shape[i];
  }
  return true;
}

// A row-major copy of the view that starts at `from`; every address was checked.
std::vector<std::byte> gather(const PickledTensor& t, const std::byte* from, size_t bytes) {
  const size_t width = static_cast<size_t>(info(t.dtype).bytes), rank = t.shape.size();
  std::vector<std::byte> out(bytes);
  std::vector<int64_t> index(rank, 0);
  const int64_t inner = t.shape[rank - 1], stride = t.strides[rank - 1];
  for (size_t at = 0; at < bytes;) {
    int64_t start = 0;
    for (size_t d = 0; d + 1 < rank; ++d) start += index[d] * t.strides[d];
    for (int64_t i = 0; i < inner; ++i, at += width)
      std::memcpy(out.data() + at, from + static_cast<size_t>(start + i * stride) * width, width);
    for (size_t d = rank - 1; d-- > 0;) {
      if (++index[d] < t.shape[d]) break;
      index[d] = 0;
    }
  }
  return out;
}

class PytorchReader {
 public:
  PytorchReader(std::span<const std::byte> bytes, std::string_view context)
      : bytes_(bytes), context_(context), records_(read_stored_zip(bytes, context)), folder_(folder_of(records_, context)) {}

  std::vector<TensorEntry> read() {
    check_byte_order(records_, folder_, bytes_, context_);
    const ZipRecord pickle = records_.at(folder_ + "data.pkl");
    if (pickle.bytes > kMaxPickle) fail(Code::kCorrupt, context_, "expected a data.pkl of at most {} bytes, got {}", kMaxPickle, pickle.bytes);
    std::vector<TensorEntry> out;
    for (PickledTensor& t : unpickle_state_dict(bytes_.subspan(pickle.offset, pickle.bytes), context_)) out.push_back(entry(t));
    return out;
  }

 private:
  ZipRecord storage(const PickledTensor& t) const {
    const auto it = records_.find(folder_ + "data/" + t.storage);
    if (it == records_.end())
      fail(Code::kCorrupt, context_, "expected the record {}, got none (tensor {})", quote("data/" + t.storage), quote(t.name));
    if (it->second.bytes < t.storage_bytes)
      fail(Code::kCorrupt, context_, "expected {} bytes in the record {}, got {} (tensor {})", t.storage_bytes, quote("data/" + t.storage),
           it->second.bytes, quote(t.name));
    return it->second;
  }

  TensorEntry entry(PickledTensor& t) {
    const ZipRecord record = storage(t);
    const std::optional<uint64_t> bytes = dense_bytes(t.dtype, t.shape);
    if (!bytes) fail(Code::kCorrupt, context_, "expected a size below 2^63, got {} {} (tensor {})", name(t.dtype), shape_text(t.shape), quote(t.name));
    TensorEntry e{.name = t.name, .dtype = t.dtype, .shape = t.shape, .offset = record.offset, .bytes = *bytes};
    if (*bytes == 0) return e;
    const auto width = static_cast<uint64_t>(info(t.dtype).bytes);
    const uint64_t held = t.storage_bytes / width;
    const std::optional<uint64_t> reach = extent(t);
    if (!reach || t.offset > held || *reach > held - t.offset)
      fail(Code::kCorrupt, context_, "expected a view within the {} elements of its storage, got {} with strides {} from {} (tensor {})", held,
           shape_text(t.shape), shape_text(t.strides), t.offset, quote(t.name));
    e.offset += t.offset * width;
    if (!is_contiguous(t)) copy_view(t, held * width, e);
    return e;
  }

  // A view like a transposed matrix is copied to row-major order. One that repeats elements, or files where copies would
  // add up to more than the file, are refused, so that a small file cannot ask for much memory.
  void copy_view(const PickledTensor& t, uint64_t held_bytes, TensorEntry& e) {
    copied_ += e.bytes;
    if (e.bytes > held_bytes || copied_ > bytes_.size())
      fail(Code::kUnsupported, context_, "expected contiguous tensors or views no larger than the file, got {} with strides {} (tensor {})",
           shape_text(t.shape), shape_text(t.strides), quote(t.name));
    e.owned = std::make_shared<const std::vector<std::byte>>(gather(t, bytes_.data() + e.offset, e.bytes));
    e.offset = 0;
  }

  std::span<const std::byte> bytes_;
  std::string_view context_;
  Records records_;
  std::string folder_;
  uint64_t copied_ = 0;
};

}  // namespace

std::vector<TensorEntry> parse_pytorch(std::span<const std::byte> bytes, std::string_view context) {
  if (!bytes.empty() && bytes[0] == std::byte{0x80})
    fail(Code::kUnsupported, context, "expected the zip format of torch 1.6 or newer, got an older file: load it in PyTorch and torch.save it again");
  return PytorchReader(bytes, context).read();
}

std::vector<TensorEntry> read_pytorch(const std::string& path) {
  const auto file = map_weights(path);
  std::vector<TensorEntry> out = parse_pytorch(file->bytes(), path);
  for (TensorEntry& e : out)
    if (!e.owned) e.file = file;
  return out;
}

}  // namespace transom
