// GGUF tensors and split files: see gguf.h.
#include "checkpoint/gguf.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "checkpoint/shards.h"

namespace transom {
namespace {

struct TypeNumber {
  uint32_t number;
  DType dtype;
};
constexpr std::array kTypes = {
    TypeNumber{0, DType::kF32},      TypeNumber{1, DType::kF16},      TypeNumber{2, DType::kQ4_0},
    TypeNumber{3, DType::kQ4_1},     TypeNumber{6, DType::kQ5_0},     TypeNumber{7, DType::kQ5_1},
    TypeNumber{8, DType::kQ8_0},     TypeNumber{9, DType::kQ8_1},     TypeNumber{10, DType::kQ2_K},
    TypeNumber{11, DType::kQ3_K},    TypeNumber{12, DType::kQ4_K},    TypeNumber{13, DType::kQ5_K},
    TypeNumber{14, DType::kQ6_K},    TypeNumber{15, DType::kQ8_K},    TypeNumber{16, DType::kIQ2_XXS},
    TypeNumber{17, DType::kIQ2_XS},  TypeNumber{18, DType::kIQ3_XXS}, TypeNumber{19, DType::kIQ1_S},
    TypeNumber{20, DType::kIQ4_NL},  TypeNumber{21, DType::kIQ3_S},   TypeNumber{22, DType::kIQ2_S},
    TypeNumber{23, DType::kIQ4_XS},  TypeNumber{24, DType::kI8},      TypeNumber{25, DType::kI16},
    TypeNumber{26, DType::kI32},     TypeNumber{27, DType::kI64},     TypeNumber{28, DType::kF64},
    TypeNumber{29, DType::kIQ1_M},   TypeNumber{30, DType::kBF16},    TypeNumber{34, DType::kTQ1_0},
    TypeNumber{35, DType::kTQ2_0},   TypeNumber{39, DType::kMXFP4},
};

TensorEntry entry_of(const GgufTensorInfo& t, const GgufMetadata& metadata, uint64_t data_bytes) {
  const std::string& path = metadata.path();
  const std::optional<DType> dtype = gguf_dtype(t.type);
  if (!dtype)
    fail(Code::kUnsupported, path, "expected a tensor type that is read here, got ggml type {} (tensor {})", t.type, quote(t.name));
  TensorEntry e{.name = std::string(t.name), .dtype = *dtype, .file = metadata.file()};
  for (uint32_t d = t.n_dims; d-- > 0;) e.shape.push_back(static_cast<int64_t>(t.dims[d]));
  if (t.dims[0] % static_cast<uint64_t>(info(*dtype).block) != 0)
    fail(Code::kCorrupt, path, "expected rows of whole {}-element blocks for {}, got {} elements (tensor {})", info(*dtype).block,
         name(*dtype), t.dims[0], quote(t.name));
  const std::optional<uint64_t> bytes = dense_bytes(*dtype, e.shape);
  if (!bytes) fail(Code::kCorrupt, path, "expected a size below 2^63, got {} {} (tensor {})", name(*dtype), shape_text(e.shape), quote(t.name));
  if (t.offset > data_bytes || *bytes > data_bytes - t.offset)
    fail(Code::kCorrupt, path, "expected {} bytes at data offset {}, got {} bytes of data: the file is truncated (tensor {})", *bytes,
         t.offset, data_bytes, quote(t.name));
  e.bytes = *bytes;
  e.offset = metadata.data_offset() + t.offset;
  return e;
}

void check_overlap(const std::vector<TensorEntry>& entries, const std::string& path) {
  std::vector<const TensorEntry*> order;
  order.reserve(entries.size());
  for (const TensorEntry& e : entries)
    if (e.bytes != 0) order.push_back(&e);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) { return a->offset < b->offset; });
  for (size_t i = 1; i < order.size(); ++i)
    if (order[i - 1]->offset + order[i - 1]->bytes > order[i]->offset)
      fail(Code::kCorrupt, path, "expected tensors apart, got {} and {} overlapping at byte {}", quote(order[i - 1]->name),
           quote(order[i]->name), order[i]->offset);
}

constexpr uint64_t kMaxParts = 65535;  // the key is a u16

// Opens part `number` (from 1) and checks that its keys agree with its name.
GgufMetadata open_part(const std::string& path, uint64_t number, uint64_t count) {
  GgufMetadata part = GgufMetadata::open(path);
  const uint64_t no = part.u64("split.no"), of = part.u64("split.count");
  if (no != number - 1 || of != count)
    fail(Code::kCorrupt, path, "expected split.no {} of split.count {}, got {} of {}", number - 1, count, no, of);
  return part;
}

}  // namespace

std::optional<DType> gguf_dtype(uint32_t ggml_type) {
  for (const TypeNumber& t : kTypes)
    if (t.number == ggml_type) return t.dtype;
  return std::nullopt;
}

std::optional<uint32_t> gguf_type_number(DType dtype) {
  for (const TypeNumber& t : kTypes)
    if (t.dtype == dtype) return t.number;
  return std::nullopt;
}

std::vector<TensorEntry> gguf_entries(const GgufMetadata& metadata, uint64_t file_bytes) {
  const uint64_t data_bytes = file_bytes > metadata.data_offset() ? file_bytes - metadata.data_offset() : 0;
  std::vector<TensorEntry> entries;
  entries.reserve(metadata.tensors().size());
  for (const GgufTensorInfo& t : metadata.tensors()) entries.push_back(entry_of(t, metadata, data_bytes));
  check_overlap(entries, metadata.path());
  return entries;
}

CheckpointContents read_gguf(const std::string& path) {
  CheckpointContents out{.format = CheckpointFormat::kGguf};
  auto first = std::make_shared<GgufMetadata>(GgufMetadata::open(path));
  const uint64_t count = first->find_u64("split.count").value_or(1);
  if (count <= 1) {
    out.entries = gguf_entries(*first, first->file()->bytes().size());
    out.gguf = std::move(first);
    return out;
  }
  const std::optional<ShardName> shard = parse_shard_name(path);
  if (!shard || shard->count != count || count > kMaxParts)
    fail(Code::kCorrupt, path, "expected a part's name like model-00001-of-{:05}.gguf, as split.count is {}, got another", count, count);
  for (uint64_t i = 1; i <= count; ++i) {
    const std::string part_path = find_shard(*shard, i);
    if (part_path.empty())
      fail(Code::kNotFound, path, "expected all {} parts, got none named {}", count, quote(shard->with_number(i)));
    auto part = std::make_shared<GgufMetadata>(open_part(part_path, i, count));
    std::vector<TensorEntry> entries = gguf_entries(*part, part->file()->bytes().size());
    std::move(entries.begin(), entries.end(), std::back_inserter(out.entries));
    if (i == 1) out.gguf = std::move(part);
  }
  const uint64_t total = out.gguf->find_u64("split.tensors.count").value_or(out.entries.size());
  if (total != out.entries.size())
    fail(Code::kCorrupt, path, "expected {} tensors in all parts, as split.tensors.count says, got {}", total, out.entries.size());
  return out;
}

}  // namespace transom
