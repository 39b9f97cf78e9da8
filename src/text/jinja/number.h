// Python's numbers: exact integers of any size, IEEE doubles with Python's rules for division, modulo, power, rounding,
// comparison across the two, and the text forms of both.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "text/jinja/env.h"

namespace transom::jinja {

enum class Arith : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
std::string_view symbol(Arith op);

// Both operands are numbers. Raises kZeroDivision, kOverflow, kLimit (integers beyond our bound).
Value arithmetic(Env& env, Arith op, const Value& a, const Value& b);
Value negate(Env& env, const Value& a);  // of a number
Value absolute(Env& env, const Value& a);

std::partial_ordering compare_numbers(const Value& a, const Value& b);
size_t hash_number(const Value& v);

double to_double(const Value& number);                 // raises kOverflow
Value double_to_int(Env& env, double f);               // truncates; raises kOverflow, kValue
Value round_number(Env& env, const Value& v, const Value& digits);  // Python's round(v, digits)
Value floor_ceil(Env& env, const Value& v, bool ceil);
// An integer that fits, clamped to the range otherwise (as slices do).
int64_t clamp_int(const Value& v);
bool is_zero(const Value& number);
bool is_negative(const Value& number);

std::string int_text(const Value& v, int base = 10);  // of an int; raises kValue beyond Python's 4300 digits in base 10
std::string float_repr(double f);
// int(text, base) and float(text): raise kValue.
Value parse_int(Env& env, std::string_view text, int base);
double parse_float(std::string_view text);
// Decimal digits (any number of them, an optional sign before) as an integer.
Value int_from_digits(Heap* heap, std::string_view digits, int base = 10);
int64_t bit_length(const Value& v);
// The integer ratio of a double, as int.as_integer_ratio gives it.
Value integer_ratio(Env& env, double f);

}  // namespace transom::jinja
