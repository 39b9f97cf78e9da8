// Binding and loading: see loader.h.
#include "checkpoint/loader.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "base/log.h"
#include "tensor/arena.h"
#include "tensor/quant.h"

namespace transom {
namespace {

// The names under which a checkpoint may hold a tensor: as the rules say, with or without the base model's prefix, and
// with the old spelling of LayerNorm's parameters.
const TensorEntry* find_entry(const TensorSource& source, const std::string& name, std::string_view prefix) {
  const auto spelled = [&](const std::string& n) -> const TensorEntry* {
    if (const TensorEntry* e = source.find(n)) return e;
    for (const auto& [now, once] : {std::pair{".weight", ".gamma"}, std::pair{".bias", ".beta"}})
      if (n.ends_with(now))
        if (const TensorEntry* e = source.find(n.substr(0, n.size() - std::strlen(now)) + once)) return e;
    return nullptr;
  };
  if (const TensorEntry* e = spelled(name)) return e;
  if (prefix.empty()) return nullptr;
  const std::string dotted = std::string(prefix) + ".";
  if (const TensorEntry* e = spelled(dotted + name)) return e;
  if (name.starts_with(dotted)) return spelled(name.substr(dotted.size()));
  // A part of a multimodal model: "language_model.model.…" above, and here as transformers 5 has it.
  return name.starts_with("model.") ? spelled("model." + dotted + name.substr(6)) : nullptr;
}

// Rows of a matrix, elements of a vector: what a fused tensor joins.
int64_t size_of(const Param& p) { return p.kind == ParamKind::kVector ? p.rows * p.cols : p.rows; }

std::vector<int64_t> without_ones(const std::vector<int64_t>& shape) {
  std::vector<int64_t> s;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(s), [](int64_t n) { return n != 1; });
  return s;
}

// `size`: rows or elements of all parameters in the tensor. Dimensions of 1 do not count.
void check_shape(const Param& p, const TensorEntry& e, int64_t size, const Place& place, const TensorSource& source) {
  std::vector<int64_t> want = {size};
  if (p.kind == ParamKind::kVector && p.rows > 1) want = {size / p.cols, p.cols};
  if (p.kind != ParamKind::kVector) want.insert(place.transposed ? want.begin() : want.end(), p.cols);
  if (place.slab >= 0) want.insert(want.begin(), std::max(e.shape.empty() ? 0 : e.shape[0], place.slab + 1));
  std::vector<int64_t> shape = e.shape;
  if (p.kind == ParamKind::kMatrix && place.slab < 0 && !place.transposed && shape.size() == 3) {  // a convolution's: [out, in, width]
    shape[1] *= shape[2];
    shape.pop_back();
  }
  const int64_t grouped = shape.size() == 2 && p.kind == ParamKind::kVector && p.rows == 1 ? shape[0] * shape[1] : 0;
  if (grouped > 0 && place.slab < 0) shape = {grouped};  // a norm's weight, group by group
  if (without_ones(shape) != without_ones(want))
    fail(Code::kCorrupt, source.path(), "expected shape {}, got {} ({})", shape_text(want), shape_text(e.shape), e.name);
  if (!can_dequantize(e.dtype))
    fail(Code::kUnsupported, source.path(), "expected a number type that can be read, got {} ({})", name(e.dtype), e.name);
  if (place.transposed && info(e.dtype).block != 1)
    fail(Code::kUnsupported, source.path(), "expected whole numbers of a transposed matrix, got {} ({})", name(e.dtype), e.name);
  if (p.unit_rows && info(e.dtype).block != 1)
    fail(Code::kUnsupported, source.path(), "expected whole numbers of a matrix whose rows are normalized, got {} ({})", name(e.dtype), e.name);
}

// The binding of a matrix that lies in several tensors; nullopt when there is none of them.
std::optional<Binding> bind_joined(Param& p, const Place& place, const TensorSource& source) {
  Binding b{.param = &p};
  const int64_t heads = p.rows / p.split.unit;
  int64_t rows = 0;
  for (const Joined::Part& part : place.joined) {
    const TensorEntry* e = source.find(part.tensor);
    if (!e) return std::nullopt;
    const bool right = e->shape.size() == 3 && e->shape[0] == heads && e->shape[part.transposed ? 1 : 2] == p.cols;
    if (!right || !can_dequantize(e->dtype))
      fail(Code::kCorrupt, source.path(), "expected numbers for {} heads and {} columns, got {} {} ({})", heads, p.cols, name(e->dtype),
           shape_text(e->shape), e->name);
    rows += e->shape[part.transposed ? 2 : 1];
    b.joined.emplace_back(e, part.transposed);
  }
  if (b.joined.empty()) return std::nullopt;
  if (rows != p.split.unit)
    fail(Code::kCorrupt, source.path(), "expected {} rows of each head, got {} ({})", p.split.unit, rows, place.joined.front().tensor);
  b.entry = b.joined.front().first;
  return b;
}

// Which rows of the tensor at `place` are those of `p`.
Binding locate(ParamTable& params, Param& p, const Place& place) {
  Binding b{.param = &p, .stored_rows = size_of(p), .transposed = place.transposed};
  int64_t groups = 1;
  if (!place.parts.empty()) {
    b.stored_rows = 0;
    std::vector<int64_t> sizes;
    for (const std::string& part : place.parts) {
      const Param* other = params.find(part);
      CHECK(other);
      sizes.push_back(size_of(*other));
      b.stored_rows += sizes.back();
    }
    // The last part has one head's rows in a group (its unit), or one row.
    if (place.order != Fused::Order::kStacked)
      groups = place.order == Fused::Order::kInterleaved ? sizes.back() : sizes.back() / params.find(place.parts.back())->split.unit;
    for (size_t i = 0; i < place.part; ++i) b.begin += sizes[i] / groups;
    if (groups > 1) b.run = size_of(p) / groups, b.stride = b.stored_rows / groups;
  }
  return b;
}

// The binding of `p` to the tensor at `place`.
Binding bind(ParamTable& params, Param& p, const TensorEntry& e, const Place& place, double offset, const TensorSource& source) {
  Binding b = locate(params, p, place);
  b.entry = &e;
  b.offset = offset;
  check_shape(p, e, b.stored_rows, place, source);
  const bool vector = p.kind == ParamKind::kVector;
  if (place.slab >= 0) b.slab = place.slab * (vector ? row_bytes(e.dtype, b.stored_rows) : b.stored_rows * row_bytes(e.dtype, p.cols));
  return b;
}

// The binding of a matrix that the checkpoint's quantization holds.
std::optional<Binding> bind_quantized(ParamTable& params, Param& p, const Place& place, const TensorSource& source, std::string_view prefix,
                                      const Quantization* quantization) {
  if (!quantization || p.kind != ParamKind::kMatrix) return std::nullopt;
  Binding b = locate(params, p, place);
  const StoredMatrix m{.source = &source, .find = [&](const std::string& name) { return find_entry(source, name, prefix); },
                       .name = place.tensor, .rows = b.stored_rows, .cols = p.cols, .slab = place.slab, .transposed = place.transposed};
  std::optional<QuantizedWeight> w = quantization->find(m);
  if (!w) return std::nullopt;
  w->layout.rows = {b.begin, b.run, b.stride};
  b.entry = w->parts[Coded::kCodes].entry;
  b.transposed = false;
  b.quantized = std::make_shared<const QuantizedWeight>(std::move(*w));
  return b;
}

std::string list(const std::vector<std::string>& names) {
  std::string s;
  for (size_t i = 0; i < names.size() && i < 5; ++i) s += (i ? ", " : "") + names[i];
  if (names.size() > 5) s += fmt::format(" and {} more", names.size() - 5);
  return s;
}

// Divides a row by its length, as torch does it: the length is at least 1e-12, the result rounded to the row's type.
void to_unit_length(DType type, std::byte* row, int64_t n) {
  std::vector<float> x(n);
  dequantize_row(type, row, x.data(), n);
  double squares = 0;
  for (const float v : x) squares += double{v} * v;
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& v : x) v = static_cast<float>(v / length);
  quantize_row(type, x.data(), row, n);
}

