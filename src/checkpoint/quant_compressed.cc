// compressed-tensors (llm-compressor, vLLM): groups of modules, each with a format and the arguments of its weights.
#include <algorithm>

#include "base/error.h"
#include "checkpoint/quantization.h"
#include "tensor/half.h"

namespace transom {
namespace {

// The arguments of a group's weights.
struct Weights {
  std::string format;
  int bits = 8;
  bool floats = false, symmetric = true;
  int64_t group_size = 0;                // columns that share a scale; 0: the scales' shape says
  std::array<int64_t, 2> block = {0, 0};  // rows and columns that do
};
struct Group {
  std::vector<std::string> targets;
  Weights weights;
};

// A module's name, a class's, or "re:" and an expression.
bool matches(const std::vector<std::string>& targets, const std::string& module, const std::string& origin) {
  return std::any_of(targets.begin(), targets.end(), [&](const std::string& t) {
    return t == module || t == "Linear" || (t.starts_with("re:") && matches_start(t.substr(3), module, origin));
  });
}

Weights read_weights(const Config& q, const std::string& format) {
  Weights w{.format = format, .bits = static_cast<int>(q.i("num_bits", 8)), .floats = q.s("type", "int") == "float",
            .symmetric = q.b("symmetric", true)};
  q.require(w.bits >= 1 && w.bits <= 8, "num_bits", "1 to 8");
  const std::string strategy = q.s("strategy", q.has("group_size") && q.raw("group_size") != -1 ? "group" : "channel");
  if (strategy == "group" || strategy == "tensor_group") w.group_size = q.size("group_size");
  else if (strategy == "block") {
    const std::vector<double> sizes = q.floats("block_structure");
    q.require(sizes.size() == 2 && sizes[0] >= 1 && sizes[1] >= 1, "block_structure", "two sizes");
    w.block = {static_cast<int64_t>(sizes[0]), static_cast<int64_t>(sizes[1])};
  } else q.require(strategy == "tensor" || strategy == "channel", "strategy", "tensor, channel, group, tensor_group or block");
  return w;
}

class CompressedTensors final : public Quantization {
 public:
  explicit CompressedTensors(const Config& q) : origin_(q.origin()), ignore_(q.strings("ignore")) {
    const std::string format = q.s("format", "dense");
    if (const auto sparsity = q.sub("sparsity_config")) sparsity->require(sparsity->s("format", "dense") == "dense", "format", "dense");
    if (const auto transform = q.sub("transform_config"))
      transform->require(transform->raw("config_groups").empty(), "config_groups", "no transforms of weights");
    const auto groups = q.sub("config_groups");
    if (!groups) return;
    for (const auto& [name, value] : groups->document().items()) {
      const Config g = *groups->sub(name.c_str());
      const auto weights = g.sub("weights");
      if (!weights) continue;  // quantizes activations only
      const std::string own = g.s("format", format);
      constexpr std::string_view kKnown[] = {"pack-quantized", "int-quantized", "float-quantized", "naive-quantized", "nvfp4-pack-quantized",
                                             "mxfp4-pack-quantized", "dense"};
      if (std::find(std::begin(kKnown), std::end(kKnown), own) == std::end(kKnown))
        fail(Code::kUnsupported, origin_, "expected {} for quantization_config.format, got {}", fmt::join(kKnown, ", "), quote(own));
      groups_.push_back({g.strings("targets"), read_weights(*weights, own)});
    }
  }

  std::optional<QuantizedWeight> find(const StoredMatrix& m) const override {
    const char* suffix = ".weight_packed";
    const TensorEntry* e = m.part(suffix);
    if (!e) {
      suffix = ".weight";
      e = m.part(suffix);
      if (!e || (e->dtype != DType::kI8 && e->dtype != DType::kF8E4M3)) return std::nullopt;
    }
    const std::string module = m.found(*e, suffix);
    const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const Group& g) { return matches(g.targets, module, origin_); });
    if (group == groups_.end() || matches(ignore_, module, origin_))
      fail(Code::kCorrupt, origin_, "expected a group of quantization_config that has the module {}, got none", quote(module));
    QuantizedWeight w;
    set_codes(w, m, *e, group->weights);
    set_grid(w, m, group->weights);
    for (const char* unused : {".weight_shape", ".weight_global_scale", ".input_scale", ".input_zero_point", ".input_global_scale", ".output_scale"})
      if (const TensorEntry* u = m.part(unused)) w.others.push_back(u);
    return w;
  }

