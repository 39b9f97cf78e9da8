// quantization_config of config.json: how a checkpoint stores the weights of its linear layers. Parameters keep their names;
// a Quantization says which tensors hold one of them, and how its rows are read where they lie (tensor/coded.h). Whether a
// weight is quantized at all, the tensors decide: one that is stored as floats is read as such, whatever the lists of
// modules say (they name modules as some release of some package did). What the config says of a module decides how.
//
// Activations stay in the engine's own type: scales of activations are not read, so results are those of the dequantized
// weights, which is what the quantized products of the packages that made them approximate.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/source.h"
#include "spec/config.h"
#include "tensor/coded.h"

namespace transom {

// A matrix that a scheme is asked for.
struct StoredMatrix {
  const TensorSource* source = nullptr;
  std::function<const TensorEntry*(const std::string&)> find;  // by name, with the base model's prefix or without
  std::string name;             // of the plain tensor: "model.layers.0.mlp.up_proj.weight"
  int64_t rows = 0, cols = 0;   // [out, in], all parameters in it together
  int64_t slab = -1;            // of a stacked tensor: index in the leading dimension
  bool transposed = false;      // stored plainly it is [in, out]

  std::string module() const;                            // name without ".weight"
  const TensorEntry* part(const char* suffix) const;     // module + suffix; null when absent
  const TensorEntry& need(const char* suffix) const;     // Error{kCorrupt} when absent
  std::string found(const TensorEntry& e, const char* suffix) const;  // the module's name in the checkpoint
  // Error{kCorrupt} unless the shape is `want` (dimensions of 1 do not count; a slab has its leading dimension).
  void expect(const TensorEntry& e, std::vector<int64_t> want) const;
  void expect_type(const TensorEntry& e, std::initializer_list<DType> types) const;
  [[noreturn]] void wrong(const TensorEntry& e, std::string_view expected, std::string_view got) const;
};

// A quantized matrix: the bytes of its parts, and how to read them once they are in memory.
struct QuantizedWeight {
  struct Part {
    const TensorEntry* entry = nullptr;
    uint64_t offset = 0, size = 0;  // from the tensor's start
  };
  Coded layout;  // `data` is not filled
  std::array<Part, Coded::kParts> parts;
  std::vector<const TensorEntry*> others;  // small values that the layout has already, and what is of no use here
  // A block type that holds the same values in as many bytes, in which the rows are written when they are loaded, so that the
  // kernels of that type compute them; kCoded: none.
  DType blocks = DType::kCoded;
  std::string format;                      // for people: "GPTQ 4-bit, groups of 128"

  void set(const StoredMatrix& m, Coded::Part part, const TensorEntry& e);
  int64_t bytes() const;
};

class Quantization {
 public:
  virtual ~Quantization() = default;
  // How the matrix is stored, or nothing when no tensor of this scheme holds it.
  virtual std::optional<QuantizedWeight> find(const StoredMatrix& m) const = 0;
  // Tensors beside the weights that are not read: scales of a quantized cache.
  bool drops(std::string_view tensor) const;
};

// Null when the config has no quantization_config. Error{kUnsupported} names a method or format that is not there.
std::unique_ptr<const Quantization> read_quantization(const Config& config);

// What the schemes share. Scales of the shapes that say by themselves what they are: one for all, one a row, or one for each
// block of `block` rows and columns.
void set_scales(QuantizedWeight& w, const StoredMatrix& m, const TensorEntry& e, std::array<int64_t, 2> block);
float scalar(const StoredMatrix& m, const TensorEntry& e);
std::vector<float> floats(const StoredMatrix& m, const TensorEntry& e, int64_t count);
// Columns of a group: -1 means all of them. Error{kCorrupt} unless it divides the matrix's columns.
int64_t group_columns(const StoredMatrix& m, int64_t group_size);
// The group of each column, read from the tensor; those in their natural order need none.
void set_groups(QuantizedWeight& w, const StoredMatrix& m, const TensorEntry& e, int64_t groups);
// Python's re.match of a module's name; Error{kUnsupported} for an expression that cannot be read.
bool matches_start(const std::string& expression, const std::string& name, const std::string& origin);

std::unique_ptr<const Quantization> read_fp8(const Config& q);
std::unique_ptr<const Quantization> read_gptq(const Config& q);
std::unique_ptr<const Quantization> read_awq(const Config& q);
std::unique_ptr<const Quantization> read_mxfp4(const Config& q);
std::unique_ptr<const Quantization> read_compressed_tensors(const Config& q);
std::unique_ptr<const Quantization> read_bitsandbytes(const Config& q);

}  // namespace transom