bool same_bytes(const TensorEntry& a, const TensorEntry& b) {
  const auto x = TensorSource::data(a), y = TensorSource::data(b);
  return a.dtype == b.dtype && x.size() == y.size() && (x.data() == y.data() || std::memcmp(x.data(), y.data(), x.size()) == 0);
}

// A head that is present although tied: equal to its partner it is the same weight, different it wins (trap 10).
bool tied_is_shared(const Param& p, const TensorEntry& own, const TensorSource& source, const Rules& rules,
                    std::string_view prefix, std::vector<std::string>& warnings) {
  const TensorEntry* partner = find_entry(source, rules.place(p.tied->name).tensor, prefix);
  if (partner && same_bytes(own, *partner)) return true;
  warnings.push_back(fmt::format("{} is present and differs from {} although the config ties them: the checkpoint's own is used",
                                 p.name, p.tied->name));
  return false;
}

}  // namespace

Bindings bind_params(ParamTable& params, const TensorSource& source, const Rules& rules, std::string_view prefix,
                     const LoadOptions& options) {
  Bindings out;
  std::vector<std::string> missing, unused;
  std::unordered_set<const TensorEntry*> used;
  std::unordered_map<const TensorEntry*, int64_t> slabs;  // how many of a stacked tensor's are read
  for (Param& p : params.rows()) {
    const Place place = rules.place(p.name);
    if (std::optional<Binding> b = bind_quantized(params, p, place, source, prefix, options.quantization)) {
      for (const QuantizedWeight::Part& part : b->quantized->parts)
        if (part.entry) used.insert(part.entry);
      used.insert(b->quantized->others.begin(), b->quantized->others.end());
      if (place.slab >= 0) slabs[b->entry] = std::max(slabs[b->entry], place.slab + 1);
      out.rows.push_back(std::move(*b));
      continue;
    }
    const TensorEntry* e = find_entry(source, place.tensor, prefix);
    if (std::optional<Binding> b = e ? std::nullopt : bind_joined(p, place, source)) {
      for (const auto& [part, transposed] : b->joined) used.insert(part);
      out.rows.push_back(std::move(*b));
      continue;
    }
    if (!e && (p.tied || p.optional || p.computed)) continue;
    if (!e) {
      if (missing.empty() || missing.back() != place.tensor) missing.push_back(place.tensor);
      continue;
    }
    used.insert(e);
    if (place.slab >= 0) slabs[e] = std::max(slabs[e], place.slab + 1);
    Binding b = bind(params, p, *e, place, rules.offset(p.name), source);
    b.negative_exp = rules.stores_negative_exp(p.name);
    if (p.tied && tied_is_shared(p, *e, source, rules, prefix, out.warnings)) out.shared.push_back(b);
    else out.rows.push_back(b);
  }
  for (const auto& [e, count] : slabs)
    if (e->shape[0] != count)
      fail(Code::kCorrupt, source.path(), "expected a leading dimension of {}, got {} ({})", count, shape_text(e->shape), e->name);
  for (const TensorEntry& e : source.entries())
    if (!used.contains(&e) && !rules.drops(e.name) && !(options.quantization && options.quantization->drops(e.name))) unused.push_back(e.name);
  if (!missing.empty())
    fail(Code::kCorrupt, source.path(), "expected {} more tensors, got none of them ({})", missing.size(), list(missing));
  if (!unused.empty()) {
    const std::string what = fmt::format("expected only tensors that the model reads, got {} others ({})", unused.size(), list(unused));
    if (!options.allow_unused) fail(Code::kCorrupt, source.path(), "{}; --allow-unused ignores them", what);
    out.warnings.push_back(what);
  }
  return out;
}

