// Python's numbers: see number.h. Integers live in the handle while they fit 64 bits and in a multiprecision integer
// otherwise. Semantics after CPython's Objects/longobject.c and floatobject.c, restated.
#include "text/jinja/number.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <limits>

namespace transom::jinja {
namespace {

using BigInt = boost::multiprecision::cpp_int;
constexpr size_t kMaxIntBits = size_t{1} << 17;
constexpr size_t kMaxDigits = 4300;  // sys.get_int_max_str_digits()

struct Big : Obj {
  Big(Heap* heap, BigInt value) : Obj(heap, sizeof(Big) + value.backend().size() * 8), v(std::move(value)) {}
  BigInt v;
};

size_t bits(const BigInt& v) { return v.is_zero() ? 0 : msb(v < 0 ? BigInt(-v) : v) + 1; }

Value make_int(Heap* heap, const BigInt& v) {
  if (v >= std::numeric_limits<int64_t>::min() && v <= std::numeric_limits<int64_t>::max())
    return Value::integer(static_cast<int64_t>(v));
  if (bits(v) > kMaxIntBits) raise(Exc::kLimit, "expected integers of at most " + std::to_string(kMaxIntBits) + " bits, got more");
  return Value(Type::kBigInt, new Big(heap, v));
}

BigInt big(const Value& v) { return v.is(Type::kBigInt) ? static_cast<const Big*>(v.obj())->v : BigInt(v.small()); }

// Rounds a/2^shift half to even, where `sticky` says that a non-zero tail was cut off.
double scaled(BigInt a, bool sticky, int64_t exponent) {
  const size_t n = bits(a);
  if (n > 64) {
    const size_t cut = n - 64;
    const BigInt top = a >> cut;
    sticky = sticky || (top << cut) != a;
    a = top;
    exponent += static_cast<int64_t>(cut);
  }
  const uint64_t m = static_cast<uint64_t>(a) | (sticky && n >= 64 ? 1 : 0);
  return std::ldexp(static_cast<double>(m), static_cast<int>(std::clamp<int64_t>(exponent, -4000, 200000)));
}

double big_to_double(const BigInt& v) {
  const double d = v < 0 ? -scaled(-v, false, 0) : scaled(v, false, 0);
  if (std::isinf(d)) raise(Exc::kOverflow, "int too large to convert to float");
  return d;
}

Value true_divide(const Value& a, const Value& b) {
  constexpr int64_t kExact = int64_t{1} << 53;
  if (!a.is(Type::kBigInt) && !b.is(Type::kBigInt) && std::abs(a.small()) <= kExact && std::abs(b.small()) <= kExact)
    return Value::number(static_cast<double>(a.small()) / static_cast<double>(b.small()));
  BigInt x = big(a), y = big(b);
  const bool negative = (x < 0) != (y < 0);
  if (x < 0) x = -x;
  if (y < 0) y = -y;
  const int64_t shift = static_cast<int64_t>(bits(y)) - static_cast<int64_t>(bits(x)) + 66;
  if (shift > 0) x <<= static_cast<size_t>(shift);
  else y <<= static_cast<size_t>(-shift);
  BigInt q, r;
  divide_qr(x, y, q, r);
  const double d = scaled(q, !r.is_zero(), -shift);
  if (std::isinf(d)) raise(Exc::kOverflow, "integer division result too large for a float");
  return Value::number(negative ? -d : d);
}

Value big_arithmetic(Env& env, Arith op, const BigInt& a, const BigInt& b) {
  env.work((bits(a) / 64 + 1) * (bits(b) / 64 + 1));
  switch (op) {
    case Arith::kAdd: return make_int(&env.heap, a + b);
    case Arith::kSub: return make_int(&env.heap, a - b);
    case Arith::kMul: return make_int(&env.heap, a * b);
    default: break;
  }
  BigInt q, r;
  divide_qr(a, b, q, r);  // truncates; Python floors
  if (!r.is_zero() && (r < 0) != (b < 0)) q -= 1, r += b;
  return make_int(&env.heap, op == Arith::kMod ? r : q);
}

Value int_power(Env& env, const Value& a, const Value& b) {
  if (is_negative(b)) {
    if (is_zero(a)) raise(Exc::kZeroDivision, "0.0 cannot be raised to a negative power");
    return arithmetic(env, Arith::kPow, Value::number(to_double(a)), Value::number(to_double(b)));
  }
  BigInt base = big(a);
  if (base == 0 || base == 1 || base == -1) {
    const bool odd = (big(b) & 1) != 0;
    if (base == 0) return Value::integer(is_zero(b) ? 1 : 0);
    return Value::integer(base == 1 || !odd ? 1 : -1);
  }
  const int64_t exponent = clamp_int(b);
  if (exponent > static_cast<int64_t>(kMaxIntBits) || bits(base) * static_cast<size_t>(exponent) > 2 * kMaxIntBits)
    raise(Exc::kLimit, "expected integers of at most " + std::to_string(kMaxIntBits) + " bits, got more");
  env.work(bits(base) * static_cast<size_t>(exponent));
  return make_int(&env.heap, pow(base, static_cast<unsigned>(exponent)));
}

Value int_arithmetic(Env& env, Arith op, const Value& a, const Value& b) {
  if (op == Arith::kPow) return int_power(env, a, b);
  if (op >= Arith::kDiv && is_zero(b))
    raise(Exc::kZeroDivision, op == Arith::kDiv ? "division by zero" : "integer division or modulo by zero");
  if (op == Arith::kDiv) return true_divide(a, b);
  if (!a.is(Type::kBigInt) && !b.is(Type::kBigInt)) {
    const int64_t x = a.small(), y = b.small();
    int64_t r = 0;
    if (op == Arith::kAdd && !__builtin_add_overflow(x, y, &r)) return Value::integer(r);
    if (op == Arith::kSub && !__builtin_sub_overflow(x, y, &r)) return Value::integer(r);
    if (op == Arith::kMul && !__builtin_mul_overflow(x, y, &r)) return Value::integer(r);
    if (op >= Arith::kFloorDiv && y != -1) {
      int64_t q = x / y, m = x % y;
      if (m != 0 && (m < 0) != (y < 0)) --q, m += y;
      return Value::integer(op == Arith::kMod ? m : q);
    }
  }
  return big_arithmetic(env, op, big(a), big(b));
}

double float_mod(double x, double y) {
  double m = std::fmod(x, y);
  if (m != 0) return (y < 0) != (m < 0) ? m + y : m;
  return std::copysign(0.0, y);
}

double float_floor_div(double x, double y) {
  const double d = (x - float_mod(x, y)) / y;
  if (d == 0) return std::copysign(0.0, x / y);
  const double f = std::floor(d);
  return d - f > 0.5 ? f + 1 : f;
}

double float_power(double x, double y) {
  if (x == 0 && y < 0) raise(Exc::kZeroDivision, "0.0 cannot be raised to a negative power");
  if (x < 0 && std::isfinite(x) && std::isfinite(y) && y != std::floor(y))
    raise(Exc::kUnsupported, "expected a real power, got a complex one");
  const double r = std::pow(x, y);
  if (std::isinf(r) && std::isfinite(x) && std::isfinite(y)) raise(Exc::kOverflow, "Numerical result out of range");
  return r;
}

double float_arithmetic(Arith op, double x, double y) {
  switch (op) {
    case Arith::kAdd: return x + y;
    case Arith::kSub: return x - y;
    case Arith::kMul: return x * y;
    case Arith::kPow: return float_power(x, y);
    default: break;
  }
  if (y == 0) raise(Exc::kZeroDivision, op == Arith::kDiv ? "float division by zero" : "float floor division by zero");
  if (op == Arith::kDiv) return x / y;
  return op == Arith::kMod ? float_mod(x, y) : float_floor_div(x, y);
}

std::partial_ordering compare_int_double(const Value& a, double f) {
  if (std::isnan(f)) return std::partial_ordering::unordered;
  if (std::isinf(f)) return f > 0 ? std::partial_ordering::less : std::partial_ordering::greater;
  const double whole = std::trunc(f);
  const BigInt x = big(a), y = BigInt(whole);
  if (x != y) return x < y ? std::partial_ordering::less : std::partial_ordering::greater;
  return 0.0 <=> f - whole;
}

}  // namespace

std::string_view symbol(Arith op) {
  constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};
  return kSymbols[static_cast<size_t>(op)];
}

