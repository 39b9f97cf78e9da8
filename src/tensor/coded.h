// Weights that a checkpoint stores as several tensors (FP8 with scales, GPTQ, AWQ, compressed-tensors, bitsandbytes, MXFP4):
// small codes, and what turns them into numbers, read where they lie. With g the group of column c,
//   value(r, c) = (number(code(r, c)) - zero(r, g)) * scale(r, g) * factor,  in float, each operation rounded.
// decode_row (quant.h) is the reference and the generic path of the CPU kernels.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "tensor/view.h"

namespace transom {

// What the codes of a matrix stand for: 2^bits numbers.
using Numbers = std::shared_ptr<const std::vector<float>>;
Numbers whole_numbers(int bits, int offset = 0);  // code + offset
Numbers signed_bytes();                           // two's complement
Numbers small_floats(DType t);                    // F8_E4M3, F8_E5M2, F4

// A matrix of codes in words, the lowest bits of a word first; a code may go on in the next word.
struct Codes {
  Numbers numbers;                                          // null: no such matrix
  int bits = 8;                                             // 1 to 8
  int word_bytes = 1;                                       // 1 or 4
  bool down = false;                                        // a word's codes lie in one column, not in one row
  int64_t step = 1, line = 0;                               // words to the next of a row (or column), and to the next row (or column)
  std::array<uint8_t, 8> slot = {0, 1, 2, 3, 4, 5, 6, 7};  // of eight neighbours, where each lies among them
};

// Scales whose own numbers are bytes (bitsandbytes' double quantization): numbers[byte i] * outer[i / group] + offset.
struct NestedScales {
  Numbers numbers;  // null: the scales are stored plainly
  int64_t group = 256;
  float offset = 0;
};

// scale(r, g) is element r / rows * row_step + g * group_step, divided by `divisor`.
struct Scales {
  DType dtype = DType::kF32;
  int64_t rows = 1;
  int64_t row_step = 0, group_step = 0;
  float divisor = 1;
  NestedScales nested;
};

// Stored rows of a matrix that shares its tensors with others: row i is at begin + i / run * stride + i % run (run 0: begin + i).
struct RowMap {
  int64_t begin = 0, run = 0, stride = 0;
  int64_t at(int64_t i) const { return begin + (run > 0 ? i / run * stride + i % run : i); }
};

struct Coded {
  // kGroups: a 32-bit number for each column, its group; absent: (row * row_columns + column) / group.
  enum Part : uint8_t { kCodes, kZeros, kScales, kOuterScales, kGroups, kParts };
  std::array<const std::byte*, kParts> data = {};
  RowMap rows;
  Codes codes, zeros;
  Scales scales;
  int64_t group = 1, row_columns = 0;
  float factor = 1;
};

// A row of 4-bit floats with an exponent for each 32, as blocks of DType::kMXFP4: the same values in as many bytes.
void write_mxfp4(const Coded& w, int64_t row, int64_t columns, std::byte* to);

}  // namespace transom