bool holds(const TensorSource& source, const Rules& rules, std::string_view prefix, const std::string& param) {
  return find_entry(source, rules.place(param).tensor, prefix) != nullptr;
}

StoredBytes stored_bytes(const Binding& b) {
  const Param& p = *b.param;
  const int64_t rows = b.stored_rows ? b.stored_rows : size_of(p);
  const bool vector = p.kind == ParamKind::kVector;
  const int64_t row = vector ? 0 : row_bytes(b.entry->dtype, p.cols);
  if (b.run > 0 || b.transposed || vector)
    return {static_cast<uint64_t>(b.slab), static_cast<uint64_t>(vector ? row_bytes(b.entry->dtype, rows) : rows * row)};
  return {static_cast<uint64_t>(b.slab + b.begin * row), static_cast<uint64_t>(p.rows * row)};
}

bool in_place(const Binding& b) {
  return b.param->kind != ParamKind::kVector && b.run == 0 && !b.transposed && !b.param->unit_rows && b.joined.empty();
}

DType value_type(const Binding& b) {
  if (b.param->kind == ParamKind::kVector) return DType::kF32;
  return b.joined.empty() || info(b.entry->dtype).block == 1 ? b.entry->dtype : DType::kF16;
}

std::string stored_as(const Binding& b) { return b.quantized ? b.quantized->format : std::string(name(b.entry->dtype)); }