Value arithmetic(Env& env, Arith op, const Value& a, const Value& b) {
  if (a.is(Type::kFloat) || b.is(Type::kFloat)) return Value::number(float_arithmetic(op, to_double(a), to_double(b)));
  return int_arithmetic(env, op, a, b);
}

Value negate(Env& env, const Value& a) {
  if (a.is(Type::kFloat)) return Value::number(-a.real());
  return int_arithmetic(env, Arith::kSub, Value::integer(0), a);
}

Value absolute(Env& env, const Value& a) {
  if (a.is(Type::kFloat)) return Value::number(std::fabs(a.real()));
  return is_negative(a) ? negate(env, a) : int_arithmetic(env, Arith::kAdd, a, Value::integer(0));
}

std::partial_ordering compare_numbers(const Value& a, const Value& b) {
  const bool fa = a.is(Type::kFloat), fb = b.is(Type::kFloat);
  if (fa && fb) return a.real() <=> b.real();
  if (fa) return 0 <=> compare_int_double(b, a.real());
  if (fb) return compare_int_double(a, b.real());
  if (!a.is(Type::kBigInt) && !b.is(Type::kBigInt)) return a.small() <=> b.small();
  const int c = big(a).compare(big(b));
  return c <=> 0;
}

size_t hash_number(const Value& v) {
  if (v.is(Type::kFloat)) {
    const double f = v.real();
    if (f == std::trunc(f) && std::fabs(f) < 9.2e18) return std::hash<int64_t>{}(static_cast<int64_t>(f));
    return std::hash<double>{}(f);
  }
  if (v.is(Type::kBigInt)) {
    const BigInt x = big(v);
    return bits(x) > 1000 ? bits(x) : std::hash<double>{}(big_to_double(x));
  }
  const int64_t i = v.small();
  return std::abs(static_cast<double>(i)) < 9.2e18 ? std::hash<int64_t>{}(i) : std::hash<double>{}(static_cast<double>(i));
}

