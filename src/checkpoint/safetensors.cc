// Reading and writing safetensors: see safetensors.h. The header is parsed as a stream of events, so that memory grows
// with the tensors that are really there and hostile JSON (deep, wide, duplicated) stops at its first wrong token.
#include "checkpoint/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <unordered_set>

#include "base/error.h"
#include "base/json.h"
#include "tensor/half.h"

namespace transom {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // the reference reader's limit
constexpr size_t kMaxRank = 32;

std::optional<DType> safetensors_dtype(std::string_view text) {
  const std::optional<DType> t = parse_dtype(text);
  if (!t || is_quantized(*t) || name(*t) != text) return std::nullopt;  // parse_dtype also knows aliases
  return t;
}

// Events of the header: { "__metadata__": {string: string}, NAME: {"dtype", "shape", "data_offsets"} }. Unknown fields
// of a tensor are skipped, as the reference reader does.
class HeaderHandler : public nlohmann::json_sax<Json> {
 public:
  HeaderHandler(std::string_view context, SafetensorsHeader& out) : context_(context), out_(out) {}

  bool start_object(size_t) override {
    if (skip_ > 0) return deeper();
    if (level_ == Level::kStart) level_ = Level::kTop;
    else if (level_ == Level::kTop) open_member();
    else if (level_ == Level::kTensor && field_ == Field::kOther) return deeper();
    else wrong("an object");
    return true;
  }

  bool key(std::string& k) override {
    if (skip_ > 0) return true;
    if (level_ == Level::kTensor) field_key(k);
    else if (level_ == Level::kMetadata) metadata_key_ = k;
    else {
      if (!names_.insert(k).second) error("each key once, got {} twice", quote(k));
      name_ = k;
    }
    return true;
  }

  bool end_object() override {
    if (skip_ > 0) return shallower();
    if (level_ == Level::kTensor) close_tensor();
    level_ = level_ == Level::kTop ? Level::kEnd : Level::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (skip_ > 0) return deeper();
    if (level_ != Level::kTensor) wrong("an array");
    if (field_ == Field::kOther) return deeper();
    if (field_ == Field::kDType || in_array_) wrong("an array");
    in_array_ = true;
    return true;
  }

  bool end_array() override {
    if (skip_ > 0) return shallower();
    in_array_ = false;
    return true;
  }

  bool number_unsigned(uint64_t v) override {
    if (ignored()) return true;
    if (level_ != Level::kTensor || !in_array_) wrong("a number");
    if (v > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) error("numbers below 2^63, got {}{}", v, where());
    if (field_ == Field::kShape) {
      if (tensor_.shape.size() == kMaxRank) error("at most {} dimensions, got more{}", kMaxRank, where());
      tensor_.shape.push_back(static_cast<int64_t>(v));
    } else {
      if (n_offsets_ == 2) error("two data_offsets, got more{}", where());
      offsets_[n_offsets_++] = v;
    }
    return true;
  }

  bool string(std::string& s) override {
    if (ignored()) return true;
    if (level_ == Level::kMetadata) {
      if (!out_.metadata.emplace(metadata_key_, s).second)
        error("each key of __metadata__ once, got {} twice", quote(metadata_key_));
      return true;
    }
    if (level_ != Level::kTensor || field_ != Field::kDType) wrong("a string");
    const std::optional<DType> t = safetensors_dtype(s);
    if (!t) error("a dtype of the format, got {}{}", quote(s), where());
    tensor_.dtype = *t;
    return true;
  }

  bool null() override { return ignored() || wrong("null"); }
  bool boolean(bool) override { return ignored() || wrong("a boolean"); }
  bool number_integer(int64_t) override { return ignored() || wrong("a negative number"); }
  bool number_float(double, const std::string&) override { return ignored() || wrong("a fraction or a number beyond 2^63"); }
  bool binary(Json::binary_t&) override { return wrong("binary data"); }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    error("JSON, got a syntax error at byte {} of the header", position);
  }

 private:
  enum class Level { kStart, kTop, kMetadata, kTensor, kEnd };
  enum class Field { kOther, kDType, kShape, kOffsets };

