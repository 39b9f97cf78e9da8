// read_quantization and what the schemes share: see quantization.h.
#include "checkpoint/quantization.h"

#include <algorithm>
#include <iterator>
#include <regex>

#include "base/error.h"
#include "tensor/half.h"
#include "tensor/quant.h"

namespace transom {
namespace {

constexpr std::string_view kWeight = ".weight";

std::vector<int64_t> without_ones(const std::vector<int64_t>& shape) {
  std::vector<int64_t> s;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(s), [](int64_t n) { return n != 1; });
  return s;
}

}  // namespace

std::string StoredMatrix::module() const {
  return name.ends_with(kWeight) ? name.substr(0, name.size() - kWeight.size()) : name;
}

const TensorEntry* StoredMatrix::part(const char* suffix) const { return find(module() + suffix); }

const TensorEntry& StoredMatrix::need(const char* suffix) const {
  const TensorEntry* e = part(suffix);
  if (!e) fail(Code::kCorrupt, source->path(), "expected the tensor {}{} beside the others of a quantized weight, got none", module(), suffix);
  return *e;
}

std::string StoredMatrix::found(const TensorEntry& e, const char* suffix) const {
  return e.name.substr(0, e.name.size() - std::string_view(suffix).size());
}

void StoredMatrix::wrong(const TensorEntry& e, std::string_view expected, std::string_view got) const {
  fail(Code::kCorrupt, source->path(), "expected {}, got {} ({})", expected, got, e.name);
}

void StoredMatrix::expect(const TensorEntry& e, std::vector<int64_t> want) const {
  if (slab >= 0) want.insert(want.begin(), std::max(e.shape.empty() ? 0 : e.shape[0], slab + 1));
  if (without_ones(e.shape) != without_ones(want)) wrong(e, "shape " + shape_text(want), shape_text(e.shape));
}

void StoredMatrix::expect_type(const TensorEntry& e, std::initializer_list<DType> types) const {
  if (std::find(types.begin(), types.end(), e.dtype) != types.end()) return;
  std::string list;
  for (const DType t : types) list += (list.empty() ? "" : " or ") + std::string(transom::name(t));
  wrong(e, list, transom::name(e.dtype));
}

void QuantizedWeight::set(const StoredMatrix& m, Coded::Part part, const TensorEntry& e) {
  Part& p = parts[part];
  p = {&e, 0, e.bytes};
  if (m.slab < 0) return;
  p.size = e.bytes / static_cast<uint64_t>(e.shape.at(0));  // expect() has seen that the slab is there
  p.offset = static_cast<uint64_t>(m.slab) * p.size;
}

int64_t QuantizedWeight::bytes() const {
  uint64_t sum = 0;
  for (const Part& p : parts) sum += p.size;
  return static_cast<int64_t>(sum);
}

bool Quantization::drops(std::string_view tensor) const {
  constexpr std::string_view kCacheScales[] = {".k_scale", ".v_scale", ".q_scale", ".k_zero_point", ".v_zero_point"};
  return std::any_of(std::begin(kCacheScales), std::end(kCacheScales), [&](std::string_view s) { return tensor.ends_with(s); });
}

void set_scales(QuantizedWeight& w, const StoredMatrix& m, const TensorEntry& e, std::array<int64_t, 2> block) {
  // Scales of powers of two may be stored as plain bytes.
  m.expect_type(e, {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E8M0, DType::kF8E4M3, DType::kU8});
  const auto parts = [](int64_t n, int64_t size) { return (n + size - 1) / size; };
  const std::vector<int64_t> shape = without_ones(e.shape);
  Scales& s = w.layout.scales;
  s.dtype = e.dtype == DType::kU8 ? DType::kF8E8M0 : e.dtype;
  w.layout.group = m.cols;
  if (shape.empty() && m.slab < 0 && block[0] <= 0) {
    s.rows = m.rows;
  } else if (block[0] <= 0) {
    m.expect(e, {m.rows});
    s.row_step = 1;
  } else {
    m.expect(e, {parts(m.rows, block[0]), parts(m.cols, block[1])});
    s.rows = block[0];
    s.row_step = parts(m.cols, block[1]);
    s.group_step = 1;
    w.layout.group = block[1];
  }
  w.set(m, Coded::kScales, e);
}

std::vector<float> floats(const StoredMatrix& m, const TensorEntry& e, int64_t count) {
  const auto bytes = TensorSource::data(e);
  m.expect_type(e, {DType::kF32, DType::kBF16, DType::kF16});
  if (without_ones(e.shape) != without_ones({count})) m.wrong(e, fmt::format("{} numbers", count), "shape " + shape_text(e.shape));
  std::vector<float> v(count);
  dequantize_row(e.dtype, bytes.data(), v.data(), count);
  return v;
}

float scalar(const StoredMatrix& m, const TensorEntry& e) { return floats(m, e, 1)[0]; }

int64_t group_columns(const StoredMatrix& m, int64_t group_size) {
  if (group_size == -1) return m.cols;
  if (group_size < 1 || m.cols % group_size != 0)
    fail(Code::kCorrupt, m.source->path(), "expected a group size that divides the {} columns of {}, got {}", m.cols, m.name, group_size);
  return group_size;
}

void set_groups(QuantizedWeight& w, const StoredMatrix& m, const TensorEntry& e, int64_t groups) {
  m.expect_type(e, {DType::kI32});
  m.expect(e, {m.cols});
  const std::byte* p = TensorSource::data(e).data();
  bool ordered = true;
  for (int64_t k = 0; k < m.cols; ++k) {
    const auto g = load_le<int32_t>(p + k * sizeof(int32_t));
    if (g < 0 || g >= groups) m.wrong(e, fmt::format("groups from 0 to {}", groups - 1), std::to_string(g));
    ordered = ordered && g == k / w.layout.group;
  }
  ordered ? w.others.push_back(&e) : w.set(m, Coded::kGroups, e);
}

bool matches_start(const std::string& expression, const std::string& name, const std::string& origin) {
  constexpr size_t kLongest = 4096;
  try {
    if (expression.size() > kLongest) throw std::regex_error(std::regex_constants::error_complexity);
    return std::regex_search(name, std::regex(expression), std::regex_constants::match_continuous);
  } catch (const std::regex_error&) {
    fail(Code::kUnsupported, origin, "expected a regular expression in quantization_config, got {}", quote(expression));
  }
}

std::unique_ptr<const Quantization> read_quantization(const Config& config) {
  const char* key = config.has("quantization_config") ? "quantization_config" : "compression_config";
  config.raw(key);
  const std::optional<Config> q = config.sub(key);
  if (!q) return nullptr;
  std::string method = q->s("quant_method", q->b("load_in_4bit", false) || q->b("load_in_8bit", false) ? "bitsandbytes" : "");
  using Reader = std::unique_ptr<const Quantization> (*)(const Config&);
  constexpr std::pair<std::string_view, Reader> kReaders[] = {
      {"awq", read_awq},   {"bitsandbytes", read_bitsandbytes}, {"compressed-tensors", read_compressed_tensors}, {"fbgemm_fp8", read_fp8},
      {"fp8", read_fp8},   {"gptq", read_gptq},                 {"mxfp4", read_mxfp4},
  };
  std::string known;
  for (const auto& [name, read] : kReaders) {
    if (name == method) return read(*q);
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  fail(Code::kUnsupported, config.origin(), "expected {} for {}.quant_method, got {}", known, key, quote(method));
}

}  // namespace transom