double to_double(const Value& v) {
  if (v.is(Type::kFloat)) return v.real();
  return v.is(Type::kBigInt) ? big_to_double(big(v)) : static_cast<double>(v.small());
}

Value double_to_int(Env& env, double f) {
  if (std::isnan(f)) raise(Exc::kValue, "cannot convert float NaN to integer");
  if (std::isinf(f)) raise(Exc::kOverflow, "cannot convert float infinity to integer");
  return make_int(&env.heap, BigInt(std::trunc(f)));
}

Value floor_ceil(Env& env, const Value& v, bool ceil) {
  if (!v.is(Type::kFloat)) return v;
  return double_to_int(env, ceil ? std::ceil(v.real()) : std::floor(v.real()));
}

int64_t clamp_int(const Value& v) {
  if (!v.is(Type::kBigInt)) return v.small();
  return big(v) < 0 ? std::numeric_limits<int64_t>::min() : std::numeric_limits<int64_t>::max();
}

bool is_zero(const Value& v) {
  if (v.is(Type::kFloat)) return v.real() == 0;
  return !v.is(Type::kBigInt) && v.small() == 0;
}

bool is_negative(const Value& v) {
  if (v.is(Type::kFloat)) return v.real() < 0;
  return v.is(Type::kBigInt) ? big(v) < 0 : v.small() < 0;
}

std::string int_text(const Value& v, int base) {
  if (base == 10 && !v.is(Type::kBigInt)) return std::to_string(v.small());
  if (base == 10) {
    const BigInt x = big(v);
    std::string s = bits(x) > kMaxDigits * 10 / 3 ? std::string(kMaxDigits + 2, '0') : x.str();
    if (s.size() - (s[0] == '-') > kMaxDigits)
      raise(Exc::kValue, "Exceeds the limit (4300 digits) for integer string conversion");
    return s;
  }
  BigInt x = big(v);
  const bool negative = x < 0;
  if (negative) x = -x;
  std::string s;
  const int shift = base == 16 ? 4 : base == 8 ? 3 : 1;
  do {
    s += "0123456789abcdef"[static_cast<unsigned>(x & (base - 1))];
    x >>= shift;
  } while (!x.is_zero());
  if (negative) s += '-';
  return {s.rbegin(), s.rend()};
}