int64_t value_bytes(const Binding& b) {
  const Param& p = *b.param;
  if (b.quantized) return b.quantized->bytes() * p.rows / b.stored_rows;
  return p.kind == ParamKind::kVector ? static_cast<int64_t>(sizeof(float)) * size_of(p) : p.rows * row_bytes(value_type(b), p.cols);
}

void copy_joined(const Binding& b, std::span<const std::byte* const> stored, std::byte* to) {
  const Param& p = *b.param;
  const DType type = value_type(b);
  const int64_t bytes = row_bytes(type, p.cols);
  std::vector<float> row(p.cols);
  int64_t first = 0;  // of the part's rows in each head
  for (size_t i = 0; i < b.joined.size(); ++i) {
    const auto& [e, transposed] = b.joined[i];
    const int64_t stored_rows = e->shape[1], stored_cols = e->shape[2], rows = transposed ? stored_cols : stored_rows;
    const int64_t stored_bytes = row_bytes(e->dtype, stored_cols);
    std::vector<float> part(stored_rows * stored_cols);
    for (int64_t head = 0; head < e->shape[0]; ++head) {
      for (int64_t r = 0; r < stored_rows; ++r)
        dequantize_row(e->dtype, stored[i] + (head * stored_rows + r) * stored_bytes, &part[r * stored_cols], stored_cols);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < p.cols; ++c) row[c] = transposed ? part[c * rows + r] : part[r * p.cols + c];
        quantize_row(type, row.data(), to + (head * p.split.unit + first + r) * bytes, p.cols);
      }
    }
    first += rows;
  }
}

void copy_value(const Binding& b, const std::byte* stored, std::byte* to) {
  const Param& p = *b.param;
  const DType type = b.entry->dtype;
  if (p.kind == ParamKind::kVector) {
    std::vector<float> all(b.stored_rows ? b.stored_rows : size_of(p));
    dequantize_row(type, stored, all.data(), static_cast<int64_t>(all.size()));
    for (int64_t i = 0; i < size_of(p); ++i) {
      const double stored_value = all[b.row(i)] + b.offset;
      const auto value = static_cast<float>(b.negative_exp ? std::log(-stored_value) : stored_value);
      std::memcpy(to + i * sizeof value, &value, sizeof value);
    }
    return;
  }
  const int64_t row = row_bytes(type, p.cols), element = info(type).bytes;
  const bool contiguous = b.run == 0 && !b.transposed;  // the stored bytes begin with the first row
  for (int64_t i = 0; i < p.rows; ++i) {
    if (!b.transposed) std::memcpy(to + i * row, stored + (contiguous ? i : b.row(i)) * row, row);
    for (int64_t c = 0; b.transposed && c < p.cols; ++c)
      std::memcpy(to + i * row + c * element, stored + (c * b.stored_rows + b.row(i)) * element, element);
    if (p.unit_rows) to_unit_length(type, to + i * row, p.cols);
  }
}

int64_t copied_bytes(const Binding& b) {
  const bool there = b.quantized ? b.quantized->blocks == DType::kCoded : in_place(b);
  return there ? 0 : value_bytes(b);
}

WeightView quantized_view(const Binding& b, const std::array<const std::byte*, Coded::kParts>& parts, Coded& coded, std::byte* copy) {
  coded = b.quantized->layout;
  coded.data = parts;
  const Param& p = *b.param;
  if (const DType type = b.quantized->blocks; type != DType::kCoded) {
    const int64_t bytes = row_bytes(type, p.cols);
    for (int64_t r = 0; r < p.rows; ++r) write_mxfp4(coded, r, p.cols, copy + r * bytes);
    return {copy, type, p.rows, p.cols, bytes};
  }
  // The kernels share work by bytes: those of a row's codes.
  const int64_t row = std::max<int64_t>(1, static_cast<int64_t>(b.quantized->parts[Coded::kCodes].size) / b.stored_rows);
  return {.data = parts[Coded::kCodes], .dtype = DType::kCoded, .rows = p.rows, .cols = p.cols, .row_bytes = row,
          .packed = nullptr, .coded = &coded};
}

