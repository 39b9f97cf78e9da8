// A reader for NumPy's .npy files, for goldens only: little-endian float32, float64, int32 or int64 in C order, format
// versions 1-3 (numpy.lib.format). Anything else throws std::runtime_error with the path.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace transom::test {

template <class T>
struct Npy {
  std::vector<int64_t> shape;
  std::vector<T> data;

  int64_t rows() const { return shape.empty() ? 1 : shape[0]; }
  int64_t cols() const { return rows() == 0 ? 0 : static_cast<int64_t>(data.size()) / rows(); }
  const T* row(int64_t i) const { return data.data() + i * cols(); }
};

namespace npy_detail {

template <class T> inline constexpr const char* kDescr = nullptr;
template <> inline constexpr const char* kDescr<float> = "<f4";
template <> inline constexpr const char* kDescr<double> = "<f8";
template <> inline constexpr const char* kDescr<int32_t> = "<i4";
template <> inline constexpr const char* kDescr<int64_t> = "<i8";

// The value of a key in the header's Python dict, up to the comma or bracket that ends it.
inline std::string field(const std::string& header, const std::string& key) {
  const size_t at = header.find("'" + key + "':");
  if (at == std::string::npos) throw std::runtime_error("no " + key);
  size_t begin = header.find_first_not_of(' ', at + key.size() + 3);
  const char close = header[begin] == '(' ? ')' : header[begin] == '\'' ? '\'' : ',';
  const size_t end = header.find(close, begin + 1);
  if (close != ',') ++begin;
  return header.substr(begin, end - begin);
}

}  // namespace npy_detail

template <class T>
Npy<T> read_npy(const std::string& path) {
  using namespace npy_detail;
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  auto bad = [&](const std::string& why) { return std::runtime_error(path + ": " + why); };
  if (!in || bytes.size() < 12 || bytes.compare(0, 6, "\x93NUMPY") != 0) throw bad("not an .npy file");
  const bool v1 = bytes[6] == 1;
  uint32_t header_size = 0;
  std::memcpy(&header_size, bytes.data() + 8, v1 ? 2 : 4);
  const size_t start = (v1 ? 10 : 12) + size_t{header_size};
  if (start > bytes.size()) throw bad("truncated header");
  const std::string header = bytes.substr(v1 ? 10 : 12, header_size);

  if (field(header, "descr") != kDescr<T>) throw bad("expected " + std::string(kDescr<T>) + ", got " + header);
  if (field(header, "fortran_order") != "False") throw bad("Fortran order");
  Npy<T> out;
  size_t count = 1;
  const std::string shape = field(header, "shape");
  for (size_t i = 0; (i = shape.find_first_of("0123456789", i)) != std::string::npos;) {
    size_t used = 0;
    out.shape.push_back(std::stoll(shape.substr(i), &used));
    count *= static_cast<size_t>(out.shape.back());
    i += used;
  }
  if (bytes.size() - start != count * sizeof(T)) throw bad("expected " + std::to_string(count) + " elements");
  out.data.resize(count);
  std::memcpy(out.data.data(), bytes.data() + start, count * sizeof(T));
  return out;
}

}  // namespace transom::test