Value int_from_digits(Heap* heap, std::string_view digits, int base) {
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
  if (digits.size() > kMaxDigits && (base & (base - 1)) != 0)
    raise(Exc::kValue, "Exceeds the limit (4300 digits) for integer string conversion");
  if (digits.size() > kMaxIntBits) raise(Exc::kLimit, "expected a shorter integer");
  BigInt x = 0;
  for (size_t i = 0; i < digits.size();) {  // in chunks that fit 64 bits
    uint64_t chunk = 0, scale = 1;
    for (int k = 0; k < 10 && i < digits.size(); ++k, ++i) {
      const char c = digits[i];
      const int d = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
      chunk = chunk * static_cast<uint64_t>(base) + static_cast<uint64_t>(d);
      scale *= static_cast<uint64_t>(base);
    }
    x = x * scale + chunk;
  }
  return make_int(heap, negative ? BigInt(-x) : x);
}

int64_t bit_length(const Value& v) { return static_cast<int64_t>(bits(big(v))); }

Value integer_ratio(Env& env, double f) {
  if (std::isnan(f)) raise(Exc::kValue, "cannot convert NaN to integer ratio");
  if (std::isinf(f)) raise(Exc::kOverflow, "cannot convert Infinity to integer ratio");
  int exponent = 0;
  double m = std::frexp(f, &exponent);
  while (m != std::floor(m)) m *= 2, --exponent;
  BigInt n(m), d = 1;
  if (exponent > 0) n <<= static_cast<size_t>(exponent);
  else d <<= static_cast<size_t>(-exponent);
  return env.tuple({make_int(&env.heap, n), make_int(&env.heap, d)});
}

// round(int, -k): to the nearest multiple of 10**k, half to even.
static Value round_int(Env& env, const Value& v, int64_t digits) {
  if (digits >= 0) return int_arithmetic(env, Arith::kAdd, v, Value::integer(0));
  if (digits < -5000) return Value::integer(0);
  const BigInt unit = pow(BigInt(10), static_cast<unsigned>(-digits)), x = big(v);
  BigInt q, r;
  divide_qr(x, unit, q, r);
  if (r < 0) q -= 1, r += unit;
  const BigInt twice = 2 * r;
  if (twice > unit || (twice == unit && (q & 1) != 0)) q += 1;
  return make_int(&env.heap, q * unit);
}

static double round_float(double f, int64_t digits) {
  if (!std::isfinite(f) || f == 0) return f;
  if (digits > 340) return f;
  if (digits < -330) return std::copysign(0.0, f);
  if (digits >= 0) {
    char buffer[800];
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), f);
    const double r = std::strtod(buffer, nullptr);
    return r;
  }
  const BigInt unit = pow(BigInt(10), static_cast<unsigned>(-digits)), x(std::trunc(std::fabs(f)));
  BigInt q, r;
  divide_qr(x, unit, q, r);
  const BigInt twice = 2 * r;
  const bool tail = f != std::trunc(f);
  if (twice > unit || (twice == unit && (tail || (q & 1) != 0))) q += 1;
  const double d = std::copysign(scaled(q * unit, false, 0), f);
  if (std::isinf(d)) raise(Exc::kOverflow, "rounded value too large to represent");
  return d;
}

Value round_number(Env& env, const Value& v, const Value& digits) {
  if (digits.is_none()) {
    if (!v.is(Type::kFloat)) return round_int(env, v, 0);
    return double_to_int(env, std::nearbyint(v.real()));
  }
  if (!v.is(Type::kFloat)) return round_int(env, v, clamp_int(digits));
  const double r = round_float(v.real(), clamp_int(digits));
  if (std::isinf(r) && std::isfinite(v.real())) raise(Exc::kOverflow, "rounded value too large to represent");
  return Value::number(r);
}

}  // namespace transom::jinja
