// Saving: see saver.h.
#include "checkpoint/saver.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "tensor/quant.h"

namespace transom {
namespace {

using BindingsOf = std::unordered_map<const TensorEntry*, std::vector<const Binding*>>;

// One value in the tensor's type. Bytes of the same type are copied: what they mean is not looked at.
void encode_row(const WeightView& w, int64_t row, DType type, int64_t n, std::byte* to) {
  if (w.dtype == type) {
    std::memcpy(to, static_cast<const std::byte*>(w.data) + row * w.row_bytes, row_bytes(type, n));
    return;
  }
  std::vector<float> values(n);
  decode_row(w, row, 0, values.data(), n);
  quantize_row(type, values.data(), to, n);
}

void put_vector(const Binding& b, const WeightView& w, std::byte* matrix) {
  const Param& p = *b.param;
  const DType type = b.entry->dtype;
  std::vector<float> values(p.cols);
  for (int64_t r = 0; r < p.rows; ++r) {
    decode_row(w, r, 0, values.data(), p.cols);
    for (int64_t c = 0; c < p.cols; ++c) {
      const auto value = static_cast<float>((b.negative_exp ? -std::exp(double{values[c]}) : values[c]) - b.offset);
      quantize_row(type, &value, matrix + b.row(r * p.cols + c) * info(type).bytes, 1);
    }
  }
}

void put_matrix(const Binding& b, const WeightView& w, std::byte* matrix) {
  const Param& p = *b.param;
  const DType type = b.entry->dtype;
  const int64_t bytes = row_bytes(type, p.cols), element = info(type).bytes;
  std::vector<std::byte> row(bytes);
  for (int64_t r = 0; r < p.rows; ++r) {
    encode_row(w, r, type, p.cols, row.data());
    if (!b.transposed) std::memcpy(matrix + b.row(r) * bytes, row.data(), bytes);
    for (int64_t c = 0; b.transposed && c < p.cols; ++c)
      std::memcpy(matrix + (c * b.stored_rows + b.row(r)) * element, row.data() + c * element, element);
  }
}

// Rows of length 1 do not tell what they were made of: as stored, as long as they are what loading made of it.
bool as_loaded(const Binding& b, const WeightView& w) {
  if (w.dtype != b.entry->dtype) return false;
  std::vector<std::byte> loaded(value_bytes(b));
  copy_value(b, TensorSource::data(*b.entry).data() + stored_bytes(b).offset, loaded.data());
  return std::memcmp(loaded.data(), w.data, loaded.size()) == 0;
}

std::vector<std::byte> tensor_bytes(const TensorEntry& e, const std::vector<const Binding*>& bindings, const WeightOf& weight_of) {
  const std::span<const std::byte> stored = TensorSource::data(e);
  std::vector<std::byte> bytes(stored.size());
  int64_t elements = 0;
  for (const Binding* b : bindings) {
    const Weight w = weight_of(*b);
    CHECK(w && w.view.rows == b->param->rows && w.view.cols == b->param->cols);
    elements += w.view.rows * w.view.cols;
    if (b->param->unit_rows && as_loaded(*b, w.view)) std::copy(stored.begin(), stored.end(), bytes.begin());
    else if (b->param->kind == ParamKind::kVector) put_vector(*b, w.view, bytes.data() + b->slab);
    else put_matrix(*b, w.view, bytes.data() + b->slab);
  }
  CHECK(row_bytes(e.dtype, elements) == static_cast<int64_t>(bytes.size()));  // every element is some parameter's
  return bytes;
}

void check_quantized(const Binding& b, const WeightOf& weight_of, const std::string& path) {
  if (weight_of(b).view.dtype != b.quantized->blocks)
    fail(Code::kUnsupported, path, "expected the values of {} as they are stored ({}), got others", b.param->name, b.quantized->format);
}

void write_index(const std::string& path, const std::vector<std::vector<TensorToWrite>>& shards, const std::vector<std::string>& names) {
  uint64_t total = 0;
  std::map<std::string, std::string> files;
  for (size_t i = 0; i < shards.size(); ++i)
    for (const TensorToWrite& t : shards[i]) {
      total += *dense_bytes(t.dtype, t.shape);
      files[t.name] = names[i];
    }
  std::ofstream f(path);
  f << Json{{"metadata", {{"total_size", total}}}, {"weight_map", files}}.dump(2) << "\n";
  if (!f.flush()) fail(Code::kIo, path, "cannot write: {}", std::strerror(errno));
}

}  // namespace

void save_tensors(const TensorSource& source, const Bindings& bindings, const WeightOf& weight_of, const std::string& directory,
                  uint64_t max_shard_bytes) {
  if (source.gguf()) fail(Code::kUnsupported, source.path(), "expected a checkpoint of safetensors to save, got GGUF");
  BindingsOf bindings_of;
  for (const std::vector<Binding>* list : {&bindings.rows, &bindings.shared})
    for (const Binding& b : *list) {
      if (!b.joined.empty()) fail(Code::kUnsupported, source.path(), "expected {} in one tensor, got several that are joined", b.param->name);
      b.quantized ? check_quantized(b, weight_of, source.path()) : bindings_of[b.entry].push_back(&b);
    }
  std::vector<std::vector<TensorToWrite>> shards(1);
  uint64_t size = 0;
  for (const TensorEntry& e : source.entries()) {
    if (!shards.back().empty() && size + e.bytes > max_shard_bytes) shards.emplace_back(), size = 0;
    size += e.bytes;
    TensorToWrite t{.name = e.name, .dtype = e.dtype, .shape = e.shape, .data = {}};
    if (const auto it = bindings_of.find(&e); it == bindings_of.end()) t.data = TensorSource::data(e);
    else t.make = [&e, &list = it->second, &weight_of] { return tensor_bytes(e, list, weight_of); };
    shards.back().push_back(std::move(t));
  }
  std::vector<std::string> names = {"model.safetensors"};
  if (shards.size() > 1) {
    names.clear();
    for (size_t i = 0; i < shards.size(); ++i) names.push_back(fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size()));
    write_index(directory + "/model.safetensors.index.json", shards, names);
  }
  std::map<std::string, std::string> metadata = source.metadata();
  metadata.emplace("format", "pt");  // which Python's readers ask for
  for (size_t i = 0; i < shards.size(); ++i) write_safetensors(directory + "/" + names[i], std::move(shards[i]), metadata);
}

}  // namespace transom