  template <class... Args>
  [[noreturn]] void error(fmt::format_string<Args...> f, Args&&... args) const {
    fail(Code::kCorrupt, context_, "expected {}", fmt::format(f, std::forward<Args>(args)...));
  }
  [[noreturn]] bool wrong(std::string_view what) const {
    switch (level_) {
      case Level::kStart: case Level::kEnd: error("a header that is one JSON object, got {}", what);
      case Level::kTop: error("an object for each tensor, got {}{}", what, where());
      case Level::kMetadata: error("__metadata__ of strings, got {}", what);
      case Level::kTensor: break;
    }
    if (field_ == Field::kDType) error("a dtype's name, got {}{}", what, where());
    error("a list of whole numbers for {}, got {}{}", field_ == Field::kShape ? "shape" : "data_offsets", what, where());
  }
  std::string where() const { return name_.empty() ? "" : " (tensor " + quote(name_) + ")"; }

  bool ignored() const { return skip_ > 0 || (level_ == Level::kTensor && field_ == Field::kOther); }
  bool deeper() { return ++skip_ > 0; }
  bool shallower() { return --skip_ >= 0; }

  void open_member() {
    level_ = name_ == "__metadata__" ? Level::kMetadata : Level::kTensor;
    tensor_ = {};
    seen_ = 0;
    n_offsets_ = 0;
    field_ = Field::kOther;
  }

  void field_key(std::string_view k) {
    field_ = k == "dtype" ? Field::kDType : k == "shape" ? Field::kShape : k == "data_offsets" ? Field::kOffsets : Field::kOther;
    if (field_ == Field::kOther) return;
    const unsigned bit = 1u << static_cast<int>(field_);
    if (seen_ & bit) error("each field once, got {} twice{}", quote(k), where());
    seen_ |= bit;
  }

  void close_tensor() {
    if (seen_ != 0b1110) error("dtype, shape and data_offsets, got not all of them{}", where());
    if (n_offsets_ != 2) error("two data_offsets, got {}{}", n_offsets_, where());
    if (offsets_[0] > offsets_[1]) error("data_offsets in order, got [{}, {}]{}", offsets_[0], offsets_[1], where());
    const std::optional<uint64_t> bytes = dense_bytes(tensor_.dtype, tensor_.shape);
    if (!bytes) error("a shape of whole bytes below 2^63, got {} {}{}", name(tensor_.dtype), shape_text(tensor_.shape), where());
    tensor_.offset = offsets_[0];
    tensor_.bytes = offsets_[1] - offsets_[0];
    if (*bytes != tensor_.bytes)
      error("{} bytes for {} {}, got {}{}", *bytes, name(tensor_.dtype), shape_text(tensor_.shape), tensor_.bytes, where());
    tensor_.name = name_;
    out_.entries.push_back(std::move(tensor_));
  }

  std::string_view context_;
  SafetensorsHeader& out_;
  Level level_ = Level::kStart;
  Field field_ = Field::kOther;
  int64_t skip_ = 0;  // open brackets inside an unknown field
  bool in_array_ = false;
  std::string name_, metadata_key_;
  std::unordered_set<std::string> names_;
  TensorEntry tensor_;
  uint64_t offsets_[2] = {0, 0};
  int n_offsets_ = 0;
  unsigned seen_ = 0;
};