 private:
  void set_codes(QuantizedWeight& w, const StoredMatrix& m, const TensorEntry& e, const Weights& a) const {
    Codes& codes = w.layout.codes;
    if (a.format == "pack-quantized") {
      const int64_t words = (m.cols * a.bits + 31) / 32;
      m.expect_type(e, {DType::kI32});
      m.expect(e, {m.rows, words});
      check_shape(m);
      codes = {.numbers = whole_numbers(a.bits, -(1 << (a.bits - 1))), .bits = a.bits, .word_bytes = 4, .step = 1, .line = words};
      w.format = fmt::format("INT{} packed", a.bits);
    } else if (a.format == "nvfp4-pack-quantized" || a.format == "mxfp4-pack-quantized") {
      m.expect_type(e, {DType::kU8});
      group_columns(m, 2);
      m.expect(e, {m.rows, m.cols / 2});
      codes = {.numbers = fp4_, .bits = 4, .step = 1, .line = m.cols / 2};
      w.format = a.format.starts_with("nv") ? "NVFP4" : "MXFP4";
    } else {
      m.expect_type(e, {a.floats ? DType::kF8E4M3 : DType::kI8});
      m.expect(e, {m.rows, m.cols});
      codes = {.numbers = a.floats ? fp8_ : int8_, .step = 1, .line = m.cols};
      w.format = a.floats ? "F8_E4M3 scaled" : "INT8 scaled";
    }
    w.set(m, Coded::kCodes, e);
  }

  // "weight_shape" repeats what the model says.
  static void check_shape(const StoredMatrix& m) {
    const TensorEntry* e = m.part(".weight_shape");
    if (!e) return;
    m.expect_type(*e, {DType::kI64, DType::kI32});
    const auto bytes = TensorSource::data(*e);
    const size_t size = info(e->dtype).bytes;
    if (bytes.size() != 2 * size) m.wrong(*e, "two numbers", "shape " + shape_text(e->shape));
    const auto number = [&](size_t i) { return size == 8 ? load_le<int64_t>(bytes.data() + 8 * i) : load_le<int32_t>(bytes.data() + 4 * i); };
    if (number(0) != m.rows || number(1) != m.cols)
      m.wrong(*e, fmt::format("[{}, {}]", m.rows, m.cols), fmt::format("[{}, {}]", number(0), number(1)));
  }

  // Scales, zeros of the same shape, and the groups of columns.
  void set_grid(QuantizedWeight& w, const StoredMatrix& m, const Weights& a) const {
    const TensorEntry& scale = m.need(".weight_scale");
    const int64_t group = a.group_size > 0 ? group_columns(m, a.group_size) : 0;
    if (scale.dtype == DType::kU8 && a.format != "mxfp4-pack-quantized") m.expect_type(scale, {DType::kF32, DType::kBF16, DType::kF16, DType::kF8E4M3});
    set_scales(w, m, scale, group > 0 ? std::array<int64_t, 2>{1, group} : a.block);
    if (a.format == "mxfp4-pack-quantized" && group == 32 && scale.dtype == DType::kU8) w.blocks = DType::kMXFP4;
    if (a.format == "nvfp4-pack-quantized") w.layout.scales.divisor = scalar(m, m.need(".weight_global_scale"));
    if (group > 0) w.format += fmt::format(" g{}", group);
    const TensorEntry* zero = m.part(".weight_zero_point");
    if (zero && !a.symmetric) set_zeros(w, m, *zero, a);
    else if (zero) w.others.push_back(zero);
    if (const TensorEntry* g = m.part(".weight_g_idx"))
      starts_unset(m, *g) ? w.others.push_back(g) : set_groups(w, m, *g, m.cols / w.layout.group);
  }

  // Groups that were never set are all -1.
  static bool starts_unset(const StoredMatrix& m, const TensorEntry& e) {
    m.expect_type(e, {DType::kI32});
    m.expect(e, {m.cols});
    return load_le<int32_t>(TensorSource::data(e).data()) == -1;
  }

  void set_zeros(QuantizedWeight& w, const StoredMatrix& m, const TensorEntry& e, const Weights& a) const {
    const Scales& s = w.layout.scales;
    const int64_t groups = s.group_step > 0 ? s.row_step : 1;
    if (a.block[0] > 0) m.wrong(e, "no zeros of blocks", "some");
    if (e.dtype == DType::kI32) {  // packed along the rows, each row of words for all groups
      const int64_t words = (m.rows * a.bits + 31) / 32;
      m.expect(e, {words, groups});
      w.layout.zeros = {.numbers = whole_numbers(a.bits, -(1 << (a.bits - 1))), .bits = a.bits, .word_bytes = 4, .down = true,
                        .step = groups, .line = 1};
    } else {
      m.expect_type(e, {DType::kI8});
      m.expect(e, {s.row_step > 0 ? m.rows : 1, groups});
      w.layout.zeros = {.numbers = int8_, .step = 1, .line = s.row_step};
    }
    w.set(m, Coded::kZeros, e);
    w.format += " with zeros";
  }

  std::string origin_;
  std::vector<std::string> ignore_;
  std::vector<Group> groups_;
  Numbers int8_ = signed_bytes(), fp8_ = small_floats(DType::kF8E4M3), fp4_ = small_floats(DType::kF4);
};

}  // namespace

std::unique_ptr<const Quantization> read_compressed_tensors(const Config& q) { return std::make_unique<CompressedTensors>(q); }

}  // namespace transom
