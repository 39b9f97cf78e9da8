// GgufMetadata: see gguf_metadata.h. GgufReader walks the bytes once; every count is first compared with the bytes left
// divided by the least that one item takes.
#include "base/gguf_metadata.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "base/error.h"

namespace transom {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF values are read in place");

constexpr uint32_t kMagic = 0x46554747;  // "GGUF"
constexpr int kMaxArrayDepth = 4;
constexpr uint64_t kMinKeyValueBytes = 8 + 4 + 1, kMinTensorBytes = 8 + 4 + 4 + 8;

template <class T>
T read_as(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

// Bytes of a fixed-size type; 0 for strings and arrays.
size_t scalar_size(GgufType type) {
  switch (type) {
    case GgufType::kU8: case GgufType::kI8: case GgufType::kBool: return 1;
    case GgufType::kU16: case GgufType::kI16: return 2;
    case GgufType::kU32: case GgufType::kI32: case GgufType::kF32: return 4;
    case GgufType::kU64: case GgufType::kI64: case GgufType::kF64: return 8;
    case GgufType::kString: case GgufType::kArray: return 0;
  }
  return 0;
}

bool is_integer(GgufType type) {
  return type != GgufType::kF32 && type != GgufType::kF64 && type != GgufType::kString && type != GgufType::kArray &&
         type != GgufType::kBool;
}

// An integer of any width as i64; nothing when a u64 does not fit.
std::optional<int64_t> to_i64(GgufType type, const std::byte* p) {
  switch (type) {
    case GgufType::kU8: case GgufType::kBool: return read_as<uint8_t>(p);
    case GgufType::kI8: return read_as<int8_t>(p);
    case GgufType::kU16: return read_as<uint16_t>(p);
    case GgufType::kI16: return read_as<int16_t>(p);
    case GgufType::kU32: return read_as<uint32_t>(p);
    case GgufType::kI32: return read_as<int32_t>(p);
    case GgufType::kI64: return read_as<int64_t>(p);
    case GgufType::kU64: {
      const uint64_t v = read_as<uint64_t>(p);
      if (v > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
      return static_cast<int64_t>(v);
    }
    default: return std::nullopt;
  }
}

// A key or name for an error line: bounded, control bytes replaced.
std::string printable(std::string_view s) {
  std::string out(s.substr(0, 80));
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  if (s.size() > 80) out += "…";
  return out;
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  switch (type) {
    case GgufType::kU8: return "u8";
    case GgufType::kI8: return "i8";
    case GgufType::kU16: return "u16";
    case GgufType::kI16: return "i16";
    case GgufType::kU32: return "u32";
    case GgufType::kI32: return "i32";
    case GgufType::kF32: return "f32";
    case GgufType::kBool: return "bool";
    case GgufType::kString: return "string";
    case GgufType::kArray: return "array";
    case GgufType::kU64: return "u64";
    case GgufType::kI64: return "i64";
    case GgufType::kF64: return "f64";
  }
  return "unknown";
}

// One pass over the bytes, with the position for errors.
class GgufReader {
 public:
  GgufReader(std::span<const std::byte> bytes, GgufMetadata& out) : bytes_(bytes), out_(out) {}

  void read() {
    read_version();
    const uint64_t n_tensors = read_count("tensors", kMinTensorBytes, 8);
    const uint64_t n_values = read_count("key/value pairs", kMinKeyValueBytes, 0);
    for (uint64_t i = 0; i < n_values; ++i) read_pair();
    read_alignment();
    read_tensors(n_tensors);
    const uint64_t a = out_.alignment_;
    out_.data_offset_ = (pos_ + a - 1) / a * a;
    if (n_tensors != 0 && out_.data_offset_ > bytes_.size())
      error("tensor data at byte {}, got a file of {} bytes", out_.data_offset_, bytes_.size());
  }

 private:
  template <class... Args>
  [[noreturn]] void error(fmt::format_string<Args...> f, Args&&... args) const {
    fail(Code::kCorrupt, out_.path_, "expected {} (byte {})", fmt::format(f, std::forward<Args>(args)...), pos_);
  }

  uint64_t left() const { return bytes_.size() - pos_; }

  const std::byte* take(uint64_t n, std::string_view what) {
    if (n > left()) error("{} bytes for {}, got {} left", n, what, left());
    const std::byte* p = bytes_.data() + pos_;
    pos_ += n;
    return p;
  }

  template <class T>
  T scalar(std::string_view what) {
    return read_as<T>(take(sizeof(T), what));
  }

  std::string_view string(std::string_view what) {
    const uint64_t n = scalar<uint64_t>(what);
    return {reinterpret_cast<const char*>(take(n, what)), static_cast<size_t>(n)};
  }

  void read_version() {
    if (bytes_.size() < 4 || read_as<uint32_t>(bytes_.data()) != kMagic)
      error("the magic \"GGUF\", got {}", bytes_.size() < 4 ? "a file of under 4 bytes" : "other bytes");
    pos_ = 4;
    const uint32_t version = scalar<uint32_t>("the version");
    if (version != 0 && (version & 0xffff) == 0)
      fail(Code::kUnsupported, out_.path_, "expected a little-endian GGUF file, got a big-endian one (byte 4)");
    if (version == 1) fail(Code::kUnsupported, out_.path_, "expected GGUF version 2 or 3, got 1 (byte 4)");
    if (version != 2 && version != 3) fail(Code::kCorrupt, out_.path_, "expected GGUF version 2 or 3, got {} (byte 4)", version);
    out_.version_ = version;
  }

  // `reserved`: bytes of the header that follow the count itself.
  uint64_t read_count(std::string_view what, uint64_t least_bytes, uint64_t reserved) {
    const uint64_t n = scalar<uint64_t>(what);
    const uint64_t room = left() > reserved ? (left() - reserved) / least_bytes : 0;
    if (n > room) error("at most {} {} in the {} bytes left, got {}", room, what, left(), n);
    return n;
  }

  GgufType read_type() {
    const uint32_t type = scalar<uint32_t>("a value's type");
    if (type > static_cast<uint32_t>(GgufType::kF64)) error("a value type up to 12, got {}", type);
    return static_cast<GgufType>(type);
  }

  void read_pair() {
    const std::string_view key = string("a key");
    const GgufType type = read_type();
    GgufValue value = read_value(type, 1);
    if (!out_.values_.emplace(key, value).second) error("unique keys, got '{}' twice", printable(key));
  }

  GgufValue read_value(GgufType type, int depth) {
    GgufValue value{.type = type};
    if (type == GgufType::kString) {
      const std::string_view s = string("a string");
      value.bytes = std::as_bytes(std::span(s.data(), s.size()));
      value.offset = pos_ - s.size();
      return value;
    }
    if (type != GgufType::kArray) {
      value.offset = pos_;
      const size_t n = scalar_size(type);
      value.bytes = {take(n, "a value"), n};
      return value;
    }
    if (depth > kMaxArrayDepth) error("arrays nested at most {} deep, got more", kMaxArrayDepth);
    value.element = read_type();
    value.count = scalar<uint64_t>("an array's length");
    const size_t fixed = scalar_size(value.element);
    const uint64_t least = fixed != 0 ? fixed : value.element == GgufType::kString ? 8 : 12;
    if (value.count > left() / least) error("at most {} array elements in the bytes left, got {}", left() / least, value.count);
    value.offset = pos_;
    if (fixed != 0) take(value.count * fixed, "an array");
    else if (value.element == GgufType::kString)
      for (uint64_t i = 0; i < value.count; ++i) string("an array's string");
    else
      for (uint64_t i = 0; i < value.count; ++i) read_value(GgufType::kArray, depth + 1);
    value.bytes = bytes_.subspan(value.offset, pos_ - value.offset);
    return value;
  }

  void read_alignment() {
    const std::optional<uint64_t> a = out_.find_u64("general.alignment");
    if (!a) return;
    if (*a == 0 || *a > (uint64_t{1} << 30) || !std::has_single_bit(*a))
      error("general.alignment to be a power of two up to 2^30, got {}", *a);
    out_.alignment_ = *a;
  }

  void read_tensors(uint64_t n) {
    if (n > left() / kMinTensorBytes) error("at most {} tensors in the bytes left, got {}", left() / kMinTensorBytes, n);
    out_.tensors_.reserve(n);
    std::set<std::string_view> names;
    for (uint64_t i = 0; i < n; ++i) {
      GgufTensorInfo t;
      t.name = string("a tensor's name");
      t.n_dims = scalar<uint32_t>("a tensor's rank");
      if (t.n_dims > t.dims.size()) error("at most {} dimensions, got {} (tensor {})", t.dims.size(), t.n_dims, printable(t.name));
      uint64_t elements = 1;
      for (uint32_t d = 0; d < t.n_dims; ++d) {
        t.dims[d] = scalar<uint64_t>("a tensor's shape");
        if (t.dims[d] > (uint64_t{1} << 48) || (t.dims[d] != 0 && elements > (uint64_t{1} << 48) / t.dims[d]))
          error("a tensor of at most 2^48 elements, got more (tensor {})", printable(t.name));
        elements *= t.dims[d];
      }
      t.type = scalar<uint32_t>("a tensor's type");
      t.offset = scalar<uint64_t>("a tensor's offset");
      if (t.offset % out_.alignment_ != 0)
        error("a tensor offset that is a multiple of {}, got {} (tensor {})", out_.alignment_, t.offset, printable(t.name));
      if (!names.insert(t.name).second) error("unique tensor names, got '{}' twice", printable(t.name));
      out_.tensors_.push_back(t);
    }
  }

  std::span<const std::byte> bytes_;
  GgufMetadata& out_;
  uint64_t pos_ = 0;
};

GgufMetadata GgufMetadata::open(const std::string& path) {
  std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  GgufMetadata out = parse(file->bytes(), path);
  out.file_ = std::move(file);
  return out;
}

GgufMetadata GgufMetadata::parse(std::span<const std::byte> bytes, std::string name) {
  GgufMetadata out;
  out.path_ = std::move(name);
  GgufReader(bytes, out).read();
  return out;
}

void GgufMetadata::missing(std::string_view key) const {
  fail(Code::kNotFound, path_, "expected the key '{}', got none", printable(key));
}

void GgufMetadata::mismatch(std::string_view key, const GgufValue& value, std::string_view expected) const {
  const std::string array = value.type == GgufType::kArray ? fmt::format(" of {} {}", value.count, gguf_type_name(value.element)) : "";
  fail(Code::kCorrupt, path_, "expected {} for the key '{}', got {}{} (byte {})", expected, printable(key),
       gguf_type_name(value.type), array, value.offset);
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

std::optional<int64_t> GgufMetadata::find_i64(std::string_view key) const {
  const GgufValue* v = find(key);
  if (!v) return std::nullopt;
  const std::optional<int64_t> x = is_integer(v->type) ? to_i64(v->type, v->bytes.data()) : std::nullopt;
  if (!x) mismatch(key, *v, "an integer below 2^63");
  return x;
}

std::optional<uint64_t> GgufMetadata::find_u64(std::string_view key) const {
  const GgufValue* v = find(key);
  if (!v) return std::nullopt;
  if (v->type == GgufType::kU64) return read_as<uint64_t>(v->bytes.data());
  const std::optional<int64_t> x = is_integer(v->type) ? to_i64(v->type, v->bytes.data()) : std::nullopt;
  if (!x || *x < 0) mismatch(key, *v, "an integer of 0 or more");
  return static_cast<uint64_t>(*x);
}

std::optional<uint32_t> GgufMetadata::find_u32(std::string_view key) const {
  const std::optional<uint64_t> x = find_u64(key);
  if (x && *x > std::numeric_limits<uint32_t>::max()) mismatch(key, *find(key), "an integer below 2^32");
  if (!x) return std::nullopt;
  return static_cast<uint32_t>(*x);
}

std::optional<double> GgufMetadata::find_f64(std::string_view key) const {
  const GgufValue* v = find(key);
  if (!v) return std::nullopt;
  if (v->type == GgufType::kF32) return read_as<float>(v->bytes.data());
  if (v->type == GgufType::kF64) return read_as<double>(v->bytes.data());
  mismatch(key, *v, "a float");
}

std::optional<float> GgufMetadata::find_f32(std::string_view key) const {
  const std::optional<double> x = find_f64(key);
  if (!x) return std::nullopt;
  if (std::isfinite(*x) && std::abs(*x) > std::numeric_limits<float>::max()) mismatch(key, *find(key), "a 32-bit float");
  return static_cast<float>(*x);
}

std::optional<bool> GgufMetadata::find_bool(std::string_view key) const {
  const GgufValue* v = find(key);
  if (!v) return std::nullopt;
  if (v->type != GgufType::kBool) mismatch(key, *v, "a bool");
  return read_as<uint8_t>(v->bytes.data()) != 0;
}

std::optional<std::string_view> GgufMetadata::find_str(std::string_view key) const {
  const GgufValue* v = find(key);
  if (!v) return std::nullopt;
  if (v->type != GgufType::kString) mismatch(key, *v, "a string");
  return std::string_view(reinterpret_cast<const char*>(v->bytes.data()), v->bytes.size());
}

const GgufValue* GgufMetadata::find_array(std::string_view key, std::string_view expected) const {
  const GgufValue* v = find(key);
  if (v && v->type != GgufType::kArray) mismatch(key, *v, expected);
  return v;
}

std::vector<std::string_view> GgufMetadata::strings(std::string_view key) const {
  const GgufValue* v = find_array(key, "an array of strings");
  if (!v) return {};
  if (v->element != GgufType::kString) mismatch(key, *v, "an array of strings");
  std::vector<std::string_view> out;
  out.reserve(v->count);
  const std::byte* p = v->bytes.data();
  for (uint64_t i = 0; i < v->count; ++i) {  // lengths were checked while reading
    const uint64_t n = read_as<uint64_t>(p);
    out.emplace_back(reinterpret_cast<const char*>(p + 8), n);
    p += 8 + n;
  }
  return out;
}

std::vector<int64_t> GgufMetadata::integers(std::string_view key) const {
  const GgufValue* v = find_array(key, "an array of integers");
  if (!v) return {};
  const size_t size = scalar_size(v->element);
  std::vector<int64_t> out;
  if (!is_integer(v->element) && v->element != GgufType::kBool) mismatch(key, *v, "an array of integers");
  out.reserve(v->count);
  for (uint64_t i = 0; i < v->count; ++i) {
    const std::optional<int64_t> x = to_i64(v->element, v->bytes.data() + i * size);
    if (!x) mismatch(key, *v, "integers below 2^63");
    out.push_back(*x);
  }
  return out;
}

std::vector<float> GgufMetadata::floats(std::string_view key) const {
  const GgufValue* v = find_array(key, "an array of floats");
  if (!v) return {};
  if (v->element != GgufType::kF32 && v->element != GgufType::kF64) mismatch(key, *v, "an array of floats");
  std::vector<float> out(v->count);
  for (uint64_t i = 0; i < v->count; ++i) {
    const std::byte* p = v->bytes.data();
    const double x = v->element == GgufType::kF32 ? read_as<float>(p + i * 4) : read_as<double>(p + i * 8);
    if (std::isfinite(x) && std::abs(x) > std::numeric_limits<float>::max()) mismatch(key, *v, "32-bit floats");
    out[i] = static_cast<float>(x);
  }
  return out;
}

}  // namespace transom