namespace {

Weight load_quantized(const Binding& b) {
  struct Owner {
    Coded coded;
    std::vector<TensorEntry> entries;  // keep their bytes alive
    std::shared_ptr<std::byte> copy;
  };
  const auto owner = std::make_shared<Owner>();
  std::array<const std::byte*, Coded::kParts> parts = {};
  for (size_t i = 0; i < parts.size(); ++i)
    if (const QuantizedWeight::Part& part = b.quantized->parts[i]; part.entry) {
      parts[i] = TensorSource::data(owner->entries.emplace_back(*part.entry)).data() + part.offset;
    }
  if (const int64_t bytes = copied_bytes(b); bytes > 0) owner->copy = host_memory(static_cast<size_t>(bytes));
  Weight w;
  w.view = quantized_view(b, parts, owner->coded, owner->copy.get());
  if (owner->copy) owner->entries.clear();
  w.owner = owner;
  return w;
}

}  // namespace

Weight load_weight(const Binding& b) {
  if (b.quantized) return load_quantized(b);
  const Param& p = *b.param;
  const std::byte* stored = TensorSource::data(*b.entry).data() + stored_bytes(b).offset;
  Weight w;
  if (in_place(b)) {
    w.view = {stored, b.entry->dtype, p.rows, p.cols, row_bytes(b.entry->dtype, p.cols)};
    w.owner = b.entry->file ? std::shared_ptr<const void>(b.entry->file) : std::shared_ptr<const void>(b.entry->owned);
    return w;
  }
  const std::shared_ptr<std::byte> memory = host_memory(value_bytes(b));
  if (b.joined.empty()) {
    copy_value(b, stored, memory.get());
  } else {
    std::vector<const std::byte*> parts;
    for (const auto& [e, transposed] : b.joined) parts.push_back(TensorSource::data(*e).data());
    copy_joined(b, parts, memory.get());
  }
  const DType type = value_type(b);
  w.view = {memory.get(), type, p.rows, p.cols, row_bytes(type, p.cols)};
  w.owner = memory;
  return w;
}

void share_tied(ParamTable& params) {
  for (Param& p : params.rows())
    if (p.tied && !p.weight) p.weight = p.tied->weight;
}

std::string reconcile_head_dim(Json& config, const TensorSource& source) {
  const auto number = [&](const char* key) -> int64_t {
    const auto it = config.find(key);
    return it != config.end() && it->is_number_integer() ? it->get<int64_t>() : 0;
  };
  const int64_t heads = number("num_attention_heads"), hidden = number("hidden_size");
  const int64_t kv_heads = number("num_key_value_heads") > 0 ? number("num_key_value_heads") : heads;
  if (heads <= 0 || hidden <= 0) return {};
  for (const TensorEntry& e : source.entries()) {
    if (!e.name.ends_with("layers.0.self_attn.k_proj.weight") && e.name != "blk.0.attn_k.weight") continue;
    if (e.shape.size() != 2 || e.shape[0] % kv_heads != 0 || e.shape[1] != hidden) return {};  // codes in words have other shapes
    const int64_t actual = e.shape[0] / kv_heads, said = number("head_dim");
    if (actual == (said > 0 ? said : hidden / heads)) return {};
    config["head_dim"] = actual;
    return fmt::format("head_dim is {} by the tensors ({} rows of {} over {} kv heads), {} {}: the tensors win", actual, e.shape[0],
                       e.name, kv_heads, said > 0 ? "the config says" : "hidden_size / num_attention_heads would give",
                       said > 0 ? said : hidden / heads);
  }
  return {};
}

std::string note_attention_sinks(Json& config, const TensorSource& source) {
  Json found = Json::array();
  for (const TensorEntry& e : source.entries())
    if (const auto stars = match_pattern("model.layers.*.self_attn.attention_sink_bias", e.name); stars && stars->front().size() < 8)
      found.push_back(std::strtol(stars->front().c_str(), nullptr, 10));
  if (found.empty()) return {};
  config["attention_sink_layers"] = found;
  const auto says = [&](const char* key) { return config.contains(key) && config[key] == true; };
  if (says("add_swa_attention_sink_bias") || says("add_full_attention_sink_bias")) return {};
  return fmt::format("{} layers have attention sinks by their tensors, the config says none: the tensors win", found.size());
}

}  // namespace transom