// The tensors must tile the data exactly: no overlap, no hole, nothing after the last.
void check_tiling(const std::vector<TensorEntry>& entries, uint64_t data_bytes, std::string_view context) {
  std::vector<const TensorEntry*> order;
  order.reserve(entries.size());
  for (const TensorEntry& e : entries) order.push_back(&e);
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return a->offset != b->offset ? a->offset < b->offset : a->bytes < b->bytes;
  });
  uint64_t end = 0;
  for (const TensorEntry* e : order) {
    if (e->offset != end)
      fail(Code::kCorrupt, context, "expected tensors without gap or overlap, got a start at data byte {} where {} was due (tensor {})",
           e->offset, end, quote(e->name));
    if (e->bytes > data_bytes - end)
      fail(Code::kCorrupt, context, "expected {} more bytes of data, got {}: the file is truncated (tensor {})", e->bytes,
           data_bytes - end, quote(e->name));
    end += e->bytes;
  }
  if (end != data_bytes)
    fail(Code::kCorrupt, context, "expected {} bytes of data, as its header says, got {}", end, data_bytes);
}

}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, std::string_view context) {
  if (bytes.size() < 8) fail(Code::kCorrupt, context, "expected an 8-byte header size, got a file of {} bytes", bytes.size());
  const uint64_t size = load_le<uint64_t>(bytes.data());
  if (size > kMaxHeader) fail(Code::kCorrupt, context, "expected a header of at most {} bytes, got {}", kMaxHeader, size);
  if (size > bytes.size() - 8)
    fail(Code::kCorrupt, context, "expected a header of {} bytes, got {}: the file is truncated", size, bytes.size() - 8);
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + 8, size);
  if (header.empty() || header[0] != '{') fail(Code::kCorrupt, context, "expected a header that starts with '{{', got other bytes");
  SafetensorsHeader out;
  HeaderHandler handler(context, out);
  Json::sax_parse(header.begin(), header.end(), &handler);
  check_tiling(out.entries, bytes.size() - 8 - size, context);
  for (TensorEntry& e : out.entries) e.offset += 8 + size;
  return out;
}

SafetensorsHeader read_safetensors(const std::string& path) {
  const std::shared_ptr<const MappedFile> file = map_weights(path);
  SafetensorsHeader out = parse_safetensors(file->bytes(), path);
  for (TensorEntry& e : out.entries) e.file = file;
  return out;
}

namespace {

std::string header_json(const std::vector<TensorToWrite>& tensors, const std::map<std::string, std::string>& metadata,
                        const std::string& path) {
  Json header = Json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorToWrite& t : tensors) {
    const std::optional<uint64_t> bytes = dense_bytes(t.dtype, t.shape);
    if (is_quantized(t.dtype) || !bytes || (!t.make && *bytes != t.data.size()))
      fail(Code::kInvalidArgument, path, "expected a plain dtype and {} bytes for {}, got {} and {} (tensor {})",
           bytes.value_or(0), shape_text(t.shape), name(t.dtype), t.data.size(), quote(t.name));
    if (t.name == "__metadata__" || header.contains(t.name))
      fail(Code::kInvalidArgument, path, "expected unique tensor names, got {}", quote(t.name));
    header[t.name] = {{"dtype", name(t.dtype)}, {"shape", t.shape}, {"data_offsets", {offset, offset + *bytes}}};
    offset += *bytes;
  }
  try {
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    return text;
  } catch (const Json::exception&) {
    fail(Code::kInvalidArgument, path, "expected tensor names and metadata in UTF-8, got other bytes");
  }
}

void write_file(const std::string& path, const std::string& header, const std::vector<TensorToWrite>& tensors) {
  std::ofstream f(path, std::ios::binary | std::ios::trunc);
  char size[8];
  store_le<uint64_t>(size, header.size());
  f.write(size, 8).write(header.data(), static_cast<std::streamsize>(header.size()));
  for (const TensorToWrite& t : tensors) {
    const std::vector<std::byte> made = t.make ? t.make() : std::vector<std::byte>{};
    const std::span<const std::byte> data = t.make ? std::span<const std::byte>(made) : t.data;
    CHECK(data.size() == *dense_bytes(t.dtype, t.shape));
    f.write(reinterpret_cast<const char*>(data.data()), static_cast<std::streamsize>(data.size()));
    if (!f) break;
  }
  f.close();
  if (!f) fail(Code::kIo, path, "cannot write: {}", std::strerror(errno));
}

}  // namespace

void write_safetensors(const std::string& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorToWrite& a, const TensorToWrite& b) {
    const int wa = info(a.dtype).bytes / info(a.dtype).block, wb = info(b.dtype).bytes / info(b.dtype).block;
    return wa != wb ? wa > wb : a.name < b.name;
  });
  const std::string header = header_json(tensors, metadata, path), temporary = path + ".tmp";
  std::error_code ec;
  try {
    write_file(temporary, header, tensors);
  } catch (...) {
    std::filesystem::remove(temporary, ec);
    throw;
  }
  std::filesystem::rename(temporary, path, ec);
  if (ec) fail(Code::kIo, path, "cannot rename from {}: {}", temporary, ec.message());
}

}  // namespace transom
